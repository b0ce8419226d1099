//! What a review is asked to be: its blueprint as a test describes it, and as it goes over the wire.

use std::{collections::BTreeSet, fmt};

use attestry::domain::{
    decision::Verdict,
    definition::{DefaultDecision, MovingDecision},
    reviewer_scope::ReviewerScope,
};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::company::{CONTRACTORS, FINANCE, Name, any_person};

/// Whom a reviewer scope names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reviewer {
    User(Name),
    /// The owners of the group under review.
    Owners,
    /// Everybody's manager.
    Manager,
    /// The members of [`CONTRACTORS`].
    Contractors,
}

impl fmt::Debug for Reviewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "{name}"),
            Self::Owners => f.write_str("the owners"),
            Self::Manager => f.write_str("the manager"),
            Self::Contractors => f.write_str("the contractors"),
        }
    }
}

impl Reviewer {
    fn json(self) -> Value {
        match self {
            Self::User(name) => json!({ "query": format!("/users/{}", name.id()), "queryType": "MicrosoftGraph" }),
            Self::Owners => json!({ "query": "./owners", "queryType": "MicrosoftGraph" }),
            Self::Manager => json!({ "query": "./manager", "queryType": "MicrosoftGraph", "queryRoot": "decisions" }),
            Self::Contractors => json!({
                "query": format!("/groups/{}/transitiveMembers", CONTRACTORS.id()),
                "queryType": "MicrosoftGraph",
            }),
        }
    }

    pub fn scope(self) -> ReviewerScope {
        let body = self.json();
        let text = |member: &str| body.get(member).and_then(Value::as_str);
        ReviewerScope::parse(text("query").unwrap(), text("queryType"), text("queryRoot")).unwrap()
    }

    /// As stored: the form's word and the object it names.
    pub fn stored(form: &str, object: Option<Name>) -> Self {
        match (form, object) {
            ("user", Some(name)) => Self::User(name),
            ("resourceOwners", None) => Self::Owners,
            ("manager", None) => Self::Manager,
            ("groupMembers", Some(CONTRACTORS)) => Self::Contractors,
            other => panic!("no history names reviewers by {other:?}"),
        }
    }
}

/// The reviewers and fallback reviewers of something; no reviewers is a self-review.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Lists {
    pub reviewers: BTreeSet<Reviewer>,
    pub fallbacks: BTreeSet<Reviewer>,
}

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} else {:?}", self.reviewers, self.fallbacks)
    }
}

pub fn reviewers_json(reviewers: &BTreeSet<Reviewer>) -> Value {
    reviewers.iter().map(|reviewer| reviewer.json()).collect()
}

/// Whose access to [`FINANCE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Users, however nested.
    Everybody,
    /// Guests among them.
    Guests,
    /// Direct members; a nested group is one item.
    Direct,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageDraft {
    pub days: i64,
    pub moves: BTreeSet<Moves>,
    pub recommendations: bool,
    pub lists: Lists,
}

/// [`MovingDecision`], orderly.
pub type Moves = MovingDecision;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    pub weeks: i64,
    pub occurrences: i64,
}

/// What an admin asks for. Without stages it is a single-stage review, which has one all the same.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    pub scope: Scope,
    /// Whether it shows stages.
    pub multi_stage: bool,
    /// One at least.
    pub stages: Vec<StageDraft>,
    pub default: Option<DefaultDecision>,
    pub auto_apply: bool,
    pub disable_and_delete: bool,
    pub justification: bool,
    pub mail: bool,
    pub reminders: bool,
    pub histories: bool,
    pub series: Option<Series>,
    /// Days from its creation to the first start.
    pub ahead: i64,
}

impl Draft {
    pub fn total_days(&self) -> i64 {
        self.stages.iter().map(|stage| stage.days).sum()
    }

    /// Days from an instance's start to the scheduled end of a stage, from 1. LC-STAGE-04
    pub fn days_through(&self, ordinal: usize) -> i64 {
        self.stages[..ordinal].iter().map(|stage| stage.days).sum()
    }

    /// Days from an instance's start to the scheduled start of its last stage.
    pub fn days_before_the_last(&self) -> i64 {
        self.days_through(self.stages.len() - 1)
    }

    /// Every list it names reviewers in.
    pub fn lists(&self) -> impl Iterator<Item = &Lists> {
        self.stages.iter().map(|stage| &stage.lists)
    }

    /// Whether it keeps the rules that a body alone can break. LC-DEF-06, LC-REC-09, LC-APPLY-08
    pub fn is_valid(&self) -> bool {
        let fits = self.series.is_none_or(|series| self.total_days() <= 7 * series.weeks);
        let decides = self.default != Some(DefaultDecision::None);
        fits && decides && (!self.disable_and_delete || self.scope == Scope::Guests)
    }

    /// The body of a create or a PUT.
    pub fn json(&self, name: &str, created_at: DateTime<Utc>) -> Value {
        let group = FINANCE.id();
        let query = match self.scope {
            Scope::Everybody => format!("/groups/{group}/transitiveMembers"),
            Scope::Guests => format!("/groups/{group}/transitiveMembers/?$filter=(userType eq 'Guest')"),
            Scope::Direct => format!("/groups/{group}/members"),
        };
        let mut settings = json!({
            "mailNotificationsEnabled": self.mail,
            "reminderNotificationsEnabled": self.reminders,
            "justificationRequiredOnApproval": self.justification,
            "defaultDecisionEnabled": self.default.is_some(),
            "defaultDecision": self.default.unwrap_or(DefaultDecision::None).as_str(),
            "autoApplyDecisionsEnabled": self.auto_apply,
            "decisionHistoriesForReviewersEnabled": self.histories,
            "instanceDurationInDays": self.total_days(),
            "recommendationsEnabled": !self.multi_stage && self.stages[0].recommendations,
        });
        if self.disable_and_delete {
            settings["applyActions"] = json!([{ "@odata.type": "#microsoft.graph.disableAndDeleteUserApplyAction" }]);
        }
        let start = (created_at + TimeDelta::days(self.ahead)).date_naive();
        if let Some(series) = self.series {
            settings["recurrence"] = json!({
                "pattern": { "type": "weekly", "interval": series.weeks },
                "range": { "type": "numbered", "startDate": start, "numberOfOccurrences": series.occurrences },
            });
        } else if self.ahead > 0 {
            settings["recurrence"] = json!({ "pattern": null, "range": { "type": "noEnd", "startDate": start } });
        }
        let mut body = json!({
            "displayName": name,
            "scope": {
                "@odata.type": "#microsoft.graph.accessReviewQueryScope",
                "query": query,
                "queryType": "MicrosoftGraph",
            },
            "settings": settings,
        });
        if self.multi_stage {
            body["stageSettings"] = self.stages.iter().enumerate().map(|(index, stage)| stage.json(index)).collect();
        } else {
            body["reviewers"] = reviewers_json(&self.stages[0].lists.reviewers);
            body["fallbackReviewers"] = reviewers_json(&self.stages[0].lists.fallbacks);
        }
        body
    }
}

impl StageDraft {
    fn json(&self, index: usize) -> Value {
        let moves: Vec<_> = self.moves.iter().map(|moving| moving.as_str()).collect();
        let mut stage = json!({
            "stageId": (index + 1).to_string(),
            "durationInDays": self.days,
            "recommendationsEnabled": self.recommendations,
            "reviewers": reviewers_json(&self.lists.reviewers),
            "fallbackReviewers": reviewers_json(&self.lists.fallbacks),
            "decisionsThatWillMoveToNextStage": moves,
        });
        if index > 0 {
            stage["dependsOn"] = json!([index.to_string()]);
        }
        stage
    }

    /// LC-STAGE-30 to 33: whether an item with this decision in this stage moves to the next.
    pub fn lets_move(&self, verdict: Verdict, recommendation: Option<Verdict>) -> bool {
        let named = match verdict {
            Verdict::Approve => MovingDecision::Approve,
            Verdict::Deny => MovingDecision::Deny,
            Verdict::DontKnow => MovingDecision::DontKnow,
            Verdict::NotReviewed => MovingDecision::NotReviewed,
        };
        let followed = self.moves.contains(&MovingDecision::Recommendation) && recommendation == Some(verdict);
        self.moves.is_empty() || self.moves.contains(&named) || followed
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.scope)?;
        match self.series {
            Some(Series { weeks, occurrences }) => write!(f, ", {occurrences} times every {weeks} weeks")?,
            None => f.write_str(", once")?,
        }
        if self.ahead > 0 {
            write!(f, ", from {} days ahead", self.ahead)?;
        }
        if let Some(default) = self.default {
            write!(f, ", default {}", default.as_str())?;
        }
        for (flag, text) in [
            (self.auto_apply, "auto-apply"),
            (self.disable_and_delete, "disable and delete"),
            (self.justification, "justification"),
            (self.mail, "mail"),
            (self.reminders, "reminders"),
            (self.histories, "histories"),
        ] {
            if flag {
                write!(f, ", {text}")?;
            }
        }
        let kind = if self.multi_stage { "stage" } else { "single stage" };
        for stage in &self.stages {
            write!(f, "; {kind} of {} days by {:?}", stage.days, stage.lists)?;
            if stage.recommendations {
                f.write_str(" with recommendations")?;
            }
            if self.multi_stage && !stage.moves.is_empty() {
                write!(f, " moving {:?}", stage.moves)?;
            }
        }
        Ok(())
    }
}

fn any_reviewer() -> impl Strategy<Value = Reviewer> {
    prop_oneof![
        5 => any_person().prop_map(Reviewer::User),
        3 => Just(Reviewer::Manager),
        2 => Just(Reviewer::Owners),
        1 => Just(Reviewer::Contractors),
    ]
}

pub fn any_reviewers() -> impl Strategy<Value = BTreeSet<Reviewer>> {
    prop::collection::btree_set(any_reviewer(), 0..=2)
}

fn any_lists() -> impl Strategy<Value = Lists> {
    (any_reviewers(), any_reviewers()).prop_map(|(reviewers, fallbacks)| Lists { reviewers, fallbacks })
}

pub fn any_stage() -> impl Strategy<Value = StageDraft> {
    use MovingDecision::{Approve, Deny, DontKnow, NotReviewed};
    let moves = prop_oneof![
        2 => Just(BTreeSet::new()),
        1 => Just(BTreeSet::from([Approve, Deny, DontKnow, NotReviewed])),
        5 => prop::sample::subsequence(&MovingDecision::ALL[..], 1..=4).prop_map(|moves| moves.into_iter().collect()),
    ];
    (1_i64..5, moves, prop::bool::weighted(0.6), any_lists())
        .prop_map(|(days, moves, recommendations, lists)| StageDraft { days, moves, recommendations, lists })
}

pub fn any_default() -> impl Strategy<Value = Option<DefaultDecision>> {
    use DefaultDecision::{Approve, Deny, None, Recommendation};
    let default = prop_oneof![
        5 => Just(Approve),
        7 => Just(Deny),
        7 => Just(Recommendation),
        1 => Just(None),
    ];
    prop::option::weighted(0.6, default)
}

pub fn any_draft() -> impl Strategy<Value = Draft> {
    let scope = prop_oneof![4 => Just(Scope::Everybody), 2 => Just(Scope::Guests), 1 => Just(Scope::Direct)];
    let stages = prop_oneof![
        4 => prop::collection::vec(any_stage(), 1),
        3 => prop::collection::vec(any_stage(), 2),
        2 => prop::collection::vec(any_stage(), 3),
    ];
    let series = (1_i64..=2, 1_i64..=4).prop_map(|(weeks, occurrences)| Series { weeks, occurrences });
    let ahead = prop_oneof![3 => Just(0), 1 => 1_i64..4];
    let flags = (
        prop::bool::weighted(0.5),
        prop::bool::weighted(0.6),
        prop::bool::weighted(0.25),
        prop::bool::weighted(0.5),
        prop::bool::weighted(0.4),
        any::<bool>(),
    );
    (scope, stages, prop::bool::weighted(0.2), any_default(), flags, prop::option::weighted(0.35, series), ahead)
        .prop_map(|(scope, stages, staged, default, flags, series, ahead)| {
            let (auto_apply, disable, justification, mail, reminders, histories) = flags;
            let multi_stage = staged || stages.len() > 1;
            let stages: Vec<_> = stages
                .into_iter()
                .map(|stage| if multi_stage { stage } else { StageDraft { moves: BTreeSet::new(), ..stage } })
                .collect();
            // A draft that does not fit into a week is refused; the rare one is kept to see that.
            let days: i64 = stages.iter().map(|stage| stage.days).sum();
            let series = series.map(|series| Series {
                weeks: if days > 9 { series.weeks } else { series.weeks.max((days + 6) / 7) },
                ..series
            });
            Draft {
                scope,
                multi_stage,
                stages,
                default,
                auto_apply,
                disable_and_delete: disable && (scope == Scope::Guests || days == 5),
                justification,
                mail,
                reminders,
                histories,
                series,
                ahead,
            }
        })
}

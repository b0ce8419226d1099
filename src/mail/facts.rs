//! What a mail tells, as values; the names by which templates call them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use minijinja::Value;

use crate::domain::{
    definition::DefaultDecision,
    mail::{MailKind, Purpose, REVIEWER_TEXT, Tally},
};

/// Names of resources that a mail lists at most.
pub const MOST_RESOURCES: usize = 20;

/// What every mail is made of.
#[derive(Clone, Debug)]
pub struct MailFacts {
    /// Whom it greets.
    pub recipient: String,
    /// The definition's name.
    pub review: String,
    /// What access is to; several where one mail is about several instances (LC-NOTE-06), [`MOST_RESOURCES`] at most.
    pub resources: Vec<String>,
    /// How many more there are.
    pub more_resources: i64,
    /// When the stage or review ends. UTC.
    pub ends_at: DateTime<Utc>,
    /// Where to act.
    pub link: String,
    /// Whether results are applied when the review ends.
    pub applied_automatically: bool,
    /// What the recipient is asked for, or what came out.
    pub matter: Matter,
}

/// What a mail is about.
#[derive(Clone, Debug)]
pub enum Matter {
    /// N-1 to N-5
    Request(Request),
    /// N-6, N-7
    Outcome(Tally),
}

/// What a reviewer is told.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who created the review.
    pub asked_by: String,
    /// `descriptionForReviewers`, of any length. LC-NOTE-03
    pub description: Option<String>,
    /// How many of the recipient's items have no answer; `None` where that is not counted.
    pub open_items: Option<i64>,
    /// From 1.
    pub stage: i16,
    pub stage_count: i16,
    /// What becomes of items without an answer; `None`: nothing.
    pub default_decision: DefaultDecision,
}

/// A name that templates may use, and what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    pub name: &'static str,
    pub description: &'static str,
}

const fn variable(name: &'static str, description: &'static str) -> Variable {
    Variable { name, description }
}

const OF_REQUESTS: [Variable; 15] = [
    variable("recipient", "display name of the recipient"),
    variable("review", "display name of the review"),
    variable("resource", "what access is to; \"A and 2 more\" when the mail is about several"),
    variable("resources", "list of what access is to, at most 20 names"),
    variable("more_resources", "how many more there are than are listed"),
    variable("link", "where to act"),
    variable("ends_at", "until when answers are taken, such as 16 March 2026, 09:00 UTC"),
    variable("ends_on", "the same without the time of day"),
    variable("asked_by", "display name of who created the review"),
    variable("description", "the description for reviewers, at most 256 characters; none without one"),
    variable("open_items", "how many answers of the recipient are missing; none where it is not counted"),
    variable("stage", "number of the stage, from 1"),
    variable("stage_count", "how many stages there are"),
    variable(
        "unanswered",
        "what becomes of items without an answer: \"keep\", \"remove\", \"recommendation\" or \"nothing\"",
    ),
    variable("applied_automatically", "true when results are applied at the end without anybody's doing"),
];

const OF_OUTCOMES: [Variable; 12] = [
    variable("recipient", "display name of the recipient"),
    variable("review", "display name of the review"),
    variable("resource", "what access is to"),
    variable("link", "where to see the results"),
    variable("ends_at", "when the review was to end, such as 16 March 2026, 09:00 UTC"),
    variable("ends_on", "the same without the time of day"),
    variable("applied_automatically", "true when results are applied without anybody's doing"),
    variable("total", "how many items there were"),
    variable("kept", "how many keep access"),
    variable("removed", "how many lose access"),
    variable("dont_know", "for how many the answer was: don't know"),
    variable("not_reviewed", "how many have no answer"),
];

/// The names that templates of this kind may use.
pub fn variables(kind: MailKind) -> &'static [Variable] {
    match kind.purpose() {
        Purpose::Asks | Purpose::Reminds => &OF_REQUESTS,
        Purpose::Reports => &OF_OUTCOMES,
    }
}

impl MailFacts {
    /// The values by their names: those of [`variables`].
    pub(super) fn values(&self) -> Value {
        let mut values: BTreeMap<&'static str, Value> = BTreeMap::new();
        let mut put = |name, value: Value| values.insert(name, value);
        put("recipient", self.recipient.as_str().into());
        put("review", self.review.as_str().into());
        put("resource", self.resource().into());
        put("link", self.link.as_str().into());
        put("ends_at", self.ends_at.format("%-d %B %Y, %H:%M UTC").to_string().into());
        put("ends_on", self.ends_at.format("%-d %B %Y").to_string().into());
        put("applied_automatically", self.applied_automatically.into());
        match &self.matter {
            Matter::Request(request) => {
                let names: Vec<Value> = self.resources.iter().map(|name| name.as_str().into()).collect();
                put("resources", names.into());
                put("more_resources", self.more_resources.into());
                put("asked_by", request.asked_by.as_str().into());
                put("description", request.description().map_or(Value::from(()), Value::from));
                put("open_items", request.open_items.map_or(Value::from(()), Value::from));
                put("stage", request.stage.into());
                put("stage_count", request.stage_count.into());
                put(
                    "unanswered",
                    match request.default_decision {
                        DefaultDecision::Approve => "keep",
                        DefaultDecision::Deny => "remove",
                        DefaultDecision::Recommendation => "recommendation",
                        DefaultDecision::None => "nothing",
                    }
                    .into(),
                );
            }
            Matter::Outcome(Tally { kept, removed, dont_know, not_reviewed }) => {
                put("total", (kept + removed + dont_know + not_reviewed).into());
                put("kept", (*kept).into());
                put("removed", (*removed).into());
                put("dont_know", (*dont_know).into());
                put("not_reviewed", (*not_reviewed).into());
            }
        }
        Value::from(values)
    }

    fn resource(&self) -> String {
        let all = i64::try_from(self.resources.len()).unwrap_or(i64::MAX).saturating_add(self.more_resources);
        match (self.resources.first(), all) {
            (Some(first), 2..) => format!("{first} and {} more", all - 1),
            (Some(only), _) => only.clone(),
            (None, _) => String::new(),
        }
    }
}

impl Request {
    /// LC-NOTE-03
    fn description(&self) -> Option<String> {
        let text = self.description.as_deref().filter(|text| !text.trim().is_empty())?;
        Some(text.chars().take(REVIEWER_TEXT).collect())
    }
}

/// Facts to try a template with: nothing of them is true.
pub(super) fn examples(kind: MailKind) -> Vec<MailFacts> {
    let facts = |matter, resources: &[&str]| MailFacts {
        recipient: "Ada <Byron>".to_owned(),
        review: "Finance & Sales".to_owned(),
        resources: resources.iter().map(|name| (*name).to_owned()).collect(),
        more_resources: i64::from(resources.len() > 1),
        ends_at: DateTime::UNIX_EPOCH,
        link: "https://reviews.example/review".to_owned(),
        applied_automatically: resources.len() > 1,
        matter,
    };
    let request = |description: Option<&str>, open_items, default_decision| {
        Matter::Request(Request {
            asked_by: "Carla".to_owned(),
            description: description.map(str::to_owned),
            open_items,
            stage: 1,
            stage_count: if description.is_some() { 3 } else { 1 },
            default_decision,
        })
    };
    match kind.purpose() {
        Purpose::Asks | Purpose::Reminds => vec![
            facts(request(Some("please"), Some(3), DefaultDecision::Deny), &["Finance", "Sales"]),
            facts(request(None, Some(0), DefaultDecision::Approve), &["Finance"]),
            facts(request(None, None, DefaultDecision::Recommendation), &["Finance"]),
            facts(request(Some("please"), Some(1), DefaultDecision::None), &["Finance"]),
        ],
        Purpose::Reports => {
            let tally = Tally { kept: 3, removed: 2, dont_know: 1, not_reviewed: 0 };
            vec![facts(Matter::Outcome(tally), &["Finance"]), facts(Matter::Outcome(Tally::default()), &["A", "B"])]
        }
    }
}

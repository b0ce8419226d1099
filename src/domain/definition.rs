//! Definitions: the blueprint of a review or a series, its settings and its stages. LC-DEF, sections 2.1 to 2.3 of the model.

use chrono::{DateTime, NaiveDate, Utc};

use crate::domain::{
    duration::IsoDuration,
    ids::{DefinitionId, ObjectId},
    recurrence::{self, Anchor, MAX_INTERVAL, shortest_gap_days},
    reviewer_scope::ReviewerLists,
    scope::ReviewScope,
    stage::StageOrdinal,
    status::Status,
    violation::Violation,
};

/// Most stages of an instance. LC-STAGE-01
pub const MAX_STAGES: usize = 3;
/// Most scopes in one reviewer list. LC-REV-13
pub const MAX_SCOPES_PER_LIST: usize = 100;
/// Longest display name, in characters.
pub const MAX_DISPLAY_NAME: usize = 256;
/// Longest description, in characters.
pub const MAX_DESCRIPTION: usize = 4_096;
/// Longest `stageId`, in characters.
pub const MAX_STAGE_ID: usize = 64;
/// Most entries of `additionalNotificationRecipients`.
pub const MAX_NOTIFICATION_RECIPIENTS: usize = 100;
/// Most entries of `recommendationInsightSettings`.
pub const MAX_INSIGHT_SETTINGS: usize = 10;
/// Longest duration of a stage or an instance and longest look-back, in days: a century, so that no date leaves the calendar.
pub const MAX_DAYS: u32 = 36_500;

/// Longest look-back of a review of an application, in days. MAX_APP_LOOKBACK
pub const MAX_APPLICATION_LOOK_BACK_DAYS: u32 = 30;

/// Who did something, as it was at that moment; Graph's `userIdentity`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// A user, an application, or [`ObjectId::NOBODY`].
    pub id: ObjectId,
    /// Display name at that moment; empty for nobody.
    pub display_name: String,
    /// User principal name at that moment; empty for applications and for nobody.
    pub user_principal_name: String,
}

impl Identity {
    /// "Not yet": the zero identity of section 5.1 of the model.
    pub fn nobody() -> Self {
        Self { id: ObjectId::NOBODY, display_name: String::new(), user_principal_name: String::new() }
    }

    /// The author of automatic work. LC-CMP-07, OPEN-43
    pub fn system() -> Self {
        Self { id: ObjectId::NOBODY, display_name: "Access Reviews".to_owned(), user_principal_name: String::new() }
    }
}

/// What a client may write when it creates a definition, ids resolved to forms. [`validate`] tells which rules it breaks.
#[derive(Clone, Debug, PartialEq)]
pub struct DefinitionDraft {
    /// Name of the review or series; never empty.
    pub display_name: String,
    /// Shown to admins. M-02
    pub description_for_admins: Option<String>,
    /// Shown to reviewers and put into mails. M-02
    pub description_for_reviewers: Option<String>,
    /// Whose access to what.
    pub scope: ReviewScope,
    /// `instanceEnumerationScope`: only the companion form E-03 (`/groups/{g}`, the same group) is offered so far; the query as sent.
    pub instance_enumeration_scope: Option<String>,
    /// Definition-level lists; without effect when `stages` is not empty. LC-DEF-02
    pub reviewer_lists: ReviewerLists,
    /// Settings, with defaults filled in. LC-DEF-03
    pub settings: Settings,
    /// Stage settings in `dependsOn` order; empty for a single-stage review. LC-STAGE-02
    pub stages: Vec<StageSettings>,
    /// Told about completion.
    pub additional_notification_recipients: Vec<NotificationRecipient>,
}

/// A stored definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Its id.
    pub id: DefinitionId,
    /// What the client wrote.
    pub draft: DefinitionDraft,
    /// When it was created; also the time of day of every occurrence (LC-REC-04). UTC.
    pub created_at: DateTime<Utc>,
    /// Last change. UTC.
    pub modified_at: DateTime<Utc>,
    /// Who created it. LC-DEF-04
    pub created_by: Identity,
    /// Derived, never set by clients. LC-DEF-11
    pub status: Status,
    /// What updates and stops did to the recurrence.
    pub schedule: Schedule,
}

/// How the occurrences go on, as far as the recurrence alone does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// From where they are counted; `None`: from the first one, by creation and recurrence.
    pub counted_from: Option<Anchor>,
    /// Since when no further occurrence comes. UTC. DEF-STOP
    pub stopped_at: Option<DateTime<Utc>>,
}

impl Definition {
    /// When an occurrence (from 0) starts; `None` when there is none, or none any more. LC-REC-04 to 07
    pub fn occurrence_start(&self, occurrence: i32) -> Option<DateTime<Utc>> {
        match self.schedule.stopped_at {
            None => self.scheduled_start(occurrence),
            Some(_) => None,
        }
    }

    /// The same, whether or not the series was stopped since.
    pub fn scheduled_start(&self, occurrence: i32) -> Option<DateTime<Utc>> {
        recurrence::occurrence_start_from(self.draft.settings.recurrence.as_ref(), self.anchor(), occurrence)
    }

    /// From where the occurrences are counted.
    pub fn anchor(&self) -> Anchor {
        let recurrence = self.draft.settings.recurrence.as_ref();
        let first = || Anchor { occurrence: 0, start_at: recurrence::first_start(recurrence, self.created_at) };
        self.schedule.counted_from.unwrap_or_else(first)
    }

    /// Whether more than one occurrence can come. LC-REC-01
    pub fn is_series(&self) -> bool {
        self.draft.settings.recurrence.as_ref().is_some_and(|recurrence| recurrence.series().is_some())
    }
}

/// `accessReviewScheduleSettings`, defaults filled in. Section 2.2 of the model.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Settings {
    /// Mail to reviewers at the start and to the owner at the end.
    pub mail_notifications_enabled: bool,
    /// Automatic reminders.
    pub reminder_notifications_enabled: bool,
    /// Justification needed for `Approve` and `Deny`. LC-DEC-06
    pub justification_required_on_approval: bool,
    /// Whether items nobody reviewed get `default_decision`. LC-CMP-02
    pub default_decision_enabled: bool,
    /// What they get.
    pub default_decision: DefaultDecision,
    /// Days; 0 when not given. Superseded by the stages' sum. LC-REC-08
    pub instance_duration_in_days: i32,
    /// Apply results when the instance ends.
    pub auto_apply_decisions_enabled: bool,
    /// Show recommendations. Superseded by the stage value.
    pub recommendations_enabled: bool,
    /// Look-back of the inactivity rule; `None` means P30D and is answered as such. LC-RCM-03
    pub recommendation_look_back_duration: Option<IsoDuration>,
    /// Kinds of insight, as sent.
    pub recommendation_insight_settings: Vec<InsightSetting>,
    /// Later stages' reviewers may read earlier decisions. LC-STAGE-50
    pub decision_histories_for_reviewers_enabled: bool,
    /// `None` when `recurrence` was null or absent: a one-time review that starts at once. LC-REC-01
    pub recurrence: Option<Recurrence>,
    /// As sent; empty means remove access. M-08
    pub apply_actions: Vec<ApplyAction>,
}

/// `defaultDecision`. M-06
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum DefaultDecision {
    #[default]
    None,
    Approve,
    Deny,
    /// The item's own recommendation. LC-CMP-05
    Recommendation,
}

impl DefaultDecision {
    /// Every value.
    pub const ALL: [Self; 4] = [Self::None, Self::Approve, Self::Deny, Self::Recommendation];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Approve => "Approve",
            Self::Deny => "Deny",
            Self::Recommendation => "Recommendation",
        }
    }
}

/// `applyActions`. Section 2.5 of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ApplyAction {
    RemoveAccess,
    DisableAndDeleteUser,
}

/// `recommendationInsightSettings`. Section 2.6 of the model.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum InsightSetting {
    UserLastSignIn {
        look_back: Option<IsoDuration>,
        /// `tenant` or `application`.
        sign_in_scope: SignInScope,
    },
    GroupPeerOutlier,
}

/// `signInScope` of the last sign-in insight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum SignInScope {
    Tenant,
    Application,
}

impl SignInScope {
    /// Every value.
    pub const ALL: [Self; 2] = [Self::Tenant, Self::Application];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Application => "application",
        }
    }
}

/// One entry of `additionalNotificationRecipients`. Section 2.4 of the model.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NotificationRecipient {
    /// The query as sent: `/users/{u}`, `/groups/{g}/members|owners|transitiveMembers`. Section 8.9
    pub query: String,
    /// As sent.
    pub query_root: Option<String>,
}

/// `patternedRecurrence`, normalised. Section 6 of the model.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Recurrence {
    /// `None` for a one-time review. LC-REC-01
    pub pattern: Option<RecurrencePattern>,
    /// `None` only when `pattern` is `None` too.
    pub range: Option<RecurrenceRange>,
}

/// The two supported patterns. LC-REC-02
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RecurrencePattern {
    pub kind: PatternKind,
    /// Weeks or months, at least 1.
    pub interval: i32,
    /// 0 (take the start date's day) to 31. LC-REC-06
    pub day_of_month: i32,
}

/// `recurrencePatternType`, as far as access reviews support it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum PatternKind {
    Weekly,
    AbsoluteMonthly,
}

impl PatternKind {
    /// Every value.
    pub const ALL: [Self; 2] = [Self::Weekly, Self::AbsoluteMonthly];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Weekly => "weekly",
            Self::AbsoluteMonthly => "absoluteMonthly",
        }
    }
}

/// `recurrenceRange`. LC-REC-07
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RecurrenceRange {
    pub kind: RangeKind,
    /// Fixes the day of the first start. LC-REC-03
    pub start_date: NaiveDate,
    /// Inclusive.
    pub end_date: Option<NaiveDate>,
    /// 0 when not given.
    pub number_of_occurrences: i32,
    /// As sent; null is UTC.
    pub time_zone: Option<String>,
}

/// `recurrenceRangeType`; stored and answered as sent, even `numbered` with 0 occurrences (M-28).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum RangeKind {
    EndDate,
    NoEnd,
    Numbered,
}

impl RangeKind {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::EndDate, Self::NoEnd, Self::Numbered];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EndDate => "endDate",
            Self::NoEnd => "noEnd",
            Self::Numbered => "numbered",
        }
    }
}

/// `accessReviewStageSettings`. Section 2.3 of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct StageSettings {
    /// Client-chosen key, unique in the array.
    pub stage_id: String,
    /// Empty for the first stage, else exactly its predecessor's `stage_id`. LC-DEF-06
    pub depends_on: Vec<String>,
    /// Days, at least 1.
    pub duration_in_days: i32,
    /// Overrides the definition's.
    pub recommendations_enabled: bool,
    /// Overrides the definition's; `None` means P30D.
    pub recommendation_look_back_duration: Option<IsoDuration>,
    /// Overrides the definition's.
    pub recommendation_insight_settings: Vec<InsightSetting>,
    /// Empty: every item moves on. LC-STAGE-30
    pub decisions_that_will_move_to_next_stage: Vec<MovingDecision>,
    /// This stage's own lists.
    pub reviewer_lists: ReviewerLists,
}

/// A member of `decisionsThatWillMoveToNextStage`. LC-STAGE-31 to 33
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum MovingDecision {
    Approve,
    Deny,
    DontKnow,
    NotReviewed,
    /// The stage decision equals the item's recommendation. OPEN-22
    Recommendation,
}

impl MovingDecision {
    /// Every value.
    pub const ALL: [Self; 5] = [Self::Approve, Self::Deny, Self::DontKnow, Self::NotReviewed, Self::Recommendation];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "Approve",
            Self::Deny => "Deny",
            Self::DontKnow => "DontKnow",
            Self::NotReviewed => "NotReviewed",
            Self::Recommendation => "Recommendation",
        }
    }

    /// Reads a wire value without regard to case. Section 10 of the model.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.as_str().eq_ignore_ascii_case(text))
    }
}

/// One stage of the instances to come, with the definition's or the stage's own settings in force. LC-DEF-02
///
/// A definition without `stageSettings` has one, so that every rule has one path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StagePlan<'a> {
    /// 1 to 3.
    pub ordinal: StageOrdinal,
    /// Days from the instance's start to this stage's scheduled start. LC-STAGE-04
    pub starts_after_days: u32,
    /// Days from the instance's start to this stage's scheduled end; 0 when the instance ends on its range's end date (LC-REC-08).
    pub ends_after_days: u32,
    /// Which decisions move on; empty means all.
    pub moves: &'a [MovingDecision],
    /// Whether the stage shows recommendations.
    pub recommendations_enabled: bool,
    /// Look-back in force; `None` means P30D.
    pub look_back: Option<IsoDuration>,
    /// Insights in force.
    pub insight_settings: &'a [InsightSetting],
    /// Reviewer lists in force.
    pub reviewer_lists: &'a ReviewerLists,
}

impl DefinitionDraft {
    /// Whether instances show stages. LC-STAGE-02
    pub fn is_multi_stage(&self) -> bool {
        !self.stages.is_empty()
    }

    /// Days from start to end of an instance: the stages' sum, else `instanceDurationInDays`; 0 when it ends on its range's
    /// end date (LC-REC-08).
    pub fn total_duration_days(&self) -> u32 {
        let days = match self.stages.as_slice() {
            [] => i64::from(self.settings.instance_duration_in_days),
            stages => stages.iter().map(|stage| i64::from(stage.duration_in_days)).sum(),
        };
        u32::try_from(days.max(0)).unwrap_or(u32::MAX)
    }

    /// The stages of an instance in their order; never empty. LC-DEF-02, LC-STAGE-04
    pub fn stage_plan(&self) -> Vec<StagePlan<'_>> {
        if self.stages.is_empty() {
            return vec![StagePlan {
                ordinal: 1,
                starts_after_days: 0,
                ends_after_days: self.total_duration_days(),
                moves: &[],
                recommendations_enabled: self.settings.recommendations_enabled,
                look_back: self.settings.recommendation_look_back_duration,
                insight_settings: &self.settings.recommendation_insight_settings,
                reviewer_lists: &self.reviewer_lists,
            }];
        }
        (1..)
            .zip(&self.stages)
            .scan(0_u32, |elapsed, (ordinal, stage)| {
                let starts_after_days = *elapsed;
                *elapsed = elapsed.saturating_add(u32::try_from(stage.duration_in_days).unwrap_or(0));
                Some(StagePlan {
                    ordinal,
                    starts_after_days,
                    ends_after_days: *elapsed,
                    moves: &stage.decisions_that_will_move_to_next_stage,
                    recommendations_enabled: stage.recommendations_enabled,
                    look_back: stage.recommendation_look_back_duration,
                    insight_settings: &stage.recommendation_insight_settings,
                    reviewer_lists: &stage.reviewer_lists,
                })
            })
            .collect()
    }

    /// Brings the stages into `dependsOn` order; leaves them alone when they form no chain. LC-STAGE-02
    pub fn order_stages(&mut self) {
        if let Some(order) = chain(&self.stages) {
            self.stages = order.iter().map(|index| self.stages[*index].clone()).collect();
        }
    }
}

/// The indexes of the stages along their one chain; `None` when they form none. LC-DEF-06
fn chain(stages: &[StageSettings]) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = Vec::with_capacity(stages.len());
    while order.len() < stages.len() {
        let wanted: Vec<&str> = order.last().map(|last| stages[*last].stage_id.as_str()).into_iter().collect();
        let mut followers = stages
            .iter()
            .enumerate()
            .filter(|(_, stage)| stage.depends_on.iter().map(String::as_str).eq(wanted.clone()));
        match (followers.next(), followers.next()) {
            (Some((next, _)), None) if !order.contains(&next) => order.push(next),
            _ => return None,
        }
    }
    Some(order)
}

/// Every rule of values that a definition breaks, by property path. LC-DEF-06, the 400 list of DEF-CREATE
///
/// What needs the directory is not asked here. Stages may stand in any order; see [`DefinitionDraft::order_stages`].
pub fn validate(draft: &DefinitionDraft) -> Vec<Violation> {
    let mut found = Vec::new();
    if draft.display_name.trim().is_empty() {
        found.push(Violation::new("displayName", "must not be empty"));
    }
    check_length(&mut found, "displayName", &draft.display_name, MAX_DISPLAY_NAME);
    for (path, text) in [
        ("descriptionForAdmins", &draft.description_for_admins),
        ("descriptionForReviewers", &draft.description_for_reviewers),
    ] {
        check_length(&mut found, path, text.as_deref().unwrap_or_default(), MAX_DESCRIPTION);
    }
    check_scope(&mut found, draft);
    check_lists(&mut found, "", &draft.reviewer_lists, &draft.scope, draft.stages.is_empty());
    check_settings(&mut found, draft);
    check_stages(&mut found, &draft.stages, &draft.scope);
    check_count(
        &mut found,
        "additionalNotificationRecipients",
        draft.additional_notification_recipients.len(),
        MAX_NOTIFICATION_RECIPIENTS,
    );
    if let Some(recurrence) = &draft.settings.recurrence {
        check_recurrence(&mut found, "settings.recurrence", recurrence);
    }
    check_duration(&mut found, draft);
    found
}

fn check_length(found: &mut Vec<Violation>, path: &str, text: &str, limit: usize) {
    if text.chars().count() > limit {
        found.push(Violation::new(path, format!("must have at most {limit} characters")));
    }
}

fn check_count(found: &mut Vec<Violation>, path: &str, count: usize, limit: usize) {
    if count > limit {
        found.push(Violation::new(path, format!("must have at most {limit} entries, not {count}")));
    }
}

/// P-03 with several stages.
fn check_scope(found: &mut Vec<Violation>, draft: &DefinitionDraft) {
    let form = &draft.scope.form;
    if form.is_single_stage_only() && draft.stages.len() > 1 {
        found.push(Violation::new(
            "stageSettings",
            "must have one stage at most: users of shared channels are reviewed in single-stage reviews only",
        ));
    }
}

/// LC-REV-13, A-46. `counts` says whether the review uses these lists, or those of its stages.
fn check_lists(found: &mut Vec<Violation>, prefix: &str, lists: &ReviewerLists, scope: &ReviewScope, counts: bool) {
    let by_item = lists.reviewers.iter().all(|scope| scope.form.is_per_item());
    if counts && scope.form.is_service_principals_only() && by_item && lists.fallback_reviewers.is_empty() {
        found.push(Violation::new(
            format!("{prefix}reviewers"),
            "must name somebody, or fallbackReviewers must: service principals do not review themselves and have no manager",
        ));
    }
    check_count(found, &format!("{prefix}reviewers"), lists.reviewers.len(), MAX_SCOPES_PER_LIST);
    check_count(found, &format!("{prefix}fallbackReviewers"), lists.fallback_reviewers.len(), MAX_SCOPES_PER_LIST);
}

fn check_settings(found: &mut Vec<Violation>, draft: &DefinitionDraft) {
    let settings = &draft.settings;
    check_days(found, "settings.instanceDurationInDays", settings.instance_duration_in_days, 0);
    check_recommendations(
        found,
        "settings.",
        settings.recommendation_look_back_duration,
        &settings.recommendation_insight_settings,
        &draft.scope,
    );
    // M-06
    if settings.default_decision_enabled && settings.default_decision == DefaultDecision::None {
        found.push(Violation::new(
            "settings.defaultDecision",
            "must be Approve, Deny or Recommendation when defaultDecisionEnabled is true",
        ));
    }
    // LC-APPLY-08, M-11
    if settings.apply_actions.len() > 1 {
        found.push(Violation::new("settings.applyActions", "must have at most one action"));
    }
    for (index, action) in settings.apply_actions.iter().enumerate() {
        match action {
            ApplyAction::DisableAndDeleteUser if !draft.scope.form.permits_disable_and_delete() => {
                let reason = match draft.scope.form.is_guests_only() {
                    false => {
                        "disableAndDeleteUserApplyAction needs a scope limited to guests by $filter=(userType eq 'Guest')"
                    }
                    true => {
                        "disableAndDeleteUserApplyAction goes neither with reviews of many groups nor with role reviews"
                    }
                };
                found.push(Violation::new(format!("settings.applyActions[{index}]"), reason));
            }
            ApplyAction::DisableAndDeleteUser | ApplyAction::RemoveAccess => {}
        }
    }
}

fn check_days(found: &mut Vec<Violation>, path: &str, days: i32, least: i32) {
    if days < least || days.unsigned_abs() > MAX_DAYS {
        found.push(Violation::new(path, format!("must be a number of days from {least} to {MAX_DAYS}")));
    }
}

/// LC-RCM-03, LC-RCM-04, LC-DEF-06
fn check_recommendations(
    found: &mut Vec<Violation>,
    prefix: &str,
    look_back: Option<IsoDuration>,
    insights: &[InsightSetting],
    scope: &ReviewScope,
) {
    let is_application = scope.form.is_application_review();
    let mut check_look_back = |path: String, duration: Option<IsoDuration>| {
        let exceeds = |days| duration.is_some_and(|duration| duration.exceeds_days(days));
        if is_application && exceeds(MAX_APPLICATION_LOOK_BACK_DAYS) {
            let limit = MAX_APPLICATION_LOOK_BACK_DAYS;
            found.push(Violation::new(path, format!("must be at most {limit} days in a review of an application")));
        } else if exceeds(MAX_DAYS) {
            found.push(Violation::new(path, format!("must be at most {MAX_DAYS} days")));
        }
    };
    check_look_back(format!("{prefix}recommendationLookBackDuration"), look_back);
    for (index, insight) in insights.iter().enumerate() {
        if let InsightSetting::UserLastSignIn { look_back, .. } = insight {
            let path = format!("{prefix}recommendationInsightSettings[{index}].recommendationLookBackDuration");
            check_look_back(path, *look_back);
        }
    }
    check_count(found, &format!("{prefix}recommendationInsightSettings"), insights.len(), MAX_INSIGHT_SETTINGS);
    for (index, insight) in insights.iter().enumerate() {
        match insight {
            InsightSetting::UserLastSignIn { sign_in_scope: SignInScope::Application, .. } if !is_application => {
                found.push(Violation::new(
                    format!("{prefix}recommendationInsightSettings[{index}].signInScope"),
                    "must be tenant: application goes with reviews of an application only",
                ));
            }
            InsightSetting::UserLastSignIn { .. } | InsightSetting::GroupPeerOutlier => {}
        }
    }
}

/// LC-DEF-06
fn check_stages(found: &mut Vec<Violation>, stages: &[StageSettings], scope: &ReviewScope) {
    if stages.len() > MAX_STAGES {
        found.push(Violation::new(
            "stageSettings",
            format!("must have at most {MAX_STAGES} stages, not {}", stages.len()),
        ));
        return;
    }
    for (index, stage) in stages.iter().enumerate() {
        let path = |member: &str| format!("stageSettings[{index}].{member}");
        if stage.stage_id.trim().is_empty() {
            found.push(Violation::new(path("stageId"), "must not be empty"));
        }
        check_length(found, &path("stageId"), &stage.stage_id, MAX_STAGE_ID);
        if stages[..index].iter().any(|earlier| earlier.stage_id == stage.stage_id) {
            found.push(Violation::new(path("stageId"), format!("`{}` is used by an earlier stage", stage.stage_id)));
        }
        check_days(found, &path("durationInDays"), stage.duration_in_days, 1);
        check_recommendations(
            found,
            &path(""),
            stage.recommendation_look_back_duration,
            &stage.recommendation_insight_settings,
            scope,
        );
        check_lists(found, &path(""), &stage.reviewer_lists, scope, true);
    }
    if chain(stages).is_none() {
        let mut predecessor: Option<&str> = None;
        for (index, stage) in stages.iter().enumerate() {
            if !stage.depends_on.iter().map(String::as_str).eq(predecessor) {
                let wanted = match predecessor {
                    None => "must be empty on the first stage".to_owned(),
                    Some(id) => {
                        format!("must be exactly [\"{id}\"]: stages form one chain, each after its predecessor")
                    }
                };
                found.push(Violation::new(format!("stageSettings[{index}].dependsOn"), wanted));
            }
            predecessor = Some(&stage.stage_id);
        }
    }
}

/// What is wrong with the recurrence that stands at `prefix`. Section 6 of the model, LC-REC-02, LC-REC-07
pub(super) fn check_recurrence(found: &mut Vec<Violation>, prefix: &str, recurrence: &Recurrence) {
    let path = |member: &str| format!("{prefix}.{member}");
    if let Some(pattern) = &recurrence.pattern {
        if !(1..=MAX_INTERVAL).contains(&pattern.interval) {
            found.push(Violation::new(path("pattern.interval"), format!("must be from 1 to {MAX_INTERVAL}")));
        }
        if !(0..=31).contains(&pattern.day_of_month) {
            found.push(Violation::new(path("pattern.dayOfMonth"), "must be from 0 (the day of range.startDate) to 31"));
        }
        if recurrence.range.is_none() {
            found.push(Violation::new(path("range"), "is required when there is a pattern"));
        }
    }
    let Some(range) = &recurrence.range else { return };
    if range.number_of_occurrences < 0 {
        found.push(Violation::new(path("range.numberOfOccurrences"), "must not be negative"));
    }
    match range.kind {
        RangeKind::EndDate if range.end_date.is_none() => {
            found.push(Violation::new(path("range.endDate"), "is required when the range type is endDate"));
        }
        // M-28
        RangeKind::Numbered
            if recurrence.pattern.is_some() && range.number_of_occurrences == 0 && range.end_date.is_none() =>
        {
            found.push(Violation::new(
                path("range.numberOfOccurrences"),
                "must be at least 1 when the range type is numbered and there is no endDate",
            ));
        }
        RangeKind::EndDate | RangeKind::Numbered | RangeKind::NoEnd => {}
    }
    if range.last_date().is_some_and(|last| last < range.start_date) {
        found.push(Violation::new(path("range.endDate"), "must not be before startDate"));
    }
}

/// LC-REC-08, LC-REC-09, M-07
fn check_duration(found: &mut Vec<Violation>, draft: &DefinitionDraft) {
    let total = draft.total_duration_days();
    let path = if draft.is_multi_stage() { "stageSettings" } else { "settings.instanceDurationInDays" };
    // negative days and stages without days have been reported
    let without_duration = !draft.is_multi_stage() && draft.settings.instance_duration_in_days == 0;
    let recurrence = draft.settings.recurrence.as_ref();
    match recurrence.and_then(|recurrence| recurrence.pattern.as_ref()) {
        Some(_) if without_duration => {
            found.push(Violation::new(path, "must be at least 1 when the review recurs"));
        }
        Some(pattern) if (1..=MAX_INTERVAL).contains(&pattern.interval) => {
            let longest = shortest_gap_days(pattern);
            if total > longest {
                found.push(Violation::new(
                    path,
                    format!("lasts {total} days in all, but consecutive occurrences may be only {longest} days apart"),
                ));
            }
        }
        Some(_) => {}
        None if without_duration => {
            let range = recurrence.and_then(|recurrence| recurrence.range.as_ref());
            match range.and_then(|range| Some((range.start_date, range.last_date()?))) {
                Some((start, last)) if last == start => found.push(Violation::new(
                    "settings.recurrence.range.endDate",
                    "must be after startDate when instanceDurationInDays is 0",
                )),
                Some(_) => {}
                None => found.push(Violation::new(
                    path,
                    "must be at least 1, unless recurrence.range has an endDate on which a one-time review ends",
                )),
            }
        }
        None => {}
    }
}

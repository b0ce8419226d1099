//! Definitions: the blueprint of a review or a series, its settings and its stages. LC-DEF, sections 2.1 to 2.3 of the model.

use chrono::{DateTime, NaiveDate, Utc};

use crate::domain::{
    duration::IsoDuration,
    ids::{DefinitionId, ObjectId},
    reviewer_scope::ReviewerLists,
    scope::ReviewScope,
    status::Status,
};

/// Most stages of an instance. LC-STAGE-01
pub const MAX_STAGES: usize = 3;
/// Most scopes in one reviewer list. LC-REV-13
pub const MAX_SCOPES_PER_LIST: usize = 100;

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

/// What a client may write when it creates a definition; validated, ids resolved to forms.
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
}

/// `accessReviewScheduleSettings`, defaults filled in. Section 2.2 of the model.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum DefaultDecision {
    None,
    Approve,
    Deny,
    /// The item's own recommendation. LC-CMP-05
    Recommendation,
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

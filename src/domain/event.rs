//! Events: the append-only record of every change. LC-AUD

use serde_json::Value;

use crate::domain::{
    decision::Verdict,
    ids::{DefinitionId, InstanceId, ItemSeq, StageId},
};

/// What happened, by the product's names where it has one. LC-AUD-01
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    CreateReview,
    UpdateReview,
    SeriesStopped,
    DeleteReview,
    ReviewEnded,
    ApproveDecision,
    DenyDecision,
    DontKnowDecision,
    ResetDecision,
    BulkApproveDecisions,
    BulkDenyDecisions,
    BulkDontKnowDecisions,
    BulkResetDecisions,
    RecommendationsAccepted,
    DecisionOverwritten,
    AutoReview,
    AutoApplyReview,
    ApplyDecision,
    ApplyReview,
    UserBlocked,
    UserDeleted,
    UserDeletionCancelled,
    /// Somebody was deleted while others reviewed his access. LC-APPLY-15
    ItemRemoved,
    /// The groups of an all-groups review were looked up.
    OccurrenceOpened,
    InstanceStatusChanged,
    InstanceStopped,
    InstanceRescheduled,
    InstanceRemoved,
    StageCreated,
    StageStatusChanged,
    StageStopped,
    ReviewersChanged,
    ReminderRequested,
    MailSent,
    MailFailed,
    MailTemplateChanged,
    MailTemplateRemoved,
    MailSettingsChanged,
    ClockAdvanced,
    ReportCreated,
    ReportUpdated,
    ReportDeleted,
    ReportStatusChanged,
    ReportLinkCreated,
    ReportDownloaded,
    IssuerAdded,
    IssuerChanged,
    IssuerRemoved,
    ReviewSettingsChanged,
}

impl Activity {
    /// The text of the record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreateReview => "Create access review",
            Self::UpdateReview => "Update access review",
            Self::SeriesStopped => "Access review series stopped",
            Self::DeleteReview => "Delete access review",
            Self::ReviewEnded => "Access review ended",
            Self::ApproveDecision => "Approve decision",
            Self::DenyDecision => "Deny decision",
            Self::DontKnowDecision => "Don't know decision",
            Self::ResetDecision => "Reset decision",
            Self::BulkApproveDecisions => "Bulk approve decisions",
            Self::BulkDenyDecisions => "Bulk deny decisions",
            Self::BulkDontKnowDecisions => "Bulk don't know decisions",
            Self::BulkResetDecisions => "Bulk reset decisions",
            Self::RecommendationsAccepted => "Recommendations accepted",
            Self::DecisionOverwritten => "Decision overwritten",
            Self::AutoReview => "Auto review",
            Self::AutoApplyReview => "Auto apply review",
            Self::ApplyDecision => "Apply decision",
            Self::ApplyReview => "Apply review",
            Self::UserBlocked => "User blocked",
            Self::UserDeleted => "User deleted",
            Self::UserDeletionCancelled => "User deletion cancelled",
            Self::ItemRemoved => "Decision item removed",
            Self::OccurrenceOpened => "Occurrence opened",
            Self::InstanceStatusChanged => "Instance status changed",
            Self::InstanceStopped => "Instance stopped",
            Self::InstanceRescheduled => "Instance rescheduled",
            Self::InstanceRemoved => "Instance removed",
            Self::StageCreated => "Stage created",
            Self::StageStatusChanged => "Stage status changed",
            Self::StageStopped => "Stage stopped",
            Self::ReviewersChanged => "Reviewers changed",
            Self::ReminderRequested => "Reminder requested",
            Self::MailSent => "Mail sent",
            Self::MailFailed => "Mail failed",
            Self::MailTemplateChanged => "Mail template changed",
            Self::MailTemplateRemoved => "Mail template removed",
            Self::MailSettingsChanged => "Mail settings changed",
            Self::ClockAdvanced => "Clock advanced",
            Self::ReportCreated => "Report created",
            Self::ReportUpdated => "Report updated",
            Self::ReportDeleted => "Report deleted",
            Self::ReportStatusChanged => "Report status changed",
            Self::ReportLinkCreated => "Report link created",
            Self::ReportDownloaded => "Report downloaded",
            Self::IssuerAdded => "Token issuer added",
            Self::IssuerChanged => "Token issuer changed",
            Self::IssuerRemoved => "Token issuer removed",
            Self::ReviewSettingsChanged => "Review settings changed",
        }
    }

    /// The activity of a recorded or withdrawn decision.
    pub const fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Approve => Self::ApproveDecision,
            Verdict::Deny => Self::DenyDecision,
            Verdict::DontKnow => Self::DontKnowDecision,
            Verdict::NotReviewed => Self::ResetDecision,
        }
    }

    /// The activity of an answer recorded for many items at once.
    pub const fn of_bulk_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Approve => Self::BulkApproveDecisions,
            Verdict::Deny => Self::BulkDenyDecisions,
            Verdict::DontKnow => Self::BulkDontKnowDecisions,
            Verdict::NotReviewed => Self::BulkResetDecisions,
        }
    }
}

/// One change: what, to which object, before and after. Who and when are added where it is appended.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub activity: Activity,
    pub definition_id: Option<DefinitionId>,
    pub instance_id: Option<InstanceId>,
    pub stage_id: Option<StageId>,
    /// The item within its instance.
    pub item_seq: Option<ItemSeq>,
    /// `None` when there was nothing before.
    pub before: Option<Value>,
    /// `None` when nothing is left.
    pub after: Option<Value>,
}

impl Event {
    /// An event about nothing in particular; fill in what it concerns.
    pub const fn new(activity: Activity) -> Self {
        Self {
            activity,
            definition_id: None,
            instance_id: None,
            stage_id: None,
            item_seq: None,
            before: None,
            after: None,
        }
    }
}

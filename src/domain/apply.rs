//! Carrying decisions out: what is to be done to one principal's access, and what is then told of his item. LC-APPLY
//!
//! Storage says how a principal holds access to the resource, whatever kind of resource it is; this decides; storage removes.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::{
    decision::Verdict,
    definition::{ApplyAction, Identity, Settings},
    instance::Instance,
    status::{Status, WrongState},
};

/// How long an account stays blocked before it is deleted. LC-APPLY-09
pub const BLOCKED_FOR: TimeDelta = TimeDelta::days(30);

/// `applyResult` of an item. The wire spelling is the variant's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ApplyResult {
    New,
    AppliedSuccessfully,
    AppliedWithUnknownFailure,
    AppliedSuccessfullyButObjectNotFound,
    ApplyNotSupported,
}

impl ApplyResult {
    /// Every value.
    pub const ALL: [Self; 5] = [
        Self::New,
        Self::AppliedSuccessfully,
        Self::AppliedWithUnknownFailure,
        Self::AppliedSuccessfullyButObjectNotFound,
        Self::ApplyNotSupported,
    ];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "New",
            Self::AppliedSuccessfully => "AppliedSuccessfully",
            Self::AppliedWithUnknownFailure => "AppliedWithUnknownFailure",
            Self::AppliedSuccessfullyButObjectNotFound => "AppliedSuccessfullyButObjectNotFound",
            Self::ApplyNotSupported => "ApplyNotSupported",
        }
    }

    /// Reads the wire spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|result| result.as_str() == text)
    }
}

/// What became of an item that was to be applied. LC-APPLY-06
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Never [`ApplyResult::New`].
    pub result: ApplyResult,
    /// `applyDescription`: what the result alone does not tell.
    pub description: Option<String>,
    /// Who applied: an admin, or the system.
    pub by: Identity,
    /// UTC.
    pub at: DateTime<Utc>,
}

/// Why access cannot be removed here. LC-APPLY-04
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Obstacle {
    /// The group's members follow from a rule.
    DynamicGroup,
    /// The group is kept on-premises.
    OnPremisesGroup,
    /// The group's mail system keeps its members.
    MailEnabledGroup,
    /// Nothing here can remove access to this kind of resource. LC-APPLY-13
    NoConnector,
}

impl Obstacle {
    /// `applyDescription`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DynamicGroup => {
                "The members of the group follow from its membership rule; change the rule or what it asks of the user."
            }
            Self::OnPremisesGroup => "The group is synchronised from on-premises; remove the member there.",
            Self::NoConnector => "Access to this kind of resource is not removed here; remove it where it was granted.",
            Self::MailEnabledGroup => {
                "The members of the group are managed by its mail system; remove the member there."
            }
        }
    }
}

/// How somebody holds access without an assignment of his own. LC-APPLY-04
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Through {
    /// He is a member of a group that is a member of the group under review.
    NestedGroup,
    /// He is a member of a group that the application is assigned to.
    AssignedGroup,
    /// He is a member of a group that holds the role. LC-INST-13
    RoleGroup,
}

impl Through {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::NestedGroup, Self::AssignedGroup, Self::RoleGroup];

    /// `applyDescription` of who has nothing of his own.
    const fn only(self) -> &'static str {
        match self {
            Self::NestedGroup => "Access is held only through a nested group; remove the user from that group.",
            Self::AssignedGroup => {
                "Access is held only through a group assigned to the application; remove the user from that group."
            }
            Self::RoleGroup => "The role is held only through a group; remove the user from that group.",
        }
    }

    /// `applyDescription` of who lost what was his own. LC-APPLY-05
    const fn remains(self) -> &'static str {
        match self {
            Self::NestedGroup => "The direct membership was removed; access through a nested group remains.",
            Self::AssignedGroup => {
                "The own assignment was removed; access through a group assigned to the application remains."
            }
            Self::RoleGroup => "The own assignment was removed; the role is still held through a group.",
        }
    }
}

/// How a principal holds access to the resource at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// The principal, the resource or the assignment is not there any more.
    Gone,
    /// By an assignment of his own.
    Direct {
        /// And how else. LC-APPLY-05
        also: Option<Through>,
        /// What stands in the way of removing it.
        obstacle: Option<Obstacle>,
    },
    /// Only so.
    Only(Through),
}

impl Access {
    /// What follows from an assignment of his own and from others'.
    pub const fn of(own: bool, through: Option<Through>, obstacle: Option<Obstacle>) -> Self {
        match (own, through) {
            (true, also) => Self::Direct { also, obstacle },
            (false, Some(through)) => Self::Only(through),
            (false, None) => Self::Gone,
        }
    }
}

/// What is to be done with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyOutcome {
    /// Nothing; the item stays `New`. OPEN-44
    Leave,
    /// Nothing; this is the result.
    Result(ApplyResult, Option<&'static str>),
    /// His own assignment is to be removed; when it is, this describes the result.
    Remove(Option<&'static str>),
    /// The account is to be blocked, and deleted after [`BLOCKED_FOR`]. LC-APPLY-09
    BlockAndDelete,
}

/// What a decision comes to whoever holds the access and however he holds it; `None` where that has to be looked at. LC-APPLY-03
pub const fn settled_by(decision: Verdict) -> Option<ApplyOutcome> {
    match decision {
        Verdict::DontKnow | Verdict::NotReviewed => Some(ApplyOutcome::Leave),
        Verdict::Approve => Some(ApplyOutcome::Result(ApplyResult::AppliedSuccessfully, None)),
        Verdict::Deny => None,
    }
}

/// What carrying out a decision asks for. LC-APPLY-03 to 05, LC-APPLY-09, LC-APPLY-13
pub fn plan_apply(decision: Verdict, action: ApplyAction, access: Access) -> ApplyOutcome {
    if let Some(settled) = settled_by(decision) {
        return settled;
    }
    match (action, access) {
        (_, Access::Gone) => ApplyOutcome::Result(ApplyResult::AppliedSuccessfullyButObjectNotFound, None),
        (ApplyAction::DisableAndDeleteUser, Access::Direct { .. } | Access::Only(_)) => ApplyOutcome::BlockAndDelete,
        (ApplyAction::RemoveAccess, Access::Only(through)) => {
            ApplyOutcome::Result(ApplyResult::ApplyNotSupported, Some(through.only()))
        }
        (ApplyAction::RemoveAccess, Access::Direct { obstacle: Some(obstacle), .. }) => {
            ApplyOutcome::Result(ApplyResult::ApplyNotSupported, Some(obstacle.as_str()))
        }
        (ApplyAction::RemoveAccess, Access::Direct { obstacle: None, also }) => {
            ApplyOutcome::Remove(also.map(Through::remains))
        }
    }
}

/// What a denial does; removing access unless the settings say otherwise. LC-APPLY-08
pub fn apply_action(settings: &Settings) -> ApplyAction {
    settings.apply_actions.first().copied().unwrap_or(ApplyAction::RemoveAccess)
}

/// Why decisions are not applied now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyRefusal {
    /// IN-12, IN-13, LC-CONC-05
    #[error(transparent)]
    WrongState(#[from] WrongState),
    /// LC-APPLY-02
    #[error("the decisions of this review are applied automatically when it ends")]
    Automatic,
}

/// Whether an admin may have the decisions of an instance applied. IN-12, IN-13, section 2.3
pub fn check_apply(instance: &Instance) -> Result<(), ApplyRefusal> {
    if instance.settings.auto_apply_decisions_enabled {
        return Err(ApplyRefusal::Automatic);
    }
    match instance.status {
        Status::Completed | Status::AutoReviewed => Ok(()),
        Status::NotStarted
        | Status::Initializing
        | Status::Starting
        | Status::InProgress
        | Status::Completing
        | Status::AutoReviewing
        | Status::Applying
        | Status::Applied
        | Status::Failed => Err(WrongState {
            operation: "applying decisions",
            object: "instance",
            current: instance.status,
            allowed: &[Status::Completed, Status::AutoReviewed],
        }
        .into()),
    }
}

#[cfg(test)]
mod tests;

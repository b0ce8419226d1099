//! Scopes: whose access to what is reviewed. Sections 8.1 to 8.6 of the API.
//!
//! A scope is parsed once into a [`ScopeForm`]; everything after that asks the form. `sent` keeps what came over the wire,
//! `grammar` reads single queries, `combination` puts them together, `canonical` prints a form in its one spelling.

mod canonical;
mod combination;
mod grammar;
mod sent;

pub use grammar::{Enumeration, ScopeError, check_query_type, read_enumeration};
pub use sent::{PrincipalScopeType, ResourceScopeType, SentAssignmentPolicy, SentQuery, SentResource, SentScope};

use crate::domain::{duration::IsoDuration, ids::ObjectId, instance::ResourceKind, violation::Violation};

/// Longest `inactiveDuration`, in days. MAX_INACTIVE_DAYS
pub const MAX_INACTIVE_DAYS: u32 = 730;

/// A review scope as a client sent it, together with what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewScope {
    /// As sent; answered unchanged on the definition. A-14
    pub sent: SentScope,
    /// What it means, the `instanceEnumerationScope` taken into account.
    pub form: ScopeForm,
    /// Present when only inactive users are reviewed. Section 8.4
    pub inactivity: Option<Inactivity>,
}

/// How long a user must not have signed in to be under review, measured back from the start of the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inactivity {
    /// As an `accessReviewInactiveUsersQueryScope` says.
    For(IsoDuration),
    /// As long as the look-back of the recommendations: the typed scopes carry no duration. M-13
    LookBack,
}

/// The meaning of a scope. Two scopes under which the same is reviewed have equal forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeForm {
    /// S-01 to S-05, P-07 on a group: members of one group.
    GroupMembers {
        /// The group under review.
        group: ObjectId,
        /// S-01 to S-03 flatten nested groups (LC-INST-12); S-04 and S-05 take direct members only.
        transitive: bool,
        /// Which of them. [`MemberKind::UsersAndGroups`] never goes with `transitive`: flattening leaves no group.
        members: MemberKind,
    },
    /// S-06 to S-08, P-05: direct members of each of many groups, one instance per group ([`ReviewScope::of_group`]).
    EveryGroupMembers { groups: GroupEnumeration, members: UserKind },
    /// P-03: the members of a team, nested ones included, and the users of its shared channels, who are left out of
    /// reviews with several stages (LC-DEF-07).
    TeamAndSharedChannels { team: ObjectId },
    /// P-01, P-02, A-43, P-07 on an application: who is assigned to it.
    ApplicationAssignments {
        service_principal: ObjectId,
        /// P-02: users assigned through a group count too.
        through_groups: bool,
        users: UserKind,
    },
    /// S-10 to S-13, P-04, P-06, P-07 on a role: who holds a directory role.
    RoleHolders {
        /// Id of the role or of its template.
        role: ObjectId,
        holders: RoleHolders,
    },
    /// S-09, P-07 on a policy: who holds an access package under a policy.
    AccessPackageAssignments {
        /// Absent only in a typed scope, whose policy says it.
        access_package: Option<ObjectId>,
        assignment_policy: ObjectId,
        catalog: Option<ObjectId>,
        holders: AssignmentHolders,
    },
}

/// Which members of a group are under review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// S-04: direct members that are users or groups; a nested group is one item and is not expanded.
    UsersAndGroups,
    /// S-01, S-02: users.
    Users,
    /// S-03, S-05: users with `userType` `Guest`. LC-INST-14
    Guests,
}

/// Which users are under review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserKind {
    /// Every user.
    All,
    /// Users with `userType` `Guest`. LC-INST-14
    Guests,
}

/// Which groups an all-groups review walks. Section 8.5; dynamic and role-assignable groups are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupEnumeration {
    /// E-01: groups whose `groupTypes` hold `Unified`.
    Microsoft365Groups,
    /// E-02: those of them whose `resourceProvisioningOptions` hold `Team`.
    Teams,
    /// P-05: every group.
    AllGroups,
}

/// Which holders of a directory role are under review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleHolders {
    /// S-10: service principals with an active assignment.
    ServicePrincipals,
    /// S-11: users, active or eligible.
    UsersActiveOrEligible,
    /// S-12: eligible users.
    EligibleUsers,
    /// S-13: users with an active assignment.
    AssignedUsers,
    /// P-04: guests, active or eligible.
    Guests,
    /// P-06: users and groups, active or eligible.
    UsersAndGroups,
}

/// Which holders of an access package are under review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignmentHolders {
    /// S-09: users and service principals.
    Everybody,
    /// P-07: users.
    Users,
    /// P-07: guests.
    Guests,
}

impl RoleHolders {
    /// Whether active assignments are under review.
    pub const fn counts_assigned(self) -> bool {
        match self {
            Self::ServicePrincipals
            | Self::AssignedUsers
            | Self::UsersActiveOrEligible
            | Self::Guests
            | Self::UsersAndGroups => true,
            Self::EligibleUsers => false,
        }
    }

    /// Whether eligibilities are under review.
    pub const fn counts_eligible(self) -> bool {
        match self {
            Self::EligibleUsers | Self::UsersActiveOrEligible | Self::Guests | Self::UsersAndGroups => true,
            Self::ServicePrincipals | Self::AssignedUsers => false,
        }
    }
}

impl ReviewScope {
    /// Reads a scope and, beside it, the query of the `instanceEnumerationScope`: every form of sections 8.3 to 8.6 in every
    /// spelling of section 8.1.
    ///
    /// Faults come with paths from the root of the definition, `scope.…` and `instanceEnumerationScope.…`, all of them at once.
    pub fn read(sent: SentScope, enumeration: Option<&str>) -> Result<Self, Vec<Violation>> {
        combination::read(sent, enumeration)
    }

    /// The scope of an instance: the same meaning in its one spelling. A-14
    pub fn normalised(&self) -> Self {
        let sent = canonical::sent(&self.form, self.inactivity);
        Self { sent, form: self.form.clone(), inactivity: self.inactivity }
    }

    /// The scope of the instance that an all-groups review has for `group`: its direct members, as S-05. Section 8.5
    ///
    /// `None` when the scope is no enumeration.
    pub fn of_group(&self, group: ObjectId) -> Option<Self> {
        let ScopeForm::EveryGroupMembers { members, .. } = &self.form else { return None };
        let members = match members {
            UserKind::All => MemberKind::Users,
            UserKind::Guests => MemberKind::Guests,
        };
        let form = ScopeForm::GroupMembers { group, transitive: false, members };
        Some(Self { sent: canonical::sent(&form, self.inactivity), form, inactivity: self.inactivity })
    }

    /// The path of the member that names the resource under review.
    pub fn resource_path(&self) -> &'static str {
        match &self.sent {
            SentScope::PrincipalResourceMemberships { resource_scopes, .. } => match resource_scopes.first() {
                Some(SentScope::Resource(_) | SentScope::AssignmentPolicy(_)) => "scope.resourceScopes[0].resourceId",
                Some(_) | None => "scope.resourceScopes[0].query",
            },
            // a relative query names its group in the enumeration
            SentScope::Query(sent) if sent.query.trim_start().starts_with("./") => "instanceEnumerationScope.query",
            SentScope::Query(_)
            | SentScope::Principal { .. }
            | SentScope::Resource(_)
            | SentScope::AssignmentPolicy(_) => "scope.query",
        }
    }

    /// Whether two scopes mean the same, whatever their spelling. LC-DEF-25, A-16
    pub fn means_the_same_as(&self, other: &Self) -> bool {
        self.form == other.form && self.inactivity == other.inactivity
    }

    /// How long a user must have been inactive, given the review's own look-back; `None` when the scope does not ask. M-13
    pub fn inactive_for(&self, look_back: Option<IsoDuration>) -> Option<IsoDuration> {
        self.inactivity.map(|inactivity| match inactivity {
            Inactivity::For(duration) => duration,
            Inactivity::LookBack => look_back.unwrap_or(IsoDuration::DEFAULT_LOOK_BACK),
        })
    }
}

impl ScopeForm {
    /// The kind of the resource under review; for an all-groups review that of each instance.
    pub const fn resource_kind(&self) -> ResourceKind {
        match self {
            Self::GroupMembers { .. } | Self::EveryGroupMembers { .. } | Self::TeamAndSharedChannels { .. } => {
                ResourceKind::Group
            }
            Self::ApplicationAssignments { .. } => ResourceKind::ServicePrincipal,
            Self::RoleHolders { .. } => ResourceKind::DirectoryRole,
            Self::AccessPackageAssignments { .. } => ResourceKind::AccessPackageAssignmentPolicy,
        }
    }

    /// The one resource under review; `None` when every group of an enumeration is one.
    pub const fn resource(&self) -> Option<ObjectId> {
        match self {
            Self::GroupMembers { group: resource, .. }
            | Self::TeamAndSharedChannels { team: resource }
            | Self::ApplicationAssignments { service_principal: resource, .. }
            | Self::RoleHolders { role: resource, .. }
            | Self::AccessPackageAssignments { assignment_policy: resource, .. } => Some(*resource),
            Self::EveryGroupMembers { .. } => None,
        }
    }

    /// The groups this walks, an instance for each; `None` for a review of one resource.
    pub const fn enumerates(&self) -> Option<GroupEnumeration> {
        match self {
            Self::EveryGroupMembers { groups, .. } => Some(*groups),
            Self::GroupMembers { .. }
            | Self::TeamAndSharedChannels { .. }
            | Self::ApplicationAssignments { .. }
            | Self::RoleHolders { .. }
            | Self::AccessPackageAssignments { .. } => None,
        }
    }

    /// Whether nobody but guests can be under review. LC-APPLY-08
    pub const fn is_guests_only(&self) -> bool {
        match self {
            Self::GroupMembers { members, .. } => matches!(members, MemberKind::Guests),
            Self::EveryGroupMembers { members: users, .. } | Self::ApplicationAssignments { users, .. } => {
                matches!(users, UserKind::Guests)
            }
            Self::TeamAndSharedChannels { .. } => false,
            Self::RoleHolders { holders, .. } => matches!(holders, RoleHolders::Guests),
            Self::AccessPackageAssignments { holders, .. } => matches!(holders, AssignmentHolders::Guests),
        }
    }

    /// Whether denied guests may be disabled and deleted: guests of one resource that is no role. LC-APPLY-08, M-11
    pub const fn permits_disable_and_delete(&self) -> bool {
        self.is_guests_only() && self.enumerates().is_none() && !self.is_role_review()
    }

    /// Whether an application is under review: its look-back is limited. LC-DEF-06
    pub const fn is_application_review(&self) -> bool {
        matches!(self, Self::ApplicationAssignments { .. })
    }

    /// Whether a directory role is under review: LC-AUTH-01, and nobody owns it.
    pub const fn is_role_review(&self) -> bool {
        matches!(self, Self::RoleHolders { .. })
    }

    /// Whether only service principals are under review, who have no manager and cannot review themselves. A-46
    pub const fn is_service_principals_only(&self) -> bool {
        matches!(self, Self::RoleHolders { holders: RoleHolders::ServicePrincipals, .. })
    }

    /// Whether users of a team's shared channels who are not in the team can be under review. LC-REV-07
    pub const fn has_direct_connect(&self) -> bool {
        matches!(self, Self::TeamAndSharedChannels { .. })
    }
}

#[cfg(test)]
mod tests;

//! Scopes: whose access to what is reviewed. Sections 8.1 to 8.5 of the API.

use crate::domain::{duration::IsoDuration, ids::ObjectId};

/// A review scope as a client sent it, together with what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewScope {
    /// The query text as sent; answered unchanged on the definition. A-14
    pub query: String,
    /// `MicrosoftGraph`, in canonical spelling. A-40
    pub query_type: String,
    /// As sent; `None` when null or absent.
    pub query_root: Option<String>,
    /// Present exactly on an `accessReviewInactiveUsersQueryScope`; its type default is `PT0S`. Section 8.4
    pub inactive_duration: Option<IsoDuration>,
    /// What the query means.
    pub form: ScopeForm,
}

/// The meaning of a scope query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeForm {
    /// S-01 to S-05: members of one group.
    GroupMembers {
        /// The group under review.
        group: ObjectId,
        /// S-01 to S-03 flatten nested groups (LC-INST-12); S-04 and S-05 take direct members only.
        transitive: bool,
        /// Which of them.
        members: MemberKind,
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

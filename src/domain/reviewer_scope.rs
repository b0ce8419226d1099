//! Reviewer scopes: the queries that name reviewers (`reviewers`, `fallbackReviewers`). Section 8.7 of the API.

use crate::domain::ids::ObjectId;

/// One reviewer scope as a client sent it, together with what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewerScope {
    /// The query text as sent; answered unchanged on definitions and stages.
    pub query: String,
    /// `MicrosoftGraph`, in canonical spelling. A-40
    pub query_type: String,
    /// `decisions` for `./manager`; `None` when null or absent. LC-SUPD-07
    pub query_root: Option<String>,
    /// What the query means.
    pub form: ReviewerForm,
}

/// The meaning of a reviewer scope. Two scopes are the same reviewer exactly when their forms are equal. LC-SUPD-07
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReviewerForm {
    /// R-02 `/users/{u}`
    User(ObjectId),
    /// R-03 `/groups/{g}/transitiveMembers` and `/groups/{g}/members`; both are flattened. LC-REV-01
    GroupMembers(ObjectId),
    /// R-04, R-05 `/groups/{g}/owners`, optionally filtered.
    GroupOwners(ObjectId, OwnerFilter),
    /// R-06 `./owners`: owners of the instance's own resource.
    ResourceOwners,
    /// R-07 `./manager` with `queryRoot` `decisions`: the manager of each principal.
    Manager,
    /// R-08 `/servicePrincipals/{sp}/owners`
    ServicePrincipalOwners(ObjectId),
}

/// The filter of R-05; both empty means all owners.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnerFilter {
    /// `userType eq '…'`: `Member` or `Guest`.
    pub user_type: Option<String>,
    /// `country eq '…'`, as written.
    pub country: Option<String>,
}

/// The two lists that every definition, stage setting, instance and stage owns. Empty `reviewers` means self-review.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReviewerLists {
    /// Primary scopes, in the order they were sent.
    pub reviewers: Vec<ReviewerScope>,
    /// Fallback scopes; append-only while their stage lives. LC-INV-03
    pub fallback_reviewers: Vec<ReviewerScope>,
}

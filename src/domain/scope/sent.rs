//! Scopes as clients send them, kept word for word so that a definition is answered as it came. A-14; sections 3.1 to 3.6 of
//! the model.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{duration::IsoDuration, ids::ObjectId};

/// One `accessReviewScope` of any derived type. The serialized shape is what storage keeps; `http` renders the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum SentScope {
    /// `accessReviewQueryScope` and `accessReviewInactiveUsersQueryScope`.
    Query(SentQuery),
    /// `principalResourceMembershipsScope`
    PrincipalResourceMemberships { principal_scopes: Vec<SentScope>, resource_scopes: Vec<SentScope> },
    /// `accessReviewPrincipalScope`
    Principal { scope_type: PrincipalScopeType },
    /// `accessReviewResourceScope`
    Resource(SentResource),
    /// `accessReviewAccessPackageAssignmentPolicyScope`
    AssignmentPolicy(SentAssignmentPolicy),
}

/// A scope by query. Its `queryType` is always `MicrosoftGraph`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentQuery {
    /// The query text as sent.
    pub query: String,
    /// As sent; `None` when null or absent. Section 8.2
    pub query_root: Option<String>,
    /// Present exactly on an `accessReviewInactiveUsersQueryScope`; its type default is `PT0S`. Section 8.4
    pub inactive_duration: Option<IsoDuration>,
}

/// The members of an `accessReviewResourceScope`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentResource {
    pub scope_type: ResourceScopeType,
    /// As sent; a GUID in a scope that was accepted.
    pub resource_id: String,
    /// As sent; says nothing, the directory's name counts.
    pub display_name: Option<String>,
}

/// The members of an `accessReviewAccessPackageAssignmentPolicyScope`, as sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SentAssignmentPolicy {
    /// The policy's id; a GUID in a scope that was accepted.
    pub resource_id: String,
    pub display_name: Option<String>,
    pub access_package_id: Option<String>,
    pub access_package_display_name: Option<String>,
    pub catalog_id: Option<String>,
    pub catalog_display_name: Option<String>,
}

/// `accessReviewPrincipalScopeType`. Section 3.6 of the model
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PrincipalScopeType {
    AllUsers,
    GuestUsers,
    InactiveUsers,
    InactiveGuestUsers,
}

impl PrincipalScopeType {
    /// Every type that is offered.
    pub const ALL: [Self; 4] = [Self::AllUsers, Self::GuestUsers, Self::InactiveUsers, Self::InactiveGuestUsers];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AllUsers => "allUsers",
            Self::GuestUsers => "guestUsers",
            Self::InactiveUsers => "inactiveUsers",
            Self::InactiveGuestUsers => "inactiveGuestUsers",
        }
    }
}

/// `accessReviewResourceScopeType`. Section 3.6 of the model
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ResourceScopeType {
    Group,
    /// Only known in order to be refused: it belongs to the unified surface.
    Catalog,
    ServicePrincipal,
    DirectoryRole,
    AccessPackageAssignmentPolicy,
}

impl ResourceScopeType {
    /// Every type the wire knows.
    pub const ALL: [Self; 5] =
        [Self::Group, Self::Catalog, Self::ServicePrincipal, Self::DirectoryRole, Self::AccessPackageAssignmentPolicy];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Catalog => "catalog",
            Self::ServicePrincipal => "servicePrincipal",
            Self::DirectoryRole => "directoryRole",
            Self::AccessPackageAssignmentPolicy => "accessPackageAssignmentPolicy",
        }
    }
}

impl SentScope {
    /// A scope by an absolute query.
    pub fn query(query: impl Into<String>, inactive_duration: Option<IsoDuration>) -> Self {
        Self::Query(SentQuery { query: query.into(), query_root: None, inactive_duration })
    }

    /// What `contains(scope/query, …)` searches: the query of a query scope, nothing of any other type. A-10
    pub fn query_text(&self) -> Option<&str> {
        match self {
            Self::Query(sent) => Some(&sent.query),
            Self::PrincipalResourceMemberships { .. }
            | Self::Principal { .. }
            | Self::Resource(_)
            | Self::AssignmentPolicy(_) => None,
        }
    }

    /// The type's name without the namespace.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Query(SentQuery { inactive_duration: None, .. }) => "accessReviewQueryScope",
            Self::Query(SentQuery { inactive_duration: Some(_), .. }) => "accessReviewInactiveUsersQueryScope",
            Self::PrincipalResourceMemberships { .. } => "principalResourceMembershipsScope",
            Self::Principal { .. } => "accessReviewPrincipalScope",
            Self::Resource(_) => "accessReviewResourceScope",
            Self::AssignmentPolicy(_) => "accessReviewAccessPackageAssignmentPolicyScope",
        }
    }
}

/// For people: the query, or the principals and resources one after the other.
impl fmt::Display for SentScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(sent) => f.write_str(&sent.query),
            Self::PrincipalResourceMemberships { principal_scopes, resource_scopes } => {
                write_all(f, principal_scopes)?;
                f.write_str(" on ")?;
                write_all(f, resource_scopes)
            }
            Self::Principal { scope_type } => f.write_str(scope_type.as_str()),
            Self::Resource(sent) => write!(f, "{} {}", sent.scope_type.as_str(), sent.resource_id),
            Self::AssignmentPolicy(sent) => write!(f, "accessPackageAssignmentPolicy {}", sent.resource_id),
        }
    }
}

fn write_all(f: &mut fmt::Formatter<'_>, scopes: &[SentScope]) -> fmt::Result {
    for (index, scope) in scopes.iter().enumerate() {
        if index > 0 {
            f.write_str(" and ")?;
        }
        write!(f, "{scope}")?;
    }
    Ok(())
}

impl SentResource {
    /// A resource by type and id alone.
    pub fn new(scope_type: ResourceScopeType, id: ObjectId) -> Self {
        Self { scope_type, resource_id: id.to_string(), display_name: None }
    }
}

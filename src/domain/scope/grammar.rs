//! Single queries: what stands in `scope.query`, in the scopes of a `principalResourceMembershipsScope` and in the
//! `instanceEnumerationScope`. Sections 8.3 and 8.5 of the API; spelling is `query_text`'s business.

use std::fmt;

use super::{
    AssignmentHolders, GroupEnumeration, MAX_INACTIVE_DAYS, MemberKind, RoleHolders, ScopeForm, SentQuery, UserKind,
};
use crate::domain::{
    duration::IsoDuration,
    ids::ObjectId,
    query_text::{self, Condition, Equality, MAX_QUERY_LENGTH, QueryText},
    reviewer_scope::MICROSOFT_GRAPH,
};

/// The forms of `scope.query`, as errors list them.
pub(super) const SCOPE_QUERIES: &str = "supported are /groups/{id}/transitiveMembers and /groups/{id}/members, each also with \
     /microsoft.graph.user and with $filter=(userType eq 'Guest'); ./members/microsoft.graph.user, also with that filter, \
     beside an instanceEnumerationScope; /servicePrincipals/{id}/appRoleAssignedTo; \
     /roleManagement/directory/roleDefinitions/{id}; /roleManagement/directory/roleAssignmentScheduleInstances and \
     /roleManagement/directory/roleEligibilityScheduleInstances with $expand=principal and \
     $filter=(isof(principal,'microsoft.graph.user') and roleDefinitionId eq '{id}'); \
     /identityGovernance/entitlementManagement/accessPackageAssignments with $filter=(accessPackageId eq '{id}' and \
     assignmentPolicyId eq '{id}' and catalogId eq '{id}'); {id} is a GUID";
/// The forms of a query in `principalScopes`.
const PRINCIPAL_QUERIES: &str = "supported here are /users, /users?$filter=(userType eq 'Guest'), /groups, and \
     ./members/microsoft.graph.user with query root /v1.0/groups";
/// The forms of a query in `resourceScopes`.
const RESOURCE_QUERIES: &str = "supported here are /servicePrincipals/{id}, /roleManagement/directory/roleDefinitions/{id}, \
     /groups, and /groups/{id}/transitiveMembers together with /teams/{id}/channels?$filter=(membershipType eq 'shared'); \
     {id} is a GUID";
/// The forms of an enumeration.
const ENUMERATIONS: &str = "supported here are /groups?$filter=(groupTypes/any(c:c eq 'Unified')), \
     /groups?$filter=(groupTypes/any(c:c eq 'Unified') and resourceProvisioningOptions/Any(x:x eq 'Team')), and /groups/{id}; \
     {id} is a GUID";

/// Why a query was refused. [`ScopeError::member`] says which member of its scope is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Longer than [`MAX_QUERY_LENGTH`] bytes.
    #[error("the query is longer than {MAX_QUERY_LENGTH} bytes")]
    TooLong,
    /// Any `queryType` but `MicrosoftGraph`, such as `ARM`. A-40
    #[error("the query type `{}` is not offered; use `MicrosoftGraph`", query_text::quoted(.0))]
    QueryType(String),
    /// A `queryRoot` that does not go with the query. Section 8.2
    #[error("{0}")]
    QueryRoot(&'static str),
    /// Azure resources, which Graph does not know either.
    #[error("reviews of Azure resource roles are not offered (query `{}`); {SCOPE_QUERIES}", query_text::quoted(.0))]
    AzureResource(String),
    /// No known form.
    #[error("the scope query `{}` is not supported; {supported}", query_text::quoted(.query))]
    Unsupported {
        /// The query as sent.
        query: String,
        /// What would be.
        supported: &'static str,
    },
    /// `inactiveDuration` where no users are asked for, or in a form that takes none. Section 8.4
    #[error(
        "an inactive-users scope needs a query for the users of groups: /groups/{{id}}/transitiveMembers, \
         /groups/{{id}}/members/microsoft.graph.user or ./members/microsoft.graph.user"
    )]
    InactiveElsewhere,
    /// Longer than [`MAX_INACTIVE_DAYS`].
    #[error("{0} is longer than {MAX_INACTIVE_DAYS} days")]
    InactiveTooLong(IsoDuration),
}

impl ScopeError {
    /// The member of the scope that is at fault.
    pub const fn member(&self) -> &'static str {
        match self {
            Self::TooLong | Self::AzureResource(_) | Self::Unsupported { .. } | Self::InactiveElsewhere => "query",
            Self::QueryType(_) => "queryType",
            Self::QueryRoot(_) => "queryRoot",
            Self::InactiveTooLong(_) => "inactiveDuration",
        }
    }

    /// Whether the query itself is unknown or not offered, as opposed to a value within it. A-11
    pub const fn is_unsupported_query(&self) -> bool {
        match self {
            Self::QueryType(_) | Self::AzureResource(_) | Self::Unsupported { .. } | Self::InactiveElsewhere => true,
            Self::TooLong | Self::QueryRoot(_) | Self::InactiveTooLong(_) => false,
        }
    }
}

/// What an `instanceEnumerationScope` enumerates. Section 8.5
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enumeration {
    /// E-01, E-02
    Every(GroupEnumeration),
    /// E-03: one group.
    Group(ObjectId),
}

/// The one spelling of this meaning, without a version prefix.
impl fmt::Display for Enumeration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(GroupEnumeration::Microsoft365Groups) => {
                f.write_str("/groups?$filter=(groupTypes/any(c:c eq 'Unified'))")
            }
            Self::Every(GroupEnumeration::Teams) => f.write_str(
                "/groups?$filter=(groupTypes/any(c:c eq 'Unified') and resourceProvisioningOptions/Any(x:x eq 'Team'))",
            ),
            Self::Every(GroupEnumeration::AllGroups) => f.write_str("/groups"),
            Self::Group(group) => write!(f, "/groups/{group}"),
        }
    }
}

/// Refuses every `queryType` but `MicrosoftGraph`; an absent one is it. A-40
pub fn check_query_type(query_type: Option<&str>) -> Result<(), ScopeError> {
    match query_type {
        Some(other) if !other.eq_ignore_ascii_case(MICROSOFT_GRAPH) => Err(ScopeError::QueryType(other.to_owned())),
        Some(_) | None => Ok(()),
    }
}

/// Reads an `instanceEnumerationScope` query: E-01, E-02 or E-03.
pub fn read_enumeration(
    query: &str,
    query_type: Option<&str>,
    query_root: Option<&str>,
) -> Result<Enumeration, ScopeError> {
    check_query_type(query_type)?;
    let text = Query::read(query, ENUMERATIONS)?;
    let enumeration = match (text.relative, text.words().as_slice()) {
        (false, ["groups", group]) if text.filter.is_none() => Enumeration::Group(text.id(group)?),
        (false, ["groups"]) => Enumeration::Every(text.enumerated_groups()?),
        _ => return Err(text.unsupported()),
    };
    if is_given(query_root) {
        return Err(ScopeError::QueryRoot("an enumeration takes no query root; leave it out or send null"));
    }
    Ok(enumeration)
}

/// What `scope.query` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ScopeQuery {
    Absolute(ScopeForm),
    /// S-06 to S-08: the direct members of each group of an enumeration.
    EachMembers(UserKind),
}

/// What a query in `principalScopes` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PrincipalQuery {
    Users,
    Guests,
    Groups,
    /// P-02: users who have access through a group.
    UsersThroughGroups,
    /// P-05
    InactiveGuests(IsoDuration),
}

/// What a query in `resourceScopes` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ResourceQuery {
    Groups,
    GroupMembers(ObjectId),
    SharedChannels(ObjectId),
    ServicePrincipal(ObjectId),
    Role(ObjectId),
}

/// S-01 to S-13 and A-43.
pub(super) fn scope_query(sent: &SentQuery) -> Result<ScopeQuery, ScopeError> {
    let text = Query::read(&sent.query, SCOPE_QUERIES)?;
    let meaning = text.scope()?;
    if is_given(sent.query_root.as_deref()) {
        return Err(ScopeError::QueryRoot(match meaning {
            ScopeQuery::Absolute(_) => "a query root goes with a relative query only; leave it out or send null",
            ScopeQuery::EachMembers(_) => {
                "the groups come from the instanceEnumerationScope; leave the query root out or send null"
            }
        }));
    }
    if let Some(duration) = sent.inactive_duration {
        let takes_inactivity = match &meaning {
            ScopeQuery::EachMembers(_) => true,
            ScopeQuery::Absolute(form) => {
                matches!(form, ScopeForm::GroupMembers { members: MemberKind::Users | MemberKind::Guests, .. })
            }
        };
        if !takes_inactivity {
            return Err(ScopeError::InactiveElsewhere);
        }
        check_inactive(duration)?;
    }
    Ok(meaning)
}

/// The principal scopes of P-01 to P-06.
pub(super) fn principal_query(sent: &SentQuery) -> Result<PrincipalQuery, ScopeError> {
    const ROOT: &str =
        "./members/microsoft.graph.user needs the query root /v1.0/groups here, and no other query takes one";
    let text = Query::read(&sent.query, PRINCIPAL_QUERIES)?;
    let meaning = match (text.relative, text.words().as_slice()) {
        (false, ["users"]) => match (text.users()?, sent.inactive_duration) {
            (UserKind::All, None) => PrincipalQuery::Users,
            (UserKind::Guests, None) => PrincipalQuery::Guests,
            (UserKind::Guests, Some(duration)) => {
                check_inactive(duration)?;
                PrincipalQuery::InactiveGuests(duration)
            }
            (UserKind::All, Some(_)) => return Err(text.unsupported()),
        },
        (false, ["groups"]) if text.filter.is_none() => PrincipalQuery::Groups,
        (true, ["members", "microsoft.graph.user"]) if text.filter.is_none() => PrincipalQuery::UsersThroughGroups,
        _ => return Err(text.unsupported()),
    };
    if sent.inactive_duration.is_some() && !matches!(meaning, PrincipalQuery::InactiveGuests(_)) {
        return Err(text.unsupported());
    }
    let root = sent.query_root.as_deref().filter(|root| !root.trim().is_empty());
    let is_groups =
        |root| QueryText::read(root).is_some_and(|root| root.lower_segments() == ["groups"] && !root.relative);
    match (meaning, root) {
        (PrincipalQuery::UsersThroughGroups, Some(root)) if is_groups(root) => Ok(meaning),
        (PrincipalQuery::UsersThroughGroups, _) | (_, Some(_)) => Err(ScopeError::QueryRoot(ROOT)),
        (_, None) => Ok(meaning),
    }
}

/// The resource scopes of P-01 to P-06.
pub(super) fn resource_query(sent: &SentQuery) -> Result<ResourceQuery, ScopeError> {
    let text = Query::read(&sent.query, RESOURCE_QUERIES)?;
    let meaning = match (text.relative, text.words().as_slice(), text.filter.is_some()) {
        (false, ["groups"], false) => ResourceQuery::Groups,
        (false, ["groups", group, "transitivemembers"], false) => ResourceQuery::GroupMembers(text.id(group)?),
        (false, ["serviceprincipals", principal], false) => ResourceQuery::ServicePrincipal(text.id(principal)?),
        (false, ["rolemanagement", "directory", "roledefinitions", role], false) => ResourceQuery::Role(text.id(role)?),
        (false, ["teams", team, "channels"], true) if text.is_one_equality("membershiptype", "shared") => {
            ResourceQuery::SharedChannels(text.id(team)?)
        }
        _ => return Err(text.unsupported()),
    };
    if sent.inactive_duration.is_some() {
        return Err(text.unsupported());
    }
    if is_given(sent.query_root.as_deref()) {
        return Err(ScopeError::QueryRoot("a resource takes no query root; leave it out or send null"));
    }
    Ok(meaning)
}

fn is_given(query_root: Option<&str>) -> bool {
    query_root.is_some_and(|root| !root.trim().is_empty())
}

fn check_inactive(duration: IsoDuration) -> Result<(), ScopeError> {
    match duration.exceeds_days(MAX_INACTIVE_DAYS) {
        true => Err(ScopeError::InactiveTooLong(duration)),
        false => Ok(()),
    }
}

/// A query taken apart, and what to say when it is refused.
struct Query<'a> {
    original: &'a str,
    supported: &'static str,
    relative: bool,
    segments: Vec<String>,
    filter: Option<String>,
}

impl<'a> Query<'a> {
    fn read(original: &'a str, supported: &'static str) -> Result<Self, ScopeError> {
        if original.len() > MAX_QUERY_LENGTH {
            return Err(ScopeError::TooLong);
        }
        let refused = || ScopeError::Unsupported { query: original.trim().to_owned(), supported };
        let text = QueryText::read(original).ok_or_else(refused)?;
        let segments = text.lower_segments();
        let expands_principal = match text.expand.as_deref().map(str::trim) {
            None => false,
            Some(expanded) if expanded.eq_ignore_ascii_case("principal") => true,
            Some(_) => return Err(refused()),
        };
        let query = Self { original, supported, relative: text.relative, segments, filter: text.filter };
        if !text.other_options.is_empty() || expands_principal && !query.is_role_schedule() {
            return Err(query.unsupported());
        }
        Ok(query)
    }

    fn unsupported(&self) -> ScopeError {
        ScopeError::Unsupported { query: self.original.trim().to_owned(), supported: self.supported }
    }

    fn words(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    fn id(&self, text: &str) -> Result<ObjectId, ScopeError> {
        query_text::object_id(text).ok_or_else(|| self.unsupported())
    }

    fn is_role_schedule(&self) -> bool {
        matches!(
            self.words().as_slice(),
            ["rolemanagement", "directory", "roleassignmentscheduleinstances" | "roleeligibilityscheduleinstances"]
        )
    }

    /// Nothing, or `userType eq 'Guest'`.
    fn users(&self) -> Result<UserKind, ScopeError> {
        match self.filter {
            None => Ok(UserKind::All),
            Some(_) if self.is_one_equality("usertype", "Guest") => Ok(UserKind::Guests),
            Some(_) => Err(self.unsupported()),
        }
    }

    fn is_one_equality(&self, property: &str, value: &str) -> bool {
        let found = self.filter.as_deref().and_then(query_text::equalities);
        matches!(found.as_deref(), Some([only]) if only.property == property && only.value.eq_ignore_ascii_case(value))
    }

    fn conditions(&self) -> Result<Vec<Condition>, ScopeError> {
        self.filter.as_deref().and_then(query_text::conditions).ok_or_else(|| self.unsupported())
    }

    fn scope(&self) -> Result<ScopeQuery, ScopeError> {
        let words = self.words();
        let form = match (self.relative, words.as_slice()) {
            (true, ["members", "microsoft.graph.user"]) => return Ok(ScopeQuery::EachMembers(self.users()?)),
            (false, ["groups", group, collection @ ("members" | "transitivemembers"), cast @ ..])
                if matches!(cast, [] | ["microsoft.graph.user"]) =>
            {
                let transitive = *collection == "transitivemembers";
                let members = match self.users()? {
                    UserKind::Guests => MemberKind::Guests,
                    UserKind::All if transitive || !cast.is_empty() => MemberKind::Users,
                    UserKind::All => MemberKind::UsersAndGroups,
                };
                ScopeForm::GroupMembers { group: self.id(group)?, transitive, members }
            }
            (false, ["serviceprincipals", principal, "approleassignedto"]) if self.filter.is_none() => {
                let service_principal = self.id(principal)?;
                ScopeForm::ApplicationAssignments { service_principal, through_groups: true, users: UserKind::All }
            }
            (false, ["rolemanagement", "directory", "roledefinitions", role]) if self.filter.is_none() => {
                ScopeForm::RoleHolders { role: self.id(role)?, holders: RoleHolders::UsersActiveOrEligible }
            }
            (false, ["rolemanagement", "directory", schedule]) if self.is_role_schedule() => {
                self.role_holders(schedule)?
            }
            (false, ["identitygovernance", "entitlementmanagement", "accesspackageassignments"]) => {
                self.access_package_assignments()?
            }
            (false, ["subscriptions" | "providers", ..]) => {
                return Err(ScopeError::AzureResource(self.original.trim().to_owned()));
            }
            _ => return Err(self.unsupported()),
        };
        Ok(ScopeQuery::Absolute(form))
    }

    /// S-10, S-12, S-13
    fn role_holders(&self, schedule: &str) -> Result<ScopeForm, ScopeError> {
        let mut role = None;
        let mut assigned = None;
        let mut type_name = None;
        for condition in self.conditions()? {
            let repeated = match condition {
                Condition::Equals(Equality { property, value }) if property == "roledefinitionid" => {
                    role.replace(self.id(value.trim())?).is_some()
                }
                Condition::Equals(Equality { property, value }) if property == "assignmenttype" => {
                    assigned.replace(value.to_ascii_lowercase()).is_some()
                }
                Condition::IsOf { property, type_name: sent } if property == "principal" => {
                    type_name.replace(sent.trim_start_matches('#').to_ascii_lowercase()).is_some()
                }
                Condition::Equals(_) | Condition::IsOf { .. } | Condition::Contains { .. } => true,
            };
            if repeated {
                return Err(self.unsupported());
            }
        }
        let holders = match (schedule, type_name.as_deref(), assigned.as_deref()) {
            ("roleassignmentscheduleinstances", Some("microsoft.graph.serviceprincipal"), None) => {
                RoleHolders::ServicePrincipals
            }
            ("roleassignmentscheduleinstances", Some("microsoft.graph.user"), Some("assigned")) => {
                RoleHolders::AssignedUsers
            }
            ("roleeligibilityscheduleinstances", Some("microsoft.graph.user"), None) => RoleHolders::EligibleUsers,
            _ => return Err(self.unsupported()),
        };
        Ok(ScopeForm::RoleHolders { role: role.ok_or_else(|| self.unsupported())?, holders })
    }

    /// S-09
    fn access_package_assignments(&self) -> Result<ScopeForm, ScopeError> {
        let mut access_package = None;
        let mut assignment_policy = None;
        let mut catalog = None;
        for condition in self.conditions()? {
            let Condition::Equals(Equality { property, value }) = condition else { return Err(self.unsupported()) };
            let place = match property.as_str() {
                "accesspackageid" => &mut access_package,
                "assignmentpolicyid" => &mut assignment_policy,
                "catalogid" => &mut catalog,
                _ => return Err(self.unsupported()),
            };
            if place.replace(self.id(value.trim())?).is_some() {
                return Err(self.unsupported());
            }
        }
        match (access_package, assignment_policy) {
            (Some(_), Some(assignment_policy)) => Ok(ScopeForm::AccessPackageAssignments {
                access_package,
                assignment_policy,
                catalog,
                holders: AssignmentHolders::Everybody,
            }),
            _ => Err(self.unsupported()),
        }
    }

    /// E-01, E-02
    fn enumerated_groups(&self) -> Result<GroupEnumeration, ScopeError> {
        let mut unified = false;
        let mut team = false;
        for condition in self.conditions()? {
            let Condition::Contains { collection, value } = condition else { return Err(self.unsupported()) };
            let place = match collection.as_str() {
                "grouptypes" if value.eq_ignore_ascii_case("Unified") => &mut unified,
                "resourceprovisioningoptions" if value.eq_ignore_ascii_case("Team") => &mut team,
                _ => return Err(self.unsupported()),
            };
            if std::mem::replace(place, true) {
                return Err(self.unsupported());
            }
        }
        match (unified, team) {
            (true, false) => Ok(GroupEnumeration::Microsoft365Groups),
            (true, true) => Ok(GroupEnumeration::Teams),
            (false, _) => Err(self.unsupported()),
        }
    }
}

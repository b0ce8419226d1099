//! Whole scopes: a query beside its enumeration, principals beside resources. Sections 8.5 and 8.6 of the API.

use super::{
    AssignmentHolders, Enumeration, GroupEnumeration, Inactivity, MemberKind, PrincipalScopeType, ResourceScopeType,
    ReviewScope, RoleHolders, ScopeError, ScopeForm, SentAssignmentPolicy, SentQuery, SentResource, SentScope,
    UserKind,
    grammar::{self, PrincipalQuery, ResourceQuery, ScopeQuery},
};
use crate::domain::{ids::ObjectId, query_text, violation::Violation};

/// The combinations of P-01 to P-07, as errors list them.
const COMBINATIONS: &str = "these principalScopes and resourceScopes do not go together; supported are /users on \
     /servicePrincipals/{id}; /users and ./members/microsoft.graph.user (query root /v1.0/groups) on /servicePrincipals/{id}; \
     /users on /groups/{id}/transitiveMembers and the shared channels of the same team; \
     /users?$filter=(userType eq 'Guest') on /roleManagement/directory/roleDefinitions/{id}; inactive users of that query on \
     /groups; /users and /groups on /roleManagement/directory/roleDefinitions/{id}; and one accessReviewPrincipalScope on one \
     accessReviewResourceScope or accessReviewAccessPackageAssignmentPolicyScope";
const ENUMERATION: &str = "instanceEnumerationScope";

/// One of `principalScopes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Principals {
    Query(PrincipalQuery),
    Typed(PrincipalKind),
}

/// What a typed principal scope says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PrincipalKind {
    guests: bool,
    inactive: bool,
}

/// One of `resourceScopes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Resources {
    Query(ResourceQuery),
    Group(ObjectId),
    ServicePrincipal(ObjectId),
    Role(ObjectId),
    Policy { policy: ObjectId, access_package: Option<ObjectId>, catalog: Option<ObjectId> },
}

pub(super) fn read(sent: SentScope, enumeration: Option<&str>) -> Result<ReviewScope, Vec<Violation>> {
    let mut faults = Vec::new();
    let asked = enumeration.is_some();
    let enumeration = enumeration.and_then(|query| {
        grammar::read_enumeration(query, None, None).map_err(|error| faults.push(at(ENUMERATION, &error))).ok()
    });
    let meaning = match &sent {
        SentScope::Query(query) => match grammar::scope_query(query) {
            Ok(meaning) => {
                let inactivity = query.inactive_duration.map(Inactivity::For);
                // what an unreadable enumeration would have meant nobody knows
                match asked && enumeration.is_none() {
                    true => None,
                    false => enumerate(meaning, enumeration)
                        .map(|form| (form, inactivity))
                        .map_err(|fault| faults.push(fault))
                        .ok(),
                }
            }
            Err(error) => {
                faults.push(at("scope", &error));
                None
            }
        },
        SentScope::PrincipalResourceMemberships { principal_scopes, resource_scopes } => {
            let meaning = memberships(principal_scopes, resource_scopes).map_err(|found| faults.extend(found)).ok();
            if let (Some((form, _)), Some(enumeration)) = (&meaning, enumeration)
                && let Err(fault) = companion(form, enumeration)
            {
                faults.push(fault);
            }
            meaning
        }
        SentScope::Principal { .. } | SentScope::Resource(_) | SentScope::AssignmentPolicy(_) => {
            faults.push(Violation::unsupported_query(
                "scope.@odata.type",
                format!(
                    "a {} stands inside a #microsoft.graph.principalResourceMembershipsScope only",
                    sent.type_name()
                ),
            ));
            None
        }
    };
    match meaning {
        Some((form, inactivity)) if faults.is_empty() => Ok(ReviewScope { sent, form, inactivity }),
        Some(_) | None => Err(faults),
    }
}

fn at(path: &str, error: &ScopeError) -> Violation {
    let path = format!("{path}.{}", error.member());
    match error.is_unsupported_query() {
        true => Violation::unsupported_query(path, error.to_string()),
        false => Violation::new(path, error.to_string()),
    }
}

/// A query and the enumeration beside it. Section 8.5
fn enumerate(meaning: ScopeQuery, enumeration: Option<Enumeration>) -> Result<ScopeForm, Violation> {
    match (meaning, enumeration) {
        (ScopeQuery::Absolute(form), None) => Ok(form),
        (ScopeQuery::Absolute(form), Some(enumeration)) => companion(&form, enumeration).map(|()| form),
        (ScopeQuery::EachMembers(_), None) => Err(Violation::new(
            ENUMERATION,
            "is required beside a relative scope.query: it says whose members are meant, such as \
             /groups?$filter=(groupTypes/any(c:c eq 'Unified'))",
        )),
        (ScopeQuery::EachMembers(users), Some(Enumeration::Group(group))) => Ok(ScopeForm::GroupMembers {
            group,
            transitive: false,
            members: match users {
                UserKind::All => MemberKind::Users,
                UserKind::Guests => MemberKind::Guests,
            },
        }),
        (ScopeQuery::EachMembers(members), Some(Enumeration::Every(groups))) => {
            Ok(ScopeForm::EveryGroupMembers { groups, members })
        }
    }
}

/// E-03 beside an absolute scope says nothing new, and must not say anything else.
fn companion(form: &ScopeForm, enumeration: Enumeration) -> Result<(), Violation> {
    let path = format!("{ENUMERATION}.query");
    let reviewed = match form {
        ScopeForm::GroupMembers { group, .. } | ScopeForm::TeamAndSharedChannels { team: group } => Some(*group),
        ScopeForm::EveryGroupMembers { .. }
        | ScopeForm::ApplicationAssignments { .. }
        | ScopeForm::RoleHolders { .. }
        | ScopeForm::AccessPackageAssignments { .. } => None,
    };
    match (reviewed, enumeration) {
        (Some(group), Enumeration::Group(named)) if named == group => Ok(()),
        (Some(_), Enumeration::Group(_)) => Err(Violation::new(path, "must name the same group as scope.query")),
        (Some(_), Enumeration::Every(_)) => Err(Violation::new(
            path,
            "an enumeration of many groups goes with a relative scope.query such as ./members/microsoft.graph.user",
        )),
        (None, _) => Err(Violation::new(ENUMERATION, "goes with reviews of group members only; leave it out")),
    }
}

/// P-01 to P-07
fn memberships(
    principals: &[SentScope],
    resources: &[SentScope],
) -> Result<(ScopeForm, Option<Inactivity>), Vec<Violation>> {
    let mut faults = Vec::new();
    for (path, scopes) in [("scope.principalScopes", principals), ("scope.resourceScopes", resources)] {
        if scopes.is_empty() {
            faults.push(Violation::new(path, "must have at least one entry"));
        }
    }
    let mut read_principals = read_all("scope.principalScopes", principals, &mut faults, principal);
    let mut read_resources = read_all("scope.resourceScopes", resources, &mut faults, resource);
    if !faults.is_empty() {
        return Err(faults);
    }
    read_principals.sort();
    read_principals.dedup();
    read_resources.sort();
    read_resources.dedup();
    combine(&read_principals, &read_resources).ok_or_else(|| vec![Violation::unsupported_query("scope", COMBINATIONS)])
}

fn read_all<T>(
    path: &str,
    scopes: &[SentScope],
    faults: &mut Vec<Violation>,
    read: impl Fn(&str, &SentScope) -> Result<T, Violation>,
) -> Vec<T> {
    let mut found = Vec::with_capacity(scopes.len());
    for (index, scope) in scopes.iter().enumerate() {
        match read(&format!("{path}[{index}]"), scope) {
            Ok(meaning) => found.push(meaning),
            Err(fault) => faults.push(fault),
        }
    }
    found
}

fn principal(path: &str, sent: &SentScope) -> Result<Principals, Violation> {
    match sent {
        SentScope::Query(query) => query_part(path, query, grammar::principal_query).map(Principals::Query),
        SentScope::Principal { scope_type } => Ok(Principals::Typed(match scope_type {
            PrincipalScopeType::AllUsers => PrincipalKind { guests: false, inactive: false },
            PrincipalScopeType::GuestUsers => PrincipalKind { guests: true, inactive: false },
            PrincipalScopeType::InactiveUsers => PrincipalKind { guests: false, inactive: true },
            PrincipalScopeType::InactiveGuestUsers => PrincipalKind { guests: true, inactive: true },
        })),
        SentScope::PrincipalResourceMemberships { .. } | SentScope::Resource(_) | SentScope::AssignmentPolicy(_) => {
            Err(misplaced(
                path,
                "accessReviewQueryScope, accessReviewInactiveUsersQueryScope or accessReviewPrincipalScope",
            ))
        }
    }
}

fn resource(path: &str, sent: &SentScope) -> Result<Resources, Violation> {
    let id = |member: &str, text: &str| {
        query_text::object_id(text.trim())
            .ok_or_else(|| Violation::new(format!("{path}.{member}"), "must be the GUID of a directory object"))
    };
    match sent {
        SentScope::Query(query) => query_part(path, query, grammar::resource_query).map(Resources::Query),
        SentScope::Resource(SentResource { scope_type, resource_id, .. }) => {
            let resource = id("resourceId", resource_id);
            match scope_type {
                ResourceScopeType::Group => resource.map(Resources::Group),
                ResourceScopeType::ServicePrincipal => resource.map(Resources::ServicePrincipal),
                ResourceScopeType::DirectoryRole => resource.map(Resources::Role),
                ResourceScopeType::AccessPackageAssignmentPolicy => {
                    resource.map(|policy| Resources::Policy { policy, access_package: None, catalog: None })
                }
                ResourceScopeType::Catalog => Err(Violation::unsupported_query(
                    format!("{path}.scopeType"),
                    "reviews of a whole catalog are not offered; use group, servicePrincipal, directoryRole or \
                     accessPackageAssignmentPolicy",
                )),
            }
        }
        SentScope::AssignmentPolicy(SentAssignmentPolicy { resource_id, access_package_id, catalog_id, .. }) => {
            let optional = |member, text: &Option<String>| text.as_deref().map(|text| id(member, text)).transpose();
            Ok(Resources::Policy {
                policy: id("resourceId", resource_id)?,
                access_package: optional("accessPackageId", access_package_id)?,
                catalog: optional("catalogId", catalog_id)?,
            })
        }
        SentScope::PrincipalResourceMemberships { .. } | SentScope::Principal { .. } => Err(misplaced(
            path,
            "accessReviewQueryScope, accessReviewResourceScope or accessReviewAccessPackageAssignmentPolicyScope",
        )),
    }
}

fn query_part<T>(
    path: &str,
    query: &SentQuery,
    read: impl Fn(&SentQuery) -> Result<T, ScopeError>,
) -> Result<T, Violation> {
    read(query).map_err(|error| at(path, &error))
}

fn misplaced(path: &str, expected: &str) -> Violation {
    Violation::unsupported_query(format!("{path}.@odata.type"), format!("must be #microsoft.graph.{expected} here"))
}

/// Both slices are sorted and hold nothing twice.
fn combine(principals: &[Principals], resources: &[Resources]) -> Option<(ScopeForm, Option<Inactivity>)> {
    use PrincipalQuery as P;
    use ResourceQuery as R;
    let (form, inactivity) = match (principals, resources) {
        ([Principals::Typed(kind)], [resource]) => {
            (typed(*kind, *resource)?, kind.inactive.then_some(Inactivity::LookBack))
        }
        (principals, resources) => {
            let principals: Vec<P> = principals
                .iter()
                .map(|principal| match principal {
                    Principals::Query(query) => Some(*query),
                    Principals::Typed(_) => None,
                })
                .collect::<Option<_>>()?;
            let resources: Vec<R> = resources
                .iter()
                .map(|resource| match resource {
                    Resources::Query(query) => Some(*query),
                    Resources::Group(_)
                    | Resources::ServicePrincipal(_)
                    | Resources::Role(_)
                    | Resources::Policy { .. } => None,
                })
                .collect::<Option<_>>()?;
            match (principals.as_slice(), resources.as_slice()) {
                ([P::Users], [R::ServicePrincipal(service_principal)]) => {
                    (assignments(*service_principal, false, UserKind::All), None)
                }
                ([P::Users, P::UsersThroughGroups], [R::ServicePrincipal(service_principal)]) => {
                    (assignments(*service_principal, true, UserKind::All), None)
                }
                ([P::Users], [R::GroupMembers(group), R::SharedChannels(team)]) if group == team => {
                    (ScopeForm::TeamAndSharedChannels { team: *team }, None)
                }
                ([P::Guests], [R::Role(role)]) => {
                    (ScopeForm::RoleHolders { role: *role, holders: RoleHolders::Guests }, None)
                }
                ([P::InactiveGuests(duration)], [R::Groups]) => (
                    ScopeForm::EveryGroupMembers { groups: GroupEnumeration::AllGroups, members: UserKind::Guests },
                    Some(Inactivity::For(*duration)),
                ),
                ([P::Users, P::Groups], [R::Role(role)]) => {
                    (ScopeForm::RoleHolders { role: *role, holders: RoleHolders::UsersAndGroups }, None)
                }
                _ => return None,
            }
        }
    };
    Some((form, inactivity))
}

fn assignments(service_principal: ObjectId, through_groups: bool, users: UserKind) -> ScopeForm {
    ScopeForm::ApplicationAssignments { service_principal, through_groups, users }
}

/// P-07
fn typed(kind: PrincipalKind, resource: Resources) -> Option<ScopeForm> {
    let users = if kind.guests { UserKind::Guests } else { UserKind::All };
    Some(match resource {
        Resources::Group(group) => ScopeForm::GroupMembers {
            group,
            transitive: true,
            members: if kind.guests { MemberKind::Guests } else { MemberKind::Users },
        },
        Resources::ServicePrincipal(service_principal) => assignments(service_principal, true, users),
        Resources::Role(role) => ScopeForm::RoleHolders {
            role,
            holders: if kind.guests { RoleHolders::Guests } else { RoleHolders::UsersActiveOrEligible },
        },
        Resources::Policy { policy, access_package, catalog } => ScopeForm::AccessPackageAssignments {
            access_package,
            assignment_policy: policy,
            catalog,
            holders: if kind.guests { AssignmentHolders::Guests } else { AssignmentHolders::Users },
        },
        Resources::Query(_) => return None,
    })
}

//! The one spelling of every form, with the version prefix that instance scopes carry. A-14

use super::{
    AssignmentHolders, GroupEnumeration, Inactivity, MemberKind, PrincipalScopeType, ResourceScopeType, RoleHolders,
    ScopeForm, SentAssignmentPolicy, SentQuery, SentResource, SentScope, UserKind,
};
use crate::domain::ids::ObjectId;

const GUESTS: &str = "$filter=(userType eq 'Guest')";

/// Read again, this means the same. The scope of an all-groups review is relative and needs its enumeration beside it.
pub(super) fn sent(form: &ScopeForm, inactivity: Option<Inactivity>) -> SentScope {
    let duration = match inactivity {
        Some(Inactivity::For(duration)) => Some(duration),
        Some(Inactivity::LookBack) => return typed(form, true),
        None => None,
    };
    match form {
        ScopeForm::GroupMembers { group, transitive, members } => {
            SentScope::query(group_members(*group, *transitive, *members), duration)
        }
        ScopeForm::EveryGroupMembers { groups: GroupEnumeration::AllGroups, members } => {
            let users = match members {
                UserKind::All => "/v1.0/users".to_owned(),
                UserKind::Guests => format!("/v1.0/users?{GUESTS}"),
            };
            memberships([SentScope::query(users, duration)], [SentScope::query("/v1.0/groups", None)])
        }
        ScopeForm::EveryGroupMembers {
            groups: GroupEnumeration::Microsoft365Groups | GroupEnumeration::Teams,
            members,
        } => SentScope::query(
            match members {
                UserKind::All => "./members/microsoft.graph.user".to_owned(),
                UserKind::Guests => format!("./members/microsoft.graph.user/?$count=true&{GUESTS}"),
            },
            duration,
        ),
        ScopeForm::TeamAndSharedChannels { team } => memberships(
            [SentScope::query("/v1.0/users", None)],
            [
                SentScope::query(format!("/v1.0/groups/{team}/transitiveMembers"), None),
                SentScope::query(format!("/v1.0/teams/{team}/channels?$filter=(membershipType eq 'shared')"), None),
            ],
        ),
        ScopeForm::ApplicationAssignments { service_principal, through_groups, users: UserKind::All } => {
            let direct = SentScope::query("/v1.0/users", None);
            let resource = [SentScope::query(format!("/v1.0/servicePrincipals/{service_principal}"), None)];
            if !through_groups {
                return memberships([direct], resource);
            }
            let through_groups = SentScope::Query(SentQuery {
                query: "./members/microsoft.graph.user".to_owned(),
                query_root: Some("/v1.0/groups".to_owned()),
                inactive_duration: None,
            });
            memberships([direct, through_groups], resource)
        }
        ScopeForm::ApplicationAssignments { users: UserKind::Guests, .. } => typed(form, false),
        ScopeForm::RoleHolders { role, holders } => role_holders(*role, *holders),
        ScopeForm::AccessPackageAssignments {
            access_package,
            assignment_policy,
            catalog,
            holders: AssignmentHolders::Everybody,
        } => {
            let clauses: Vec<String> = [
                ("accessPackageId", access_package.as_ref()),
                ("assignmentPolicyId", Some(assignment_policy)),
                ("catalogId", catalog.as_ref()),
            ]
            .into_iter()
            .filter_map(|(property, id)| Some(format!("{property} eq '{}'", id?)))
            .collect();
            let collection = "/v1.0/identityGovernance/entitlementManagement/accessPackageAssignments";
            SentScope::query(format!("{collection}?$filter=({})", clauses.join(" and ")), None)
        }
        ScopeForm::AccessPackageAssignments { .. } => typed(form, false),
    }
}

fn group_members(group: ObjectId, transitive: bool, members: MemberKind) -> String {
    let collection = if transitive { "transitiveMembers" } else { "members" };
    let rest = match (members, transitive) {
        (MemberKind::UsersAndGroups, _) | (MemberKind::Users, true) => String::new(),
        (MemberKind::Users, false) => "/microsoft.graph.user".to_owned(),
        (MemberKind::Guests, _) => format!("/microsoft.graph.user/?$count=true&{GUESTS}"),
    };
    format!("/v1.0/groups/{group}/{collection}{rest}")
}

fn role_holders(role: ObjectId, holders: RoleHolders) -> SentScope {
    let definition = format!("/v1.0/roleManagement/directory/roleDefinitions/{role}");
    let schedule = |schedule: &str, conditions: &str| {
        let query = format!(
            "/v1.0/roleManagement/directory/{schedule}?$expand=principal&$filter=({conditions} and roleDefinitionId eq '{role}')"
        );
        SentScope::query(query, None)
    };
    match holders {
        RoleHolders::UsersActiveOrEligible => SentScope::query(definition, None),
        RoleHolders::ServicePrincipals => {
            schedule("roleAssignmentScheduleInstances", "isof(principal,'microsoft.graph.servicePrincipal')")
        }
        RoleHolders::EligibleUsers => {
            schedule("roleEligibilityScheduleInstances", "isof(principal,'microsoft.graph.user')")
        }
        RoleHolders::AssignedUsers => schedule(
            "roleAssignmentScheduleInstances",
            "assignmentType eq 'Assigned' and isof(principal,'microsoft.graph.user')",
        ),
        RoleHolders::Guests => {
            memberships([SentScope::query(format!("/v1.0/users?{GUESTS}"), None)], [SentScope::query(definition, None)])
        }
        RoleHolders::UsersAndGroups => memberships(
            [SentScope::query("/v1.0/users", None), SentScope::query("/v1.0/groups", None)],
            [SentScope::query(definition, None)],
        ),
    }
}

/// P-07: the only spelling of what has no query of its own.
fn typed(form: &ScopeForm, inactive: bool) -> SentScope {
    let scope_type = match (form.is_guests_only(), inactive) {
        (false, false) => PrincipalScopeType::AllUsers,
        (true, false) => PrincipalScopeType::GuestUsers,
        (false, true) => PrincipalScopeType::InactiveUsers,
        (true, true) => PrincipalScopeType::InactiveGuestUsers,
    };
    let resource = |scope_type, id: &ObjectId| SentScope::Resource(SentResource::new(scope_type, *id));
    let resource = match form {
        ScopeForm::GroupMembers { group, .. } | ScopeForm::TeamAndSharedChannels { team: group } => {
            Some(resource(ResourceScopeType::Group, group))
        }
        ScopeForm::ApplicationAssignments { service_principal, .. } => {
            Some(resource(ResourceScopeType::ServicePrincipal, service_principal))
        }
        ScopeForm::RoleHolders { role, .. } => Some(resource(ResourceScopeType::DirectoryRole, role)),
        ScopeForm::AccessPackageAssignments { assignment_policy, access_package, catalog, .. } => {
            Some(SentScope::AssignmentPolicy(SentAssignmentPolicy {
                resource_id: assignment_policy.to_string(),
                display_name: None,
                access_package_id: access_package.map(|id| id.to_string()),
                access_package_display_name: None,
                catalog_id: catalog.map(|id| id.to_string()),
                catalog_display_name: None,
            }))
        }
        // no typed scope walks groups
        ScopeForm::EveryGroupMembers { .. } => None,
    };
    SentScope::PrincipalResourceMemberships {
        principal_scopes: vec![SentScope::Principal { scope_type }],
        resource_scopes: resource.into_iter().collect(),
    }
}

fn memberships<const P: usize, const R: usize>(principals: [SentScope; P], resources: [SentScope; R]) -> SentScope {
    SentScope::PrincipalResourceMemberships { principal_scopes: principals.into(), resource_scopes: resources.into() }
}

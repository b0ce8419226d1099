use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::violation::ViolationCode;

const ID: &str = "9e0b2f61-7f3c-4a8c-8a44-1f0d6c9b2a10";
const OTHER: &str = "11111111-7f3c-4a8c-8a44-1f0d6c9b2a10";
const MICROSOFT_365_GROUPS: &str = "/groups?$filter=(groupTypes/any(c:c eq 'Unified'))";
const TEAMS: &str =
    "/groups?$filter=(groupTypes/any(c:c eq 'Unified') and resourceProvisioningOptions/Any(x:x eq 'Team'))";

fn id() -> ObjectId {
    ID.parse().unwrap()
}

fn days(days: u32) -> IsoDuration {
    IsoDuration::days(days)
}

fn query(text: impl Into<String>) -> SentScope {
    SentScope::query(text, None)
}

fn rooted(text: &str, root: &str) -> SentScope {
    SentScope::Query(SentQuery { query: text.to_owned(), query_root: Some(root.to_owned()), inactive_duration: None })
}

fn memberships(principal_scopes: Vec<SentScope>, resource_scopes: Vec<SentScope>) -> SentScope {
    SentScope::PrincipalResourceMemberships { principal_scopes, resource_scopes }
}

fn typed(scope_type: PrincipalScopeType, resource: SentScope) -> SentScope {
    memberships(vec![SentScope::Principal { scope_type }], vec![resource])
}

fn resource(scope_type: ResourceScopeType) -> SentScope {
    SentScope::Resource(SentResource::new(scope_type, id()))
}

fn form(text: &str) -> Result<ScopeForm, Vec<Violation>> {
    ReviewScope::read(query(text), None).map(|scope| scope.form)
}

fn faults(sent: SentScope, enumeration: Option<&str>) -> Vec<String> {
    let faults = ReviewScope::read(sent, enumeration).expect_err("refused");
    faults.into_iter().map(|fault| format!("{}: {}", fault.path, fault.reason)).collect()
}

fn members(transitive: bool, members: MemberKind) -> ScopeForm {
    ScopeForm::GroupMembers { group: id(), transitive, members }
}

fn holders(holders: RoleHolders) -> ScopeForm {
    ScopeForm::RoleHolders { role: id(), holders }
}

fn assignments(through_groups: bool, users: UserKind) -> ScopeForm {
    ScopeForm::ApplicationAssignments { service_principal: id(), through_groups, users }
}

/// S-01 to S-05, S-09 to S-13, A-43
#[test]
fn every_documented_query_is_read() {
    let roles = "/roleManagement/directory";
    let packages = "/identityGovernance/entitlementManagement/accessPackageAssignments";
    for (query, expected) in [
        (format!("/groups/{ID}/transitiveMembers"), members(true, MemberKind::Users)),
        (format!("/groups/{ID}/transitiveMembers/microsoft.graph.user"), members(true, MemberKind::Users)),
        (format!("/groups/{ID}/transitiveMembers/?$filter=(userType eq 'Guest')"), members(true, MemberKind::Guests)),
        (
            format!("/groups/{ID}/transitiveMembers/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')"),
            members(true, MemberKind::Guests),
        ),
        (format!("/groups/{ID}/members"), members(false, MemberKind::UsersAndGroups)),
        (
            format!("/groups/{ID}/members/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')"),
            members(false, MemberKind::Guests),
        ),
        (format!("/groups/{ID}/members/microsoft.graph.user"), members(false, MemberKind::Users)),
        (format!("/servicePrincipals/{ID}/appRoleAssignedTo"), assignments(true, UserKind::All)),
        (format!("{roles}/roleDefinitions/{ID}"), holders(RoleHolders::UsersActiveOrEligible)),
        (
            format!(
                "{roles}/roleAssignmentScheduleInstances?$expand=principal&$filter=(isof(principal,\
                 'microsoft.graph.servicePrincipal') and roleDefinitionId eq '{ID}')"
            ),
            holders(RoleHolders::ServicePrincipals),
        ),
        (
            format!(
                "{roles}/roleEligibilityScheduleInstances?$expand=principal&$filter=(isof(principal,\
                 'microsoft.graph.user') and roleDefinitionId eq '{ID}')"
            ),
            holders(RoleHolders::EligibleUsers),
        ),
        (
            format!(
                "{roles}/roleAssignmentScheduleInstances?$expand=principal&$filter=(assignmentType eq 'Assigned' and \
                 isof(principal,'microsoft.graph.user') and roleDefinitionId eq '{ID}')"
            ),
            holders(RoleHolders::AssignedUsers),
        ),
        (
            format!("{packages}?$filter=(accessPackageId eq '{ID}' and assignmentPolicyId eq '{OTHER}')"),
            ScopeForm::AccessPackageAssignments {
                access_package: Some(id()),
                assignment_policy: OTHER.parse().unwrap(),
                catalog: None,
                holders: AssignmentHolders::Everybody,
            },
        ),
        (
            format!(
                "{packages}?$filter=(accessPackageId eq '{ID}' and assignmentPolicyId eq '{OTHER}' and catalogId eq '{ID}')"
            ),
            ScopeForm::AccessPackageAssignments {
                access_package: Some(id()),
                assignment_policy: OTHER.parse().unwrap(),
                catalog: Some(id()),
                holders: AssignmentHolders::Everybody,
            },
        ),
    ] {
        assert_eq!(form(&query), Ok(expected), "{query}");
    }
}

/// S-06 to S-08, E-01 to E-03
#[test]
fn a_relative_query_means_each_group_of_its_enumeration() {
    let every = |groups, members| ScopeForm::EveryGroupMembers { groups, members };
    for (text, enumeration, expected) in [
        (
            "./members/microsoft.graph.user",
            MICROSOFT_365_GROUPS,
            every(GroupEnumeration::Microsoft365Groups, UserKind::All),
        ),
        (
            "./members/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')",
            "/v1.0/groups?$filter=(groupTypes/any(c:c+eq+'Unified'))&$count=true",
            every(GroupEnumeration::Microsoft365Groups, UserKind::Guests),
        ),
        (
            "./members/microsoft.graph.user/?$filter=(userType eq 'Guest')",
            TEAMS,
            every(GroupEnumeration::Teams, UserKind::Guests),
        ),
        (
            "./members/microsoft.graph.user",
            "/groups?$filter=(groupTypes/any(c:c+eq+'Unified')+and+resourceProvisioningOptions/Any(x:x+eq+'Team')')&$count=true",
            every(GroupEnumeration::Teams, UserKind::All),
        ),
        ("./members/microsoft.graph.user", &format!("/groups/{ID}"), members(false, MemberKind::Users)),
    ] {
        let scope = ReviewScope::read(query(text), Some(enumeration)).map(|scope| scope.form);
        assert_eq!(scope, Ok(expected), "{text} over {enumeration}");
    }
}

/// P-01 to P-06
#[test]
fn every_documented_combination_is_read() {
    let guests = "/users?$filter=(userType eq 'Guest')";
    let role = || query(format!("/beta/roleManagement/directory/roleDefinitions/{ID}"));
    let application = || query(format!("/v1.0/servicePrincipals/{ID}"));
    for (sent, expected, inactivity) in [
        (memberships(vec![query("/users")], vec![application()]), assignments(false, UserKind::All), None),
        (
            memberships(
                vec![rooted("./members/microsoft.graph.user", "/v1.0/groups"), query("/v1.0/users")],
                vec![application()],
            ),
            assignments(true, UserKind::All),
            None,
        ),
        (
            memberships(
                vec![query("/users")],
                vec![
                    query(format!("/groups/{ID}/transitiveMembers")),
                    query(format!("/teams/{ID}/channels?$filter=(membershipType eq 'shared')")),
                ],
            ),
            ScopeForm::TeamAndSharedChannels { team: id() },
            None,
        ),
        (memberships(vec![query(guests)], vec![role()]), holders(RoleHolders::Guests), None),
        (
            memberships(vec![SentScope::query(guests, Some(days(30)))], vec![query("/groups")]),
            ScopeForm::EveryGroupMembers { groups: GroupEnumeration::AllGroups, members: UserKind::Guests },
            Some(Inactivity::For(days(30))),
        ),
        (
            memberships(vec![query("/v1.0/users"), query("/v1.0/groups")], vec![role()]),
            holders(RoleHolders::UsersAndGroups),
            None,
        ),
    ] {
        let scope = ReviewScope::read(sent.clone(), None).unwrap();
        assert_eq!((scope.form, scope.inactivity), (expected, inactivity), "{sent}");
        assert_eq!(scope.sent, sent);
    }
}

/// P-07, M-13
#[test]
fn typed_scopes_mean_the_same_as_queries() {
    use PrincipalScopeType as P;
    use ResourceScopeType as R;
    let inactive = Some(Inactivity::LookBack);
    for (principals, kind, expected, inactivity) in [
        (P::AllUsers, R::Group, members(true, MemberKind::Users), None),
        (P::GuestUsers, R::Group, members(true, MemberKind::Guests), None),
        (P::InactiveUsers, R::Group, members(true, MemberKind::Users), inactive),
        (P::InactiveGuestUsers, R::Group, members(true, MemberKind::Guests), inactive),
        (P::AllUsers, R::ServicePrincipal, assignments(true, UserKind::All), None),
        (P::InactiveGuestUsers, R::ServicePrincipal, assignments(true, UserKind::Guests), inactive),
        (P::AllUsers, R::DirectoryRole, holders(RoleHolders::UsersActiveOrEligible), None),
        (P::GuestUsers, R::DirectoryRole, holders(RoleHolders::Guests), None),
        (
            P::GuestUsers,
            R::AccessPackageAssignmentPolicy,
            ScopeForm::AccessPackageAssignments {
                access_package: None,
                assignment_policy: id(),
                catalog: None,
                holders: AssignmentHolders::Guests,
            },
            None,
        ),
    ] {
        let scope = ReviewScope::read(typed(principals, resource(kind)), None).unwrap();
        assert_eq!((scope.form, scope.inactivity), (expected, inactivity), "{principals:?} on {kind:?}");
    }

    let policy = SentScope::AssignmentPolicy(SentAssignmentPolicy {
        resource_id: ID.to_uppercase(),
        display_name: Some("Sales".to_owned()),
        access_package_id: Some(OTHER.to_owned()),
        access_package_display_name: None,
        catalog_id: Some(OTHER.to_owned()),
        catalog_display_name: None,
    });
    let scope = ReviewScope::read(typed(P::AllUsers, policy), None).unwrap();
    assert_eq!(
        scope.form,
        ScopeForm::AccessPackageAssignments {
            access_package: Some(OTHER.parse().unwrap()),
            assignment_policy: id(),
            catalog: Some(OTHER.parse().unwrap()),
            holders: AssignmentHolders::Users,
        }
    );
}

/// M-13
#[test]
fn a_typed_inactivity_is_as_long_as_the_look_back() {
    let scope =
        ReviewScope::read(typed(PrincipalScopeType::InactiveUsers, resource(ResourceScopeType::Group)), None).unwrap();

    assert_eq!(scope.inactive_for(Some(days(45))), Some(days(45)));
    assert_eq!(scope.inactive_for(None), Some(days(30)));

    let scope =
        ReviewScope::read(SentScope::query(format!("/groups/{ID}/transitiveMembers"), Some(days(7))), None).unwrap();
    assert_eq!(scope.inactive_for(Some(days(45))), Some(days(7)));
}

/// Section 8.1
#[test]
fn spelling_does_not_change_the_meaning() {
    for text in [
        format!("/v1.0/groups/{ID}/transitiveMembers?$filter=userType eq 'Guest'"),
        format!("/beta/groups/{ID}/transitivemembers/?$filter=((UserType EQ 'guest'))&$count=true"),
        format!("/groups/{}/transitiveMembers/Microsoft.Graph.User?$filter=userType+eq+'Guest'", ID.to_uppercase()),
        format!("  /groups/{ID}/transitiveMembers/?%24filter=%28userType%20eq%20%27Guest%27%29  "),
        format!("/groups/{ID}/transitiveMembers/?$filter=( userType  eq 'Guest' )"),
    ] {
        assert_eq!(form(&text), Ok(members(true, MemberKind::Guests)), "{text}");
    }
    let roles = "/v1.0/roleManagement/directory";
    for text in [
        format!(
            "{roles}/roleAssignmentScheduleInstances/?$filter=roleDefinitionId eq '{ID}' and \
             isof(principal, '#microsoft.graph.user') and (assignmentType eq 'assigned')&$count=true&%24expand=Principal"
        ),
        format!(
            "{roles}/roleassignmentscheduleinstances?$filter=(assignmentType+eq+'Assigned'+and+isof(principal,\
             'microsoft.graph.user')+and+roleDefinitionId+eq+'{ID}')"
        ),
    ] {
        assert_eq!(form(&text), Ok(holders(RoleHolders::AssignedUsers)), "{text}");
    }
    for text in [
        "/v1.0/groups/?$filter=groupTypes/Any(g:g eq 'unified')",
        "/beta/groups?$count=true&$filter=((groupTypes/any(c:c eq 'Unified')))",
        "/groups?$filter=%28groupTypes%2Fany%28c%3Ac%20eq%20%27Unified%27%29%29",
    ] {
        let expected = Enumeration::Every(GroupEnumeration::Microsoft365Groups);
        assert_eq!(read_enumeration(text, None, None), Ok(expected), "{text}");
    }
    for text in [
        "/groups?$filter=(groupTypes/any(c:c eq 'Unified') and resourceProvisioningOptions/Any(x:x eq 'Team')')",
        "/groups?$filter=(resourceProvisioningOptions/any(x:x eq 'Team')) and groupTypes/any(c:c eq 'Unified')",
    ] {
        let expected = Enumeration::Every(GroupEnumeration::Teams);
        assert_eq!(read_enumeration(text, None, None), Ok(expected), "{text}");
    }
    assert_eq!(
        read_enumeration(&format!("/v1.0/Groups/{}/", ID.to_uppercase()), None, None),
        Ok(Enumeration::Group(id()))
    );
}

///
#[test]
fn a_scope_keeps_its_text_and_an_instance_scope_has_one_spelling() {
    let text = format!("/groups/{}/members/microsoft.graph.user?$filter=userType eq 'Guest'", ID.to_uppercase());
    let scope = ReviewScope::read(query(&text), None).unwrap();

    assert_eq!(scope.sent, query(&text));
    assert_eq!(
        scope.normalised().sent,
        query(format!("/v1.0/groups/{ID}/members/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')"))
    );
}

/// S-05, section 8.5
#[test]
fn an_instance_of_an_enumeration_reviews_the_direct_members_of_its_group() {
    let scope = ReviewScope::read(
        SentScope::query("./members/microsoft.graph.user/?$filter=(userType eq 'Guest')", Some(days(90))),
        Some(TEAMS),
    )
    .unwrap();

    let of_group = scope.of_group(id()).unwrap();
    assert_eq!(
        of_group.sent,
        SentScope::query(
            format!("/v1.0/groups/{ID}/members/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')"),
            Some(days(90))
        )
    );
    assert_eq!(of_group.form, members(false, MemberKind::Guests));
    assert_eq!(ReviewScope::read(of_group.sent.clone(), None), Ok(of_group.clone()));
    assert_eq!(of_group.of_group(id()), None);
}

#[test]
fn unknown_queries_are_refused_by_quoting_them_and_listing_the_supported_forms() {
    let roles = "/roleManagement/directory";
    for text in [
        "",
        "/groups",
        "/groups/sales/members",
        "/users",
        "./members",
        "./transitiveMembers/microsoft.graph.user",
        &format!("/groups/{ID}"),
        &format!("/groups/{ID}/owners"),
        &format!("groups/{ID}/members"),
        &format!("/groups/{ID}/members?$filter=userType eq 'Member'"),
        &format!("/groups/{ID}/members?$filter=userType eq 'Guest' and country eq 'USA'"),
        &format!("/groups/{ID}/members?$top=5"),
        &format!("/groups/{ID}/members?$expand=principal"),
        &format!("./groups/{ID}/members"),
        &format!("/servicePrincipals/{ID}"),
        &format!("/servicePrincipals/{ID}/appRoleAssignedTo?$filter=principalType eq 'User'"),
        &format!("{roles}/roleDefinitions/administrator"),
        &format!("{roles}/roleAssignmentScheduleInstances?$expand=principal"),
        &format!("{roles}/roleAssignmentScheduleInstances?$expand=principal&$filter=roleDefinitionId eq '{ID}'"),
        &format!("{roles}/roleAssignmentScheduleInstances?$filter=isof(principal,'microsoft.graph.user')"),
        &format!(
            "{roles}/roleEligibilityScheduleInstances?$filter=isof(principal,'microsoft.graph.device') and \
             roleDefinitionId eq '{ID}'"
        ),
        &format!(
            "{roles}/roleEligibilityScheduleInstances?$expand=roleDefinition&$filter=isof(principal,\
             'microsoft.graph.user') and roleDefinitionId eq '{ID}'"
        ),
        &format!(
            "/identityGovernance/entitlementManagement/accessPackageAssignments?$filter=accessPackageId eq '{ID}'"
        ),
        &format!(
            "/identityGovernance/entitlementManagement/accessPackageAssignments?$filter=accessPackageId eq '{ID}' and \
             assignmentPolicyId eq 'policy'"
        ),
    ] {
        let refused = form(text).unwrap_err();
        assert_eq!(refused.len(), 1, "{text}");
        assert_eq!((refused[0].path.as_str(), refused[0].code), ("scope.query", ViolationCode::UnsupportedQuery));
        assert!(refused[0].reason.starts_with(&format!("the scope query `{text}` is not supported")), "{refused:?}");
    }
    insta::assert_snapshot!(faults(query("/users"), None).join("\n"));
}

#[test]
fn azure_and_catalog_scopes_are_refused() {
    assert_eq!(check_query_type(Some("ARM")), Err(ScopeError::QueryType("ARM".to_owned())));
    assert_eq!(check_query_type(Some("microsoftgraph")), Ok(()));
    let azure = form(&format!("/subscriptions/{ID}/resourceGroups/a")).unwrap_err();
    assert!(azure[0].reason.starts_with("reviews of Azure resource roles are not offered"), "{azure:?}");

    let catalog = faults(typed(PrincipalScopeType::AllUsers, resource(ResourceScopeType::Catalog)), None);
    assert!(
        catalog[0].starts_with("scope.resourceScopes[0].scopeType: reviews of a whole catalog are not offered"),
        "{catalog:?}"
    );
}

/// Section 8.5
#[test]
fn a_relative_scope_needs_an_enumeration_and_an_absolute_one_its_own_group_at_most() {
    let relative = || query("./members/microsoft.graph.user");
    let absolute = || query(format!("/groups/{ID}/transitiveMembers"));

    let missing = faults(relative(), None);
    assert!(missing[0].starts_with("instanceEnumerationScope: is required"), "{missing:?}");
    assert!(ReviewScope::read(absolute(), Some(&format!("/groups/{ID}"))).is_ok());
    assert_eq!(
        faults(absolute(), Some(&format!("/groups/{OTHER}"))),
        ["instanceEnumerationScope.query: must name the same group as scope.query"]
    );
    let many = faults(absolute(), Some(TEAMS));
    assert!(many[0].starts_with("instanceEnumerationScope.query: an enumeration of many groups"), "{many:?}");
    let role = faults(query(format!("/roleManagement/directory/roleDefinitions/{ID}")), Some(TEAMS));
    assert!(role[0].starts_with("instanceEnumerationScope: goes with reviews of group members only"), "{role:?}");
    for text in [
        "/users",
        "/groups",
        "./groups",
        "/groups?$filter=(groupTypes/any(c:d eq 'Unified'))",
        "/groups?$filter=(groupTypes/all(c:c eq 'Unified'))",
        "/groups?$filter=(groupTypes/any(c:c eq 'DynamicMembership'))",
        "/groups?$filter=(resourceProvisioningOptions/Any(x:x eq 'Team'))",
        "/groups?$filter=(groupTypes/any(c:c eq 'Unified') or resourceProvisioningOptions/Any(x:x eq 'Team'))",
        &format!("/groups/{ID}/members"),
        &format!("/groups/{ID}?$select=id"),
    ] {
        let refused = faults(relative(), Some(text));
        assert!(
            refused[0]
                .starts_with(&format!("instanceEnumerationScope.query: the scope query `{text}` is not supported")),
            "{refused:?}"
        );
        assert_eq!(refused.len(), 1, "{refused:?}");
    }
}

#[test]
fn faults_of_scope_and_enumeration_come_together() {
    let found = faults(query("/users"), Some("/users"));

    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().any(|fault| fault.starts_with("scope.query: ")), "{found:?}");
    assert!(found.iter().any(|fault| fault.starts_with("instanceEnumerationScope.query: ")), "{found:?}");

    let found = faults(
        memberships(
            vec![query("/devices"), query("/users")],
            vec![query("/sites"), resource(ResourceScopeType::Catalog)],
        ),
        None,
    );
    let paths: Vec<_> = found.iter().map(|fault| fault.split(':').next().unwrap()).collect();
    assert_eq!(
        paths,
        ["scope.principalScopes[0].query", "scope.resourceScopes[0].query", "scope.resourceScopes[1].scopeType"]
    );
}

/// Section 8.6: the listed combinations are the only ones. LC-DEF-05
#[test]
fn other_combinations_are_refused_by_listing_the_supported_ones() {
    let application = || query(format!("/servicePrincipals/{ID}"));
    let guests = "/users?$filter=(userType eq 'Guest')";
    for sent in [
        memberships(vec![query("/groups")], vec![application()]),
        memberships(vec![query(guests)], vec![application()]),
        memberships(vec![query(guests)], vec![query("/groups")]),
        memberships(vec![query("/users")], vec![query(format!("/groups/{ID}/transitiveMembers"))]),
        memberships(
            vec![query("/users")],
            vec![
                query(format!("/groups/{ID}/transitiveMembers")),
                query(format!("/teams/{OTHER}/channels?$filter=(membershipType eq 'shared')")),
            ],
        ),
        memberships(vec![query("/users")], vec![application(), query(format!("/servicePrincipals/{OTHER}"))]),
        memberships(vec![query("/users")], vec![resource(ResourceScopeType::Group)]),
        typed(PrincipalScopeType::AllUsers, application()),
        memberships(
            vec![
                SentScope::Principal { scope_type: PrincipalScopeType::AllUsers },
                SentScope::Principal { scope_type: PrincipalScopeType::GuestUsers },
            ],
            vec![resource(ResourceScopeType::Group)],
        ),
    ] {
        let found = faults(sent.clone(), None);
        assert!(found[0].starts_with("scope: these principalScopes and resourceScopes do not go together"), "{sent}");
    }
    insta::assert_snapshot!(faults(memberships(vec![query("/groups")], vec![query("/groups")]), None).join("\n"));
}

#[test]
fn nested_scopes_stand_in_their_places() {
    let principal = SentScope::Principal { scope_type: PrincipalScopeType::AllUsers };
    for (sent, expected) in [
        (principal.clone(), "scope.@odata.type: a accessReviewPrincipalScope stands inside"),
        (resource(ResourceScopeType::Group), "scope.@odata.type: a accessReviewResourceScope stands inside"),
        (memberships(vec![], vec![query("/groups")]), "scope.principalScopes: must have at least one entry"),
        (memberships(vec![query("/users")], vec![]), "scope.resourceScopes: must have at least one entry"),
        (
            memberships(vec![resource(ResourceScopeType::Group)], vec![query("/groups")]),
            "scope.principalScopes[0].@odata.type: must be #microsoft.graph.accessReviewQueryScope",
        ),
        (
            memberships(vec![query("/users")], vec![principal]),
            "scope.resourceScopes[0].@odata.type: must be #microsoft.graph.accessReviewQueryScope",
        ),
        (
            typed(
                PrincipalScopeType::AllUsers,
                SentScope::Resource(SentResource {
                    scope_type: ResourceScopeType::Group,
                    resource_id: "sales".to_owned(),
                    display_name: None,
                }),
            ),
            "scope.resourceScopes[0].resourceId: must be the GUID",
        ),
    ] {
        let found = faults(sent, None);
        assert!(found[0].starts_with(expected), "{found:?}");
    }
}

/// Section 8.2
#[test]
fn a_query_root_goes_with_the_users_of_groups_only() {
    let principals = |sent| memberships(vec![query("/users"), sent], vec![query(format!("/servicePrincipals/{ID}"))]);

    assert!(ReviewScope::read(principals(rooted("./members/microsoft.graph.user", "/groups/")), None).is_ok());
    for sent in [
        rooted("./members/microsoft.graph.user", "/v1.0/users"),
        query("./members/microsoft.graph.user"),
        rooted("/users", "/v1.0/groups"),
    ] {
        let found = faults(principals(sent), None);
        assert!(
            found[0].starts_with("scope.principalScopes[1].queryRoot: ./members/microsoft.graph.user needs"),
            "{found:?}"
        );
    }
    let found = faults(rooted(&format!("/groups/{ID}/members"), "/v1.0/groups"), None);
    assert!(found[0].starts_with("scope.queryRoot: a query root goes with a relative query only"), "{found:?}");
    let found = faults(rooted("./members/microsoft.graph.user", "/v1.0/groups"), Some(TEAMS));
    assert!(found[0].starts_with("scope.queryRoot: the groups come from the instanceEnumerationScope"), "{found:?}");
}

/// Section 8.4
#[test]
fn inactive_users_are_offered_on_users_and_guests_of_groups_for_at_most_730_days() {
    let read = |text: &str, duration: &str| {
        let enumeration = text.starts_with('.').then_some(MICROSOFT_365_GROUPS);
        ReviewScope::read(SentScope::query(text, Some(duration.parse().unwrap())), enumeration)
            .map(|scope| scope.inactivity)
            .map_err(|faults| faults[0].reason.clone())
    };

    for text in [
        &format!("/groups/{ID}/transitiveMembers"),
        &format!("/groups/{ID}/transitiveMembers/microsoft.graph.user"),
        &format!("/groups/{ID}/transitiveMembers/?$filter=(userType eq 'Guest')"),
        &format!("/groups/{ID}/members/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')"),
        "./members/microsoft.graph.user",
        "./members/microsoft.graph.user/?$filter=(userType eq 'Guest')",
    ] {
        for duration in ["PT0S", "P30D", "P730D", "P2Y"] {
            assert_eq!(read(text, duration), Ok(Some(Inactivity::For(duration.parse().unwrap()))), "{text}");
        }
        for long in ["P731D", "P730DT1S", "P2Y1D", "P25M"] {
            assert_eq!(read(text, long), Err(format!("{long} is longer than 730 days").replace("P25M", "P2Y1M")));
        }
    }
    for text in [
        format!("/groups/{ID}/members"),
        format!("/servicePrincipals/{ID}/appRoleAssignedTo"),
        format!("/roleManagement/directory/roleDefinitions/{ID}"),
    ] {
        let refused = read(&text, "P30D").unwrap_err();
        assert!(refused.starts_with("an inactive-users scope needs a query for the users of groups"), "{refused}");
    }
}

#[test]
fn pathological_lengths_are_refused() {
    assert!(form(&"/groups".repeat(1_000)).unwrap_err()[0].reason.starts_with("the query is longer than 4096 bytes"));
    for filter in ["(".repeat(4_000), "(a/any(x:x eq 'b') and ".repeat(170), "isof(".repeat(800), "'".repeat(4_000)] {
        assert!(form(&format!("/groups/{ID}/members?$filter={filter}")).is_err());
        assert!(read_enumeration(&format!("/groups?$filter={filter}"), None, None).is_err());
    }
}

/// LC-APPLY-08, LC-DEF-06, LC-AUTH-01, A-46
#[test]
fn forms_tell_the_rules_that_hang_on_them() {
    let every = ScopeForm::EveryGroupMembers { groups: GroupEnumeration::Teams, members: UserKind::Guests };
    let table: Vec<_> = [
        members(true, MemberKind::Users),
        members(true, MemberKind::Guests),
        every.clone(),
        ScopeForm::TeamAndSharedChannels { team: id() },
        assignments(true, UserKind::Guests),
        holders(RoleHolders::Guests),
        holders(RoleHolders::ServicePrincipals),
    ]
    .iter()
    .map(|form| {
        [
            form.is_guests_only(),
            form.permits_disable_and_delete(),
            form.enumerates().is_some(),
            form.is_application_review(),
            form.is_role_review(),
            form.is_service_principals_only(),
        ]
    })
    .map(|row| row.map(|holds| if holds { 'x' } else { '.' }).iter().collect::<String>())
    .collect();
    assert_eq!(table, ["......", "xx....", "x.x...", "......", "xx.x..", "x...x.", "....xx"]);
    assert_eq!((every.resource(), every.resource_kind()), (None, ResourceKind::Group));
}

fn any_id() -> impl Strategy<Value = ObjectId> {
    any::<[u8; 16]>().prop_map(|bytes| ObjectId::new(Uuid::from_bytes(bytes)))
}

/// Every form that the grammar can produce, with its inactivity and the enumeration it needs beside it.
fn any_meaning() -> impl Strategy<Value = (ScopeForm, Option<Inactivity>, Option<Enumeration>)> {
    let users = || prop_oneof![Just(UserKind::All), Just(UserKind::Guests)];
    let duration = || (0_u32..=730).prop_map(|days| Inactivity::For(IsoDuration::days(days)));
    let look_back = || proptest::option::of(Just(Inactivity::LookBack));
    let group = (any_id(), any::<bool>(), any::<bool>(), proptest::option::of(duration())).prop_map(
        |(group, transitive, guests, inactivity)| {
            let members = if guests { MemberKind::Guests } else { MemberKind::Users };
            (ScopeForm::GroupMembers { group, transitive, members }, inactivity, None)
        },
    );
    let inactive_group = (any_id(), any::<bool>()).prop_map(|(group, guests)| {
        let members = if guests { MemberKind::Guests } else { MemberKind::Users };
        (ScopeForm::GroupMembers { group, transitive: true, members }, Some(Inactivity::LookBack), None)
    });
    let with_groups = any_id().prop_map(|group| {
        (ScopeForm::GroupMembers { group, transitive: false, members: MemberKind::UsersAndGroups }, None, None)
    });
    let every = (
        prop_oneof![Just(GroupEnumeration::Microsoft365Groups), Just(GroupEnumeration::Teams)],
        users(),
        proptest::option::of(duration()),
    )
        .prop_map(|(groups, members, inactivity)| {
            (ScopeForm::EveryGroupMembers { groups, members }, inactivity, Some(Enumeration::Every(groups)))
        });
    let all_groups = duration().prop_map(|inactivity| {
        let form = ScopeForm::EveryGroupMembers { groups: GroupEnumeration::AllGroups, members: UserKind::Guests };
        (form, Some(inactivity), None)
    });
    let team = any_id().prop_map(|team| (ScopeForm::TeamAndSharedChannels { team }, None, None));
    let direct = any_id().prop_map(|service_principal| {
        let form = ScopeForm::ApplicationAssignments { service_principal, through_groups: false, users: UserKind::All };
        (form, None, None)
    });
    let application = (any_id(), users(), look_back()).prop_map(|(service_principal, users, inactivity)| {
        (ScopeForm::ApplicationAssignments { service_principal, through_groups: true, users }, inactivity, None)
    });
    let role = (
        any_id(),
        proptest::sample::select(vec![
            RoleHolders::ServicePrincipals,
            RoleHolders::UsersActiveOrEligible,
            RoleHolders::EligibleUsers,
            RoleHolders::AssignedUsers,
            RoleHolders::Guests,
            RoleHolders::UsersAndGroups,
        ]),
    )
        .prop_map(|(role, holders)| (ScopeForm::RoleHolders { role, holders }, None, None));
    let inactive_role = (any_id(), any::<bool>()).prop_map(|(role, guests)| {
        let holders = if guests { RoleHolders::Guests } else { RoleHolders::UsersActiveOrEligible };
        (ScopeForm::RoleHolders { role, holders }, Some(Inactivity::LookBack), None)
    });
    let package = (any_id(), any_id(), proptest::option::of(any_id())).prop_map(|(package, policy, catalog)| {
        let form = ScopeForm::AccessPackageAssignments {
            access_package: Some(package),
            assignment_policy: policy,
            catalog,
            holders: AssignmentHolders::Everybody,
        };
        (form, None, None)
    });
    let typed_package =
        (proptest::option::of(any_id()), any_id(), proptest::option::of(any_id()), any::<bool>(), look_back())
            .prop_map(|(access_package, assignment_policy, catalog, guests, inactivity)| {
                let holders = if guests { AssignmentHolders::Guests } else { AssignmentHolders::Users };
                let form = ScopeForm::AccessPackageAssignments { access_package, assignment_policy, catalog, holders };
                (form, inactivity, None)
            });
    prop_oneof![
        group,
        inactive_group,
        with_groups,
        every,
        all_groups,
        team,
        direct,
        application,
        role,
        inactive_role,
        package,
        typed_package
    ]
}

fn meaning_of(form: &ScopeForm, inactivity: Option<Inactivity>) -> ReviewScope {
    ReviewScope { sent: query("/unused"), form: form.clone(), inactivity }.normalised()
}

/// Spells a query differently without changing its meaning. Section 8.1
fn respelled(text: &str, how: u32) -> String {
    let mut text = text.to_owned();
    if how & 1 != 0 {
        text = text.replacen("/v1.0/", "/beta/", 1);
    }
    if how & 2 != 0 {
        text = text.replacen("/v1.0/", "/", 1);
    }
    if how & 4 != 0 {
        text = text.replace(' ', "+");
    }
    if how & 8 != 0 {
        text = text.replace('$', "%24").replace('\'', "%27").replace('(', "%28");
    }
    if how & 16 != 0 {
        text = text.replace("?$filter", "/?$count=true&$filter").replace("//?", "/?");
    }
    if how & 32 != 0 {
        text = format!("  {} ", text.replace("any(", "Any(").replace("/groups/", "/Groups/"));
    }
    text
}

fn respell(sent: &SentScope, how: u32) -> SentScope {
    match sent {
        SentScope::Query(sent) => SentScope::Query(SentQuery { query: respelled(&sent.query, how), ..sent.clone() }),
        SentScope::PrincipalResourceMemberships { principal_scopes, resource_scopes } => {
            let mut principal_scopes: Vec<_> = principal_scopes.iter().map(|scope| respell(scope, how)).collect();
            if how & 64 != 0 {
                principal_scopes.reverse();
            }
            memberships(principal_scopes, resource_scopes.iter().map(|scope| respell(scope, how)).collect())
        }
        other => other.clone(),
    }
}

// `PROPTEST_CASES=1000000 cargo test --lib domain::scope` runs as many inputs through the reader as one has time for.
proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn the_normalised_scope_is_read_back_as_the_same_form((form, inactivity, enumeration) in any_meaning()) {
        let printed = meaning_of(&form, inactivity);
        let enumeration = enumeration.map(|enumeration| enumeration.to_string());
        let read = ReviewScope::read(printed.sent.clone(), enumeration.as_deref()).unwrap();

        prop_assert_eq!(&read, &printed);
        prop_assert_eq!(read.normalised(), printed);
        prop_assert!(read.means_the_same_as(&read.normalised()));
    }

    #[test]
    fn another_spelling_is_read_as_the_same_form((form, inactivity, enumeration) in any_meaning(), how in 0_u32..128) {
        let sent = respell(&meaning_of(&form, inactivity).sent, how);
        let enumeration = enumeration.map(|enumeration| respelled(&enumeration.to_string(), how));
        let read = ReviewScope::read(sent.clone(), enumeration.as_deref()).unwrap();

        prop_assert_eq!((&read.form, &read.inactivity), (&form, &inactivity));
        prop_assert_eq!(read.sent, sent);
    }

    #[test]
    fn different_forms_are_printed_differently(left in any_meaning(), right in any_meaning()) {
        let printed = |(form, inactivity, enumeration): &(ScopeForm, _, Option<Enumeration>)| {
            (meaning_of(form, *inactivity).sent, *enumeration)
        };
        prop_assert_eq!((&left.0, &left.1) == (&right.0, &right.1), printed(&left) == printed(&right));
    }

    #[test]
    fn a_stored_scope_is_read_back_as_it_was((form, inactivity, _) in any_meaning()) {
        let sent = meaning_of(&form, inactivity).sent;
        prop_assert_eq!(serde_json::from_value::<SentScope>(serde_json::to_value(&sent).unwrap()).unwrap(), sent);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*", filter in "[()':,a-z.$=&?/%+ ]*", root in proptest::option::of("\\PC*")) {
        let sent = |query: String| SentScope::Query(SentQuery { query, query_root: root.clone(), inactive_duration: None });
        let _ = ReviewScope::read(sent(text.clone()), Some(&text));
        let _ = ReviewScope::read(sent(format!("/groups/{ID}/members?{text}")), Some(&filter));
        let _ = ReviewScope::read(sent(format!("/groups/{ID}/members?$filter={filter}")), Some(&format!("/groups?$filter={filter}")));
        let _ = ReviewScope::read(memberships(vec![sent(text.clone())], vec![sent(filter)]), None);
    }

    /// One character of a valid scope changed, left out or put in: read as something or refused, never a panic, and whatever is
    /// read is printed as something that means the same.
    #[test]
    fn a_damaged_scope_is_refused_or_means_what_it_prints(
        (form, inactivity, enumeration) in any_meaning(),
        place in any::<prop::sample::Index>(),
        what in prop_oneof![Just(String::new()), "[()':,$%&+./ a-zA-Z0-9]", "\\PC"],
        instead in any::<bool>(),
    ) {
        let damaged = |text: &str| {
            let mut characters: Vec<char> = text.chars().collect();
            let at = place.index(characters.len());
            let end = if instead { at + 1 } else { at };
            characters.splice(at..end, what.chars());
            characters.into_iter().collect::<String>()
        };
        let sent = match meaning_of(&form, inactivity).sent {
            SentScope::Query(sent) => SentScope::Query(SentQuery { query: damaged(&sent.query), ..sent }),
            SentScope::PrincipalResourceMemberships { principal_scopes, mut resource_scopes } => {
                if let Some(SentScope::Query(sent)) = resource_scopes.last_mut() {
                    sent.query = damaged(&sent.query);
                }
                memberships(principal_scopes, resource_scopes)
            }
            other => other,
        };
        let enumeration = enumeration.map(|enumeration| damaged(&enumeration.to_string()));
        if let Ok(read) = ReviewScope::read(sent, enumeration.as_deref()) {
            let enumeration = read.form.enumerates().map(|groups| Enumeration::Every(groups).to_string());
            let enumeration = enumeration.filter(|_| read.sent.query_text().is_some());
            let printed = read.normalised();
            prop_assert_eq!(ReviewScope::read(printed.sent.clone(), enumeration.as_deref()).unwrap(), printed);
        }
    }
}

//! Scopes and reviewers of every form: accepted and answered as they were sent, or refused where they are wrong.

use serde_json::{Value, json};

use crate::support::{Company, GUEST, Review, Tenant, id_of, object_id, user};

fn scope_type(name: &str) -> String {
    format!("#microsoft.graph.{name}")
}

fn query_scope(query: &str) -> Value {
    json!({
        "@odata.type": scope_type("accessReviewQueryScope"), "query": query, "queryType": "MicrosoftGraph", "queryRoot": null,
    })
}

fn inactive_scope(query: &str, duration: &str) -> Value {
    json!({
        "@odata.type": scope_type("accessReviewInactiveUsersQueryScope"),
        "query": query, "queryType": "MicrosoftGraph", "queryRoot": null, "inactiveDuration": duration,
    })
}

fn memberships(principals: &[Value], resources: &[Value]) -> Value {
    json!({
        "@odata.type": scope_type("principalResourceMembershipsScope"),
        "principalScopes": principals,
        "resourceScopes": resources,
    })
}

fn principal(kind: &str) -> Value {
    json!({ "@odata.type": scope_type("accessReviewPrincipalScope"), "scopeType": kind })
}

fn resource(kind: &str, name: &str) -> Value {
    json!({
        "@odata.type": scope_type("accessReviewResourceScope"),
        "scopeType": kind, "resourceId": id_of(name), "displayName": "as the client calls it",
    })
}

/// S-01 to S-05, section 8.4, E-03
#[tokio::test]
async fn scopes_of_group_members_are_answered_as_they_were_sent_and_their_instances_have_one_spelling() {
    let t = Tenant::with_finance().await;
    let group = id_of("finance");
    let guests = "$filter=(userType eq 'Guest')";
    for (scope, enumeration, instance_query) in [
        (query_scope(&format!("/groups/{group}/transitiveMembers")), None, "transitiveMembers".to_owned()),
        (
            query_scope(&format!("/v1.0/groups/{group}/transitiveMembers/microsoft.graph.user")),
            Some(format!("/groups/{group}")),
            "transitiveMembers".to_owned(),
        ),
        (
            query_scope(&format!("/groups/{group}/transitiveMembers/?{guests}")),
            None,
            format!("transitiveMembers/microsoft.graph.user/?$count=true&{guests}"),
        ),
        (query_scope(&format!("/groups/{group}/members")), None, "members".to_owned()),
        (
            inactive_scope(&format!("/groups/{group}/members/microsoft.graph.user/?$count=true&{guests}"), "P30D"),
            None,
            format!("members/microsoft.graph.user/?$count=true&{guests}"),
        ),
        (
            query_scope("./members/microsoft.graph.user"),
            Some(format!("/beta/groups/{group}")),
            "members/microsoft.graph.user".to_owned(),
        ),
    ] {
        let enumeration = enumeration.as_deref().map(query_scope).unwrap_or_default();
        let review = t.review().with("scope", scope.clone()).with("instanceEnumerationScope", enumeration.clone());
        let created = review.send().await.is(201).body;

        let read = t.as_admin().get(&format!("/definitions/{}", created["id"].as_str().unwrap())).await.ok().body;
        assert_eq!((&created["scope"], &read["scope"]), (&scope, &scope));
        assert_eq!(read["instanceEnumerationScope"], enumeration);
        let instances = format!("/definitions/{}/instances", created["id"].as_str().unwrap());
        let instance = t.as_admin().get(&instances).await.ok().rows()[0].clone();
        assert_eq!(instance["scope"]["query"], format!("/v1.0/groups/{group}/{instance_query}"));
        assert_eq!(instance["scope"]["@odata.type"], scope["@odata.type"]);
    }
}

/// P-07, M-13
#[tokio::test]
async fn typed_scopes_on_a_group_are_answered_as_they_were_sent() {
    let t = Tenant::with_finance().await;
    let group = id_of("finance");
    for (kind, expected) in [
        ("allUsers", query_scope(&format!("/v1.0/groups/{group}/transitiveMembers"))),
        (
            "guestUsers",
            query_scope(&format!(
                "/v1.0/groups/{group}/transitiveMembers/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')"
            )),
        ),
    ] {
        let scope = memberships(&[principal(kind)], &[resource("group", "finance")]);
        let review = t.review().with("scope", scope.clone()).create().await;

        assert_eq!(t.as_admin().get(&review.path()).await.ok().body["scope"], scope, "{kind}");
        assert_eq!(t.as_admin().get(&review.instance_path()).await.ok().body["scope"], expected, "{kind}");
    }

    let scope = memberships(&[principal("inactiveGuestUsers")], &[resource("group", "finance")]);
    let review = t.review().with("scope", scope).create().await;
    let instance = t.as_admin().get(&review.instance_path()).await.ok().body;
    assert_eq!(instance["scope"]["principalScopes"], json!([principal("inactiveGuestUsers")]));
    assert_eq!(instance["scope"]["resourceScopes"][0]["resourceId"], json!(group));
}

/// P-07
#[tokio::test]
async fn a_typed_scope_gathers_what_its_query_would() {
    let t = Tenant::with_finance().await;
    let scope = memberships(&[principal("guestUsers")], &[resource("group", "finance")]);

    let review = t.review().with("scope", scope).running().await;

    assert_eq!(Review::principals(&review.items().await, &[GUEST]), [GUEST]);
}

/// The 400 list of DEF-CREATE, sections 8.1 to 8.6
#[tokio::test]
async fn what_is_wrong_with_a_scope_is_told_by_its_path() {
    let t = Tenant::with_finance().await;
    let users = query_scope("/users");
    let nobody = object_id("nobody at all");
    for (scope, path) in [
        (query_scope("/users"), "scope.query"),
        (query_scope("./members/microsoft.graph.user"), "instanceEnumerationScope"),
        (query_scope(&format!("/groups/{nobody}/members")), "scope.query"),
        (inactive_scope(&format!("/groups/{}/members", id_of("finance")), "P30D"), "scope.query"),
        (principal("allUsers"), "scope.@odata.type"),
        (memberships(&[], &[resource("group", "finance")]), "scope.principalScopes"),
        (memberships(std::slice::from_ref(&users), &[resource("group", "finance")]), "scope"),
        (memberships(&[principal("everybody")], &[resource("group", "finance")]), "scope.principalScopes[0].scopeType"),
        (memberships(&[principal("allUsers")], &[resource("catalog", "finance")]), "scope.resourceScopes[0].scopeType"),
        (memberships(std::slice::from_ref(&users), &[query_scope("/sites/root")]), "scope.resourceScopes[0].query"),
        (memberships(&[memberships(&[], &[])], std::slice::from_ref(&users)), "scope.principalScopes[0].@odata.type"),
        (
            memberships(
                &[principal("allUsers")],
                &[json!({
                "@odata.type": scope_type("accessReviewResourceScope"), "scopeType": "group", "resourceId": nobody })],
            ),
            "scope.resourceScopes[0].resourceId",
        ),
        (
            memberships(
                &[principal("allUsers")],
                &[json!({
                "@odata.type": scope_type("accessReviewResourceScope"), "scopeType": "group", "resourceId": "sales" })],
            ),
            "scope.resourceScopes[0].resourceId",
        ),
    ] {
        t.review().with("scope", scope).send().await.faults(path);
    }
    let two = memberships(&[query_scope("/devices")], &[query_scope("/sites/root")]);
    let answer = t.review().with("scope", two).send().await.faults("scope.principalScopes[0].query");
    assert_eq!(answer.body["error"]["details"].as_array().unwrap().len(), 2, "{}", answer.body);
}

/// R-09, M-12
#[tokio::test]
async fn reviewers_named_by_type_are_answered_as_they_were_sent() {
    let t = Tenant::with_finance().await;
    let typed = |kind: &str, id: Option<&str>| json!({ "query": null, "queryType": null, "queryRoot": null, "scopeType": kind, "reviewerId": id.map(id_of) });
    for reviewers in [
        json!([typed("user", Some("mia")), typed("group", Some("auditors"))]),
        json!([typed("self", None)]),
        json!([typed("manager", None), typed("sponsor", None), typed("resourceOwner", None)]),
        json!([typed("managerOrSponsor", None)]),
        json!([{
            "query": "./manager", "queryType": "MicrosoftGraph", "queryRoot": "decisions",
            "scopeType": "manager", "reviewerId": null,
        }]),
    ] {
        let stages = json!([
            { "stageId": "1", "durationInDays": 3, "recommendationsEnabled": false, "reviewers": reviewers },
            { "stageId": "2", "durationInDays": 3, "recommendationsEnabled": false, "dependsOn": ["1"], "reviewers": reviewers },
        ]);
        let review = t.review().with("reviewers", reviewers.clone()).with("stageSettings", stages).create().await;

        let read = t.as_admin().get(&review.path()).await.ok().body;
        assert_eq!(read["reviewers"], reviewers);
        assert_eq!(read["stageSettings"][0]["reviewers"], reviewers);
        assert_eq!(review.stages().await[0]["reviewers"], reviewers);
    }
    for (reviewer, path) in [
        (json!({ "scopeType": "user" }), "reviewers[0].reviewerId"),
        (json!({ "scopeType": "user", "reviewerId": "mia" }), "reviewers[0].reviewerId"),
        (json!({ "scopeType": "sponsor", "reviewerId": id_of("mia") }), "reviewers[0].reviewerId"),
        (json!({ "scopeType": "manager", "query": "./owners" }), "reviewers[0].scopeType"),
        (json!({ "scopeType": "boss" }), "reviewers[0].scopeType"),
        (json!({ "scopeType": null }), "reviewers[0].query"),
    ] {
        t.review().reviewers(&[reviewer]).send().await.faults(path);
    }
    let self_and_mia = [json!({ "scopeType": "self" }), user("mia")];
    t.review().reviewers(&self_and_mia).send().await.faults("reviewers[0].scopeType");
    let missing = json!({ "scopeType": "group", "reviewerId": object_id("nobody at all") });
    t.review().reviewers(&[missing]).send().await.faults("reviewers[0].query");
}

fn with_sponsors(name: &str, manager: Option<&str>, sponsors: &[&str]) -> Value {
    json!({
        "type": "user", "id": id_of(name), "userPrincipalName": format!("{name}@acme.example"), "displayName": name,
        "manager": manager.map(id_of), "sponsors": sponsors.iter().map(|name| id_of(name)).collect::<Vec<_>>(),
    })
}

///
#[tokio::test]
async fn sponsors_review_those_they_answer_for() {
    let t = Tenant::with_finance().await;
    Company::new()
        .with(with_sponsors("ana", Some("mia"), &["tom", "zoe"]))
        .with(with_sponsors("ben", Some("mia"), &[]))
        .with(with_sponsors("cleo", None, &["zoe"]))
        .with(with_sponsors("eve", None, &[]))
        .group("team", &["ana", "ben", "cleo", "eve"], &[])
        .import(&t)
        .await;
    let scope = format!("/groups/{}/transitiveMembers", id_of("team"));
    let by_type = |kind: &str| json!({ "scopeType": kind });
    let expected: [(&str, [&[&str]; 4]); 3] = [
        // mia, tom, zoe, sam (the fallback)
        ("sponsor", [&[], &["ana"], &["ana", "cleo"], &["ben", "eve"]]),
        ("manager", [&["ana", "ben"], &[], &[], &["cleo", "eve"]]),
        ("managerOrSponsor", [&["ana", "ben"], &[], &["cleo"], &["eve"]]),
    ];
    for (kind, found) in expected {
        let review = t.review().scope(&scope).reviewers(&[by_type(kind)]).fallbacks(&[user("sam")]).running().await;
        for (name, items) in ["mia", "tom", "zoe", "sam"].into_iter().zip(found) {
            assert_eq!(review.found_by(&t.as_user(name)).await, items, "{kind}: {name}");
        }
    }
}

/// R-09, LC-SUPD-20: cohorts made of managers are no obstacle to sponsors who come later.
#[tokio::test]
async fn a_running_stage_can_be_handed_to_the_sponsors() {
    let t = Tenant::with_finance().await;
    Company::new()
        .with(with_sponsors("ana", Some("mia"), &["tom"]))
        .with(with_sponsors("ben", Some("mia"), &["zoe"]))
        .with(with_sponsors("cleo", Some("mia"), &[]))
        .group("team", &["ana", "ben", "cleo"], &[])
        .import(&t)
        .await;
    let stages = [crate::support::stage(1, 3, &[user("mia")], &[user("sam")], &[])];
    let scope = format!("/groups/{}/transitiveMembers", id_of("team"));
    let review = t.review().scope(&scope).stages(&stages).running().await;

    let patched = json!({ "reviewers": [{ "scopeType": "sponsor" }] });
    t.as_admin().patch(&review.stage_path(1).await, &patched).await.ok();

    for (name, items) in [("mia", &[] as &[&str]), ("tom", &["ana"]), ("zoe", &["ben"]), ("sam", &["cleo"])] {
        assert_eq!(review.found_by(&t.as_user(name)).await, items, "{name}");
    }
}

#[tokio::test]
async fn a_self_by_type_is_a_self_review() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[json!({ "scopeType": "self" })]).running().await;

    assert_eq!(review.found_by(&t.as_user("ana")).await, ["ana"]);
    assert_eq!(review.found_by(&t.as_user("mia")).await, [] as [&str; 0]);
}

const MICROSOFT_365_GROUPS: &str = "/groups?$filter=(groupTypes/any(c:c+eq+'Unified'))&$count=true";
/// With the quote too many that the reference prints.
const TEAMS: &str =
    "/groups?$filter=(groupTypes/any(c:c eq 'Unified') and resourceProvisioningOptions/Any(x:x eq 'Team')')";

/// The finance company with an application, a directory role and an access package.
async fn with_every_resource() -> Tenant {
    let t = Tenant::with_finance().await;
    Company::new()
        .with(json!({ "type": "servicePrincipal", "id": id_of("payroll"), "displayName": "Payroll" }))
        .with(json!({ "type": "directoryRole", "id": id_of("helpdesk"), "displayName": "Helpdesk" }))
        .with(json!({ "type": "accessPackage", "id": id_of("kit"), "displayName": "Kit", "catalogId": id_of("shop"),
            "assignmentPolicies": [{ "id": id_of("staff"), "displayName": "Staff" }] }))
        .import(&t)
        .await;
    t
}

fn schedule(kind: &str, conditions: &str) -> Value {
    let role = id_of("helpdesk");
    query_scope(&format!(
        "/roleManagement/directory/{kind}?$expand=principal&$filter=({conditions} and roleDefinitionId eq '{role}')"
    ))
}

fn application(principals: &[Value]) -> Value {
    memberships(principals, &[query_scope(&format!("/v1.0/servicePrincipals/{}", id_of("payroll")))])
}

fn role(principals: &[Value]) -> Value {
    memberships(
        principals,
        &[query_scope(&format!("/beta/roleManagement/directory/roleDefinitions/{}", id_of("helpdesk")))],
    )
}

fn shared_channels() -> Value {
    let team = id_of("finance");
    memberships(
        &[query_scope("/users")],
        &[
            query_scope(&format!("/groups/{team}/transitiveMembers")),
            query_scope(&format!("/teams/{team}/channels?$filter=(membershipType eq 'shared')")),
        ],
    )
}

fn through_groups() -> Value {
    let mut scope = query_scope("./members/microsoft.graph.user");
    scope["queryRoot"] = json!("/v1.0/groups");
    scope
}

/// S-06 to S-13, P-01 to P-07, A-43, E-01, E-02; A-14, CL-17
#[tokio::test]
async fn scopes_of_every_other_form_are_answered_as_they_were_sent() {
    let t = with_every_resource().await;
    let guests = "$filter=(userType eq 'Guest')";
    let (kit, policy, catalog) = (id_of("kit"), id_of("staff"), id_of("shop"));
    let packages = "/identityGovernance/entitlementManagement/accessPackageAssignments";
    let both = format!("accessPackageId eq '{kit}' and assignmentPolicyId eq '{policy}'");
    let policy_scope = json!({
        "@odata.type": scope_type("accessReviewAccessPackageAssignmentPolicyScope"),
        "scopeType": "accessPackageAssignmentPolicy", "resourceId": policy, "displayName": "Kit",
        "accessPackageId": kit, "accessPackageDisplayName": "Kit", "catalogId": catalog, "catalogDisplayName": null,
    });
    let is_user = "isof(principal,'microsoft.graph.user')";
    for (scope, enumeration) in [
        (query_scope("./members/microsoft.graph.user"), Some(MICROSOFT_365_GROUPS)),
        (query_scope(&format!("./members/microsoft.graph.user/?{guests}")), Some(MICROSOFT_365_GROUPS)),
        (inactive_scope(&format!("./members/microsoft.graph.user/?$count=true&{guests}"), "P90D"), Some(TEAMS)),
        (query_scope(&format!("{packages}?$filter=({both} and catalogId eq '{catalog}')")), None),
        (query_scope(&format!("{packages}?$filter=({both})")), None),
        (schedule("roleAssignmentScheduleInstances", "isof(principal,'microsoft.graph.servicePrincipal')"), None),
        (query_scope(&format!("/roleManagement/directory/roleDefinitions/{}", id_of("helpdesk"))), None),
        (schedule("roleEligibilityScheduleInstances", is_user), None),
        (schedule("roleAssignmentScheduleInstances", &format!("assignmentType eq 'Assigned' and {is_user}")), None),
        (query_scope(&format!("/servicePrincipals/{}/appRoleAssignedTo", id_of("payroll"))), None),
        (application(&[query_scope("/users")]), None),
        (application(&[query_scope("/v1.0/users"), through_groups()]), None),
        (shared_channels(), None),
        (role(&[query_scope(&format!("/users?{guests}"))]), None),
        (memberships(&[inactive_scope(&format!("/users?{guests}"), "P30D")], &[query_scope("/groups")]), None),
        (role(&[query_scope("/v1.0/users"), query_scope("/v1.0/groups")]), None),
        (memberships(&[principal("inactiveUsers")], &[resource("servicePrincipal", "payroll")]), None),
        (memberships(&[principal("guestUsers")], &[resource("directoryRole", "helpdesk")]), None),
        (memberships(&[principal("allUsers")], &[resource("accessPackageAssignmentPolicy", "staff")]), None),
        (memberships(&[principal("guestUsers")], &[policy_scope]), None),
    ] {
        let enumeration = enumeration.map(query_scope).unwrap_or_default();
        let review = t.review().with("scope", scope.clone()).with("instanceEnumerationScope", enumeration.clone());

        let created = review.send().await.is(201).body;

        let read = t.as_admin().get(&format!("/definitions/{}", created["id"].as_str().unwrap())).await.ok().body;
        assert_eq!((&created["scope"], &read["scope"]), (&scope, &scope));
        assert_eq!(read["instanceEnumerationScope"], enumeration);
    }
}

/// LC-DEF-06, LC-APPLY-08, M-11, A-46: rules that hang on what is reviewed.
#[tokio::test]
async fn settings_that_do_not_go_with_the_scope_are_refused_together() {
    let t = with_every_resource().await;
    let guests = "$filter=(userType eq 'Guest')";
    let disable = json!([{ "@odata.type": scope_type("disableAndDeleteUserApplyAction") }]);
    let service_principals =
        schedule("roleAssignmentScheduleInstances", "isof(principal,'microsoft.graph.servicePrincipal')");
    let review = |scope: Value| t.review().with("scope", scope);

    let of_application = review(application(&[query_scope("/users")]))
        .setting("recommendationLookBackDuration", json!("P31D"))
        .setting("applyActions", disable.clone())
        .send()
        .await
        .faults("settings.recommendationLookBackDuration")
        .faults("settings.applyActions[0]");
    assert_eq!(of_application.body["error"]["details"].as_array().unwrap().len(), 2);

    review(role(&[query_scope(&format!("/users?{guests}"))]))
        .setting("applyActions", disable.clone())
        .send()
        .await
        .faults("settings.applyActions[0]");
    review(query_scope(&format!("./members/microsoft.graph.user/?{guests}")))
        .with("instanceEnumerationScope", query_scope(MICROSOFT_365_GROUPS))
        .setting("applyActions", disable)
        .send()
        .await
        .faults("settings.applyActions[0]");
    review(service_principals.clone()).reviewers(&[]).send().await.faults("reviewers");
    review(service_principals.clone()).reviewers(&[crate::support::manager()]).send().await.faults("reviewers");
    review(service_principals).reviewers(&[]).fallbacks(&[user("sam")]).send().await.is(201);
}

///
#[tokio::test]
async fn resources_that_are_not_there_are_named_by_their_path() {
    let t = with_every_resource().await;
    let nobody = object_id("nobody at all");
    for (scope, path) in [
        (query_scope(&format!("/servicePrincipals/{nobody}/appRoleAssignedTo")), "scope.query"),
        (query_scope(&format!("/roleManagement/directory/roleDefinitions/{nobody}")), "scope.query"),
        (
            memberships(&[query_scope("/users")], &[query_scope(&format!("/servicePrincipals/{nobody}"))]),
            "scope.resourceScopes[0].query",
        ),
        (
            memberships(&[principal("allUsers")], &[resource("directoryRole", "nobody at all")]),
            "scope.resourceScopes[0].resourceId",
        ),
    ] {
        t.review().with("scope", scope).send().await.faults(path);
    }
}

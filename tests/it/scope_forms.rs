//! Every form of a scope really runs: who is listed, what the items say of principal and resource, and who reviews.
//! Sections 8.3 to 8.6 of the API.

use serde_json::{Value, json};

use crate::support::{
    Company, Review, ReviewBuilder, Tenant, id_of, manager, object_id, people, resource_owners, stage, user,
};

const GUESTS: &str = "$filter=(userType eq 'Guest')";

pub fn query(query: &str) -> Value {
    json!({ "@odata.type": "#microsoft.graph.accessReviewQueryScope", "query": query, "queryType": "MicrosoftGraph" })
}

pub fn memberships(principals: &[Value], resources: &[Value]) -> Value {
    json!({
        "@odata.type": "#microsoft.graph.principalResourceMembershipsScope",
        "principalScopes": principals,
        "resourceScopes": resources,
    })
}

pub fn guest(name: &str) -> Value {
    json!({ "type": "user", "id": id_of(name), "userPrincipalName": format!("{name}@partner.example"),
        "displayName": name, "userType": "Guest" })
}

fn ids(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| object_id(name)).collect()
}

/// People without managers.
fn staff(names: &[&str]) -> Company {
    names.iter().fold(Company::new(), |company, name| company.user(name, None))
}

async fn tenant(company: Company) -> Tenant {
    let tenant = Tenant::new().await;
    company.import(&tenant).await;
    tenant
}

fn review(tenant: &Tenant, scope: Value) -> ReviewBuilder<'_> {
    tenant.review().with("scope", scope).reviewers(&[user("rob")])
}

async fn listed(tenant: &Tenant, scope: Value) -> Vec<String> {
    people(&review(tenant, scope).running().await.items().await)
}

/// S-01, S-04: group A holds u1, u2 and group B; B holds u3, u4. LC-INST-12
#[tokio::test]
async fn transitive_members_are_flattened_and_direct_members_include_nested_groups() {
    let t = tenant(staff(&["u1", "u2", "u3", "u4", "rob"]).group("b", &["u3", "u4"], &[]).group(
        "a",
        &["u1", "u2", "b"],
        &[],
    ))
    .await;
    let a = object_id("a");

    let flattened = listed(&t, query(&format!("/groups/{a}/transitiveMembers"))).await;
    let direct = review(&t, query(&format!("/groups/{a}/members"))).running().await;

    assert_eq!(flattened, ["u1", "u2", "u3", "u4"]);
    assert_eq!(people(&direct.items().await), ["b", "u1", "u2"]);
    // M-24
    let nested = direct.item("b").await;
    assert_eq!(
        nested["principal"],
        json!({ "@odata.type": "#microsoft.graph.identity", "id": object_id("b"), "displayName": "b" })
    );
    assert_eq!(nested["principalLink"], format!("https://reviews.example/v1.0/groups/{}", object_id("b")));
    assert_eq!(nested["recommendation"], "NoInfoAvailable");
}

/// S-03, S-05. LC-INST-14
#[tokio::test]
async fn guests_are_told_by_their_user_type_direct_or_nested() {
    let t = tenant(staff(&["u1", "rob"]).with(guest("g1")).with(guest("g2")).group("b", &["g2"], &[]).group(
        "a",
        &["u1", "g1", "b"],
        &[],
    ))
    .await;
    let a = object_id("a");

    assert_eq!(listed(&t, query(&format!("/groups/{a}/transitiveMembers/?{GUESTS}"))).await, ["g1", "g2"]);
    assert_eq!(
        listed(&t, query(&format!("/groups/{a}/members/microsoft.graph.user/?$count=true&{GUESTS}"))).await,
        ["g1"]
    );
}

/// `payroll`: `ann` is a clerk and a reader, `bea` comes through `clerks`, `cy` both ways; `robot` is assigned too.
pub fn payroll() -> Company {
    let (clerk, reader) = (object_id("clerk"), object_id("reader"));
    let assigned =
        |id: &str, principal: &str, role: &str| json!({ "id": id, "principalId": id_of(principal), "appRoleId": role });
    staff(&["ann", "bea", "cy", "dot", "rob", "olga"])
        .group("clerks", &["bea", "cy"], &[])
        .with(json!({ "type": "servicePrincipal", "id": id_of("robot"), "displayName": "robot" }))
        .with(json!({
            "type": "servicePrincipal", "id": id_of("payroll"), "displayName": "Payroll", "appId": id_of("payroll-app"),
            "owners": ids(&["olga"]),
            "appRoles": [{ "id": clerk, "displayName": "Clerk" }, { "id": reader, "displayName": "Reader" }],
            "appRoleAssignedTo": [
                assigned("1", "ann", &reader), assigned("2", "ann", &clerk), assigned("3", "clerks", &reader),
                assigned("4", "cy", "00000000-0000-0000-0000-000000000000"), assigned("5", "robot", &clerk),
            ],
        }))
}

pub fn application(through_groups: bool) -> Value {
    let mut principals = vec![query("/v1.0/users")];
    if through_groups {
        principals.push(json!({ "@odata.type": "#microsoft.graph.accessReviewQueryScope",
            "query": "./members/microsoft.graph.user", "queryType": "MicrosoftGraph", "queryRoot": "/v1.0/groups" }));
    }
    memberships(&principals, &[query(&format!("/v1.0/servicePrincipals/{}", object_id("payroll")))])
}

/// P-01, P-02
#[tokio::test]
async fn users_of_an_application_are_one_item_each_with_their_roles() {
    let t = tenant(payroll()).await;

    assert_eq!(listed(&t, application(false)).await, ["ann", "cy"]);
    let review = review(&t, application(true)).running().await;

    assert_eq!(people(&review.items().await), ["ann", "bea", "cy"]);
    let ann = review.item("ann").await;
    assert_eq!(
        ann["resource"],
        json!({
            "@odata.type": "#microsoft.graph.accessReviewInstanceDecisionItemServicePrincipalResource",
            "id": object_id("payroll"), "displayName": "Payroll", "type": "ServicePrincipal",
            "appId": object_id("payroll-app"),
            "appRoleId": object_id("clerk"), "appRoleDisplayName": "Clerk, Reader",
        })
    );
    assert_eq!(ann["resourceLink"], format!("https://reviews.example/v1.0/servicePrincipals/{}", object_id("payroll")));
    assert_eq!(review.item("bea").await["resource"]["appRoleDisplayName"], "Reader");
    // his own assignment comes before the one of his group
    let cy = review.item("cy").await;
    assert_eq!(cy["resource"]["appRoleId"], "00000000-0000-0000-0000-000000000000");
    assert_eq!(cy["resource"]["appRoleDisplayName"], "Default Access, Reader");
}

///
#[tokio::test]
async fn an_application_is_reviewed_by_its_owners_however_they_are_named() {
    let t = tenant(payroll()).await;
    let owners = json!({ "query": format!("/servicePrincipals/{}/owners", object_id("payroll")), "queryType": "MicrosoftGraph" });

    for reviewers in [owners, resource_owners()] {
        let review = review(&t, application(false)).reviewers(&[reviewers]).running().await;
        assert_eq!(review.found_by(&t.as_user("olga")).await, ["ann", "cy"]);
        assert!(review.found_by(&t.as_user("rob")).await.is_empty());
    }
}

/// LC-DEF-06
#[tokio::test]
async fn an_application_that_is_not_there_is_refused() {
    let t = tenant(staff(&["rob"])).await;

    review(&t, application(false)).send().await.faults("scope.resourceScopes[0].query");
}

/// A role: `act` and the guest `gia` hold it, `eli` and the guest `gil` may activate it, so may `admins` (with `act` in it);
/// `robot` holds it too.
pub fn role() -> Company {
    staff(&["act", "eli", "inn", "rob", "pim"])
        .with(guest("gia"))
        .with(guest("gil"))
        .with(json!({ "type": "group", "id": id_of("admins"), "displayName": "admins", "isAssignableToRole": true,
            "members": ids(&["inn"]) }))
        .with(json!({ "type": "servicePrincipal", "id": id_of("robot"), "displayName": "robot", "appId": id_of("robot-app") }))
        .with(json!({
            "type": "directoryRole", "id": id_of("role"), "roleTemplateId": id_of("role-template"), "displayName": "Helpdesk",
            "members": ids(&["act", "gia", "robot"]), "eligibleMembers": ids(&["eli", "gil", "admins", "act"]),
        }))
}

fn role_path(kind: &str) -> String {
    format!("/roleManagement/directory/{kind}")
}

pub fn schedule(kind: &str, conditions: &str) -> Value {
    query(&format!(
        "{}?$expand=principal&$filter=({conditions} and roleDefinitionId eq '{}')",
        role_path(kind),
        object_id("role"),
    ))
}

pub fn role_definition() -> Value {
    query(&format!("{}/{}", role_path("roleDefinitions"), object_id("role")))
}

/// S-10 to S-13, P-04, P-06. LC-INST-13
#[tokio::test]
async fn holders_of_a_role_are_told_by_how_they_hold_it_and_what_they_are() {
    let t = tenant(role()).await;
    let user_kind = "isof(principal,'microsoft.graph.user')";
    let robots = schedule("roleAssignmentScheduleInstances", "isof(principal,'microsoft.graph.servicePrincipal')");
    let eligible = schedule("roleEligibilityScheduleInstances", user_kind);
    let assigned =
        schedule("roleAssignmentScheduleInstances", &format!("assignmentType eq 'Assigned' and {user_kind}"));
    let guests = memberships(&[query(&format!("/users?{GUESTS}"))], &[role_definition()]);
    let with_groups = memberships(&[query("/v1.0/users"), query("/v1.0/groups")], &[role_definition()]);

    assert_eq!(listed(&t, robots.clone()).await, ["robot"]);
    assert_eq!(listed(&t, role_definition()).await, ["act", "eli", "gia", "gil"]);
    assert_eq!(listed(&t, eligible).await, ["act", "eli", "gil"]);
    assert_eq!(listed(&t, assigned).await, ["act", "gia"]);
    assert_eq!(listed(&t, guests).await, ["gia", "gil"]);
    assert_eq!(listed(&t, with_groups).await, ["act", "admins", "eli", "gia", "gil"]);

    let robot = review(&t, robots).running().await.item("robot").await;
    assert_eq!(
        robot["principal"],
        json!({ "@odata.type": "#microsoft.graph.servicePrincipalIdentity", "id": object_id("robot"),
            "displayName": "robot", "appId": object_id("robot-app") })
    );
    assert_eq!(
        robot["principalLink"],
        format!("https://reviews.example/v1.0/servicePrincipals/{}", object_id("robot"))
    );
    assert_eq!(
        robot["resource"],
        json!({ "id": object_id("role"), "displayName": "Helpdesk", "type": "DirectoryRole" })
    );
    assert_eq!(robot["recommendation"], "NoInfoAvailable");
}

#[tokio::test]
async fn a_role_may_be_named_by_its_template() {
    let t = tenant(role()).await;
    let by_template = query(&format!("{}/{}", role_path("roleDefinitions"), object_id("role-template")));

    assert_eq!(listed(&t, by_template).await, ["act", "eli", "gia", "gil"]);
}

/// LC-AUTH-01: the column of directory-role reviews.
#[tokio::test]
async fn role_reviews_are_managed_by_those_who_manage_roles() {
    let t = tenant(role()).await;
    let body = review(&t, role_definition()).body;
    let privileged = t.as_user_with_roles("pim", &["Privileged Role Administrator"]);
    let user_administrator = t.as_user_with_roles("inn", &["User Administrator"]);
    let of_a_group =
        t.review().scope(&format!("/groups/{}/members", object_id("admins"))).reviewers(&[user("rob")]).body;

    user_administrator.post("/definitions", &body).await.refused(403, "Forbidden");
    let made = privileged.post("/definitions", &body).await.is(201).text("id");
    t.run_jobs().await;

    let path = format!("/definitions/{made}");
    user_administrator.get(&path).await.ok();
    user_administrator.delete(&path).await.refused(403, "Forbidden");
    t.as_user("inn").get(&path).await.refused(404, "ResourceNotFound");
    assert_eq!(privileged.get("/definitions").await.ok().rows().len(), 1);
    assert_eq!(user_administrator.get("/definitions").await.ok().rows().len(), 1);
    // groups that roles can be assigned to are his business too
    privileged.post("/definitions", &of_a_group).await.is(201);
    privileged.delete(&path).await.is(204);
}

/// A-46, LC-REV-06
#[tokio::test]
async fn groups_go_to_the_fallback_of_a_manager_review_and_are_left_out_where_everybody_reviews_himself() {
    let t = tenant(
        Company::new().user("boss", None).user("rob", None).user("u1", Some("boss")).group("b", &[], &[]).group(
            "a",
            &["u1", "b"],
            &[],
        ),
    )
    .await;
    let scope = query(&format!("/groups/{}/members", object_id("a")));

    let by_manager = review(&t, scope.clone()).reviewers(&[manager()]).fallbacks(&[user("rob")]).running().await;
    assert_eq!(by_manager.found_by(&t.as_user("boss")).await, ["u1"]);
    assert_eq!(by_manager.found_by(&t.as_user("rob")).await, ["b"]);

    let alone = review(&t, scope.clone()).reviewers(&[]).running().await;
    assert_eq!(people(&alone.items().await), ["u1"]);

    let with_fallback = review(&t, scope).reviewers(&[]).fallbacks(&[user("rob")]).running().await;
    assert_eq!(with_fallback.found_by(&t.as_user("u1")).await, ["u1"]);
    assert_eq!(with_fallback.found_by(&t.as_user("rob")).await, ["b"]);
}

/// `kit` in catalog `shop`: `ann` and `robot` under policy `staff`, `gia` under policy `guests`.
pub fn access_package() -> Company {
    let assigned = |id: &str, policy: &str, target: &str| json!({ "id": id, "assignmentPolicyId": id_of(policy), "targetId": id_of(target) });
    staff(&["ann", "rob"])
        .with(guest("gia"))
        .with(guest("gil"))
        .with(json!({ "type": "servicePrincipal", "id": id_of("robot"), "displayName": "robot" }))
        .with(json!({
            "type": "accessPackage", "id": id_of("kit"), "displayName": "Starter kit", "catalogId": id_of("shop"),
            "assignmentPolicies": [{ "id": id_of("staff"), "displayName": "Staff" }, { "id": id_of("guests"), "displayName": "Guests" }],
            "assignments": [
                assigned("1", "staff", "ann"), assigned("2", "staff", "robot"), assigned("3", "guests", "gia"),
                assigned("4", "staff", "gil"), assigned("5", "staff", "gil"),
            ],
        }))
}

pub fn package(policy: &str, catalog: &str) -> Value {
    query(&format!(
        "/identityGovernance/entitlementManagement/accessPackageAssignments?$filter=(accessPackageId eq '{}' and \
         assignmentPolicyId eq '{}' and catalogId eq '{}')",
        object_id("kit"),
        object_id(policy),
        object_id(catalog),
    ))
}

/// S-09, P-07
#[tokio::test]
async fn holders_of_an_access_package_are_those_under_the_policy() {
    let t = tenant(access_package()).await;
    let typed = |principals: &str| {
        memberships(
            &[json!({ "@odata.type": "#microsoft.graph.accessReviewPrincipalScope", "scopeType": principals })],
            &[json!({ "@odata.type": "#microsoft.graph.accessReviewAccessPackageAssignmentPolicyScope",
                "scopeType": "accessPackageAssignmentPolicy", "resourceId": id_of("staff"), "accessPackageId": id_of("kit") })],
        )
    };

    let review = review(&t, package("staff", "shop")).running().await;
    assert_eq!(people(&review.items().await), ["ann", "gil", "robot"]);
    assert_eq!(listed(&t, package("guests", "shop")).await, ["gia"]);
    assert_eq!(listed(&t, typed("allUsers")).await, ["ann", "gil"]);
    assert_eq!(listed(&t, typed("guestUsers")).await, ["gil"]);

    let robot = review.item("robot").await;
    assert_eq!(
        robot["resource"],
        json!({
            "@odata.type": "#microsoft.graph.accessReviewInstanceDecisionItemAccessPackageAssignmentPolicyResource",
            "id": object_id("staff"), "displayName": "Staff", "type": "AccessPackageAssignmentPolicy",
            "accessPackageId": object_id("kit"), "accessPackageDisplayName": "Starter kit",
        })
    );
    // nothing is told of its application
    assert_eq!(robot["principal"]["appId"], Value::Null);
}

#[tokio::test]
async fn a_policy_of_another_package_or_catalog_is_refused() {
    let t = tenant(access_package()).await;

    review(&t, package("staff", "elsewhere")).send().await.faults("scope.query");
    review(&t, package("kit", "shop")).send().await.faults("scope.query");
}

/// `team` of `tia` (who reports to `boss`) and, nested, `ned`; `dee` and `tia` are in its shared channel. `olga` owns it.
pub fn team() -> Company {
    team_sharing(&["dee", "tia"], &["dee"])
}

/// [`team`], whose second channel is shared with the teams `guests` and, which is part of the team already, `inner`.
pub fn team_shared_with_teams() -> Company {
    team_sharing(&["dee", "tia"], &["dee", "guests", "inner"]).group("guests", &["rob"], &[])
}

fn team_sharing(one: &[&str], two: &[&str]) -> Company {
    Company::new()
        .user("boss", None)
        .user("olga", None)
        .user("rob", None)
        .user("tia", Some("boss"))
        .user("ned", Some("boss"))
        .with(json!({ "type": "user", "id": id_of("dee"), "userPrincipalName": "dee@partner.example", "displayName": "dee",
            "manager": id_of("boss"), "signInActivity": { "lastSignInDateTime": "2001-01-01T00:00:00Z" } }))
        .group("inner", &["ned"], &[])
        .with(json!({
            "type": "group", "id": id_of("team"), "displayName": "team", "groupTypes": ["Unified"],
            "resourceProvisioningOptions": ["Team"], "members": ids(&["tia", "inner"]), "owners": ids(&["olga"]),
            "sharedChannels": [
                { "id": "19:one", "displayName": "One", "members": ids(one) },
                { "id": "19:two", "displayName": "Two", "members": ids(two) },
            ],
        }))
}

pub fn team_scope() -> Value {
    let team = object_id("team");
    memberships(
        &[query("/users")],
        &[
            query(&format!("/groups/{team}/transitiveMembers")),
            query(&format!("/teams/{team}/channels?$filter=(membershipType eq 'shared')")),
        ],
    )
}

/// P-03, LC-REV-07, LC-RCM-09
#[tokio::test]
async fn a_teams_owner_answers_for_users_of_its_shared_channels() {
    let t = tenant(team()).await;

    let by_themselves =
        review(&t, team_scope()).reviewers(&[]).setting("recommendationsEnabled", json!(true)).running().await;
    assert_eq!(people(&by_themselves.items().await), ["dee", "ned", "tia"]);
    assert_eq!(by_themselves.found_by(&t.as_user("olga")).await, ["dee"]);
    assert_eq!(by_themselves.found_by(&t.as_user("tia")).await, ["tia"]);
    assert!(by_themselves.found_by(&t.as_user("dee")).await.is_empty());
    assert_eq!(by_themselves.item("dee").await["recommendation"], "NoInfoAvailable");

    let by_manager = review(&t, team_scope()).reviewers(&[manager()]).running().await;
    assert_eq!(by_manager.found_by(&t.as_user("boss")).await, ["ned", "tia"]);
    assert_eq!(by_manager.found_by(&t.as_user("olga")).await, ["dee"]);

    let by_rob = review(&t, team_scope()).running().await;
    assert_eq!(by_rob.found_by(&t.as_user("rob")).await, ["dee", "ned", "tia"]);
    assert!(by_rob.found_by(&t.as_user("olga")).await.is_empty());
}

/// P-03, LC-REV-07, LC-RCM-09, LC-DEF-07: another team is one item, like somebody by direct connect.
#[tokio::test]
async fn a_team_that_a_channel_is_shared_with_is_an_item_of_a_review_in_one_stage() {
    let t = tenant(team_shared_with_teams()).await;

    let by_themselves =
        review(&t, team_scope()).reviewers(&[]).setting("recommendationsEnabled", json!(true)).running().await;
    assert_eq!(people(&by_themselves.items().await), ["dee", "guests", "ned", "tia"]);
    assert_eq!(by_themselves.found_by(&t.as_user("olga")).await, ["dee", "guests"]);
    let item = by_themselves.item("guests").await;
    assert_eq!(item["principal"]["@odata.type"], "#microsoft.graph.identity", "no user: {item:#}");
    assert_eq!(item["recommendation"], "NoInfoAvailable");

    let by_manager = review(&t, team_scope()).reviewers(&[manager()]).running().await;
    assert_eq!(by_manager.found_by(&t.as_user("olga")).await, ["dee", "guests"]);
    let by_rob = review(&t, team_scope()).running().await;
    assert_eq!(by_rob.found_by(&t.as_user("rob")).await, ["dee", "guests", "ned", "tia"]);

    let stages = [1, 2].map(|number| stage(number, 3, &[user("rob")], &[], &[]));
    let several = review(&t, team_scope()).stages(&stages).running().await;
    assert_eq!(people(&several.items().await), ["ned", "tia"]);
}

/// LC-DEF-07, LC-INST-10: users of shared channels are left out of a review in several stages, and nobody may be left.
#[tokio::test]
async fn in_a_review_of_several_stages_users_of_shared_channels_are_left_out() {
    let t = tenant(team()).await;
    let stages = [1, 2].map(|number| stage(number, 3, &[user("rob")], &[], &[]));

    let single = review(&t, team_scope()).stages(&stages[..1]).running().await;
    let several = review(&t, team_scope()).stages(&stages).running().await;
    assert_eq!(people(&single.items().await), ["dee", "ned", "tia"]);
    assert_eq!(people(&several.items().await), ["ned", "tia"]);
    assert_eq!(t.as_admin().get(&several.instance_path()).await.ok().body["errors"], json!([]));

    let empty = json!({ "type": "group", "id": id_of("team"), "members": [] });
    Company::new().with(empty).import(&t).await;
    let nobody = review(&t, team_scope()).stages(&stages).running().await;
    assert_eq!(nobody.status().await, "Completed");
    let instance = t.as_admin().get(&nobody.instance_path()).await.ok().body;
    assert_eq!(instance["errors"][0]["code"], "ScopeResolutionFailed");
}

/// LC-REV-10
#[tokio::test]
async fn a_guest_reviews_once_he_has_accepted_his_invitation() {
    let invited = |state: &str| {
        let mut line = guest("gia");
        line["externalUserState"] = json!(state);
        line["mail"] = json!("gia@partner.example");
        line
    };
    let t = tenant(staff(&["u1", "rob"]).group("a", &["u1"], &[]).with(invited("PendingAcceptance"))).await;
    let scope = query(&format!("/groups/{}/transitiveMembers", object_id("a")));
    let by_the_guest = || review(&t, scope.clone()).reviewers(&[user("gia")]).fallbacks(&[user("rob")]);

    let pending = by_the_guest().running().await;
    Company::new().with(invited("Accepted")).import(&t).await;
    let accepted = by_the_guest().running().await;

    assert!(pending.found_by(&t.as_user("gia")).await.is_empty());
    assert_eq!(pending.found_by(&t.as_user("rob")).await, ["u1"]);
    assert_eq!(accepted.found_by(&t.as_user("gia")).await, ["u1"]);
}

/// Three groups that an all-groups review of guests looks at, and four that it does not: `security` is no Microsoft 365 group,
/// `rules` is dynamic, `power` can hold roles, `quiet` has no guest (one only in a nested group).
fn many_groups() -> Company {
    let group = |name: &str, members: &[&str], owner: &str, extra: Value| {
        let mut line = json!({ "type": "group", "id": id_of(name), "displayName": name, "groupTypes": ["Unified"],
            "members": ids(members), "owners": ids(&[owner]) });
        line.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        line
    };
    staff(&["u1", "rob", "olga", "otto"])
        .with(guest("g1"))
        .with(guest("g2"))
        .with(group("sales", &["u1", "g1", "g2"], "olga", json!({})))
        .with(group("lab", &["g1"], "otto", json!({ "resourceProvisioningOptions": ["Team"] })))
        .with(group("club", &["g2"], "olga", json!({ "resourceProvisioningOptions": ["Team"] })))
        .with(group("security", &["g1"], "olga", json!({ "groupTypes": [] })))
        .with(group("rules", &["g1"], "olga", json!({ "groupTypes": ["Unified", "DynamicMembership"] })))
        .with(group("power", &["g1"], "olga", json!({ "isAssignableToRole": true })))
        .with(group("quiet", &["u1", "security"], "olga", json!({})))
}

const ALL_MICROSOFT_365_GROUPS: &str = "/groups?$filter=(groupTypes/any(c:c+eq+'Unified'))&$count=true";
const ALL_TEAMS: &str =
    "/groups?$filter=(groupTypes/any(c:c eq 'Unified') and resourceProvisioningOptions/Any(x:x eq 'Team'))";

fn guests_of_every<'a>(tenant: &'a Tenant, enumeration: &str) -> ReviewBuilder<'a> {
    tenant
        .review()
        .with("scope", query(&format!("./members/microsoft.graph.user/?$count=true&{GUESTS}")))
        .with("instanceEnumerationScope", json!({ "query": enumeration, "queryType": "MicrosoftGraph" }))
        .reviewers(&[resource_owners()])
}

/// The instances of a definition.
async fn instances(tenant: &Tenant, review: &Review) -> Vec<Value> {
    tenant.as_admin().all(&format!("{}/instances", review.path())).await.0
}

/// Per group under review the names listed, by name of the group.
async fn listed_by_group(tenant: &Tenant, review: &Review) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for instance in instances(tenant, review).await {
        let items = review.occurrence(instance["id"].as_str().unwrap()).items().await;
        found.push((items[0]["resource"]["displayName"].as_str().unwrap().to_owned(), people(&items)));
    }
    found.sort();
    found
}

fn of(group: &str, names: &[&str]) -> (String, Vec<String>) {
    (group.to_owned(), names.iter().map(|name| (*name).to_owned()).collect())
}

/// what each instance's stage shows is what the definition's creator sent.
#[tokio::test]
async fn reviewers_named_by_type_are_those_of_every_instances_stage() {
    let t = tenant(many_groups()).await;
    let typed = json!([{ "query": null, "queryType": null, "queryRoot": null, "scopeType": "user", "reviewerId": id_of("olga") }]);
    let stages =
        json!([{ "stageId": "1", "durationInDays": 3, "recommendationsEnabled": false, "reviewers": typed.clone() }]);

    let review = guests_of_every(&t, ALL_MICROSOFT_365_GROUPS).with("stageSettings", stages).create().await;
    t.run_jobs().await;

    let instances = instances(&t, &review).await;
    assert_eq!(instances.len(), 3);
    for instance in instances {
        assert_eq!(review.occurrence(instance["id"].as_str().unwrap()).stages().await[0]["reviewers"], typed);
    }
}

/// S-07, E-01. LC-DEF-05, LC-INST-01 to 03, LC-INST-08, LC-INST-09
#[tokio::test]
async fn every_group_with_guests_gets_an_instance_of_its_own() {
    let t = tenant(many_groups()).await;

    let review = guests_of_every(&t, ALL_MICROSOFT_365_GROUPS).create().await;
    assert!(instances(&t, &review).await.is_empty());
    assert_eq!(t.as_admin().get(&review.path()).await.ok().text("status"), "NotStarted");
    t.run_jobs().await;

    assert_eq!(
        listed_by_group(&t, &review).await,
        [of("club", &["g2"]), of("lab", &["g1"]), of("sales", &["g1", "g2"])]
    );
    for instance in instances(&t, &review).await {
        assert_ne!(instance["id"], review.definition.as_str());
        assert_eq!(instance["status"], "InProgress");
        let items = review.occurrence(instance["id"].as_str().unwrap()).items().await;
        assert!(items.iter().all(|item| item["resource"] == items[0]["resource"]), "one resource each");
        assert_eq!(
            instance["scope"],
            json!({
                "@odata.type": "#microsoft.graph.accessReviewQueryScope",
                "query": format!(
                    "/v1.0/groups/{}/members/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')",
                    items[0]["resource"]["id"].as_str().unwrap()
                ),
                "queryType": "MicrosoftGraph", "queryRoot": null,
            })
        );
    }
    assert_eq!(t.as_admin().get(&review.path()).await.ok().text("status"), "InProgress");
    assert_eq!(t.as_admin().get("/definitions").await.ok().rows().len(), 1, "the definition stays one");
}

/// of several groups each has its own owners.
#[tokio::test]
async fn each_group_is_reviewed_by_its_own_owners() {
    let t = tenant(many_groups()).await;
    let review = guests_of_every(&t, ALL_MICROSOFT_365_GROUPS).create().await;
    t.run_jobs().await;

    let mut found = Vec::new();
    for instance in instances(&t, &review).await {
        let occurrence = review.occurrence(instance["id"].as_str().unwrap());
        let group = occurrence.items().await[0]["resource"]["displayName"].as_str().unwrap().to_owned();
        for owner in ["olga", "otto"] {
            let items = occurrence.found_by(&t.as_user(owner)).await;
            if !items.is_empty() {
                found.push((group.clone(), owner, items));
            }
        }
    }
    found.sort();

    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        found,
        [
            ("club".to_owned(), "olga", names(&["g2"])),
            ("lab".to_owned(), "otto", names(&["g1"])),
            ("sales".to_owned(), "olga", names(&["g1", "g2"])),
        ]
    );
}

/// S-08, E-02
#[tokio::test]
async fn an_enumeration_of_teams_leaves_other_groups_out() {
    let t = tenant(many_groups()).await;
    let review = guests_of_every(&t, ALL_TEAMS).create().await;
    t.run_jobs().await;

    assert_eq!(listed_by_group(&t, &review).await, [of("club", &["g2"]), of("lab", &["g1"])]);
}

/// S-06
#[tokio::test]
async fn all_members_of_every_group_are_its_direct_users() {
    let t = tenant(many_groups()).await;
    let review = guests_of_every(&t, ALL_MICROSOFT_365_GROUPS)
        .with("scope", query("./members/microsoft.graph.user"))
        .create()
        .await;
    t.run_jobs().await;

    assert_eq!(
        listed_by_group(&t, &review).await,
        [of("club", &["g2"]), of("lab", &["g1"]), of("quiet", &["u1"]), of("sales", &["g1", "g2", "u1"])]
    );
}

/// P-05. LC-INST-11
#[tokio::test]
async fn inactive_guests_over_all_groups_leave_groups_without_one_out() {
    let signed_in = |name: &str, at: &str| {
        let mut line = guest(name);
        line["createdDateTime"] = json!("2001-01-01T00:00:00Z");
        line["signInActivity"] = json!({ "lastSignInDateTime": at });
        line
    };
    let t = tenant(many_groups()).await;
    let lately = t.now().await.to_rfc3339();
    Company::new().with(signed_in("g1", "2002-01-01T00:00:00Z")).with(signed_in("g2", &lately)).import(&t).await;
    let scope = memberships(
        &[json!({ "@odata.type": "#microsoft.graph.accessReviewInactiveUsersQueryScope",
            "query": format!("/users?{GUESTS}"), "queryType": "MicrosoftGraph", "inactiveDuration": "P30D" })],
        &[query("/groups")],
    );

    let review = review(&t, scope).create().await;
    t.run_jobs().await;

    assert_eq!(listed_by_group(&t, &review).await, [of("lab", &["g1"]), of("sales", &["g1"]), of("security", &["g1"])]);
}

/// LC-DEF-11
#[tokio::test]
async fn a_review_of_every_group_without_a_group_to_review_is_over_at_once() {
    let t = tenant(staff(&["rob"])).await;
    let review = guests_of_every(&t, ALL_MICROSOFT_365_GROUPS).create().await;
    t.run_jobs().await;

    assert!(instances(&t, &review).await.is_empty());
    assert_eq!(t.as_admin().get(&review.path()).await.ok().text("status"), "Completed");
    assert_eq!(t.events_of("Occurrence opened").await[0]["after"]["groups"], 0);
}

/// LC-INST-08: the groups of an occurrence are those of its start.
#[tokio::test]
async fn the_second_occurrence_of_a_series_looks_its_groups_up_anew() {
    let t = tenant(many_groups()).await;
    let start = t.now().await.date_naive();
    let review = guests_of_every(&t, ALL_TEAMS)
        .setting("instanceDurationInDays", json!(3))
        .setting(
            "recurrence",
            json!({ "pattern": { "type": "weekly", "interval": 1 },
                "range": { "type": "numbered", "numberOfOccurrences": 2, "startDate": start } }),
        )
        .create()
        .await;
    t.run_jobs().await;
    assert_eq!(listed_by_group(&t, &review).await, [of("club", &["g2"]), of("lab", &["g1"])]);

    t.advance("P4D").await;
    // one occurrence is over, and none is there ahead of its start
    let statuses: Vec<_> = instances(&t, &review).await.iter().map(|instance| instance["status"].clone()).collect();
    assert_eq!(statuses, ["Completed", "Completed"]);
    assert_eq!(t.as_admin().get(&review.path()).await.ok().text("status"), "InProgress");
    Company::new()
        .with(json!({ "type": "group", "id": id_of("lab"), "members": [] }))
        .with(json!({ "type": "group", "id": id_of("sales"), "resourceProvisioningOptions": ["Team"] }))
        .import(&t)
        .await;
    t.advance("P4D").await;

    let second: Vec<_> =
        instances(&t, &review).await.into_iter().filter(|instance| instance["status"] == "InProgress").collect();
    let mut groups = Vec::new();
    for instance in &second {
        let items = review.occurrence(instance["id"].as_str().unwrap()).items().await;
        groups.push(items[0]["resource"]["displayName"].as_str().unwrap().to_owned());
    }
    groups.sort();
    assert_eq!(groups, ["club", "sales"]);
    t.advance("P4D").await;
    assert_eq!(t.as_admin().get(&review.path()).await.ok().text("status"), "Completed");
    assert_eq!(instances(&t, &review).await.len(), 4);
}

/// LC-DEF-22, LC-DEF-27: between two occurrences nothing waits but the time of the next one; a stop and an update reach that too.
#[tokio::test]
async fn a_stopped_series_over_many_groups_opens_no_further_occurrence_until_it_is_given_another_end() {
    let t = tenant(many_groups()).await;
    let start = t.now().await.date_naive();
    let range =
        |occurrences: i32| json!({ "type": "numbered", "numberOfOccurrences": occurrences, "startDate": start });
    let review = guests_of_every(&t, ALL_TEAMS)
        .setting("instanceDurationInDays", json!(3))
        .setting("recurrence", json!({ "pattern": { "type": "weekly", "interval": 1 }, "range": range(4) }))
        .create()
        .await;
    t.run_jobs().await;

    t.as_admin().act(&format!("{}/stop", review.path())).await.is(204);
    t.advance("P8D").await;
    assert_eq!(instances(&t, &review).await.len(), 2);
    assert_eq!(t.as_admin().get(&review.path()).await.ok().text("status"), "Completed");

    let longer = json!({ "settings": { "recurrence": { "range": range(3) } } });
    t.as_admin().patch(&review.path(), &longer).await.is(204);
    t.advance("P8D").await;
    assert_eq!(instances(&t, &review).await.len(), 4);
}

/// LC-CONC-06: a worker that died after its commit, or two that ran the same job, leave one set of instances.
#[tokio::test]
async fn an_occurrence_is_opened_once_however_often_its_job_runs() {
    let t = tenant(many_groups()).await;
    let review = guests_of_every(&t, ALL_MICROSOFT_365_GROUPS).create().await;
    t.run_jobs().await;
    let before = (t.table("instances").await, t.table("stages").await, t.table("enumerated_occurrences").await);

    t.database
        .execute(&format!(
            "update jobs set finished_at = null, outcome = null, run_at = now()
              where tenant_id = '{}' and kind = 'open_occurrence'",
            t.id
        ))
        .await;
    assert_eq!(t.run_jobs().await, 1);

    let after = (t.table("instances").await, t.table("stages").await, t.table("enumerated_occurrences").await);
    assert_eq!(after, before);
    assert_eq!(instances(&t, &review).await.len(), 3);
}

/// A definition that is gone before its time leaves nothing behind.
#[tokio::test]
async fn an_occurrence_of_a_deleted_definition_is_not_opened() {
    let t = tenant(many_groups()).await;
    let review = guests_of_every(&t, ALL_MICROSOFT_365_GROUPS).create().await;
    t.as_admin().delete(&review.path()).await.is(204);
    t.run_jobs().await;

    assert!(t.table("instances").await.is_empty());
}

/// LC-STAGE-01: stages of an all-groups review are planned per group.
#[tokio::test]
async fn a_review_of_every_group_may_have_stages() {
    let t = tenant(many_groups()).await;
    let review = guests_of_every(&t, ALL_TEAMS)
        .stages(&[
            crate::support::stage(1, 2, &[resource_owners()], &[], &[]),
            crate::support::stage(2, 3, &[user("rob")], &[], &[]),
        ])
        .create()
        .await;
    t.run_jobs().await;
    t.advance("P2D").await;

    for instance in instances(&t, &review).await {
        let occurrence = review.occurrence(instance["id"].as_str().unwrap());
        assert_eq!(occurrence.stage_statuses().await, ["Completed", "InProgress"]);
        assert_eq!(occurrence.found_in_stage(2, &t.as_user("rob")).await.len(), 1);
    }
}

//! Denials carried out on every kind of resource, when an admin asks and by themselves. LC-APPLY-03 to 06, LC-APPLY-16

use serde_json::{Value, json};

use crate::{
    scope_forms::{
        access_package, application, guest, memberships, package, payroll, query, role, role_definition, schedule,
        team, team_scope, team_shared_with_teams,
    },
    support::{
        Company, GUEST, Review, Tenant, account, apply_path, assert_one_chain_of_statuses_each, column_where,
        history_body, members, object_id, people, results, user,
    },
};

/// Both ways that lead to applying. IN-12
const WAYS: [bool; 2] = [false, true];

/// What this company is like once the review has begun.
type Meanwhile<'a> = Option<&'a str>;

/// Rob decides a review of `scope`, `meanwhile` (SQL about the tenant `$T`) happens, and the decisions are applied.
async fn carried_out(
    t: &Tenant,
    scope: Value,
    by_itself: bool,
    decisions: &[(&str, &str)],
    meanwhile: Meanwhile<'_>,
) -> Review {
    let review = t
        .review()
        .with("scope", scope)
        .reviewers(&[user("rob")])
        .setting("autoApplyDecisionsEnabled", json!(by_itself))
        .running()
        .await;
    for (name, decision) in decisions {
        review.decide(&t.as_user("rob"), name, decision).await.is(204);
    }
    if let Some(sql) = meanwhile {
        t.database.execute(&sql.replace("$T", &format!("'{}'", t.id))).await;
    }
    t.advance("P10D").await;
    if !by_itself {
        assert_eq!(review.status().await, "Completed");
        t.as_admin().act(&apply_path(&review)).await.is(204);
        assert_eq!(review.status().await, "Applying");
        t.run_jobs().await;
    }
    assert_eq!(review.status().await, "Applied");
    let by = if by_itself { "Access Reviews" } else { "carla" };
    for item in review.items().await.iter().filter(|item| item["applyResult"] != "New") {
        assert_eq!(item["appliedBy"]["displayName"], by, "{item:#}");
        assert!(item["appliedDateTime"].is_string(), "{item:#}");
    }
    assert_one_chain_of_statuses_each(&t.database, &t.id.to_string()).await;
    review
}

async fn tenant(company: Company) -> Tenant {
    let t = Tenant::new().await;
    company.import(&t).await;
    t
}

async fn told(review: &Review, name: &str) -> (String, String) {
    let item = review.item(name).await;
    let description = item["applyDescription"].as_str().unwrap_or_default().to_owned();
    (item["applyResult"].as_str().unwrap().to_owned(), description)
}

#[track_caller]
fn assert_told((result, description): &(String, String), expected: &str, word: &str) {
    assert_eq!(result, expected, "{description}");
    assert!(description.contains(word), "{description}");
    assert_eq!(description.is_empty(), word.is_empty(), "{description}");
}

fn ids(names: &[&str]) -> Vec<String> {
    let mut ids: Vec<_> = names.iter().map(|name| object_id(name)).collect();
    ids.sort();
    ids
}

/// IN-12, LC-APPLY-03, LC-APPLY-04, LC-APPLY-05, LC-APPLY-06: `ann` has two roles of her own, `bea` comes through `clerks`, `cy` both ways.
#[tokio::test]
async fn of_an_application_the_own_assignments_go_and_those_of_groups_stay() {
    for by_itself in WAYS {
        let t = tenant(payroll()).await;
        let denied = [("ann", "Deny"), ("bea", "Deny"), ("cy", "Deny")];

        let review = carried_out(&t, application(true), by_itself, &denied, None).await;

        assert_told(&told(&review, "ann").await, "AppliedSuccessfully", "");
        assert_told(&told(&review, "bea").await, "ApplyNotSupported", "group assigned to the application");
        assert_told(&told(&review, "cy").await, "AppliedSuccessfully", "group assigned to the application remains");
        let left = column_where(&t, "app_role_assignments", "service_principal_id", "payroll", "principal_id").await;
        assert_eq!(left, ids(&["clerks", "robot"]));
        assert_eq!(members(&t, "clerks").await, ids(&["bea", "cy"]), "nobody is taken out of a group");
    }
}

/// LC-APPLY-03
#[tokio::test]
async fn of_an_application_who_was_approved_or_left_open_keeps_what_he_has() {
    let t = tenant(payroll()).await;

    let review = carried_out(&t, application(false), false, &[("ann", "Approve"), ("cy", "DontKnow")], None).await;

    assert_told(&told(&review, "ann").await, "AppliedSuccessfully", "");
    assert_told(&told(&review, "cy").await, "New", "");
    assert_eq!(t.table("app_role_assignments").await.len(), 5);
}

/// LC-APPLY-08, LC-APPLY-09: whoever comes to the application through a group loses the account like the others.
#[tokio::test]
async fn denied_guests_of_an_application_can_be_disabled_and_deleted() {
    let t = tenant(payroll().with(guest(GUEST))).await;
    Company::new().group("clerks", &["bea", "cy", GUEST], &[]).import(&t).await;
    let guests = memberships(
        &[json!({ "@odata.type": "#microsoft.graph.accessReviewPrincipalScope", "scopeType": "guestUsers" })],
        &[json!({ "@odata.type": "#microsoft.graph.accessReviewResourceScope", "scopeType": "servicePrincipal",
            "resourceId": object_id("payroll") })],
    );
    let delete = json!([{ "@odata.type": "#microsoft.graph.disableAndDeleteUserApplyAction" }]);
    let builder = t.review().with("scope", guests).reviewers(&[user("rob")]).setting("applyActions", delete);
    let review = builder.setting("autoApplyDecisionsEnabled", json!(true)).running().await;
    review.decide(&t.as_user("rob"), GUEST, "Deny").await.is(204);

    t.advance("P10D").await;
    assert_eq!((review.status().await, account(&t, GUEST).await), ("Applying".to_owned(), Some(false)));
    t.advance("P30D").await;

    assert_eq!((review.status().await, account(&t, GUEST).await), ("Applied".to_owned(), None));
    assert_eq!(members(&t, "clerks").await, ids(&["bea", "cy"]));
}

/// [`role`], with `inn` assigned the role himself as well as through `admins`.
async fn with_inn_assigned_too() -> Tenant {
    let t = tenant(role()).await;
    let members = ["act", "gia", "robot", "inn"].map(object_id);
    let role = json!({ "type": "directoryRole", "id": object_id("role"), "members": members });
    Company::new().with(role).import(&t).await;
    t
}

async fn holders(t: &Tenant) -> (Vec<String>, Vec<String>) {
    let of = async |table: &str| column_where(t, table, "role_id", "role", "principal_id").await;
    (of("role_assignments").await, of("role_eligibilities").await)
}

fn users_and_groups_of_the_role() -> Value {
    memberships(&[query("/v1.0/users"), query("/v1.0/groups")], &[role_definition()])
}

/// IN-12, LC-INST-13, LC-APPLY-03, LC-APPLY-05, LC-APPLY-06: `act` holds the role and may activate it; `admins` is an item like the others.
#[tokio::test]
async fn of_a_role_both_ways_of_holding_it_go_and_a_denied_group_loses_its_assignment() {
    for by_itself in WAYS {
        let t = with_inn_assigned_too().await;
        let decisions =
            [("act", "Deny"), ("admins", "Deny"), ("eli", "Approve"), ("gia", "DontKnow"), ("inn", "Approve")];

        let review = carried_out(&t, users_and_groups_of_the_role(), by_itself, &decisions, None).await;

        assert_told(&told(&review, "act").await, "AppliedSuccessfully", "");
        assert_told(&told(&review, "admins").await, "AppliedSuccessfully", "");
        assert_told(&told(&review, "gia").await, "New", "");
        assert_eq!(holders(&t).await, (ids(&["gia", "inn", "robot"]), ids(&["eli", "gil"])));
        assert_eq!(members(&t, "admins").await, ids(&["inn"]), "nobody is taken out of the group");
    }
}

/// LC-APPLY-04, LC-APPLY-05
#[tokio::test]
async fn who_holds_a_role_through_a_group_too_keeps_that_and_who_holds_it_only_so_keeps_it() {
    let own_is_gone = "delete from role_assignments where tenant_id = $T and principal_id = '{inn}'";
    let own_is_gone = own_is_gone.replace("{inn}", &object_id("inn"));
    for (meanwhile, result, word) in [
        (None, "AppliedSuccessfully", "still held through a group"),
        (Some(own_is_gone.as_str()), "ApplyNotSupported", "only through a group"),
    ] {
        let t = with_inn_assigned_too().await;

        let review = carried_out(&t, users_and_groups_of_the_role(), false, &[("inn", "Deny")], meanwhile).await;

        assert_told(&told(&review, "inn").await, result, word);
        assert_eq!(holders(&t).await, (ids(&["act", "gia", "robot"]), ids(&["act", "admins", "eli", "gil"])));
    }
}

/// LC-APPLY-03: a review of assignments leaves eligibilities alone, and the other way round; the role may be named by its template.
#[tokio::test]
async fn of_a_role_only_the_holding_under_review_goes() {
    let user_kind = "isof(principal,'microsoft.graph.user')";
    let eligible = schedule("roleEligibilityScheduleInstances", user_kind);
    let assigned =
        schedule("roleAssignmentScheduleInstances", &format!("assignmentType eq 'Assigned' and {user_kind}"));
    let robots = schedule("roleAssignmentScheduleInstances", "isof(principal,'microsoft.graph.servicePrincipal')");
    let template = query(&format!("/roleManagement/directory/roleDefinitions/{}", object_id("role-template")));
    let all_assigned = ["act", "gia", "robot"].as_slice();
    let all_eligible = ["act", "admins", "eli", "gil"].as_slice();
    for (scope, denied, assigned, eligible) in [
        (eligible, "act", all_assigned, ["admins", "eli", "gil"].as_slice()),
        (assigned, "act", &["gia", "robot"], all_eligible),
        (robots, "robot", &["act", "gia"], all_eligible),
        (template, "act", &["gia", "robot"], &["admins", "eli", "gil"]),
    ] {
        let t = tenant(role()).await;

        let review = carried_out(&t, scope, true, &[(denied, "Deny")], None).await;

        assert_told(&told(&review, denied).await, "AppliedSuccessfully", "");
        assert_eq!(holders(&t).await, (ids(assigned), ids(eligible)), "{denied}");
    }
}

/// IN-12, LC-APPLY-03, LC-APPLY-06: `gil` has two assignments under the policy; assignments under another policy stay.
#[tokio::test]
async fn of_an_access_package_the_assignments_under_the_policy_go() {
    for by_itself in WAYS {
        let t = tenant(access_package()).await;
        let decisions = [("ann", "Approve"), ("gil", "Deny"), ("robot", "Deny")];

        let review = carried_out(&t, package("staff", "shop"), by_itself, &decisions, None).await;

        let found = results(&review).await;
        assert!(found.values().all(|result| result == "AppliedSuccessfully"), "{found:?}");
        let left = column_where(&t, "access_package_assignments", "access_package_id", "kit", "target_id").await;
        assert_eq!(left, ids(&["ann", "gia"]));
    }
}

/// The same with the scope of a type, which may say no catalog.
#[tokio::test]
async fn of_an_access_package_in_a_typed_scope_too() {
    let t = tenant(access_package()).await;
    let typed = memberships(
        &[json!({ "@odata.type": "#microsoft.graph.accessReviewPrincipalScope", "scopeType": "allUsers" })],
        &[json!({ "@odata.type": "#microsoft.graph.accessReviewAccessPackageAssignmentPolicyScope",
            "scopeType": "accessPackageAssignmentPolicy", "resourceId": object_id("staff") })],
    );

    carried_out(&t, typed, true, &[("ann", "Deny")], None).await;

    let left = column_where(&t, "access_package_assignments", "access_package_id", "kit", "target_id").await;
    assert_eq!(left, ids(&["gia", "gil", "gil", "robot"]));
}

async fn in_channels(t: &Tenant) -> Vec<String> {
    column_where(t, "shared_channel_members", "group_id", "team", "member_id").await
}

/// IN-12, LC-APPLY-16, LC-APPLY-05, LC-APPLY-06: `dee` is in two channels by direct connect, `tia` a member of team and channel, `ned` nested.
#[tokio::test]
async fn of_a_team_whoever_is_denied_loses_membership_and_every_shared_channel() {
    for by_itself in WAYS {
        let t = tenant(team()).await;
        assert_eq!(in_channels(&t).await, ids(&["dee", "dee", "tia"]));
        let denied = [("dee", "Deny"), ("tia", "Deny"), ("ned", "Deny")];

        let review = carried_out(&t, team_scope(), by_itself, &denied, None).await;

        assert_told(&told(&review, "dee").await, "AppliedSuccessfully", "");
        assert_told(&told(&review, "tia").await, "AppliedSuccessfully", "");
        assert_told(&told(&review, "ned").await, "ApplyNotSupported", "nested group");
        assert!(in_channels(&t).await.is_empty());
        assert_eq!(members(&t, "team").await, ids(&["inner"]));
    }
}

/// LC-APPLY-16: a channel that is shared with a whole team is taken from that team; its members keep what they have themselves.
#[tokio::test]
async fn a_denied_team_loses_every_shared_channel() {
    for by_itself in WAYS {
        let t = tenant(team_shared_with_teams()).await;
        let into_another = format!(
            "insert into shared_channel_members (tenant_id, group_id, channel_id, member_id, member_type)
             values ($T, '{}', '19:one', '{}', 'group')",
            object_id("team"),
            object_id("guests")
        );

        let review =
            carried_out(&t, team_scope(), by_itself, &[("guests", "Deny"), ("dee", "Approve")], Some(&into_another))
                .await;

        assert_told(&told(&review, "guests").await, "AppliedSuccessfully", "");
        assert_eq!(in_channels(&t).await, ids(&["dee", "dee", "inner", "tia"]));
        assert_eq!(members(&t, "guests").await, ids(&["rob"]), "the team itself is left alone");
        assert_eq!(members(&t, "team").await, ids(&["inner", "tia"]));
    }
}

/// LC-APPLY-04, LC-APPLY-16: what keeps a team's members does not keep those of its channels.
#[tokio::test]
async fn of_a_dynamic_team_only_who_is_there_by_direct_connect_can_be_removed() {
    let t = tenant(team()).await;
    let dynamic = "update groups set group_types = '{Unified,DynamicMembership}' where tenant_id = $T";

    let review = carried_out(&t, team_scope(), false, &[("dee", "Deny"), ("tia", "Deny")], Some(dynamic)).await;

    assert_told(&told(&review, "dee").await, "AppliedSuccessfully", "");
    assert_told(&told(&review, "tia").await, "ApplyNotSupported", "rule");
    assert_eq!(in_channels(&t).await, ids(&["tia"]));
    assert_eq!(members(&t, "team").await, ids(&["inner", "tia"]));
}

/// LC-APPLY-05, LC-APPLY-16
#[tokio::test]
async fn who_is_nested_and_in_a_channel_loses_the_channel() {
    let t = tenant(team()).await;
    let into_channel = format!(
        "insert into shared_channel_members (tenant_id, group_id, channel_id, member_id, member_type)
         values ($T, '{}', '19:two', '{}', 'user')",
        object_id("team"),
        object_id("ned")
    );

    let review = carried_out(&t, team_scope(), false, &[("ned", "Deny")], Some(&into_channel)).await;

    assert_told(&told(&review, "ned").await, "AppliedSuccessfully", "nested group remains");
    assert_eq!(in_channels(&t).await, ids(&["dee", "dee", "tia"]));
}

/// LC-APPLY-03: whatever the resource, what somebody else took away is not found, and what remains of others is not touched.
#[tokio::test]
async fn what_was_taken_away_meanwhile_is_not_found() {
    for (company, scope, denied, taken) in [
        (payroll(), application(true), "ann", "delete from app_role_assignments where principal_id = '{}'"),
        (role(), users_and_groups_of_the_role(), "eli", "delete from role_eligibilities where principal_id = '{}'"),
        (
            access_package(),
            package("staff", "shop"),
            "ann",
            "delete from access_package_assignments where target_id = '{}'",
        ),
        (team(), team_scope(), "dee", "delete from shared_channel_members where member_id = '{}'"),
    ] {
        let t = tenant(company).await;
        let taken = format!("{} and tenant_id = $T", taken.replace("{}", &object_id(denied)));

        let review = carried_out(&t, scope, true, &[(denied, "Deny")], Some(&taken)).await;

        assert_told(&told(&review, denied).await, "AppliedSuccessfullyButObjectNotFound", "");
    }
}

/// LC-APPLY-13: no review has a resource that nothing here can take access from, so this one is given the scope of a definition over
/// all groups, which its instances never have. What is left to do by hand is found by its result, in lists and reports.
#[tokio::test]
async fn what_no_connector_reaches_is_left_to_be_done_by_hand_and_can_be_found() {
    let t = tenant(team()).await;
    let inactive_guests = json!({
        "@odata.type": "#microsoft.graph.accessReviewInactiveUsersQueryScope",
        "query": "/users?$filter=(userType eq 'Guest')", "queryType": "MicrosoftGraph", "inactiveDuration": "P30D",
    });
    let everywhere = memberships(&[inactive_guests], &[query("/groups")]);
    t.review().with("scope", everywhere).reviewers(&[user("rob")]).starting_in(t.now().await, 20).create().await;
    let unconnected = "update instances i set scope = d.scope from definitions d
                        where i.tenant_id = $T and d.tenant_id = $T and d.scope::text like '%P30D%'";

    let members_of_team = query(&format!("/groups/{}/transitiveMembers", object_id("team")));
    let decisions = [("tia", "Deny"), ("ned", "Approve")];
    let review = carried_out(&t, members_of_team, false, &decisions, Some(unconnected)).await;

    assert_told(&told(&review, "tia").await, "ApplyNotSupported", "where it was granted");
    assert_told(&told(&review, "ned").await, "AppliedSuccessfully", "");
    assert_eq!(members(&t, "team").await, ids(&["inner", "tia"]));
    let left = format!("{}/decisions?$filter=applyResult eq 'ApplyNotSupported'", review.instance_path());
    assert_eq!(people(t.as_admin().get(&left).await.ok().rows()), ["tia"]);
    let mut body = history_body(t.now().await);
    body["reviewHistoryPeriodStartDateTime"] = json!(t.now().await - chrono::TimeDelta::days(20));
    body["decisions"] = json!(["deny"]);
    let rows = t.rows_of_report(&t.as_admin(), &body).await;
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0]["PrincipalName"].as_str(), rows[0]["SubmissionResult"].as_str()), ("tia", "not applied"));
}

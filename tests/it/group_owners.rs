//! Owners who review their own groups, where their tenant lets them. LC-AUTH-02

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Company, Review, Tenant, group_members, id_of, object_id, stage, user};

const SETTINGS: &str = "//attestry/v1/reviewSettings";

/// The company of the worked example, whose `olga` owns `finance`, and a group `sales` of `noor`.
async fn company() -> Tenant {
    let t = Tenant::new().await;
    Company::finance().group("sales", &["ana", "ben"], &["noor"]).import(&t).await;
    t
}

async fn allow(t: &Tenant, may: bool) {
    let answer = t.as_admin().patch(SETTINGS, &json!({ "groupOwnersMayReview": may })).await.is(200);
    assert_eq!(answer.body, json!({ "groupOwnersMayReview": may }));
}

async fn listed(t: &Tenant, name: &str) -> Vec<String> {
    let rows = t.as_user(name).get("/definitions").await.is(200);
    rows.rows().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// LC-AUTH-02
#[tokio::test]
async fn by_default_an_owner_neither_creates_nor_sees_reviews_of_his_group() {
    let t = company().await;
    let review = t.review().running().await;
    let olga = t.as_user("olga");

    olga.post("/definitions", t.review().body()).await.refused(403, "Forbidden");
    olga.get("/definitions").await.refused(403, "Forbidden");
    for path in [review.path(), review.instance_path(), format!("{}/decisions", review.instance_path())] {
        olga.get(&path).await.refused(404, "ResourceNotFound");
    }
    olga.delete(&review.path()).await.refused(404, "ResourceNotFound");
    assert_eq!(t.events_of("Create access review").await.len(), 1);
}

/// LC-AUTH-02, LC-AUTH-01
#[tokio::test]
async fn where_the_tenant_allows_it_an_owner_creates_and_manages_reviews_of_his_group_and_of_no_other() {
    let t = company().await;
    let stages = [stage(1, 3, &[user("mia")], &[], &[]), stage(2, 3, &[user("tom")], &[], &[])];
    let admins = t.review().stages(&stages).running().await;
    allow(&t, true).await;
    let (olga, noor) = (t.as_user("olga"), t.as_user("noor"));

    let own = olga.post("/definitions", t.review().body()).await.is(201);
    assert_eq!(own.body["createdBy"]["id"], object_id("olga"));
    noor.post("/definitions", t.review().body()).await.refused(403, "Forbidden");
    let sales = t.review().scope(&format!("/groups/{}/transitiveMembers", id_of("sales")));
    olga.post("/definitions", sales.body()).await.refused(403, "Forbidden");
    t.run_jobs().await;

    let instance = admins.instance_path();
    let stage = admins.stage_path(1).await;
    let item = format!("{instance}/decisions/{}", admins.item_id("ana").await);
    for path in [
        admins.path(),
        format!("{}/instances", admins.path()),
        instance.clone(),
        format!("{instance}/stages"),
        stage.clone(),
        format!("{instance}/decisions"),
        format!("{stage}/decisions"),
        item.clone(),
        format!("{instance}/contactedReviewers"),
    ] {
        olga.get(&path).await.is(200);
        noor.get(&path).await.refused(404, "ResourceNotFound");
    }
    assert_eq!(olga.get(&format!("{instance}/decisions")).await.rows().len(), 7);
    let decision = json!({ "decision": "Approve", "justification": "mine" });
    olga.patch(&item, &decision).await.refused(403, "Forbidden");

    noor.patch(&stage, &json!({ "reviewers": [user("mia"), user("tom")] })).await.refused(404, "ResourceNotFound");
    olga.patch(&stage, &json!({ "reviewers": [user("mia"), user("tom")] })).await.is(200);
    let renamed = json!({ "displayName": "Renamed by its owner" });
    noor.patch(&admins.path(), &renamed).await.refused(404, "ResourceNotFound");
    olga.patch(&admins.path(), &renamed).await.is(204);
    for action in ["resetDecisions", "sendReminder", "stop"] {
        noor.act(&format!("{instance}/{action}")).await.refused(404, "ResourceNotFound");
        olga.act(&format!("{instance}/{action}")).await.is(204);
    }
    olga.act(&format!("{instance}/applyDecisions")).await.is(204);
    olga.delete(&admins.path()).await.is(204);
    assert_eq!(t.events_of("Update access review").await[0]["actor_id"], object_id("olga"));
}

/// LC-AUTH-02
#[tokio::test]
async fn an_owners_list_holds_the_reviews_of_his_groups_and_those_he_created() {
    let t = company().await;
    let finance = t.review().running().await.definition;
    let sales = t.review().scope(&format!("/groups/{}/members", id_of("sales"))).running().await.definition;
    allow(&t, true).await;
    let of_sales = t.review().scope(&format!("/groups/{}/members", id_of("sales")));
    let made = t.as_user("noor").post("/definitions", of_sales.body()).await.is(201).text("id");

    assert_eq!(listed(&t, "olga").await, std::slice::from_ref(&finance));
    assert_eq!(listed(&t, "noor").await, [made.clone(), sales.clone()]);
    let counted = t.as_user("noor").get("/definitions?$count=true&$top=1").await.is(200);
    assert_eq!((&counted.body["@odata.count"], counted.rows().len()), (&json!(2), 1));
    t.as_user("zoe").get("/definitions").await.refused(403, "Forbidden");

    Company::new().group("sales", &["ana", "ben"], &["olga"]).import(&t).await;
    assert_eq!(listed(&t, "noor").await, std::slice::from_ref(&made), "what he created he still reads");
    assert_eq!(listed(&t, "olga").await, [made.clone(), sales, finance]);
    t.as_user("noor").delete(&format!("/definitions/{made}")).await.refused(403, "Forbidden");
}

/// LC-AUTH-02
#[tokio::test]
async fn the_right_ends_with_the_ownership_with_the_account_and_with_the_setting() {
    let t = company().await;
    let review = t.review().running().await;
    let reads = async || t.as_user("olga").get(&review.path()).await.status;
    assert_eq!(reads().await, 404);
    allow(&t, true).await;
    assert_eq!(reads().await, 200);

    let enabled =
        |enabled: bool| format!("{}\n", json!({ "type": "user", "id": id_of("olga"), "accountEnabled": enabled }));
    t.import(&enabled(false)).await;
    assert_eq!(reads().await, 404);
    t.import(&enabled(true)).await;
    assert_eq!(reads().await, 200);

    let owners = |owners: &[&str]| {
        let owners: Vec<_> = owners.iter().map(|owner| id_of(owner)).collect();
        format!("{}\n", json!({ "type": "group", "id": id_of("finance"), "owners": owners }))
    };
    t.import(&owners(&["pete"])).await;
    assert_eq!(reads().await, 404);
    t.import(&owners(&["olga", "pete"])).await;
    assert_eq!(reads().await, 200);

    allow(&t, false).await;
    assert_eq!(reads().await, 404);
    t.as_user("olga").post("/definitions", t.review().body()).await.refused(403, "Forbidden");
}

/// LC-AUTH-02: what an owner is does not add to what a role reads, but to what it manages.
#[tokio::test]
async fn an_owner_who_reads_everything_manages_his_own_group_only() {
    let t = company().await;
    let finance = t.review().running().await;
    let sales = t.review().scope(&format!("/groups/{}/members", id_of("sales"))).running().await;
    allow(&t, true).await;
    let olga = t.as_user_with_roles("olga", &["Global Reader"]);

    assert_eq!(olga.get("/definitions").await.is(200).rows().len(), 2);
    olga.act(&format!("{}/stop", sales.instance_path())).await.refused(403, "Forbidden");
    olga.act(&format!("{}/stop", finance.instance_path())).await.is(204);
    let reading = t.as_user_with_scopes("olga", &[], &["AccessReview.Read.All"]);
    reading.get(&finance.path()).await.is(200);
    reading.delete(&finance.path()).await.refused(403, "Forbidden");
}

/// LC-AUTH-02, LC-INST-02: a review of all groups is nobody's own.
#[tokio::test]
async fn an_owner_has_no_part_in_a_review_of_all_groups_nor_in_what_is_no_group() {
    let t = Tenant::new().await;
    Company::finance()
        .with(json!({ "type": "group", "id": id_of("club"), "displayName": "club", "groupTypes": ["Unified"],
            "members": [id_of("ana")], "owners": [id_of("olga")] }))
        .with(json!({ "type": "servicePrincipal", "id": id_of("payroll"), "displayName": "Payroll",
            "owners": [id_of("olga")],
            "appRoleAssignedTo": [{ "id": "one", "principalId": id_of("ana"), "appRoleId": id_of("clerk") }] }))
        .import(&t)
        .await;
    allow(&t, true).await;
    let query = |query: &str| json!({ "@odata.type": "#microsoft.graph.accessReviewQueryScope", "query": query, "queryType": "MicrosoftGraph" });
    let all = t
        .review()
        .with("scope", query("./members/microsoft.graph.user"))
        .with("instanceEnumerationScope", query("/groups?$filter=(groupTypes/any(c:c eq 'Unified'))&$count=true"));
    let application = t.review().scope(&format!("/servicePrincipals/{}/appRoleAssignedTo", id_of("payroll")));
    let olga = t.as_user("olga");
    olga.post("/definitions", all.body()).await.refused(403, "Forbidden");
    olga.post("/definitions", application.body()).await.refused(403, "Forbidden");

    let all = all.running().await;
    let application = application.running().await;
    let instances = t.as_admin().get(&format!("{}/instances", all.path())).await.is(200);
    assert_eq!(instances.rows().len(), 1);
    let instance = format!("{}/instances/{}", all.path(), instances.rows()[0]["id"].as_str().unwrap());
    for path in [all.path(), instance, application.path(), application.instance_path()] {
        olga.get(&path).await.refused(404, "ResourceNotFound");
    }
    assert_eq!(listed(&t, "olga").await, [""; 0]);
}

/// LC-AUTH-02: what happens to accounts is not the owner's to say.
#[tokio::test]
async fn an_owner_cannot_have_accounts_deleted() {
    let t = company().await;
    allow(&t, true).await;
    let guests = format!(
        "/groups/{}/transitiveMembers/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')",
        id_of("finance")
    );
    let delete = json!([{ "@odata.type": "#microsoft.graph.disableAndDeleteUserApplyAction" }]);
    let of_guests = t.review().scope(&guests);
    let plain = of_guests.body().clone();
    let deleting = of_guests.setting("applyActions", delete.clone());
    let olga = t.as_user("olga");

    let refused = olga.post("/definitions", deleting.body()).await.refused(403, "Forbidden");
    assert!(refused.message().contains("applyActions"), "{}", refused.message());
    let path = format!("/definitions/{}", olga.post("/definitions", &plain).await.is(201).text("id"));
    let change = json!({ "settings": { "applyActions": delete } });
    olga.patch(&path, &change).await.refused(403, "Forbidden");
    t.as_admin().patch(&path, &change).await.is(204);
    // as it stands an owner may leave it
    olga.patch(&path, &json!({ "displayName": "Guests" })).await.is(204);
}

/// Reviewing is another thing than owning: an owner who reviews is not limited by the setting. LC-AUTH-03
#[tokio::test]
async fn an_owner_who_reviews_decides_whatever_the_setting() {
    let t = company().await;
    let review: Review = t.review().reviewers(&[user("olga"), group_members("auditors")]).running().await;
    review.decide(&t.as_user("olga"), "ana", "Approve").await.is(204);
    t.as_user("olga").act(&format!("{}/stop", review.instance_path())).await.refused(403, "Forbidden");
    allow(&t, true).await;
    review.decide(&t.as_user("olga"), "ana", "Deny").await.is(204);
    t.as_user("olga").act(&format!("{}/stop", review.instance_path())).await.is(204);
}

/// LC-AUTH-02, LC-AUD-01
#[tokio::test]
async fn the_settings_are_read_and_changed_by_those_who_may_and_each_change_leaves_an_event() {
    let t = company().await;
    let off = json!({ "groupOwnersMayReview": false });
    let on = json!({ "groupOwnersMayReview": true });
    for caller in [t.as_admin(), t.as_reader(), t.as_application()] {
        assert_eq!(caller.get(SETTINGS).await.is(200).body, off);
    }
    for caller in [t.as_user("olga"), t.as_application_with(&["User.Read.All"])] {
        caller.get(SETTINGS).await.refused(403, "Forbidden");
    }
    let not_every_kind = t.as_user_with_roles("uma", &["User Administrator"]);
    let reading = t.as_user_with_scopes("carla", &["Global Administrator"], &["AccessReview.Read.All"]);
    for caller in [t.as_user("olga"), t.as_reader(), not_every_kind, reading] {
        caller.patch(SETTINGS, &on).await.refused(403, "Forbidden");
    }
    t.with_authorization(None).get(SETTINGS).await.refused(401, "InvalidAuthenticationToken");
    for (body, path) in [
        (json!({ "groupOwnersMayReview": "yes" }), "groupOwnersMayReview"),
        (json!({ "groupOwnersMayReview": null }), "groupOwnersMayReview"),
        (json!({ "groupOwnerMayReview": true }), "groupOwnerMayReview"),
    ] {
        t.as_admin().patch(SETTINGS, &body).await.faults(path);
    }
    assert_eq!(t.as_admin().get(SETTINGS).await.is(200).body, off);
    assert_eq!(t.table("review_settings").await, [Value::Null; 0]);

    assert_eq!(t.as_admin().patch(SETTINGS, &on).await.is(200).body, on);
    assert_eq!(t.as_admin().patch(SETTINGS, &json!({})).await.is(200).body, on);
    assert_eq!(t.as_admin().patch(SETTINGS, &on).await.is(200).body, on);
    assert_eq!(t.as_reader().get(SETTINGS).await.is(200).body, on);
    let events = t.events_of("Review settings changed").await;
    assert_eq!(events.len(), 1, "what changes nothing is no change");
    assert_eq!((&events[0]["before"], &events[0]["after"]), (&off, &on));
    assert_eq!(events[0]["actor_id"], object_id("carla"));

    for method in [Method::POST, Method::PUT, Method::DELETE] {
        t.as_admin().send(method, SETTINGS, Some(&on)).await.refused(405, "MethodNotAllowed");
    }
    let other = company().await;
    assert_eq!(other.as_admin().get(SETTINGS).await.is(200).body, off);
}

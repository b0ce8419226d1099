//! What is recommended from sign-ins and from the tree of managers, and the insights that explain it. LC-RCM-02 to LC-RCM-11

use std::collections::BTreeMap;

use attestry::domain::affiliation::{ManagedPerson, affiliations};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{Company, MINE, Review, ReviewBuilder, Tenant, id_of, object_id, stage, user};

const RECENTLY: i64 = 2;
const LONG_AGO: i64 = 90;

/// Somebody under a manager who signed in so many days before `now`; `None`: nothing is known.
fn person(now: DateTime<Utc>, name: &str, manager: Option<&str>, days_ago: Option<i64>) -> Value {
    let mut line = json!({
        "type": "user", "id": id_of(name), "userPrincipalName": format!("{name}@acme.example"), "displayName": name,
        "manager": manager.map(id_of), "createdDateTime": "2001-01-01T00:00:00Z",
    });
    if let Some(days) = days_ago {
        line["signInActivity"] = json!({ "lastSignInDateTime": (now - TimeDelta::days(days)).to_rfc3339() });
    }
    line
}

const NEAR: [&str; 8] = ["ann", "bea", "cas", "dot", "eli", "fred", "gil", "hal"];

/// A group `team` of eight people under one lead and of `wes`, who is in another branch two levels further down.
///
/// `ann` and `wes` signed in lately, `bea` long ago; of the others nothing is known. `solo` has no manager and `boss` is at the top.
async fn team() -> Tenant {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let mut company = Company::new()
        .with(person(now, "boss", None, None))
        .with(person(now, "lead", Some("boss"), None))
        .with(person(now, "west", Some("boss"), None))
        .with(person(now, "deep", Some("west"), None))
        .with(person(now, "wes", Some("deep"), Some(RECENTLY)))
        .with(person(now, "solo", None, None));
    for name in NEAR {
        let days_ago = match name {
            "ann" => Some(RECENTLY),
            "bea" => Some(LONG_AGO),
            _ => None,
        };
        company = company.with(person(now, name, Some("lead"), days_ago));
    }
    let members: Vec<_> = NEAR.into_iter().chain(["wes", "solo"]).collect();
    company.group("team", &members, &["olga"]).import(&t).await;
    t
}

fn review(t: &Tenant) -> ReviewBuilder<'_> {
    t.review().scope(&format!("/groups/{}/members", id_of("team"))).setting("recommendationsEnabled", json!(true))
}

fn affiliation() -> Value {
    json!({ "@odata.type": "#microsoft.graph.groupPeerOutlierRecommendationInsightSettings" })
}

fn last_sign_in(look_back: &str, scope: &str) -> Value {
    json!({ "@odata.type": "#microsoft.graph.userLastSignInRecommendationInsightSetting",
        "recommendationLookBackDuration": look_back, "signInScope": scope })
}

fn asking(builder: ReviewBuilder<'_>, insights: Value) -> ReviewBuilder<'_> {
    builder.setting("recommendationInsightSettings", insights)
}

/// What is recommended of each principal, by display name.
fn recommended(items: &[Value]) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    items.iter().map(|item| (text(&item["principal"]["displayName"]), text(&item["recommendation"]))).collect()
}

fn of<'a>(recommended: &'a BTreeMap<String, String>, names: &[&str]) -> Vec<&'a str> {
    names.iter().map(|name| recommended[*name].as_str()).collect()
}

/// The types of the insights of each principal who has any, below an instance or a stage, all in one list.
async fn told(t: &Tenant, parent: &str) -> BTreeMap<String, Vec<String>> {
    let (items, _) = t.as_admin().all(&format!("{parent}/decisions?$expand=insights")).await;
    let kinds = |item: &Value| -> Vec<String> {
        let insights = item["insights"].as_array().unwrap();
        insights
            .iter()
            .map(|insight| insight["@odata.type"].as_str().unwrap().rsplit('.').next().unwrap().to_owned())
            .collect()
    };
    let named = |item: &Value| (item["principal"]["displayName"].as_str().unwrap().to_owned(), kinds(item));
    items.iter().map(named).filter(|(_, kinds)| !kinds.is_empty()).collect()
}

fn only(names: &[&str], kind: &str) -> BTreeMap<String, Vec<String>> {
    names.iter().map(|name| ((*name).to_owned(), vec![kind.to_owned()])).collect()
}

/// LC-RCM-06, LC-RCM-07, LC-RCM-11
#[tokio::test]
async fn who_is_far_from_the_other_members_is_recommended_to_be_denied_and_the_insight_says_why() {
    let t = team().await;
    let review = asking(review(&t), json!([affiliation()])).running().await;

    let found = recommended(&review.items().await);
    assert_eq!(of(&found, &["wes", "solo"]), ["Deny", "NoInfoAvailable"]);
    assert_eq!(of(&found, &NEAR), ["Approve"; 8]);

    assert_eq!(told(&t, &review.instance_path()).await, only(&["wes"], "membershipOutlierInsight"));
    let path = format!("{}/decisions/{}/insights", review.instance_path(), review.item_id("wes").await);
    let listed = t.as_admin().get(&path).await.ok();
    let [insight] = listed.rows().as_slice() else { panic!("{:#}", listed.body) };
    let start = t.as_admin().get(&review.instance_path()).await.ok().text("startDateTime");
    assert_eq!(
        insight,
        &json!({
            "@odata.type": "#microsoft.graph.membershipOutlierInsight", "id": insight["id"],
            "insightCreatedDateTime": start, "memberId": id_of("wes"), "containerId": id_of("team"),
            "outlierMemberType": "user", "outlierContainerType": "group",
        })
    );
    let one = t.as_user("mia").get(&format!("{path}/{}?$select=memberId", insight["id"].as_str().unwrap())).await.ok();
    assert_eq!(one.body["memberId"], json!(id_of("wes")));
}

/// LC-RCM-08, LC-RCM-03
#[tokio::test]
async fn several_insights_make_one_recommendation() {
    let t = team().await;
    let review = asking(review(&t), json!([last_sign_in("P30D", "tenant"), affiliation()])).running().await;

    let found = recommended(&review.items().await);

    // near and silent; near and active; near and unknown; far and active; nothing known at all
    let expected = ["Deny", "Approve", "Approve", "Deny", "NoInfoAvailable"];
    assert_eq!(of(&found, &["bea", "ann", "cas", "wes", "solo"]), expected);
    let told = told(&t, &review.instance_path()).await;
    assert_eq!(told["wes"], ["userSignInInsight", "membershipOutlierInsight"]);
    assert_eq!(
        (&told["ann"], &told["bea"]),
        (&vec!["userSignInInsight".to_owned()], &vec!["userSignInInsight".to_owned()])
    );
    assert_eq!(told.len(), 3);
}

/// LC-RCM-10
#[tokio::test]
async fn each_stage_recommends_by_its_own_insights_and_shows_no_others() {
    let t = team().await;
    let mut stages = [1, 2, 3].map(|number| stage(number, 3, &[user("mia")], &[], &[]));
    let enabled = [
        (true, json!([last_sign_in("P60D", "tenant")])),
        (true, json!([affiliation()])),
        (false, json!([affiliation(), last_sign_in("P60D", "tenant")])),
    ];
    for (stage, (shown, insights)) in stages.iter_mut().zip(enabled) {
        stage["recommendationsEnabled"] = json!(shown);
        stage["recommendationInsightSettings"] = insights;
    }
    let review = review(&t).stages(&stages).running().await;
    let people = ["ann", "bea", "cas", "wes"];
    let signed_in = only(&["ann", "bea", "wes"], "userSignInInsight");
    let outlier = only(&["wes"], "membershipOutlierInsight");
    for (number, expected, facts) in [
        (1, ["Approve", "Deny", "NoInfoAvailable", "Approve"], signed_in),
        (2, ["Approve", "Approve", "Approve", "Deny"], outlier),
        (3, ["NoInfoAvailable"; 4], BTreeMap::new()),
    ] {
        let parent = review.stage_path(number).await;
        let items = t.as_admin().all(&format!("{parent}/decisions")).await.0;
        assert_eq!(of(&recommended(&items), &people), expected, "stage {number}");
        assert_eq!(told(&t, &parent).await, facts, "stage {number}");
        let mine = format!("{}/{MINE}?$expand=insights", review.instance_path());
        let mine = t.as_user("mia").get(&mine).await.ok();
        assert_eq!(
            of(&recommended(mine.rows()), &people),
            expected,
            "stage {number}, as its reviewer sees the instance"
        );
        t.advance("P3D").await;
    }
}

/// LC-RCM-02
#[tokio::test]
async fn a_new_manager_or_a_new_member_does_not_reach_a_review_that_runs() {
    let t = team().await;
    let review = asking(review(&t), json!([affiliation()])).running().await;
    let before = recommended(&review.items().await);
    let now = t.now().await;

    Company::new()
        .with(person(now, "wes", Some("lead"), None))
        .with(person(now, "ann", Some("deep"), None))
        .with(person(now, "solo", Some("lead"), None))
        .import(&t)
        .await;

    assert_eq!(recommended(&review.items().await), before);
    assert_eq!(told(&t, &review.instance_path()).await, only(&["wes"], "membershipOutlierInsight"));
}

/// LC-CMP-06, LC-CMP-05, LC-RCM-01
#[tokio::test]
async fn recommendation_by_default_uses_the_affiliation_also_where_nothing_is_shown() {
    let t = team().await;
    let review = asking(review(&t), json!([affiliation()]))
        .setting("recommendationsEnabled", json!(false))
        .setting("defaultDecisionEnabled", json!(true))
        .setting("defaultDecision", json!("Recommendation"))
        .running()
        .await;
    assert_eq!(of(&recommended(&review.items().await), &["wes", "ann", "solo"]), ["NoInfoAvailable"; 3]);
    assert!(told(&t, &review.instance_path()).await.is_empty());

    t.advance("P10D").await;

    let decided = async |name: &str| review.item(name).await["decision"].as_str().unwrap().to_owned();
    assert_eq!(decided("wes").await, "Deny");
    assert_eq!(decided("ann").await, "Approve");
    assert_eq!(decided("solo").await, "NotReviewed");
}

/// What the rule says of these members, by name; the directory is that of [`team`] and what was added.
fn by_rule(people: &[(&str, Option<&str>, bool)]) -> BTreeMap<String, String> {
    let person = |(name, manager, is_member): &(&str, Option<&str>, bool)| ManagedPerson {
        id: id_of(name),
        manager: manager.map(id_of),
        is_member: *is_member,
    };
    let found = affiliations(people.iter().map(person).collect());
    let recommendation = |name: &str| match found.iter().find(|found| found.member == id_of(name)) {
        Some(found) if found.is_outlier => "Deny",
        Some(_) => "Approve",
        None => "NoInfoAvailable",
    };
    let members = people.iter().filter(|(_, _, is_member)| *is_member);
    members.map(|(name, ..)| ((*name).to_owned(), recommendation(name).to_owned())).collect()
}

/// LC-RCM-06, LC-RCM-07, LC-INST-12: nested groups, managers who are members too, a manager above nobody else, and the top.
#[tokio::test]
async fn what_is_stored_is_what_the_rule_says_of_the_members_however_nested() {
    let t = team().await;
    Company::new()
        .group("inner", &["boss", "lead", "wes", "ann", "outer"], &[])
        .group("outer", &["bea", "inner", "deep", "solo", "cas"], &[])
        .import(&t)
        .await;
    let scope = format!("/groups/{}/transitiveMembers", id_of("outer"));

    let review = asking(review(&t).scope(&scope), json!([affiliation()])).running().await;

    let expected = by_rule(&[
        ("boss", None, true),
        ("lead", Some("boss"), true),
        ("west", Some("boss"), false),
        ("deep", Some("west"), true),
        ("wes", Some("deep"), true),
        ("ann", Some("lead"), true),
        ("bea", Some("lead"), true),
        ("cas", Some("lead"), true),
        ("solo", None, true),
    ]);
    assert!(expected.values().any(|found| found == "Approve"), "{expected:?}");
    assert_eq!(recommended(&review.items().await), expected);
}

/// LC-RCM-06: whoever is left out of the review is still one of the other members.
#[tokio::test]
async fn a_guest_is_compared_with_every_member_of_the_group() {
    let t = team().await;
    let now = t.now().await;
    let mut guest = person(now, "wes", Some("deep"), None);
    guest["userType"] = json!("Guest");
    let mut near = person(now, "ann", Some("lead"), None);
    near["userType"] = json!("Guest");
    Company::new().with(guest).with(near).import(&t).await;
    let guests =
        format!("/groups/{}/members/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')", id_of("team"));

    let review = asking(review(&t).scope(&guests), json!([affiliation()])).running().await;

    let found = recommended(&review.items().await);
    assert_eq!(found.len(), 2);
    assert_eq!(of(&found, &["wes", "ann"]), ["Deny", "Approve"]);
}

/// LC-RCM-07
#[tokio::test]
async fn a_circle_of_managers_and_a_group_of_three_tell_nothing_and_stop_nobody() {
    let t = team().await;
    Company::new().group("three", &["ann", "bea", "wes"], &[]).import(&t).await;
    let scope = format!("/groups/{}/members", id_of("three"));
    let three = asking(review(&t).scope(&scope), json!([affiliation()])).running().await;
    assert_eq!(of(&recommended(&three.items().await), &["ann", "bea", "wes"]), ["NoInfoAvailable"; 3]);

    // an import refuses it; nothing may hang if it is there all the same
    t.database
        .execute(&format!(
            "update users set manager_id = '{}' where tenant_id = '{}' and user_id = '{}'",
            id_of("ann"),
            t.id,
            id_of("boss"),
        ))
        .await;
    let review = asking(review(&t), json!([affiliation()])).running().await;
    let found = recommended(&review.items().await);
    assert!(found.values().all(|found| found == "NoInfoAvailable"), "{found:?}");
}

/// LC-RCM-09, LC-RCM-06
#[tokio::test]
async fn nothing_is_known_of_groups_service_principals_and_users_by_direct_connect() {
    let t = team().await;
    let now = t.now().await;
    let channels = json!([{ "id": "19:one", "displayName": "One", "members": [object_id("dee")] }]);
    let mut members: Vec<_> = NEAR.into_iter().chain(["wes"]).map(object_id).collect();
    members.push(object_id("finance"));
    Company::new()
        .with(person(now, "dee", Some("deep"), Some(LONG_AGO)))
        .with(json!({ "type": "group", "id": id_of("team"), "displayName": "team", "groupTypes": ["Unified"],
            "resourceProvisioningOptions": ["Team"], "members": members, "sharedChannels": channels }))
        .import(&t)
        .await;
    let both = json!([affiliation(), last_sign_in("P30D", "tenant")]);

    let nested = asking(review(&t), both.clone()).running().await;
    assert_eq!(nested.item("finance").await["recommendation"], "NoInfoAvailable");

    let query = |query: String| json!({ "@odata.type": "#microsoft.graph.accessReviewQueryScope", "query": query, "queryType": "MicrosoftGraph" });
    let team_and_channels = json!({
        "@odata.type": "#microsoft.graph.principalResourceMembershipsScope",
        "principalScopes": [query("/users".to_owned())],
        "resourceScopes": [
            query(format!("/groups/{}/transitiveMembers", id_of("team"))),
            query(format!("/teams/{}/channels?$filter=(membershipType eq 'shared')", id_of("team"))),
        ],
    });
    let shared = asking(review(&t).with("scope", team_and_channels), both).running().await;
    let found = recommended(&shared.items().await);
    assert_eq!(found["dee"], "NoInfoAvailable");
    assert_eq!(found["wes"], "Deny");
    assert!(!told(&t, &shared.instance_path()).await.contains_key("dee"));
}

/// LC-RCM-06: the product stops at 600 members.
#[tokio::test]
async fn a_group_of_any_size_is_compared() {
    const STAFF: usize = 1_500;
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let mut company = Company::new()
        .with(person(now, "boss", None, None))
        .with(person(now, "far", Some("boss"), None))
        .with(person(now, "farther", Some("far"), None))
        .with(person(now, "stranger", Some("farther"), None));
    let names: Vec<_> = (0..STAFF).map(|number| format!("staff{number}")).collect();
    for lead in 0..10 {
        company = company.with(person(now, &format!("lead{lead}"), Some("boss"), None));
    }
    for (number, name) in names.iter().enumerate() {
        company = company.with(person(now, name, Some(&format!("lead{}", number % 10)), None));
    }
    let members: Vec<_> = names.iter().map(String::as_str).chain(["stranger"]).collect();
    company.group("team", &members, &[]).import(&t).await;

    let review = asking(review(&t), json!([affiliation()])).running().await;

    let denied = format!("{}/decisions?$filter=recommendation eq 'Deny'&$count=true", review.instance_path());
    let listed = t.as_admin().get(&denied).await.ok();
    assert_eq!(listed.rows().len(), 1);
    assert_eq!(listed.rows()[0]["principal"]["id"], json!(id_of("stranger")));
    let approved =
        format!("{}/decisions?$filter=recommendation eq 'Approve'&$count=true&$top=1", review.instance_path());
    assert_eq!(t.as_admin().get(&approved).await.ok().body["@odata.count"], json!(STAFF));
}

// ---- reviews of applications ----

/// `ann` signed in to Payroll lately, `bea` long ago, `cas` never, of `dot` nothing is known; to the tenant it is the other way round.
async fn payroll() -> Tenant {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let ago = |days: i64| json!((now - TimeDelta::days(days)).to_rfc3339());
    let people = [("ann", Some(LONG_AGO)), ("bea", Some(RECENTLY)), ("cas", Some(RECENTLY)), ("dot", Some(LONG_AGO))];
    let mut company = Company::new();
    for (name, days_ago) in people {
        company = company.with(person(now, name, None, days_ago));
    }
    let assigned = |name: &str| json!({ "id": name, "principalId": id_of(name), "appRoleId": "00000000-0000-0000-0000-000000000000" });
    let last = |name: &str, at: Value| json!({ "userId": id_of(name), "lastSignInDateTime": at });
    company
        .with(json!({
            "type": "servicePrincipal", "id": id_of("payroll"), "displayName": "Payroll",
            "appRoleAssignedTo": people.map(|(name, _)| assigned(name)),
            "signIns": [last("ann", ago(RECENTLY)), last("bea", ago(LONG_AGO)), last("cas", Value::Null)],
        }))
        .with(json!({ "type": "servicePrincipal", "id": id_of("other"), "displayName": "Other",
            "signIns": people.map(|(name, _)| last(name, ago(RECENTLY))) }))
        .import(&t)
        .await;
    t
}

fn of_payroll(t: &Tenant) -> ReviewBuilder<'_> {
    let query = |query: String| json!({ "@odata.type": "#microsoft.graph.accessReviewQueryScope", "query": query, "queryType": "MicrosoftGraph" });
    let scope = json!({
        "@odata.type": "#microsoft.graph.principalResourceMembershipsScope",
        "principalScopes": [query("/v1.0/users".to_owned())],
        "resourceScopes": [query(format!("/v1.0/servicePrincipals/{}", id_of("payroll")))],
    });
    t.review().with("scope", scope).setting("recommendationsEnabled", json!(true))
}

const USERS: [&str; 4] = ["ann", "bea", "cas", "dot"];

/// LC-RCM-04, LC-RCM-05, LC-RCM-11
#[tokio::test]
async fn a_review_of_an_application_looks_at_sign_ins_to_that_application() {
    let t = payroll().await;
    let to_it = ["Approve", "Deny", "Deny", "NoInfoAvailable"];
    for builder in [of_payroll(&t), asking(of_payroll(&t), json!([last_sign_in("P30D", "application")]))] {
        let review = builder.running().await;

        assert_eq!(of(&recommended(&review.items().await), &USERS), to_it);
        assert_eq!(told(&t, &review.instance_path()).await, only(&["ann", "bea", "cas"], "userSignInInsight"));
        let path = format!("{}/decisions/{}/insights", review.instance_path(), review.item_id("cas").await);
        assert_eq!(t.as_admin().get(&path).await.ok().rows()[0]["lastSignInDateTime"], Value::Null, "never");
    }
}

/// LC-RCM-04, LC-RCM-08
#[tokio::test]
async fn a_review_of_an_application_looks_at_the_tenant_where_it_asks_for_that_and_at_both_where_it_asks_for_both() {
    let t = payroll().await;
    let tenant = asking(of_payroll(&t), json!([last_sign_in("P30D", "tenant")])).running().await;
    assert_eq!(of(&recommended(&tenant.items().await), &USERS), ["Deny", "Approve", "Approve", "Deny"]);
    assert_eq!(told(&t, &tenant.instance_path()).await, only(&USERS, "userSignInInsight"));

    let both = json!([last_sign_in("P30D", "tenant"), last_sign_in("P30D", "application"), affiliation()]);
    let both = asking(of_payroll(&t), both).running().await;
    assert_eq!(of(&recommended(&both.items().await), &USERS), ["Deny", "Deny", "Deny", "Deny"]);
    let path = format!("{}/decisions/{}/insights", both.instance_path(), both.item_id("ann").await);
    let listed = t.as_admin().get(&path).await.ok();
    let [one, other] = listed.rows().as_slice() else { panic!("{:#}", listed.body) };
    assert_ne!(one["id"], other["id"]);
    assert!(one["lastSignInDateTime"].as_str() < other["lastSignInDateTime"].as_str());
}

/// LC-RCM-02, LC-RCM-04
#[tokio::test]
async fn a_later_sign_in_to_the_application_counts_for_the_next_review_only() {
    let t = payroll().await;
    let before: Review = of_payroll(&t).running().await;
    let now = t.now().await;
    let later = json!({ "type": "servicePrincipal", "id": id_of("payroll"), "signIns": [
        { "userId": id_of("bea"), "lastSignInDateTime": now.to_rfc3339() }] });
    t.import(&format!("{later}\n")).await;

    let after = of_payroll(&t).running().await;

    assert_eq!(of(&recommended(&before.items().await), &["ann", "bea"]), ["Approve", "Deny"]);
    assert_eq!(of(&recommended(&after.items().await), &["ann", "bea"]), ["NoInfoAvailable", "Approve"]);
}

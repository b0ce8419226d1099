//! What is gathered when a review starts: principals, recommendations and the names shown.

use attestry::domain::{
    duration::IsoDuration,
    recommendation::{SignInActivity, from_last_sign_in, inactivity_cutoff},
};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{Company, Review, Tenant, id_of, people, stage, user};

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn microsecond() -> TimeDelta {
    TimeDelta::microseconds(1)
}

/// A member of `people` with what the directory knows of his activity.
fn person(name: &str, created: Option<DateTime<Utc>>, sign_in: Option<Option<DateTime<Utc>>>) -> Value {
    let mut line = json!({
        "type": "user", "id": id_of(name), "userPrincipalName": format!("{}@acme.example", id_of(name)),
        "displayName": name, "createdDateTime": created.map(time),
    });
    if let Some(last) = sign_in {
        line["signInActivity"] = json!({ "lastSignInDateTime": last.map(time) });
    }
    line
}

/// The groups `root`, `left` and `right` contain each other in a circle.
async fn with_a_circle() -> Tenant {
    let t = Tenant::with_finance().await;
    Company::new()
        .with(json!({ "type": "user", "id": id_of("gia"), "userPrincipalName": "gia@partner.example",
            "displayName": "gia", "userType": "Guest" }))
        .group("root", &["ana", "left", "gus"], &[])
        .group("left", &["ben", "ana", "right"], &[])
        .group("right", &["cleo", "root", "gia", "gus"], &[])
        .import(&t)
        .await;
    t
}

async fn gathered(t: &Tenant, path: &str) -> Vec<Value> {
    let review = t.review().scope(&format!("/groups/{}/{path}", id_of("root"))).running().await;
    review.items().await
}

/// S-01, S-02, LC-INST-12
#[tokio::test]
async fn transitive_members_are_each_there_once_however_many_paths_and_circles_lead_to_them() {
    let t = with_a_circle().await;
    for path in ["transitiveMembers", "transitiveMembers/microsoft.graph.user"] {
        let items = gathered(&t, path).await;
        assert_eq!(people(&items), ["Gus (guest)", "ana", "ben", "cleo", "gia"], "{path}");
    }
}

/// S-03, LC-INST-14
#[tokio::test]
async fn transitive_guests_are_the_direct_and_the_nested_ones() {
    let t = with_a_circle().await;
    for path in [
        "transitiveMembers/?$filter=(userType eq 'Guest')",
        "transitiveMembers/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')",
    ] {
        assert_eq!(people(&gathered(&t, path).await), ["Gus (guest)", "gia"], "{path}");
    }
}

/// S-04, LC-INST-12
#[tokio::test]
async fn direct_members_are_users_and_groups_and_no_group_is_expanded() {
    let t = with_a_circle().await;
    let items = gathered(&t, "members").await;
    assert_eq!(people(&items), ["Gus (guest)", "ana", "left"]);
    let left = items.iter().find(|item| item["principal"]["displayName"] == "left").unwrap();
    assert_eq!(left["principal"]["id"], json!(id_of("left")));
    assert_eq!(left["principal"]["@odata.type"], "#microsoft.graph.identity");
}

/// S-05
#[tokio::test]
async fn direct_guests_leave_out_the_nested_ones() {
    let t = with_a_circle().await;
    let path = "members/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')";
    assert_eq!(people(&gathered(&t, path).await), ["Gus (guest)"]);
}

/// LC-INST-14
#[tokio::test]
async fn an_external_person_with_user_type_member_is_no_guest() {
    let t = with_a_circle().await;
    Company::new()
        .with(json!({ "type": "user", "id": id_of("gus"), "userPrincipalName": "gus@partner.example",
            "displayName": "gus", "userType": "Member" }))
        .import(&t)
        .await;
    assert_eq!(people(&gathered(&t, "transitiveMembers?$filter=userType eq 'Guest'").await), ["gia"]);
}

/// A scheduled review of the group `people`, and the instant at which it will start.
async fn scheduled(t: &Tenant, change: impl FnOnce(&mut Value)) -> (Review, DateTime<Utc>) {
    Company::new().user("mia", None).group("people", &[], &[]).import(t).await;
    let mut builder = t.review().scope(&format!("/groups/{}/transitiveMembers", id_of("people")));
    builder = builder.starting_in(t.now().await, 5);
    change(&mut builder.body);
    let review = builder.create().await;
    let start = t.as_admin().get(&review.instance_path()).await.ok().text("startDateTime").parse().unwrap();
    (review, start)
}

async fn join(t: &Tenant, lines: Vec<Value>) {
    let members: Vec<_> = lines.iter().map(|line| line["id"].clone()).collect();
    let mut company = Company::new();
    for line in lines {
        company = company.with(line);
    }
    company
        .with(json!({ "type": "group", "id": id_of("people"), "displayName": "people", "members": members }))
        .import(t)
        .await;
}

/// LC-INST-11
#[tokio::test]
async fn an_inactive_users_scope_keeps_whoever_last_signed_in_earlier_than_the_duration_before_the_start() {
    let t = Tenant::new().await;
    let (review, start) = scheduled(&t, |body| {
        body["scope"]["@odata.type"] = json!("#microsoft.graph.accessReviewInactiveUsersQueryScope");
        body["scope"]["inactiveDuration"] = json!("P30D");
    })
    .await;
    let boundary = start - TimeDelta::days(30);
    let long_ago = Some(start - TimeDelta::days(900));
    join(
        &t,
        vec![
            person("on the boundary", long_ago, Some(Some(boundary))),
            person("just before", long_ago, Some(Some(boundary - microsecond()))),
            person("just after", long_ago, Some(Some(boundary + microsecond()))),
            person("never, old account", Some(boundary), Some(None)),
            person("never, young account", Some(boundary + microsecond()), Some(None)),
            person("never, age unknown", None, Some(None)),
            person("nothing known", long_ago, None),
        ],
    )
    .await;

    t.advance("P5D").await;

    assert_eq!(people(&review.items().await), ["just before", "never, age unknown", "never, old account"]);
}

/// LC-INST-11
#[tokio::test]
async fn an_inactive_users_scope_without_a_duration_filters_nothing() {
    let t = Tenant::new().await;
    let (review, start) = scheduled(&t, |body| {
        body["scope"]["@odata.type"] = json!("#microsoft.graph.accessReviewInactiveUsersQueryScope");
    })
    .await;
    join(&t, vec![person("active", Some(start), Some(Some(start))), person("nothing known", None, None)]).await;

    t.advance("P5D").await;

    assert_eq!(people(&review.items().await), ["active", "nothing known"]);
}

/// LC-RCM-02, LC-RCM-03, LC-RCM-05
#[tokio::test]
async fn what_sql_recommends_is_what_the_rule_recommends() {
    for look_back in [None, Some("P90D"), Some("PT36H")] {
        let t = Tenant::new().await;
        let (review, start) = scheduled(&t, |body| {
            body["settings"]["recommendationsEnabled"] = json!(true);
            if let Some(look_back) = look_back {
                body["settings"]["recommendationLookBackDuration"] = json!(look_back);
            }
        })
        .await;
        let duration: Option<IsoDuration> = look_back.map(|text| text.parse().unwrap());
        let cutoff = inactivity_cutoff(start, duration.as_ref());
        let mut cases = vec![
            ("unknown".to_owned(), None, None, SignInActivity::Unknown),
            ("unknown, old".to_owned(), Some(cutoff - TimeDelta::days(500)), None, SignInActivity::Unknown),
            ("never, no age".to_owned(), None, Some(None), SignInActivity::Never { account_created_at: None }),
        ];
        for (name, offset) in [
            ("long before", TimeDelta::days(-400)),
            ("just before", -microsecond()),
            ("on", TimeDelta::zero()),
            ("just after", microsecond()),
            ("long after", TimeDelta::days(20)),
        ] {
            let at = cutoff + offset;
            let last = SignInActivity::Last(at);
            cases.push((format!("last {name}"), Some(cutoff - TimeDelta::days(500)), Some(Some(at)), last));
            cases.push((format!("last {name}, no age"), None, Some(Some(at)), last));
            let never = SignInActivity::Never { account_created_at: Some(at) };
            cases.push((format!("created {name}"), Some(at), Some(None), never));
        }
        join(&t, cases.iter().map(|(name, created, last, _)| person(name, *created, *last)).collect()).await;

        t.advance("P5D").await;

        let items = review.items().await;
        assert_eq!(items.len(), cases.len());
        for (name, _, _, activity) in cases {
            let item = items.iter().find(|item| item["principal"]["displayName"] == name.as_str()).unwrap();
            let expected = from_last_sign_in(activity, cutoff).as_str();
            assert_eq!(item["recommendation"], expected, "{name} with look-back {look_back:?}");
        }
    }
}

/// LC-RCM-10
#[tokio::test]
async fn each_stage_recommends_with_its_own_look_back_from_the_start_of_the_instance() {
    let t = Tenant::new().await;
    let (review, start) = scheduled(&t, |body| {
        let mut stages = [1, 2, 3].map(|number| stage(number, 3, &[user("mia")], &[], &[]));
        stages[0]["recommendationsEnabled"] = json!(true);
        stages[0]["recommendationLookBackDuration"] = json!("P10D");
        stages[2]["recommendationsEnabled"] = json!(true);
        stages[2]["recommendationLookBackDuration"] = json!("P60D");
        body["stageSettings"] = json!(stages);
    })
    .await;
    // Counted from the start of stage 3 six days later, 60 days would end after it.
    join(&t, vec![person("ana", None, Some(Some(start - TimeDelta::days(57))))]).await;
    t.advance("P5D").await;
    join(&t, vec![person("ana", None, Some(Some(start)))]).await;

    for (number, expected) in [(1, "Deny"), (2, "NoInfoAvailable"), (3, "Approve")] {
        let items = review.stage_items(number, &t.as_admin()).await;
        assert_eq!(items[0]["recommendation"], expected, "stage {number}");
        let found = review.stage_item_for(number, &t.as_user("mia"), "ana").await;
        assert_eq!(found["recommendation"], expected, "stage {number}, as its reviewer finds it");
        t.advance("P3D").await;
    }
}

/// LC-RCM-01
#[tokio::test]
async fn switched_off_recommendations_are_no_information() {
    let t = Tenant::new().await;
    let (review, start) = scheduled(&t, |_| ()).await;
    join(
        &t,
        vec![person("ana", None, Some(Some(start))), person("ben", None, Some(Some(start - TimeDelta::days(90))))],
    )
    .await;
    t.advance("P5D").await;
    for item in review.items().await {
        assert_eq!(item["recommendation"], "NoInfoAvailable");
    }
}

/// LC-RCM-09
#[tokio::test]
async fn a_group_as_principal_is_no_information() {
    let t = with_a_circle().await;
    let scope = format!("/groups/{}/members", id_of("root"));
    let review = t.review().scope(&scope).setting("recommendationsEnabled", json!(true)).running().await;
    assert_eq!(review.item("left").await["recommendation"], "NoInfoAvailable");
}

/// LC-INST-06, LC-RCM-02
#[tokio::test]
async fn what_was_gathered_stays_when_members_names_and_sign_ins_change() {
    let t = Tenant::with_finance().await;
    let review = t.review().setting("recommendationsEnabled", json!(true)).running().await;
    let before = review.items().await;
    assert_eq!(before[0]["resource"], json!({ "id": id_of("finance"), "displayName": "finance", "type": "Group" }));

    Company::new()
        .with(json!({ "type": "user", "id": id_of("ana"), "userPrincipalName": "anna@acme.example",
            "displayName": "Anna", "signInActivity": { "lastSignInDateTime": "2020-01-01T00:00:00Z" } }))
        .with(json!({ "type": "group", "id": id_of("finance"), "displayName": "Money", "members": [id_of("zoe")] }))
        .import(&t)
        .await;

    assert_eq!(review.items().await, before);
    let ana = review.item("ana").await;
    assert_eq!(ana["principal"]["userPrincipalName"], "ana@acme.example");
}

/// LC-INST-06, LC-STAGE-10
#[tokio::test]
async fn a_later_stage_holds_the_principals_of_the_start() {
    let t = Tenant::with_finance().await;
    let stages = [stage(1, 3, &[user("mia")], &[], &[]), stage(2, 4, &[user("noor")], &[], &[])];
    let review = t.review().stages(&stages).running().await;
    let before = people(&review.items().await);
    Company::new().group("finance", &["zoe"], &[]).import(&t).await;

    t.advance("P3D").await;

    assert_eq!(people(&review.stage_items(2, &t.as_admin()).await), before);
}

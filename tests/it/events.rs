//! The record of changes: what an operation leaves in it, and that nobody can rewrite it. LC-AUD

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::{Answer, Review, Tenant, id_of, manager, object_id, stage, user};

/// A running review in two stages, and its tenant.
async fn running() -> (Tenant, Review) {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .stages(&[
            stage(1, 3, &[user("mia")], &[user("sam")], &["Approve"]),
            stage(2, 7, &[manager()], &[user("tom")], &[]),
        ])
        .setting("defaultDecisionEnabled", json!(true))
        .setting("defaultDecision", json!("Deny"))
        .running()
        .await;
    (t, review)
}

/// The events since `known`, which this moves forward.
async fn news(t: &Tenant, known: &mut usize) -> Vec<Value> {
    let events = t.events().await;
    let fresh = events[*known..].to_vec();
    *known = events.len();
    fresh
}

fn activities(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["activity"].as_str().unwrap()).collect()
}

/// Every event of one request names who asked, the request, and an instant that is now.
#[track_caller]
fn are_of(events: &[Value], answer: &Answer, kind: &str, actor: &str) {
    let request = answer.headers["request-id"].to_str().unwrap();
    let name = if kind == "application" { "Sync" } else { actor };
    for event in events {
        assert_eq!(event["request_id"], request, "{event:#}");
        assert_eq!(event["actor_kind"], kind, "{event:#}");
        assert_eq!(event["actor_id"], object_id(actor).as_str(), "{event:#}");
        assert_eq!(event["actor_name"], name, "{event:#}");
        assert_eq!(event["at"], events[0]["at"], "one unit of work has one now");
        assert!(event["recorded_at"].is_string());
    }
}

/// LC-AUD-01
#[tokio::test]
async fn creating_leaves_who_what_and_when() {
    let t = Tenant::with_finance().await;
    let mut known = t.events().await.len();

    let answer = t
        .review()
        .stages(&[stage(1, 3, &[user("mia")], &[user("sam")], &["Approve"]), stage(2, 7, &[user("tom")], &[], &[])])
        .send()
        .await
        .is(201);

    let events = news(&t, &mut known).await;
    assert_eq!(activities(&events), ["Create access review", "Instance status changed", "Stage created"]);
    are_of(&events, &answer, "user", "carla");
    let definition = answer.text("id");
    assert!(events.iter().all(|event| event["definition_id"] == definition.as_str()), "{events:#?}");
    assert_eq!(events[0]["before"], Value::Null);
    assert_eq!(events[0]["after"]["displayName"], "Finance-ERP");
    assert_eq!(events[0]["after"]["stages"], 2);
    assert_eq!(events[1]["after"]["status"], "NotStarted");
    assert_eq!(events[2]["after"]["reviewers"], json!([format!("/users/{}", id_of("mia"))]));
    assert_eq!(events[2]["after"]["fallbackReviewers"], json!([format!("/users/{}", id_of("sam"))]));
    let created: chrono::DateTime<chrono::Utc> = answer.text("createdDateTime").parse().unwrap();
    let at: chrono::DateTime<chrono::Utc> = events[0]["at"].as_str().unwrap().parse().unwrap();
    assert!((at - created).abs() < chrono::TimeDelta::milliseconds(1), "{at} {created}");
}

/// LC-AUD-01
#[tokio::test]
async fn opening_is_recorded_as_the_systems_doing() {
    let t = Tenant::with_finance().await;
    let review = t.review().create().await;
    let mut known = t.events().await.len();

    t.run_jobs().await;

    let events = news(&t, &mut known).await;
    assert_eq!(review.status().await, "InProgress");
    assert!(events.iter().all(|event| event["actor_kind"] == "system" && event["request_id"].is_null()), "{events:#?}");
    let steps = |activity: &str| -> Vec<String> {
        let of = events.iter().filter(|event| event["activity"] == activity);
        of.map(|event| event["after"]["status"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(steps("Instance status changed"), ["Initializing", "Starting", "InProgress"]);
    assert_eq!(steps("Stage status changed"), ["Initializing", "Starting", "InProgress"]);
    assert_eq!(events.len(), 6);
}

/// LC-AUD-01: the bulk forms are named after the answer, too.
#[tokio::test]
async fn every_answer_to_all_at_once_leaves_the_event_named_after_it() {
    let (t, review) = running().await;
    let mia = t.as_user("mia");
    let mut known = t.events().await.len();

    for (verdict, activity) in [
        ("Approve", "Bulk approve decisions"),
        ("DontKnow", "Bulk don't know decisions"),
        ("Deny", "Bulk deny decisions"),
        ("NotReviewed", "Bulk reset decisions"),
    ] {
        let body = json!({ "decision": verdict, "justification": "all of them" });
        let answer = mia.post(&format!("{}/batchRecordDecisions", review.instance_path()), &body).await.is(204);

        let events = news(&t, &mut known).await;
        are_of(&events, &answer, "user", "mia");
        let bulk: Vec<_> = events.iter().filter(|event| event["activity"] != "Decision overwritten").collect();
        assert_eq!(bulk.len(), 1, "{events:#?}");
        assert_eq!((&bulk[0]["activity"], &bulk[0]["after"]["items"]), (&json!(activity), &json!(7)));
        assert_eq!(bulk[0]["instance_id"], review.instance.as_str());
    }
}

/// LC-DEC-14
#[tokio::test]
async fn every_answer_leaves_one_event_with_the_answer_before() {
    let (t, review) = running().await;
    let mut known = t.events().await.len();
    let mia = t.as_user("mia");
    let mut before = Value::Null;

    for (verdict, activity) in [
        ("Approve", "Approve decision"),
        ("Deny", "Deny decision"),
        ("DontKnow", "Don't know decision"),
        ("NotReviewed", "Reset decision"),
    ] {
        let answer = review.decide(&mia, "ana", verdict).await.is(204);

        let events = news(&t, &mut known).await;
        assert_eq!(activities(&events), [activity]);
        are_of(&events, &answer, "user", "mia");
        assert_eq!(events[0]["before"], before);
        if verdict == "NotReviewed" {
            assert_eq!(events[0]["after"], Value::Null);
        } else {
            assert_eq!(events[0]["after"]["decision"], verdict);
            assert_eq!(events[0]["after"]["justification"], "because");
            assert_eq!(events[0]["after"]["reviewedBy"], object_id("mia").as_str());
        }
        assert!(events[0]["item_seq"].is_number() && events[0]["stage_id"].is_string());
        before = events[0]["after"].clone();
    }
}

/// LC-SUPD-26
#[tokio::test]
async fn an_update_of_a_stage_leaves_both_lists_before_and_after() {
    let (t, review) = running().await;
    let path = review.stage_path(1).await;
    let mut known = t.events().await.len();
    let body = json!({ "reviewers": [user("noor")], "fallbackReviewers": [user("sam"), user("tom")] });

    let answer = t.as_application().patch(&path, &body).await.is(200);

    let events = news(&t, &mut known).await;
    assert_eq!(activities(&events), ["Reviewers changed"]);
    are_of(&events, &answer, "application", "app-sync");
    let query = |name: &str| format!("/users/{}", id_of(name));
    assert_eq!(events[0]["before"], json!({ "reviewers": [query("mia")], "fallbackReviewers": [query("sam")] }));
    assert_eq!(
        events[0]["after"],
        json!({ "reviewers": [query("noor")], "fallbackReviewers": [query("sam"), query("tom")] })
    );
    assert!(path.ends_with(events[0]["stage_id"].as_str().unwrap()));

    t.as_application().patch(&path, &body).await.is(200);
    assert_eq!(news(&t, &mut known).await, [Value::Null; 0], "what changed nothing is no change");
}

#[tokio::test]
async fn stopping_and_deleting_leave_who_did_it() {
    let (t, review) = running().await;
    let stage = review.stage_path(1).await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    let mut known = t.events().await.len();
    let admin = t.as_admin();

    let answer = admin.act(&format!("{stage}/stop")).await.is(204);
    let events = news(&t, &mut known).await;
    are_of(&events, &answer, "user", "carla");
    let expected = ["Stage stopped", "Stage status changed", "Stage status changed", "Stage created"];
    assert_eq!(activities(&events)[..4], expected);
    assert_eq!(events.last().unwrap()["after"]["status"], "InProgress");

    let answer = admin.act(&format!("{}/stop", review.instance_path())).await.is(204);
    let events = news(&t, &mut known).await;
    are_of(&events, &answer, "user", "carla");
    assert_eq!(activities(&events)[0], "Instance stopped");
    let of = |activity: &str| events.iter().filter(|event| event["activity"] == activity).count();
    assert_eq!((of("Access review ended"), of("Auto review")), (1, 1));
    let automatic = events.iter().find(|event| event["activity"] == "Auto review").unwrap();
    assert_eq!(automatic["after"], json!({ "defaultDecision": "Deny", "items": 6 }), "ana was decided");

    let answer = admin.delete(&review.path()).await.is(204);
    let events = news(&t, &mut known).await;
    are_of(&events, &answer, "user", "carla");
    assert_eq!(activities(&events), ["Delete access review"]);
    assert_eq!(events[0]["before"]["displayName"], "Finance-ERP");
    assert_eq!(events[0]["after"], Value::Null);
}

/// LC-AUD-02, LC-DEF-32
#[tokio::test]
async fn events_outlive_the_review_they_tell_of() {
    let (t, review) = running().await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    let before = t.events().await;

    t.as_admin().delete(&review.path()).await.is(204);

    let after = t.events().await;
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.len(), before.len() + 1);
}

#[tokio::test]
async fn what_is_refused_leaves_no_event() {
    let (t, review) = running().await;
    let (instance, running_stage) = (review.instance_path(), review.stage_path(1).await);
    let item = review.item_id("ana").await;
    let known = t.events().await;
    let decision = json!({ "decision": "Approve", "justification": "because" });

    let mut body = t.review().body;
    body["settings"]["instanceDurationInDays"] = json!(0);
    t.as_admin().post("/definitions", &body).await.is(400);
    t.as_user("zoe").post("/definitions", &t.review().body).await.is(403);
    t.as_reader().delete(&review.path()).await.is(403);
    t.as_user("zoe").delete(&review.path()).await.is(404);
    t.as_reader().act(&format!("{running_stage}/stop")).await.is(403);
    t.as_reader().act(&format!("{instance}/stop")).await.is(403);
    t.as_admin().patch(&running_stage, &json!({ "fallbackReviewers": [] })).await.is(409);
    t.as_admin().patch(&running_stage, &json!({ "reviewer": [] })).await.is(400);
    t.as_admin().patch(&running_stage, &json!({ "reviewers": [user("nobody")] })).await.is(400);
    t.as_user("noor").patch(&format!("{instance}/decisions/{item}"), &decision).await.is(404);
    t.as_application().patch(&format!("{instance}/decisions/{item}"), &decision).await.is(403);
    t.as_user("mia").patch(&format!("{instance}/decisions/{item}"), &json!({ "decision": "Maybe" })).await.is(400);
    t.as_reader().post("//attestry/v1/sandbox/clock", &json!({ "advance": "P1D" })).await.is(403);

    assert_eq!(t.events().await, known);
}

#[tokio::test]
async fn moving_the_clock_is_recorded() {
    let t = Tenant::with_finance().await;
    let mut known = t.events().await.len();

    let answer = t.as_admin().post("//attestry/v1/sandbox/clock", &json!({ "advance": "P1D" })).await.is(200);

    let events = news(&t, &mut known).await;
    assert_eq!(activities(&events), ["Clock advanced"]);
    are_of(&events, &answer, "user", "carla");
    let now = |part: &str| events[0][part]["now"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert_eq!(now("after") - now("before"), chrono::TimeDelta::days(1));
}

/// LC-INV-01
#[tokio::test]
async fn the_statuses_of_each_instance_and_stage_follow_each_other_without_a_gap() {
    let (t, review) = running().await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    t.advance("P3D").await;
    t.advance("P30D").await;
    assert_eq!(review.status().await, "AutoReviewed");

    let mut last = std::collections::BTreeMap::<String, Value>::new();
    let mut chains = std::collections::BTreeMap::<String, Vec<String>>::new();
    for event in t.events().await {
        let key = match event["activity"].as_str().unwrap() {
            "Instance status changed" => event["instance_id"].to_string(),
            "Stage created" | "Stage status changed" => event["stage_id"].to_string(),
            _ => continue,
        };
        let status = event["after"]["status"].clone();
        let before = last.insert(key.clone(), status.clone()).unwrap_or(Value::Null);
        assert_eq!(event["before"]["status"], before, "{event:#}");
        chains.entry(key).or_default().push(status.as_str().unwrap().to_owned());
    }

    let instance = [
        "NotStarted",
        "Initializing",
        "Starting",
        "InProgress",
        "Completing",
        "Completed",
        "AutoReviewing",
        "AutoReviewed",
    ];
    assert_eq!(chains[&format!("\"{}\"", review.instance)], instance);
    let stages = review.stages().await;
    assert_eq!(chains.len(), 1 + stages.len());
    for stage in stages {
        let chain = &chains[&stage["id"].to_string()];
        assert_eq!(stage["status"], chain.last().unwrap().as_str());
        assert_eq!(chain[..6], instance[..6]);
    }
}

/// LC-AUD-02
#[tokio::test]
async fn the_service_can_neither_change_nor_remove_events() {
    let (t, _) = running().await;
    let before = t.events().await;
    let mut connection = t.database.connection().await;

    for statement in [
        "update events set actor_name = 'somebody else'",
        "delete from events",
        "truncate events",
        "alter table events disable row level security",
        "alter table events no force row level security",
        "drop table events",
        "grant delete on events to attestry_service; delete from events",
    ] {
        let attempt =
            format!("begin; set local role attestry_service; set local attestry.tenant = '{}'; {statement}", t.id);
        let error = sqlx::raw_sql(AssertSqlSafe(attempt)).execute(&mut connection).await.expect_err(statement);
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{statement}");
        sqlx::raw_sql("rollback").execute(&mut connection).await.unwrap();
    }

    assert_eq!(t.events().await, before);
}

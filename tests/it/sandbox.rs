//! The clock of a sandbox tenant over HTTP. Section 6 of the design

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{Answer, Client, Tenant, stage, user};

async fn advance(client: &Client, by: Value) -> Answer {
    client.post("//attestry/v1/sandbox/clock", &json!({ "advance": by })).await
}

fn now(answer: &Answer) -> DateTime<Utc> {
    answer.text("now").parse().unwrap()
}

#[tokio::test]
async fn an_administrator_advances_the_clock_and_is_told_the_new_time() {
    let t = Tenant::with_finance().await;
    let start = now(&advance(&t.as_admin(), json!("PT1M")).await.is(200));

    let answer = advance(&t.as_admin(), json!("P7D")).await.is(200);

    assert_eq!(answer.body.as_object().unwrap().len(), 1);
    let moved = now(&answer) - start;
    assert!(moved >= TimeDelta::days(7) && moved < TimeDelta::days(7) + TimeDelta::minutes(5), "{moved}");
    let created = t.review().send().await.is(201).text("createdDateTime").parse::<DateTime<Utc>>().unwrap();
    assert!(created >= now(&answer), "{created}");
    assert_eq!(t.events_of("Clock advanced").await.len(), 2);
}

#[tokio::test]
async fn everything_due_on_the_way_has_happened_when_the_answer_comes() {
    let t = Tenant::with_finance().await;
    let stages = [stage(1, 2, &[user("mia")], &[], &[]), stage(2, 2, &[user("sam")], &[], &[])];
    let review = t.review().stages(&stages).create().await;

    advance(&t.as_admin(), json!("PT0S")).await.is(200);
    assert_eq!(review.status().await, "InProgress");
    advance(&t.as_admin(), json!("P2D")).await.is(200);
    assert_eq!(review.stage_statuses().await, ["Completed", "InProgress"]);
    advance(&t.as_admin(), json!("P2D")).await.is(200);
    assert_eq!(review.stage_statuses().await, ["Completed", "Completed"]);
    assert_eq!(review.status().await, "Completed");
    assert_eq!(t.run_jobs().await, 0);
}

#[tokio::test]
async fn who_is_no_administrator_does_not_move_the_clock() {
    let t = Tenant::with_finance().await;
    t.review().running().await;
    let before = t.events().await;

    for client in [t.as_reader(), t.as_user("mia"), t.as_user("zoe"), t.as_user("carla")] {
        advance(&client, json!("P1D")).await.refused(403, "Forbidden");
    }
    let reading = t.as_user_with_scopes("carla", &["Identity Governance Administrator"], &["AccessReview.Read.All"]);
    advance(&reading, json!("P1D")).await.refused(403, "Forbidden");

    assert_eq!(t.events().await, before);
}

#[tokio::test]
async fn the_clock_of_a_tenant_that_is_no_sandbox_cannot_be_moved() {
    let t = Tenant::without_sandbox().await;

    let answer = advance(&t.as_admin(), json!("P1D")).await.faults("advance");

    assert!(answer.message().contains("sandbox"), "{}", answer.message());
    assert_eq!(t.events_of("Clock advanced").await.len(), 0);
}

#[tokio::test]
async fn a_wrong_step_is_refused() {
    let t = Tenant::with_finance().await;
    for by in [
        Value::Null,
        json!(7),
        json!("7"),
        json!("-P1D"),
        json!("P1D2"),
        json!(""),
        json!("P4000D"),
        json!("P99999999D"),
    ] {
        advance(&t.as_admin(), by).await.faults("advance");
    }
    let path = "//attestry/v1/sandbox/clock";
    t.as_admin().post(path, &json!({})).await.faults("advance");
    t.as_admin().post(path, &json!({ "advance": "P1D", "to": "2030-01-01" })).await.faults("to");
    assert_eq!(t.events_of("Clock advanced").await.len(), 0);
}

#[tokio::test]
async fn the_clocks_of_other_tenants_stay() {
    let t = Tenant::with_finance().await;
    let other = Tenant::with_finance().await;
    let review = other.review().running().await;

    advance(&t.as_admin(), json!("P30D")).await.is(200);

    other.run_jobs().await;
    assert_eq!(review.status().await, "InProgress");
}

//! A step of a review that fails every time it is tried: the review fails in the end, and what comes after it goes on. IN-15

use serde_json::{Value, json};

use crate::support::{Company, Review, Tenant, alone, id_of, stage, user};

const URL: &str = "https://reviews.example";

/// Runs what is due once more, as the try number `number`.
async fn try_number(t: &Tenant, number: i32) {
    let sql = format!(
        "update jobs set attempts = {}, run_at = now() where tenant_id = '{}' and finished_at is null and attempts > 0",
        number - 1,
        t.id
    );
    t.database.execute(&sql).await;
    attestry::jobs::run_due_jobs(&t.services, Some(t.id), URL).await.unwrap();
}

/// From now on this operation on a table fails with this SQLSTATE where `condition` holds.
async fn break_down(t: &Tenant, operation: &str, table: &str, condition: &str, code: &str) {
    t.database
        .execute(&format!(
            "create function break_down() returns trigger language plpgsql
             as $$ begin raise exception 'broken' using errcode = '{code}'; end $$;
             create trigger break_down before {operation} on {table} for each row
             when ({condition}) execute function break_down()"
        ))
        .await;
}

/// Mia decides for two days, then Noor, every week from now on; who says nothing is denied and loses access.
async fn series(t: &Tenant) -> Review {
    let two = [stage(1, 2, &[user("mia")], &[], &[]), stage(2, 2, &[user("noor")], &[], &[])];
    let start = t.now().await.date_naive();
    let recurrence = json!({
        "pattern": { "type": "weekly", "interval": 1 },
        "range": { "type": "numbered", "numberOfOccurrences": 3, "startDate": start },
    });
    let builder = t.review().stages(&two).setting("recurrence", recurrence);
    let builder = builder.setting("defaultDecisionEnabled", json!(true)).setting("defaultDecision", json!("Deny"));
    let review = builder.setting("autoApplyDecisionsEnabled", json!(true)).create().await;
    let first = rows(t, &review).await.remove(0);
    review.occurrence(first["id"].as_str().unwrap())
}

async fn rows(t: &Tenant, review: &Review) -> Vec<Value> {
    t.as_admin().get(&format!("{}/instances?$orderby=startDateTime", review.path())).await.ok().rows().clone()
}

async fn statuses(t: &Tenant, review: &Review) -> Vec<String> {
    rows(t, review).await.iter().map(|row| row["status"].as_str().unwrap().to_owned()).collect()
}

async fn outcomes(t: &Tenant, kind: &str) -> Vec<Value> {
    let jobs = t.table("jobs").await;
    jobs.iter()
        .filter(|job| job["kind"] == kind && job["finished_at"] != Value::Null)
        .map(|job| job["outcome"].clone())
        .collect()
}

#[track_caller]
fn assert_failed(row: &Value) {
    assert_eq!((&row["status"], &row["errors"][0]["code"]), (&json!("Failed"), &json!("InternalFault")));
    let message = row["errors"][0]["message"].as_str().unwrap();
    assert!(!message.contains("broken") && !message.contains("planned_stages"), "{message}");
}

/// IN-15, LC-INST-05, LC-INST-07, LC-SUPD-02: a stage that can never hand over.
#[tokio::test]
async fn a_review_whose_next_stage_can_never_begin_fails_and_the_series_goes_on() {
    let t = Tenant::with_finance().await;
    let review = series(&t).await;
    t.run_jobs().await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    let sql = format!("delete from planned_stages where tenant_id = '{}' and ordinal = 2", t.id);
    t.database.execute(&sql).await;
    t.advance_without_jobs("P2DT1M").await;

    attestry::jobs::run_due_jobs(&t.services, Some(t.id), URL).await.unwrap();
    try_number(&t, 100).await;
    assert_eq!(statuses(&t, &review).await, ["InProgress"], "it may be a mistake that somebody corrects");
    try_number(&t, 10_000).await;

    assert_eq!(statuses(&t, &review).await, ["Failed", "NotStarted"]);
    let instance = rows(&t, &review).await.remove(0);
    assert_failed(&instance);
    assert_eq!(review.stage_statuses().await, ["Completed"], "nobody is asked any more");
    assert_eq!(outcomes(&t, "close_stage").await, ["given up"]);
    assert_eq!(review.item("ana").await["decision"], "Approve");
    review.decide(&t.as_user("mia"), "ben", "Approve").await.refused(400, "InvalidReviewState");
    let stage = review.stage_path(1).await;
    t.as_admin().patch(&stage, &json!({ "reviewers": [user("zoe")] })).await.refused(400, "InvalidReviewState");
    t.as_admin().act(&format!("{}/applyDecisions", review.instance_path())).await.refused(400, "InvalidReviewState");

    t.advance("P5D").await;
    assert_eq!(statuses(&t, &review).await, ["Failed", "InProgress"]);
    assert_eq!(t.table("decisions").await.len(), 1, "nothing is decided by default");
}

/// IN-15: nobody waits for a day where days pass in a step.
#[tokio::test]
async fn a_step_of_the_clock_fails_a_review_that_cannot_go_on_and_passes_on() {
    let t = Tenant::with_finance().await;
    let review = series(&t).await;
    t.run_jobs().await;
    let sql = format!("delete from planned_stages where tenant_id = '{}' and ordinal = 2", t.id);
    t.database.execute(&sql).await;

    t.as_admin().post("//attestry/v1/sandbox/clock", &json!({ "advance": "P8D" })).await.is(200);

    assert_eq!(statuses(&t, &review).await, ["Failed", "InProgress"]);
    assert_failed(&rows(&t, &review).await[0]);
    assert_eq!(outcomes(&t, "close_stage").await, ["given up"]);
}

/// IN-15
#[tokio::test]
async fn a_review_that_can_never_gather_fails_and_the_series_goes_on() {
    let t = alone(&Company::finance()).await;
    let review = series(&t).await;
    break_down(&t, "insert", "decision_items", "true", "P0001").await;

    attestry::jobs::run_due_jobs(&t.services, Some(t.id), URL).await.unwrap();
    assert_eq!(statuses(&t, &review).await, ["Initializing"]);
    try_number(&t, 10_000).await;

    assert_eq!(statuses(&t, &review).await, ["Failed", "NotStarted"]);
    assert_failed(&rows(&t, &review).await[0]);
    assert_eq!(outcomes(&t, "open_instance").await, ["given up"]);
    t.database.execute("drop trigger break_down on decision_items").await;
    t.advance("P7D").await;
    assert_eq!(statuses(&t, &review).await, ["Failed", "InProgress"]);
}

/// IN-15, LC-APPLY-07
#[tokio::test]
async fn a_review_that_can_never_be_applied_fails_and_takes_no_more_access_away() {
    let t = Tenant::with_finance().await;
    let review = t.review().setting("autoApplyDecisionsEnabled", json!(true)).running().await;
    review.decide(&t.as_user("mia"), "ana", "Deny").await.is(204);
    t.as_admin().act(&format!("{}/stop", review.instance_path())).await.is(204);
    t.database.execute(&format!("delete from apply_runs where tenant_id = '{}'", t.id)).await;

    attestry::jobs::run_due_jobs(&t.services, Some(t.id), URL).await.unwrap();
    assert_eq!(review.status().await, "Applying");
    try_number(&t, 10_000).await;

    assert_failed(&t.as_admin().get(&review.instance_path()).await.ok().body);
    assert_eq!(t.as_admin().get(&review.path()).await.ok().text("status"), "Failed");
    assert_eq!(outcomes(&t, "apply_decisions").await, ["given up"]);
    assert_eq!(review.item("ana").await["applyResult"], "New");
}

/// IN-15: an outage of whatever length is no fault of the review.
#[tokio::test]
async fn a_step_that_meets_a_busy_database_is_tried_for_ever() {
    let t = alone(&Company::finance()).await;
    let review = t.review().create().await;
    break_down(&t, "insert", "decision_items", "true", "55P03").await;

    attestry::jobs::run_due_jobs(&t.services, Some(t.id), URL).await.unwrap();
    try_number(&t, 10_000).await;

    assert_eq!(review.status().await, "Initializing");
    t.database.execute("drop trigger break_down on decision_items").await;
    try_number(&t, 10_001).await;
    assert_eq!(review.status().await, "InProgress");
}

/// IN-15: when giving up fails too, everything stays as it was and is tried again.
#[tokio::test]
async fn what_cannot_even_be_given_up_is_tried_again() {
    let t = alone(&Company::finance()).await;
    let review = t.review().create().await;
    break_down(&t, "update", "instances", "new.status <> 'Initializing'", "P0001").await;

    attestry::jobs::run_due_jobs(&t.services, Some(t.id), URL).await.unwrap();
    try_number(&t, 10_000).await;

    assert_eq!(review.status().await, "Initializing");
    assert_eq!(outcomes(&t, "open_instance").await, [Value::Null; 0]);
    t.database.execute("drop trigger break_down on instances").await;
    try_number(&t, 10_001).await;
    assert_eq!(review.status().await, "InProgress");
}

/// IN-15, LC-INST-08: a review of all groups whose groups can never be looked up.
#[tokio::test]
async fn an_occurrence_that_can_never_be_opened_fails_and_the_next_one_opens() {
    let t = alone(&Company::finance()).await;
    let unified = json!({ "type": "group", "id": id_of("a"), "displayName": "a", "groupTypes": ["Unified"],
        "members": [id_of("ana")], "owners": [] });
    Company::new().with(unified).import(&t).await;
    let query = |query: &str| json!({ "@odata.type": "#microsoft.graph.accessReviewQueryScope", "query": query, "queryType": "MicrosoftGraph" });
    let start = t.now().await.date_naive();
    let recurrence = json!({
        "pattern": { "type": "weekly", "interval": 1 },
        "range": { "type": "numbered", "numberOfOccurrences": 2, "startDate": start },
    });
    let builder = t
        .review()
        .with("scope", query("./members/microsoft.graph.user"))
        .with("instanceEnumerationScope", query("/groups?$filter=(groupTypes/any(c:c eq 'Unified'))&$count=true"))
        .setting("recurrence", recurrence)
        .setting("instanceDurationInDays", json!(2));
    let review = builder.create().await;
    break_down(&t, "insert", "instances", "true", "P0001").await;

    attestry::jobs::run_due_jobs(&t.services, Some(t.id), URL).await.unwrap();
    try_number(&t, 10_000).await;

    assert_eq!(outcomes(&t, "open_occurrence").await, ["given up"]);
    t.database.execute("drop trigger break_down on instances").await;
    assert_eq!(rows(&t, &review).await.len(), 0);
    assert_eq!(t.as_admin().get(&review.path()).await.ok().text("status"), "InProgress");
    t.advance("P7D").await;
    assert_eq!(statuses(&t, &review).await, ["InProgress"]);
    assert!(t.events_of("Occurrence opened").await.len() == 2);
}

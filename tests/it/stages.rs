//! STAGE-LIST, STAGE-MINE, STAGE-GET, STAGE-STOP over HTTP.

use serde_json::{Value, json};

use crate::support::{Review, Tenant, manager, redacted, stage, user};

async fn three_stages(t: &Tenant) -> Review {
    t.review()
        .stages(&[
            stage(1, 3, &[manager()], &[user("sam")], &[]),
            stage(2, 4, &[user("olga")], &[], &[]),
            stage(3, 3, &[user("pete")], &[], &[]),
        ])
        .running()
        .await
}

#[tokio::test]
async fn a_stage_shows_its_reviewers_as_they_were_sent() {
    let t = Tenant::with_finance().await;
    let review = three_stages(&t).await;

    let answer = t.as_admin().get(&review.stage_path(1).await).await.is(200);

    insta::assert_json_snapshot!("stage", redacted(&answer.body));
}

/// LC-STAGE-03
#[tokio::test]
async fn only_stages_that_were_created_are_listed() {
    let t = Tenant::with_finance().await;
    let review = three_stages(&t).await;
    let path = format!("{}/stages", review.instance_path());

    let listed = t.as_admin().get(&path).await.is(200);

    let (definition, instance) = (&review.definition, &review.instance);
    let context = "https://reviews.example/v1.0/$metadata#identityGovernance/accessReviews";
    let context = format!("{context}/definitions('{definition}')/instances('{instance}')/stages");
    assert_eq!(listed.text("@odata.context"), context);
    let mut alone = t.as_admin().get(&review.stage_path(1).await).await.ok().body;
    assert_eq!(alone["@odata.context"], format!("{context}/$entity"));
    alone.as_object_mut().unwrap().shift_remove("@odata.context");
    assert_eq!(listed.rows(), &[alone]);

    t.advance("P7D").await;
    assert_eq!(review.stage_statuses().await, ["Completed", "Completed", "InProgress"]);
}

/// LC-STAGE-02
#[tokio::test]
async fn a_review_without_stage_settings_has_no_stages() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let hidden =
        t.database.rows(&format!("select to_jsonb(stage_id) from stages where tenant_id = '{}'", t.id)).await.remove(0);
    let hidden = hidden.as_str().unwrap();
    let instance = review.instance_path();

    assert_eq!(t.as_admin().get(&format!("{instance}/stages")).await.is(200).rows().len(), 0);
    let mine = t.as_user("mia").get(&format!("{instance}/stages/filterByCurrentUser(on='reviewer')")).await;
    assert_eq!(mine.is(200).rows().len(), 0);
    t.as_admin().get(&format!("{instance}/stages/{hidden}")).await.refused(404, "ResourceNotFound");
    t.as_admin().get(&format!("{instance}/stages/{hidden}/decisions")).await.refused(404, "ResourceNotFound");
    t.as_admin().act(&format!("{instance}/stages/{hidden}/stop")).await.refused(404, "ResourceNotFound");
    let item = review.item_id("ana").await;
    let path = format!("{instance}/stages/{hidden}/decisions/{item}");
    t.as_user("mia").get(&path).await.refused(404, "ResourceNotFound");
    t.as_user("mia").patch(&path, &json!({ "decision": "Deny" })).await.refused(404, "ResourceNotFound");
    assert_eq!(review.item("ana").await["decision"], "NotReviewed");
}

/// LC-AUTH-05
#[tokio::test]
async fn my_stages_are_those_in_which_i_review_something_closed_ones_included() {
    let t = Tenant::with_finance().await;
    let review = three_stages(&t).await;
    let first = review.stages().await[0]["id"].clone();
    t.advance("P3D").await;
    let second = review.stages().await[1]["id"].clone();
    let path = format!("{}/stages/filterByCurrentUser(on='reviewer')", review.instance_path());
    let mine = async |name: &str| -> Vec<Value> {
        let answer = t.as_user(name).get(&path).await.is(200);
        let context = "https://reviews.example/v1.0/$metadata#Collection(accessReviewStage)";
        assert_eq!(answer.text("@odata.context"), context);
        answer.rows().iter().map(|row| row["id"].clone()).collect()
    };

    assert_eq!(mine("mia").await, [first.clone()]);
    assert_eq!(mine("sam").await, [first]);
    assert_eq!(mine("olga").await, [second]);
    assert_eq!(t.as_admin().get(&path).await.is(200).rows().len(), 0);
    assert_eq!(t.as_application().get(&path).await.is(200).rows().len(), 0);
    t.as_user("pete").get(&path).await.refused(404, "ResourceNotFound");
}

/// LC-AUTH-04
#[tokio::test]
async fn a_reviewer_reads_his_stage_and_not_the_others() {
    let t = Tenant::with_finance().await;
    let review = three_stages(&t).await;
    t.advance("P3D").await;
    let (first, second) = (review.stage_path(1).await, review.stage_path(2).await);

    t.as_user("mia").get(&first).await.is(200);
    t.as_user("mia").get(&second).await.refused(404, "ResourceNotFound");
    t.as_user("olga").get(&second).await.is(200);
    t.as_user("olga").get(&first).await.refused(404, "ResourceNotFound");
    let list = format!("{}/stages", review.instance_path());
    assert_eq!(t.as_user("olga").get(&list).await.is(200).rows().len(), 1);
}

/// LC-STAGE-06, LC-STAGE-20
#[tokio::test]
async fn a_stopped_stage_is_completed_and_the_next_one_starts_now_and_keeps_its_end() {
    let t = Tenant::with_finance().await;
    let review = three_stages(&t).await;
    let instance = t.as_admin().get(&review.instance_path()).await.ok();
    let first = review.stage_path(1).await;
    let now = t.advance("P1D").await;

    let answer = t.as_admin().act(&format!("{first}/stop")).await.is(204);

    assert_eq!(answer.body, Value::Null);
    t.run_jobs().await;
    let stages = review.stages().await;
    assert_eq!(review.stage_statuses().await, ["Completed", "InProgress"]);
    let instant = |value: &Value| value.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let started = instant(&stages[1]["startDateTime"]);
    assert!((started - now).num_seconds().abs() < 60, "{started} {now}");
    let start = instant(&instance.body["startDateTime"]);
    assert_eq!(instant(&stages[1]["endDateTime"]), start + chrono::TimeDelta::days(7));
    assert_eq!(t.events_of("Stage stopped").await.len(), 1);

    let again = t.as_admin().act(&format!("{first}/stop")).await.refused(400, "InvalidReviewState");
    assert!(again.message().contains("Completed"), "{}", again.message());
    assert_eq!(t.events_of("Stage stopped").await.len(), 1);
}

/// LC-STAGE-21
#[tokio::test]
async fn stopping_the_last_stage_completes_the_instance() {
    let t = Tenant::with_finance().await;
    let review = three_stages(&t).await;
    t.advance("P7D").await;

    t.as_admin().act(&format!("{}/stop", review.stage_path(3).await)).await.is(204);

    t.run_jobs().await;
    assert_eq!(review.stage_statuses().await, ["Completed", "Completed", "Completed"]);
    assert_eq!(review.status().await, "Completed");
}

#[tokio::test]
async fn a_stage_that_has_not_started_cannot_be_stopped() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&[stage(1, 3, &[manager()], &[], &[])]).create().await;
    let before = t.events().await;

    let answer = t.as_admin().act(&format!("{}/stop", review.stage_path(1).await)).await;

    let answer = answer.refused(400, "InvalidReviewState");
    assert!(answer.message().contains("NotStarted"), "{}", answer.message());
    assert_eq!(t.events().await, before);
}

/// An id counts only below its own parents.
#[tokio::test]
async fn a_stage_is_not_found_below_another_instance() {
    let t = Tenant::with_finance().await;
    let (one, other) = (three_stages(&t).await, three_stages(&t).await);
    let stage = review_stage_id(&one).await;
    let item = one.item_id("ana").await;

    for path in [
        format!("{}/stages/{stage}", other.instance_path()),
        format!("{}/stages/{stage}/decisions", other.instance_path()),
        format!("{}/stages/{stage}/decisions/{item}", other.instance_path()),
        format!("{}/decisions/{item}", other.instance_path()),
        format!("{}/instances/{}", other.path(), one.instance),
        format!("{}/instances/{}/stages", other.path(), one.instance),
        format!("{}/instances/{}/stages/{stage}", other.path(), one.instance),
        format!("{}/instances/{}/decisions", other.path(), one.instance),
        format!("{}/instances/{}/decisions/{item}", other.path(), one.instance),
        format!("{}/decisions/{item}", other.stage_path(1).await),
    ] {
        t.as_admin().get(&path).await.refused(404, "ResourceNotFound");
    }
    let wrong = format!("{}/decisions/{item}", other.instance_path());
    t.as_user("mia").patch(&wrong, &json!({ "decision": "Deny" })).await.refused(404, "ResourceNotFound");
    assert_eq!(one.item("ana").await["decision"], "NotReviewed");
}

async fn review_stage_id(review: &Review) -> String {
    review.stages().await[0]["id"].as_str().unwrap().to_owned()
}

/// Section 3.5 of the API
#[tokio::test]
async fn stages_are_filtered_and_ordered_by_status_and_dates() {
    let t = Tenant::with_finance().await;
    let review = three_stages(&t).await;
    t.advance("P7D").await;
    let all: Vec<Value> = review.stages().await.into_iter().map(|stage| stage["id"].clone()).collect();
    let path = format!("{}/stages", review.instance_path());
    let found = async |query: &str| -> Vec<Value> {
        let answer = t.as_admin().get(&format!("{path}?{query}")).await.is(200);
        answer.rows().iter().map(|row| row["id"].clone()).collect()
    };

    assert_eq!(found("$filter=status eq 'InProgress'").await, all[2..]);
    assert_eq!(found("$filter=status ne 'InProgress'").await, all[..2]);
    assert_eq!(found("$filter=status in ('Completed','InProgress')").await, all);
    assert_eq!(found("$filter=not (status eq 'Completed')").await, all[2..]);
    assert_eq!(found("$filter=status eq 'Completed' and status eq 'InProgress'").await, Vec::<Value>::new());
    assert_eq!(found("$orderby=startDateTime desc").await, [all[2].clone(), all[1].clone(), all[0].clone()]);
    assert_eq!(found("$orderby=status").await, all);
    assert_eq!(found("$orderby=status desc").await, [all[2].clone(), all[0].clone(), all[1].clone()]);
    assert_eq!(found("$skip=1&$top=1").await, all[1..2]);
    assert_eq!(t.as_admin().all(&format!("{path}?$top=1")).await.1, 3);
    assert_eq!(t.as_admin().get(&format!("{path}?$count=true&$top=1")).await.ok().body["@odata.count"], 3);
}

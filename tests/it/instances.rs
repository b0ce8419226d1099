//! INST-LIST, INST-MINE, INST-GET, INST-STOP over HTTP.

use serde_json::{Value, json};

use crate::support::{Tenant, manager, redacted, stage, user};

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_instance_shows_its_scope_and_reviewers_spelt_out() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[manager()]).fallbacks(&[user("sam")]).running().await;

    let answer = t.as_admin().get(&review.instance_path()).await.is(200);

    insta::assert_json_snapshot!("instance", redacted(&answer.body));
}

/// LC-SUPD-31
#[tokio::test]
async fn an_instance_with_stages_shows_the_reviewers_of_the_definition() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[user("tom")]).stages(&[stage(1, 3, &[user("mia")], &[], &[])]).running().await;

    let answer = t.as_admin().get(&review.instance_path()).await.is(200);

    let queries: Vec<_> = answer.body["reviewers"].as_array().unwrap().iter().map(|scope| &scope["query"]).collect();
    assert_eq!(queries, [&json!(format!("/v1.0{}", user("tom")["query"].as_str().unwrap()))]);
}

#[tokio::test]
async fn instances_are_listed_as_they_are_read() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;

    let listed = t.as_admin().get(&format!("{}/instances", review.path())).await.is(200);

    let context = "https://reviews.example/v1.0/$metadata#identityGovernance/accessReviews";
    let definition = &review.definition;
    assert_eq!(listed.text("@odata.context"), format!("{context}/definitions('{definition}')/instances"));
    let mut alone = t.as_admin().get(&review.instance_path()).await.ok().body;
    assert_eq!(alone["@odata.context"], format!("{context}/definitions('{definition}')/instances/$entity"));
    alone.as_object_mut().unwrap().shift_remove("@odata.context");
    assert_eq!(listed.rows(), &[alone]);
}

/// Section 3.4 of the API, LC-INST-07
#[tokio::test]
async fn the_instances_of_a_series_come_in_the_order_of_their_starts() {
    let t = Tenant::with_finance().await;
    let recurrence = json!({
        "pattern": { "type": "weekly", "interval": 1 },
        "range": { "type": "numbered", "numberOfOccurrences": 3, "startDate": "2020-01-01" },
    });
    let builder = t.review().setting("recurrence", recurrence).setting("instanceDurationInDays", json!(2));
    let definition = builder.send().await.is(201).text("id");
    t.run_jobs().await;
    t.advance("P8D").await;
    let path = format!("/definitions/{definition}/instances");

    let all = t.as_admin().get(&path).await.ok();

    let statuses: Vec<_> = all.rows().iter().map(|row| row["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["Completed", "InProgress"]);
    let starts: Vec<_> = all.rows().iter().map(|row| row["startDateTime"].as_str().unwrap()).collect();
    assert!(starts.is_sorted(), "{starts:?}");

    let descending = t.as_admin().get(&format!("{path}?$orderby=startDateTime desc")).await.ok();
    assert_eq!(ids(descending.rows()), ids(all.rows()).into_iter().rev().collect::<Vec<_>>());
    let open = t.as_admin().get(&format!("{path}?$filter=status eq 'InProgress'&$count=true")).await.ok();
    assert_eq!(ids(open.rows()), &ids(all.rows())[1..]);
    assert_eq!(open.body["@odata.count"], 1);
    t.advance("P3D").await;
    let now = t.as_admin().get(&path).await.ok();
    let statuses: Vec<_> = now.rows().iter().map(|row| row["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["Completed", "Completed", "NotStarted"]);
}

/// INST-MINE, A-01
#[tokio::test]
async fn my_instances_are_those_in_which_i_review_something() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[manager()]).running().await;
    let path = format!("{}/instances/filterByCurrentUser(on='reviewer')", review.path());

    let mine = t.as_user("noor").get(&path).await.is(200);

    assert_eq!(ids(mine.rows()), [review.instance.as_str()]);
    assert_eq!(mine.text("@odata.context"), "https://reviews.example/v1.0/$metadata#Collection(accessReviewInstance)");
    assert_eq!(t.as_admin().get(&path).await.is(200).rows().len(), 0);
    assert_eq!(t.as_application().get(&path).await.is(200).rows().len(), 0);
    t.as_user("zoe").get(&path).await.refused(404, "ResourceNotFound");
}

/// IN-08, LC-INST-33
#[tokio::test]
async fn a_stopped_instance_is_over_and_cannot_be_stopped_again() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let stop = format!("{}/stop", review.instance_path());

    let answer = t.as_admin().act(&stop).await.is(204);

    assert_eq!(answer.body, Value::Null);
    t.run_jobs().await;
    assert_eq!(review.status().await, "Completed");
    assert_eq!(t.as_admin().get(&review.path()).await.ok().text("status"), "Completed");
    assert_eq!(t.events_of("Instance stopped").await.len(), 1);
    assert_eq!(t.events_of("Access review ended").await.len(), 1);

    let again = t.as_admin().act(&stop).await.refused(400, "InvalidReviewState");
    assert!(again.message().contains("Completed"), "{}", again.message());
    assert!(again.message().contains("InProgress"), "{}", again.message());
    assert_eq!(t.events_of("Instance stopped").await.len(), 1);
}

/// Section 2.3 of the lifecycle
#[tokio::test]
async fn an_instance_that_has_not_started_cannot_be_stopped() {
    let t = Tenant::with_finance().await;
    let review = t.review().create().await;
    let before = t.events().await;

    let answer = t.as_admin().act(&format!("{}/stop", review.instance_path())).await;

    let answer = answer.refused(400, "InvalidReviewState");
    assert!(answer.message().contains("NotStarted"), "{}", answer.message());
    assert_eq!(t.events().await, before);
}

/// LC-INST-32
#[tokio::test]
async fn stopping_an_instance_with_stages_creates_no_further_stage() {
    let t = Tenant::with_finance().await;
    let stages = [stage(1, 3, &[user("mia")], &[], &[]), stage(2, 3, &[user("sam")], &[], &[])];
    let review = t.review().stages(&stages).running().await;

    t.as_admin().act(&format!("{}/stop", review.instance_path())).await.is(204);

    t.run_jobs().await;
    t.advance("P30D").await;
    assert_eq!(review.stage_statuses().await, ["Completed"]);
    assert_eq!(review.status().await, "Completed");
}

/// Actions documented as "no body" tolerate `{}`. Section 3.2 of the API
#[tokio::test]
async fn stop_tolerates_an_empty_object() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;

    t.as_admin().post(&format!("{}/microsoft.graph.stop", review.instance_path()), &json!({})).await.is(204);
}

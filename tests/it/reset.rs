//! resetDecisions. LC-DEC-13

use serde_json::{Value, json};

use crate::support::{Review, Tenant, object_id, people, stage, user};

async fn decided(review: &Review) -> Vec<String> {
    let items: Vec<_> = review.items().await.into_iter().filter(|item| item["decision"] != "NotReviewed").collect();
    people(&items)
}

fn path(review: &Review) -> String {
    format!("{}/resetDecisions", review.instance_path())
}

/// LC-DEC-13, LC-DEC-14
#[tokio::test]
async fn every_item_is_as_nobody_had_reviewed_it_and_the_events_say_what_was() {
    let t = Tenant::with_finance().await;
    let review = t.review().setting("mailNotificationsEnabled", json!(true)).running().await;
    let untouched = review.items().await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    review.decide(&t.as_user("mia"), "ben", "Deny").await.is(204);
    let jobs = t.table("jobs").await;

    t.as_admin().act(&path(&review)).await.is(204);

    assert_eq!(review.items().await, untouched);
    assert_eq!(t.table("jobs").await, jobs);
    let mut told: Vec<_> = t
        .events_of("Decision overwritten")
        .await
        .into_iter()
        .map(|event| {
            [event["before"]["decision"].clone(), event["before"]["reviewedBy"].clone(), event["actor_id"].clone()]
        })
        .collect();
    told.sort_by_key(|event| event[0].to_string());
    let (mia, carla) = (json!(object_id("mia")), json!(object_id("carla")));
    assert_eq!(told, [[json!("Approve"), mia.clone(), carla.clone()], [json!("Deny"), mia, carla.clone()]]);
    let bulk = t.events_of("Bulk reset decisions").await;
    let [bulk] = bulk.as_slice() else { panic!("{bulk:#?}") };
    assert_eq!((&bulk["after"]["items"], &bulk["actor_id"]), (&json!(2), &carla));

    // And they can be decided again.
    review.decide(&t.as_user("mia"), "ana", "Deny").await.is(204);
    assert_eq!(decided(&review).await, ["ana"]);
}

/// Section 2.3
#[tokio::test]
async fn with_nothing_decided_a_reset_changes_nothing_and_is_no_error() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let before = t.stored().await;

    t.as_admin().post(&path(&review), &json!({})).await.is(204);

    assert_eq!(t.stored().await, before);
}

/// LC-DEC-13
#[tokio::test]
async fn only_the_running_stage_is_reset() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .stages(&[stage(1, 3, &[user("mia")], &[], &["Approve"]), stage(2, 7, &[user("olga")], &[], &[])])
        .running()
        .await;
    for (name, decision) in [("ana", "Approve"), ("ben", "Approve"), ("cleo", "Deny")] {
        review.decide(&t.as_user("mia"), name, decision).await.is(204);
    }
    t.advance("P3D").await;
    review.decide(&t.as_user("olga"), "ana", "Deny").await.is(204);
    let first = review.stage_items(1, &t.as_admin()).await;

    t.as_admin().act(&path(&review)).await.is(204);

    assert_eq!(review.stage_items(1, &t.as_admin()).await, first);
    let second = review.stage_items(2, &t.as_admin()).await;
    assert_eq!(people(&second), ["ana", "ben"]);
    assert!(second.iter().all(|item| item["decision"] == "NotReviewed" && item["reviewedDateTime"] == Value::Null));
    assert_eq!(review.item("ana").await["decision"], "Approve");
    assert_eq!(decided(&review).await, ["ana", "ben", "cleo"]);
}

/// Section 2.3, LC-AUTH-01, LC-AUTH-03
#[tokio::test]
async fn who_manages_resets_and_only_while_the_review_runs() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    let path = path(&review);
    t.as_reader().act(&path).await.refused(403, "Forbidden");
    t.as_user("carla").act(&path).await.refused(403, "Forbidden");
    t.as_user("mia").act(&path).await.refused(403, "Forbidden");
    t.as_user("zoe").act(&path).await.refused(404, "ResourceNotFound");
    assert_eq!(decided(&review).await, ["ana"]);

    t.advance_without_jobs("P10D").await;
    t.as_admin().act(&path).await.refused(400, "InvalidReviewState");
    t.run_jobs().await;
    let refused = t.as_application().act(&path).await.refused(400, "InvalidReviewState");
    assert!(refused.message().contains("Completed"), "{}", refused.message());
    assert_eq!(decided(&review).await, ["ana"]);
}

/// LC-DEC-13
#[tokio::test]
async fn an_application_may_reset() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);

    t.as_application().act(&path(&review)).await.is(204);

    assert!(decided(&review).await.is_empty());
}

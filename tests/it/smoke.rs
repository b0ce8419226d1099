//! The main job from end to end, in one breath.

use serde_json::json;

use crate::support::{Tenant, group_owners, manager, stage, user};

#[tokio::test]
async fn a_three_stage_review_runs_from_creation_to_its_end() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .stages(&[
            stage(1, 3, &[], &[user("sam")], &["Approve", "NotReviewed"]),
            stage(2, 4, &[manager()], &[user("sam")], &["Approve", "NotReviewed"]),
            stage(3, 3, &[group_owners("finance")], &[], &[]),
        ])
        .setting("defaultDecisionEnabled", json!(true))
        .setting("defaultDecision", json!("Deny"))
        .running()
        .await;
    assert_eq!(review.status().await, "InProgress");
    assert_eq!(review.stage_statuses().await, ["InProgress"]);
    assert_eq!(review.items().await.len(), 7);

    review.decide(&t.as_user("ana"), "ana", "Approve").await.is(204);
    review.decide(&t.as_user("cleo"), "cleo", "Deny").await.is(204);
    t.advance("P3D").await;
    assert_eq!(review.stage_statuses().await, ["Completed", "InProgress"]);

    review.decide(&t.as_user("mia"), "ana", "Deny").await.is(204);
    let stage_two = review.stage_path(2).await;
    t.as_admin().act(&format!("{stage_two}/stop")).await.is(204);
    assert_eq!(review.stage_statuses().await, ["Completed", "Completed", "InProgress"]);

    t.advance("P30D").await;
    assert_eq!(review.status().await, "AutoReviewed");
    assert_eq!(review.item("ana").await["decision"], "Deny");
    assert_eq!(review.item("dan").await["reviewedBy"]["displayName"], "Access Reviews");
}

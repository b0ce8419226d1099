//! What happens at the end without anybody: defaults after the last stage, the warning case, and what can be read meanwhile. LC-CMP

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{
    Company, GUEST, Review, ReviewBuilder, Tenant, apply_path, assert_one_chain_of_statuses_each, ended, id_of,
    members, object_id, of_guests, people, results, stage, user, with_guests,
};

fn by_default<'a>(builder: ReviewBuilder<'a>, decision: &str) -> ReviewBuilder<'a> {
    builder
        .setting("defaultDecisionEnabled", json!(true))
        .setting("defaultDecision", json!(decision))
        .setting("autoApplyDecisionsEnabled", json!(true))
}

/// IN-10, IN-11, IN-13, IN-14, LC-CMP-08, LC-CMP-03, LC-CMP-04, LC-CMP-07: nobody answers, and whoever can be removed is.
#[tokio::test]
async fn default_deny_with_auto_apply_and_silent_reviewers_removes_everybody() {
    let t = Tenant::with_finance().await;
    let review = by_default(t.review(), "Deny").running().await;

    t.advance("P10D").await;

    assert_eq!(review.status().await, "Applied");
    // The nested group is what remains; nobody reviewed it, and nobody is taken out of it.
    assert_eq!(members(&t, "finance").await, [object_id("contractors")]);
    let found = results(&review).await;
    for item in review.items().await {
        assert_eq!(item["decision"], "Deny");
        assert_eq!(item["reviewedBy"]["displayName"], "Access Reviews");
        assert_eq!(item["appliedBy"]["displayName"], "Access Reviews");
    }
    for (name, result) in &found {
        let nested = ["dan", "Gus (guest)"].contains(&name.as_str());
        assert_eq!(result, if nested { "ApplyNotSupported" } else { "AppliedSuccessfully" }, "{name}");
    }
    assert_eq!(t.events_of("Apply decision").await.len(), 7);
    assert_one_chain_of_statuses_each(&t.database, &t.id.to_string()).await;
}

fn signed_in(name: &str, days_ago: i64, now: DateTime<Utc>) -> Value {
    json!({ "type": "user", "id": id_of(name), "userPrincipalName": format!("{name}@acme.example"), "displayName": name,
        "signInActivity": { "lastSignInDateTime": now - TimeDelta::days(days_ago) } })
}

/// IN-13, LC-CMP-05, LC-CMP-08: the same with what the service recommends; of whom it knows nothing keeps his access.
#[tokio::test]
async fn default_recommendation_with_auto_apply_removes_whom_it_advises_against_and_nobody_unknown() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let known = Company::new().with(signed_in("ana", 1, now)).with(signed_in("ben", 90, now));
    known.with(signed_in("eve", 200, now)).import(&t).await;
    let review = by_default(t.review(), "Recommendation").running().await;

    t.advance("P10D").await;

    assert_eq!(review.status().await, "Applied");
    let mut left = ["ana", "cleo", "fay", "contractors"].map(object_id);
    left.sort();
    assert_eq!(members(&t, "finance").await, left);
    let found = results(&review).await;
    assert_eq!(
        (found["ana"].as_str(), found["ben"].as_str(), found["cleo"].as_str()),
        ("AppliedSuccessfully", "AppliedSuccessfully", "New")
    );
    let cleo = review.item("cleo").await;
    assert_eq!((&cleo["decision"], &cleo["reviewedDateTime"]), (&json!("NotReviewed"), &Value::Null));
}

/// IN-12, LC-CMP-02, LC-APPLY-03: without a default, silence removes nobody, auto-apply or not.
#[tokio::test]
async fn without_a_default_silence_removes_nobody() {
    let t = Tenant::with_finance().await;
    let before = members(&t, "finance").await;
    for decision in ["None", "Deny"] {
        let builder = by_default(t.review(), decision).setting("defaultDecisionEnabled", json!(false));
        let review = builder.running().await;

        t.advance("P10D").await;

        assert_eq!(review.status().await, "Applied");
        assert!(results(&review).await.values().all(|result| result == "New"));
    }
    assert_eq!(members(&t, "finance").await, before);
    assert!(t.events_of("Auto review").await.is_empty());
}

async fn decided_by_the_system(review: &Review) -> Vec<String> {
    let items = review.items().await;
    let by_system: Vec<_> =
        items.into_iter().filter(|item| item["reviewedBy"]["displayName"] == "Access Reviews").collect();
    people(&by_system)
}

/// IN-10, LC-CMP-09, LC-CMP-03, LC-STAGE-42, LC-STAGE-44: only who was left open in every stage gets the default, once, after the last one.
#[tokio::test]
async fn the_default_of_several_stages_is_given_once_after_the_last_one() {
    let t = Tenant::with_finance().await;
    let stages = [
        stage(1, 3, &[user("mia")], &[], &[]),
        stage(2, 3, &[user("noor")], &[], &[]),
        stage(3, 4, &[user("olga")], &[], &[]),
    ];
    let review = by_default(t.review().stages(&stages), "Deny").running().await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    for days in ["P3D", "P3D"] {
        t.advance(days).await;
        assert_eq!(review.status().await, "InProgress");
        assert!(decided_by_the_system(&review).await.is_empty(), "between stages nothing is decided by default");
        assert!(t.events_of("Auto review").await.is_empty());
    }
    review.decide(&t.as_user("olga"), "ben", "DontKnow").await.is(204);

    t.advance("P4D").await;

    assert_eq!(review.status().await, "Applied");
    assert_eq!(decided_by_the_system(&review).await, ["Gus (guest)", "cleo", "dan", "eve", "fay"]);
    let told = t.events_of("Auto review").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["after"], json!({ "defaultDecision": "Deny", "items": 5 }));
    let mut left = ["ana", "ben", "contractors"].map(object_id);
    left.sort();
    assert_eq!(members(&t, "finance").await, left, "approved, and unsure: both keep access");
}

/// LC-CMP-01, LC-CMP-09: a stop is an end like the end date, also where stages would have followed.
#[tokio::test]
async fn stopping_a_review_of_several_stages_decides_by_default_and_applies() {
    let t = Tenant::with_finance().await;
    let stages = [stage(1, 3, &[user("mia")], &[], &[]), stage(2, 7, &[user("noor")], &[], &[])];
    let review = by_default(t.review().stages(&stages), "Deny").running().await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);

    t.as_admin().act(&format!("{}/stop", review.instance_path())).await.is(204);
    assert_eq!(review.status().await, "Applying");
    t.run_jobs().await;

    assert_eq!(review.status().await, "Applied");
    let mut left = ["ana", "contractors"].map(object_id);
    left.sort();
    assert_eq!(members(&t, "finance").await, left);
    assert_eq!(t.events_of("Auto review").await.len(), 1);
}

/// LC-APPLY-11, LC-APPLY-12: thirty days of waiting hide nothing, and there is no way to stop them here but deleting the review.
#[tokio::test]
async fn while_it_is_applied_everything_can_be_read() {
    let t = Tenant::new().await;
    with_guests(&t).await;
    let review = ended(&t, of_guests(&t), &[(GUEST, "Deny"), ("gil", "Approve")]).await;
    t.as_admin().act(&apply_path(&review)).await.is(204);
    t.run_jobs().await;
    assert_eq!(review.status().await, "Applying");
    let admin = t.as_admin();

    let definition = admin.get(&review.path()).await.ok().body;
    assert_eq!(definition["settings"]["applyActions"].as_array().unwrap().len(), 1);
    let mia = format!("/users/{}", object_id("mia"));
    assert_eq!(definition["reviewers"][0]["query"], mia);
    let instance = admin.get(&review.instance_path()).await.ok().body;
    assert_eq!(instance["reviewers"][0]["query"], format!("/v1.0{mia}"));
    let contacted = admin.get(&format!("{}/contactedReviewers", review.instance_path())).await.ok();
    assert_eq!(contacted.rows().len(), 1);
    let (waiting, settled) = (review.item(GUEST).await, review.item("gil").await);
    assert_eq!((&waiting["decision"], &waiting["applyResult"]), (&json!("Deny"), &json!("New")));
    assert_eq!((&settled["decision"], &settled["applyResult"]), (&json!("Approve"), &json!("AppliedSuccessfully")));
    let own = format!("{}/decisions/{}", review.instance_path(), waiting["id"].as_str().unwrap());
    let alone = admin.get(&own).await.ok().body;
    for member in ["decision", "justification", "reviewedBy", "applyResult", "principal", "resource"] {
        assert_eq!(alone[member], waiting[member], "{member}");
    }

    admin.act(&format!("{}/stopApplyDecisions", review.instance_path())).await.refused(404, "ResourceNotFound");
    for operation in ["stop", "resetDecisions", "sendReminder", "applyDecisions"] {
        admin.act(&format!("{}/{operation}", review.instance_path())).await.refused(400, "InvalidReviewState");
    }
    assert_eq!(review.status().await, "Applying");
}

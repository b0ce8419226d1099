//! acceptRecommendations on an instance and on a stage. LC-DEC-11, LC-DEC-12

use serde_json::{Value, json};

use crate::support::{Blocker, Company, Review, ReviewBuilder, Tenant, id_of, manager, object_id, people, stage, user};

/// `ana` signed in today, `ben` long ago, of the others nothing is known.
async fn with_sign_ins() -> Tenant {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let signed_in = |name: &str, at: Value| json!({ "type": "user", "id": id_of(name), "signInActivity": { "lastSignInDateTime": at } });
    Company::new()
        .with(signed_in("ana", json!(now)))
        .with(signed_in("ben", json!("2020-01-01T00:00:00Z")))
        .with(signed_in("dan", json!("2020-01-01T00:00:00Z")))
        .import(&t)
        .await;
    t
}

fn recommending(t: &Tenant) -> ReviewBuilder<'_> {
    t.review().setting("recommendationsEnabled", json!(true))
}

async fn shown(review: &Review) -> Vec<(String, String)> {
    let mut shown: Vec<_> = review
        .items()
        .await
        .iter()
        .map(|item| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&item["principal"]["displayName"]), text(&item["decision"]))
        })
        .filter(|(_, decision)| decision != "NotReviewed")
        .collect();
    shown.sort();
    shown
}

fn told(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, decision)| ((*name).to_owned(), (*decision).to_owned())).collect()
}

fn path(review: &Review) -> String {
    format!("{}/acceptRecommendations", review.instance_path())
}

/// LC-DEC-11
#[tokio::test]
async fn undecided_items_the_caller_reviews_are_decided_as_recommended() {
    let t = with_sign_ins().await;
    let review = recommending(&t).reviewers(&[manager()]).fallbacks(&[user("sam")]).running().await;

    t.as_user("mia").act(&path(&review)).await.is(204);

    assert_eq!(shown(&review).await, told(&[("ana", "Approve"), ("ben", "Deny")]));
    let item = review.item("ana").await;
    assert_eq!(item["reviewedBy"]["id"], object_id("mia"));
    assert_eq!(item["justification"], "");
    let events = t.events_of("Recommendations accepted").await;
    let [event] = events.as_slice() else { panic!("{events:#?}") };
    assert_eq!((&event["after"]["items"], &event["actor_id"]), (&json!(2), &json!(object_id("mia"))));
    t.as_user("noor").post(&path(&review), &json!({})).await.is(204);
    assert_eq!(shown(&review).await, told(&[("ana", "Approve"), ("ben", "Deny"), ("dan", "Deny")]));
}

/// LC-DEC-11
#[tokio::test]
async fn earlier_decisions_never_change() {
    let t = with_sign_ins().await;
    let review = recommending(&t).running().await;
    review.decide(&t.as_user("mia"), "ana", "Deny").await.is(204);
    review.decide(&t.as_user("mia"), "ben", "DontKnow").await.is(204);
    let before = (review.item("ana").await, review.item("ben").await);

    t.as_user("mia").act(&path(&review)).await.is(204);
    t.as_user("mia").act(&path(&review)).await.is(204);

    assert_eq!(shown(&review).await, told(&[("ana", "Deny"), ("ben", "DontKnow"), ("dan", "Deny")]));
    assert_eq!((review.item("ana").await, review.item("ben").await), before);
    assert!(t.events_of("Decision overwritten").await.is_empty());
    assert_eq!(t.events_of("Recommendations accepted").await.len(), 1);
}

/// LC-DEC-11, LC-CONC-01
#[tokio::test]
async fn a_decision_somebody_makes_meanwhile_stands() {
    let t = with_sign_ins().await;
    let review = recommending(&t).running().await;
    let seq = t
        .table("decision_items")
        .await
        .iter()
        .find(|item| item["principal_id"] == object_id("ana"))
        .and_then(|item| item["seq"].as_i64())
        .unwrap();
    let mut blocker =
        Blocker::hold_decision(&t.database, &t.id.to_string(), &review.instance, i32::try_from(seq).unwrap()).await;
    let (mia, path) = (t.as_user("mia"), path(&review));
    let accept = tokio::spawn(async move { mia.act(&path).await });
    blocker.wait_until_blocked(1).await;
    blocker.commit().await;

    accept.await.unwrap().is(204);

    assert_eq!(shown(&review).await, told(&[("ana", "Deny"), ("ben", "Deny"), ("dan", "Deny")]));
    assert_eq!(t.events_of("Recommendations accepted").await[0]["after"]["items"], 2);
}

/// LC-DEC-12
#[tokio::test]
async fn a_fixed_text_is_the_justification_where_one_is_required() {
    let t = with_sign_ins().await;
    let review = recommending(&t).setting("justificationRequiredOnApproval", json!(true)).running().await;

    t.as_user("mia").act(&path(&review)).await.is(204);

    assert_eq!(review.item("ana").await["justification"], "Recommendation accepted");
    assert_eq!(review.item("fay").await["justification"], "");
}

/// LC-STAGE-61, LC-RCM-10
#[tokio::test]
async fn on_a_stage_its_own_recommendations_are_accepted_and_where_it_shows_none_there_is_nothing_to_accept() {
    let t = with_sign_ins().await;
    let mut first = stage(1, 3, &[user("mia")], &[], &["Approve"]);
    first["recommendationsEnabled"] = json!(true);
    let review = t.review().stages(&[first, stage(2, 7, &[user("mia")], &[], &[])]).running().await;
    let mia = t.as_user("mia");

    mia.act(&format!("{}/acceptRecommendations", review.stage_path(1).await)).await.is(204);
    t.advance("P3D").await;

    assert_eq!(people(&review.stage_items(2, &t.as_admin()).await), ["ana"]);
    let second = review.stage_path(2).await;
    for path in [path(&review), format!("{second}/acceptRecommendations")] {
        let refused = mia.act(&path).await.refused(400, "InvalidReviewState");
        assert!(refused.message().contains("disabled"), "{}", refused.message());
    }
    let closed = format!("{}/acceptRecommendations", review.stage_path(1).await);
    mia.act(&closed).await.refused(400, "InvalidReviewState");
}

/// LC-DEC-10, LC-AUTH-04, LC-AUTH-09
#[tokio::test]
async fn only_reviewers_accept_recommendations() {
    let t = with_sign_ins().await;
    let review = recommending(&t).running().await;
    let path = path(&review);

    t.as_application().act(&path).await.refused(403, "Forbidden");
    t.as_admin().act(&path).await.refused(403, "Forbidden");
    t.as_user("zoe").act(&path).await.refused(404, "ResourceNotFound");
    t.as_user_with_scopes("mia", &[], &["AccessReview.Read.All"]).act(&path).await.refused(403, "Forbidden");
    assert!(t.table("decisions").await.is_empty());

    t.advance("P10D").await;
    t.as_user("mia").act(&path).await.refused(400, "InvalidReviewState");
    assert!(t.table("decisions").await.is_empty());
}

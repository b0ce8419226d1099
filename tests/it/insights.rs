//! DEC-INSIGHTS, DEC-INSIGHT and the same below a stage. LC-RCM-01, LC-RCM-10, LC-RCM-11

use serde_json::{Value, json};

use crate::support::{Answer, Client, Review, Tenant, id_of, stage, user};

async fn with_sign_ins() -> Tenant {
    let t = Tenant::with_finance().await;
    for (name, at) in [("ana", json!("2026-01-02T03:04:05Z")), ("ben", Value::Null)] {
        let line = json!({ "type": "user", "id": id_of(name), "signInActivity": { "lastSignInDateTime": at } });
        t.import(&format!("{line}\n")).await;
    }
    t
}

async fn insights(client: &Client, parent: &str, review: &Review, name: &str) -> Answer {
    client.get(&format!("{parent}/decisions/{}/insights", review.item_id(name).await)).await
}

fn sign_ins(answer: &Answer) -> Vec<Value> {
    answer.rows().iter().map(|insight| insight["lastSignInDateTime"].clone()).collect()
}

/// LC-RCM-02, LC-RCM-11
#[tokio::test]
async fn the_last_sign_in_is_told_as_it_was_at_the_start() {
    let t = with_sign_ins().await;
    let review = t.review().setting("recommendationsEnabled", json!(true)).running().await;
    let parent = review.instance_path();
    let later = json!({ "type": "user", "id": id_of("ana"), "signInActivity": { "lastSignInDateTime": "2026-06-01T00:00:00Z" } });
    t.import(&format!("{later}\n")).await;

    let listed = insights(&t.as_admin(), &parent, &review, "ana").await.is(200);

    let [insight] = listed.rows().as_slice() else { panic!("{:#}", listed.body) };
    assert_eq!(insight["@odata.type"], "#microsoft.graph.userSignInInsight");
    assert_eq!(insight["lastSignInDateTime"], "2026-01-02T03:04:05Z");
    let instance = t.as_admin().get(&parent).await.ok();
    assert_eq!(insight["insightCreatedDateTime"], instance.body["startDateTime"]);
    assert!(listed.text("@odata.context").ends_with("/insights"));
    assert_eq!(insights(&t.as_admin(), &parent, &review, "ana").await.ok().rows(), listed.rows());
    assert_eq!(
        sign_ins(&insights(&t.as_admin(), &parent, &review, "ben").await.ok()),
        [Value::Null],
        "never signed in"
    );
    assert!(insights(&t.as_admin(), &parent, &review, "fay").await.ok().rows().is_empty(), "no information");

    let item = format!("{parent}/decisions/{}", review.item_id("ana").await);
    let path = format!("{item}/insights/{}", insight["id"].as_str().unwrap());
    let mut one = t.as_user("mia").get(&path).await.is(200).body;
    assert!(one["@odata.context"].as_str().unwrap().ends_with("/insights/$entity"));
    one.as_object_mut().unwrap().shift_remove("@odata.context");
    assert_eq!(&one, insight);
    let selected = t.as_admin().get(&format!("{path}?$select=id")).await.is(200);
    assert_eq!(selected.body.get("lastSignInDateTime"), None);
    t.as_admin().get(&format!("{item}/insights/{}", id_of("nothing"))).await.refused(404, "ResourceNotFound");
    t.as_admin().get(&format!("{item}/insights?$filter=id eq '1'")).await.is(400);
    let empty = t.as_admin().get(&format!("{item}/insights?$skip=1&$count=true")).await.is(200);
    assert_eq!((empty.rows().len(), &empty.body["@odata.count"]), (0, &json!(1)));
}

/// LC-RCM-01, M-23
#[tokio::test]
async fn without_recommendations_there_are_no_insights() {
    let t = with_sign_ins().await;
    let review = t.review().running().await;

    let listed = insights(&t.as_admin(), &review.instance_path(), &review, "ana").await.is(200);

    assert!(listed.rows().is_empty());
    t.as_admin()
        .delete(&format!("{}/decisions/{}/insights", review.instance_path(), review.item_id("ana").await))
        .await
        .is(405);
}

/// LC-RCM-10, LC-STAGE-51
#[tokio::test]
async fn each_stage_shows_insights_where_it_shows_recommendations() {
    let t = with_sign_ins().await;
    let mut second = stage(2, 7, &[user("olga")], &[], &[]);
    second["recommendationsEnabled"] = json!(true);
    let review = t.review().stages(&[stage(1, 3, &[user("mia")], &[], &[]), second]).running().await;
    t.advance("P3D").await;
    let (instance, one, two) = (review.instance_path(), review.stage_path(1).await, review.stage_path(2).await);
    let seen = async |client: Client, parent: &str| insights(&client, parent, &review, "ana").await.ok().rows().len();

    assert_eq!(seen(t.as_admin(), &one).await, 0);
    assert_eq!(seen(t.as_admin(), &two).await, 1);
    assert_eq!(seen(t.as_admin(), &instance).await, 1, "the last stage's");
    assert_eq!(seen(t.as_user("mia"), &instance).await, 0, "her own stage's");
    assert_eq!(seen(t.as_user("mia"), &one).await, 0);
    assert_eq!(seen(t.as_user("olga"), &instance).await, 1);
    assert_eq!(seen(t.as_user("olga"), &two).await, 1);
    insights(&t.as_user("mia"), &two, &review, "ana").await.refused(404, "ResourceNotFound");
    insights(&t.as_user("olga"), &one, &review, "ana").await.refused(404, "ResourceNotFound");
    insights(&t.as_user("zoe"), &instance, &review, "ana").await.refused(404, "ResourceNotFound");
    let other = Tenant::with_finance().await;
    insights(&other.as_admin(), &instance, &review, "ana").await.refused(404, "ResourceNotFound");
}

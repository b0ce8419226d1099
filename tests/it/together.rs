//! Requests that wait at the same time and are answered in one transaction: each as if it had come alone.

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{Answer, Blocker, Client, Review, Tenant, eventually, id_of, stage, user};

fn patch(client: &Client, path: &str, body: Value) -> JoinHandle<Answer> {
    let (client, path) = (client.clone(), path.to_owned());
    tokio::spawn(async move { client.patch(&path, &body).await })
}

/// Keeps everybody from changing a stage's row or relying on its status.
async fn hold_stage(t: &Tenant, review: &Review) -> Blocker {
    let sql = format!(
        "select from stages where tenant_id = '{}' and instance_id = '{}' and ordinal = 1 for update",
        t.id, review.instance
    );
    Blocker::hold(&t.database, &sql).await
}

/// One after the other, each once the one before is seen to wait.
async fn queue_up(t: &Tenant, already: usize, requests: Vec<(Client, String, Value)>) -> Vec<JoinHandle<Answer>> {
    let mut under_way = Vec::new();
    for (client, path, body) in requests {
        under_way.push(patch(&client, &path, body));
        let waiting = already + under_way.len();
        eventually("the request waits", async || t.services.waiting_requests() == waiting).await;
    }
    under_way
}

fn fallbacks(names: &[&str]) -> Value {
    json!({ "fallbackReviewers": names.iter().map(|name| user(name)).collect::<Vec<_>>() })
}

fn queries(scopes: &Value) -> Vec<String> {
    scopes.as_array().unwrap().iter().map(|scope| scope["query"].as_str().unwrap().to_owned()).collect()
}

fn users(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("/users/{}", id_of(name))).collect()
}

/// LC-CONC-03, LC-SUPD-06, LC-SUPD-27: the first has the lock to himself; the others are judged one after the other in one
/// transaction, and whoever is refused holds nobody up.
#[tokio::test]
async fn updates_of_one_stage_that_wait_are_judged_in_order_and_each_has_its_answer() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&[stage(1, 3, &[user("mia")], &[user("sam")], &[])]).running().await;
    let path = review.stage_path(1).await;
    let admin = t.as_admin();
    let tag = admin.get(&path).await.ok().headers["etag"].to_str().unwrap().to_owned();
    let mut blocker = hold_stage(&t, &review).await;

    let first = patch(&admin, &path, fallbacks(&["sam", "tom"]));
    blocker.wait_until_blocked(1).await;
    let bodies = [
        fallbacks(&["sam", "pete"]),
        fallbacks(&["sam", "tom", "pete"]),
        json!({ "reviewers": [{ "query": "/users/00000000-0000-4000-8000-00000000dead", "queryType": "MicrosoftGraph" }] }),
        fallbacks(&["sam", "tom"]),
        json!({ "reviewers": [user("noor")] }),
        json!({ "reviewers": [user("noor")] }),
    ];
    let requests: Vec<_> = bodies.into_iter().map(|body| (admin.clone(), path.clone(), body)).collect();
    let waiting = queue_up(&t, 0, requests).await;
    let stale = admin
        .request(reqwest::Method::PATCH, &path)
        .header("if-match", &tag)
        .json(&json!({ "reviewers": [user("olga")] }))
        .send();
    let stale = tokio::spawn(async { Answer::of(stale.await.unwrap()).await });
    let nobodys = patch(&t.as_user("ana"), &path, fallbacks(&["sam", "tom", "pete", "olga"]));
    eventually("all wait", async || t.services.waiting_requests() == 8).await;
    blocker.rollback().await;

    let first = first.await.unwrap().is(200);
    assert_eq!(queries(&first.body["fallbackReviewers"]), users(&["sam", "tom"]));
    let mut answers = Vec::new();
    for answer in waiting {
        answers.push(answer.await.unwrap());
    }
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [409, 200, 400, 409, 200, 200]);
    assert!(answers[0].message().contains(&id_of("tom").to_string()), "{}", answers[0].message());
    assert_eq!(queries(&answers[1].body["fallbackReviewers"]), users(&["sam", "tom", "pete"]));
    assert_eq!(queries(&answers[1].body["reviewers"]), users(&["mia"]), "as its own update left the stage");
    assert_eq!(queries(&answers[4].body["reviewers"]), users(&["noor"]));
    stale.await.unwrap().is(412);
    assert!([403, 404].contains(&nobodys.await.unwrap().status));

    let tags: Vec<_> =
        [&first, &answers[1], &answers[4], &answers[5]].map(|answer| answer.headers["etag"].clone()).into();
    assert!(tags[0] != tags[1] && tags[1] != tags[2], "each change counts: {tags:?}");
    assert_eq!(tags[2], tags[3], "the last one changed nothing");
    let now = admin.get(&path).await.ok();
    assert_eq!(now.headers["etag"], tags[3]);
    assert_eq!(queries(&now.body["fallbackReviewers"]), users(&["sam", "tom", "pete"]));
    let events = t.events_of("Reviewers changed").await;
    assert_eq!(events.len(), 3);
    for pair in events.windows(2) {
        assert_eq!(pair[0]["after"], pair[1]["before"], "one after the other");
    }
    t.as_user("noor")
        .get(&format!("{}/decisions/filterByCurrentUser(on='reviewer')", review.instance_path()))
        .await
        .ok();
}

/// LC-CONC-01, LC-DEC-03, LC-DEC-06, LC-DEC-14: answers to several items and twice to one, among them some that are refused.
#[tokio::test]
async fn decisions_that_wait_are_recorded_in_order_and_each_has_its_answer() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .reviewers(&[user("mia"), user("noor")])
        .setting("justificationRequiredOnApproval", json!(true))
        .running()
        .await;
    let item = async |name: &str| format!("{}/decisions/{}", review.instance_path(), review.item_id(name).await);
    let (ana, ben, cleo, dan) = (item("ana").await, item("ben").await, item("cleo").await, item("dan").await);
    let (mia, noor) = (t.as_user("mia"), t.as_user("noor"));
    let body = |decision: &str, why: &str| json!({ "decision": decision, "justification": why });
    // Two transactions may be under way; these two hold both places.
    let mut blocker = hold_stage(&t, &review).await;
    let first = patch(&mia, &dan, body("Approve", "first"));
    blocker.wait_until_blocked(1).await;
    let second = patch(&mia, &ben, body("Approve", "second"));
    blocker.wait_until_blocked(2).await;

    let waiting = queue_up(
        &t,
        0,
        vec![
            (mia.clone(), ana.clone(), body("Approve", "once")),
            (noor.clone(), ana.clone(), body("Deny", "noor")),
            (mia.clone(), cleo.clone(), body("Approve", " ")),
            (mia.clone(), cleo.clone(), body("DontKnow", "")),
            (noor.clone(), cleo.clone(), body("NotReviewed", "")),
            (mia.clone(), ana.clone(), body("Approve", "again")),
            (t.as_user("pete"), ana.clone(), body("Deny", "not his")),
        ],
    )
    .await;
    blocker.rollback().await;

    first.await.unwrap().is(204);
    second.await.unwrap().is(204);
    let mut statuses = Vec::new();
    for answer in waiting {
        statuses.push(answer.await.unwrap().status);
    }
    assert_eq!(statuses[..6], [204, 204, 400, 204, 204, 204]);
    assert!([403, 404].contains(&statuses[6]));
    let shown = async |path: &str| t.as_admin().get(path).await.ok().body;
    let ana = shown(&ana).await;
    assert_eq!((ana["decision"].as_str(), ana["justification"].as_str()), (Some("Approve"), Some("again")));
    assert_eq!(ana["reviewedBy"]["id"], json!(id_of("mia")));
    assert_eq!(shown(&cleo).await["decision"], "NotReviewed");
    assert_eq!(t.events_of("Approve decision").await.len(), 4);
    let denied = t.events_of("Deny decision").await;
    assert_eq!(denied.len(), 1);
    assert_eq!(denied[0]["before"]["justification"], "once");
    let reset = t.events_of("Reset decision").await;
    assert_eq!((reset.len(), reset[0]["before"]["decision"].as_str()), (1, Some("DontKnow")));
}

/// LC-CONC-02: a round that waited for the close records nothing, and every one of them hears why.
#[tokio::test]
async fn decisions_that_waited_for_the_close_are_all_refused() {
    let t = Tenant::with_finance().await;
    let review = t.review().reviewers(&[user("mia")]).running().await;
    let mut paths = Vec::new();
    for name in ["ana", "ben", "cleo"] {
        paths.push(format!("{}/decisions/{}", review.instance_path(), review.item_id(name).await));
    }
    let mut blocker = hold_stage(&t, &review).await;
    let admin = t.as_admin();
    let stop = format!("{}/stop", review.instance_path());
    let stop = tokio::spawn(async move { admin.act(&stop).await });
    blocker.wait_until_blocked(1).await;
    let mut decisions = Vec::new();
    for (path, blocked) in paths.iter().zip([2, 3, 3]) {
        decisions.push(patch(&t.as_user("mia"), path, json!({ "decision": "Deny" })));
        blocker.wait_until_blocked(blocked).await;
    }
    eventually("the third waits for the others", async || t.services.waiting_requests() == 1).await;
    blocker.rollback().await;

    stop.await.unwrap().is(204);
    for decision in decisions {
        decision.await.unwrap().refused(400, "InvalidReviewState");
    }
    assert_eq!(t.events_of("Deny decision").await.len(), 0);
}

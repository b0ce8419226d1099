//! INST-UPDATE: the reviewers of a running single-stage instance. LC-INST-30, LC-INST-31, A-22 to A-25

use serde_json::{Value, json};

use crate::support::{Blocker, MINE, Review, Tenant, as_the_python_sdk_sends, id_of, mailed, manager, stage, user};

async fn shown(t: &Tenant, review: &Review) -> Value {
    t.as_admin().get(&review.instance_path()).await.ok().body
}

/// As an instance shows users. A-14
fn users(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("/v1.0/users/{}", id_of(name))).collect()
}

fn queries(scopes: &Value) -> Vec<String> {
    scopes.as_array().unwrap().iter().map(|scope| scope["query"].as_str().unwrap().to_owned()).collect()
}

/// LC-INST-30, CL-22
#[tokio::test]
async fn a_put_replaces_the_reviewers_and_answers_the_instance() {
    let t = Tenant::with_finance().await;
    let review = t.review().fallbacks(&[user("sam")]).running().await;
    let before = shown(&t, &review).await;
    let body = json!({ "scope": before["scope"], "reviewers": [user("noor"), user("olga")] });

    let answer = t.as_admin().put(&review.instance_path(), &body).await.is(200);

    let mut expected = before.clone();
    assert_ne!(answer.body["@odata.etag"], before["@odata.etag"]);
    for changed in ["reviewers", "@odata.etag"] {
        expected[changed] = answer.body[changed].clone();
    }
    assert_eq!(answer.body, expected);
    assert_eq!(queries(&answer.body["reviewers"]), users(&["noor", "olga"]));
    assert_eq!(shown(&t, &review).await, answer.body);
    for (name, items) in [("noor", 7), ("olga", 7), ("mia", 0)] {
        assert_eq!(review.found_by(&t.as_user(name)).await.len(), items, "{name}");
    }
    review.decide(&t.as_user("olga"), "ana", "Approve").await.is(204);
    let events = t.events_of("Reviewers changed").await;
    assert_eq!(events[0]["instance_id"], json!(review.instance));
    assert_eq!(events[0]["before"]["reviewers"], json!([format!("/users/{}", id_of("mia"))]));
}

/// LC-INST-30: only this instance.
#[tokio::test]
async fn the_definition_and_the_next_occurrence_are_not_touched() {
    let t = Tenant::with_finance().await;
    let today = t.now().await.date_naive();
    let recurrence =
        json!({ "pattern": { "type": "weekly", "interval": 1 }, "range": { "type": "noEnd", "startDate": today } });
    let review =
        t.review().setting("instanceDurationInDays", json!(5)).setting("recurrence", recurrence).running().await;
    let admin = t.as_admin();
    let list = format!("{}/instances", review.path());
    let first = review.occurrence(&admin.get(&list).await.ok().rows()[0]["id"].as_str().unwrap());
    let definition = admin.get(&review.path()).await.ok().body;

    admin.patch(&first.instance_path(), &json!({ "reviewers": [user("noor")] })).await.is(200);
    assert_eq!(admin.get(&review.path()).await.ok().body, definition);
    t.advance("P5D").await;
    assert_eq!(queries(&admin.get(&list).await.ok().rows()[1]["reviewers"]), users(&["mia"]));
}

/// CL-20, section 8 of the clients
#[tokio::test]
async fn what_the_python_sdk_read_it_can_change_and_send_back() {
    let t = Tenant::with_finance().await;
    let review = t.review().fallbacks(&[user("sam")]).reviewers(&[manager()]).running().await;
    let admin = t.as_admin();
    let before = shown(&t, &review).await;
    let mut sent = as_the_python_sdk_sends(&before);

    assert_eq!(admin.patch(&review.instance_path(), &sent).await.is(200).body, before);
    assert_eq!(t.events_of("Reviewers changed").await.len(), 0);
    sent["fallbackReviewers"].as_array_mut().unwrap().insert(0, user("tom"));
    sent["contactedReviewers"] = json!([{ "id": id_of("sam") }]);
    let answer = admin.put(&review.instance_path(), &sent).await.is(200);
    assert_eq!(queries(&answer.body["fallbackReviewers"]), users(&["tom", "sam"]));
    assert_eq!(review.found_by(&t.as_user("tom")).await, ["Gus (guest)", "fay"]);
}

///
#[tokio::test]
async fn a_put_needs_the_scope_which_is_not_changed() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let admin = t.as_admin();
    let scope = shown(&t, &review).await["scope"].clone();
    let reviewers = json!({ "reviewers": [user("noor")] });

    admin.put(&review.instance_path(), &reviewers).await.faults("scope");
    admin.put(&review.instance_path(), &json!({ "scope": null })).await.faults("scope");
    admin.put(&review.instance_path(), &json!({ "scope": "all" })).await.faults("scope");
    assert_eq!(queries(&shown(&t, &review).await["reviewers"]), users(&["mia"]));
    admin.patch(&review.instance_path(), &reviewers).await.is(200);
    let other = json!({ "scope": { "query": "/groups" }, "reviewers": [user("olga")] });
    assert_eq!(admin.put(&review.instance_path(), &other).await.is(200).body["scope"], scope);
}

/// A-23, LC-SUPD-06, LC-SUPD-07
#[tokio::test]
async fn a_fallback_reviewer_cannot_be_removed_and_then_nothing_is_applied() {
    let t = Tenant::with_finance().await;
    let review = t.review().fallbacks(&[user("sam"), user("tom")]).running().await;
    let admin = t.as_admin();
    let before = (shown(&t, &review).await, t.stored().await);

    for fallbacks in [json!([user("sam")]), json!([]), json!(null)] {
        let body = json!({ "reviewers": [user("noor")], "fallbackReviewers": fallbacks });
        let answer = admin.patch(&review.instance_path(), &body).await.refused(409, "Conflict");
        assert!(answer.message().contains(&id_of("tom").to_string()), "{}", answer.message());
    }
    assert_eq!((shown(&t, &review).await, t.stored().await), before);
    let respelt = json!([
        { "query": format!("/v1.0/Users/{}/", id_of("tom").to_string().to_uppercase()), "queryType": "microsoftgraph" },
        { "query": format!("/beta/users/{}", id_of("sam")), "queryRoot": null },
        user("olga"),
    ]);
    let answer = admin.patch(&review.instance_path(), &json!({ "fallbackReviewers": respelt })).await.is(200);
    assert_eq!(queries(&answer.body["fallbackReviewers"]), users(&["tom", "sam", "olga"]));
}

///
#[tokio::test]
async fn an_empty_list_is_refused_unless_everybody_reviews_himself_already() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let own = t.review().reviewers(&[]).running().await;
    let admin = t.as_admin();
    admin.patch(&review.instance_path(), &json!({ "reviewers": [] })).await.faults("reviewers");
    admin.patch(&own.instance_path(), &json!({ "reviewers": [] })).await.is(200);
    admin.patch(&own.instance_path(), &json!({})).await.is(200);
}

/// LC-INST-31
#[tokio::test]
async fn an_instance_with_stages_points_to_its_stages() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&[stage(1, 3, &[user("mia")], &[], &[])]).running().await;
    let before = t.stored().await;
    let body = json!({ "reviewers": [user("noor")] });
    let answer = t.as_admin().patch(&review.instance_path(), &body).await.refused(400, "InvalidReviewState");
    assert!(answer.message().contains("update the running stage"), "{}", answer.message());
    assert_eq!(t.stored().await, before);
}

/// Section 2.3, LC-SUPD-13
#[tokio::test]
async fn only_a_running_instance_can_be_updated() {
    let t = Tenant::with_finance().await;
    let now = t.now().await;
    let body = json!({ "reviewers": [user("noor")] });
    let admin = t.as_admin();
    let waiting = t.review().starting_in(now, 3).create().await;
    let answer = admin.patch(&waiting.instance_path(), &body).await.refused(400, "InvalidReviewState");
    assert!(answer.message().contains("NotStarted") && answer.message().contains("InProgress"), "{}", answer.message());

    let review = t.review().running().await;
    t.advance_without_jobs("P10DT1H").await;
    admin.patch(&review.instance_path(), &body).await.refused(400, "InvalidReviewState");
    t.run_jobs().await;
    assert_eq!(review.status().await, "Completed");
    admin.patch(&review.instance_path(), &body).await.refused(400, "InvalidReviewState");
}

/// Issue 3 point 7, CL-20
#[tokio::test]
async fn every_fault_is_told_at_once() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let admin = t.as_admin();
    let answer = admin
        .put(
            &review.instance_path(),
            &json!({
                "id": id_of("zoe"), "status": "Completed", "startDateTime": "2020-01-01T00:00:00Z",
                "endDateTime": "2020-01-01T00:00:00Z", "errors": [{ "code": "x" }], "fallbackReviewer": [],
                "reviewers": [{ "query": "./manager" }],
            }),
        )
        .await;
    for path in [
        "id",
        "status",
        "startDateTime",
        "endDateTime",
        "errors",
        "fallbackReviewer",
        "scope",
        "reviewers[0].queryRoot",
    ] {
        answer.clone().faults(path);
    }
    let body = json!({ "reviewers": [user("mia"), user("nobody")], "fallbackReviewers": [user("nothing")] });
    let answer = admin.patch(&review.instance_path(), &body).await;
    for path in ["reviewers[1].query", "fallbackReviewers[0].query"] {
        answer.clone().faults(path);
    }
}

/// N-3, LC-SUPD-22
#[tokio::test]
async fn newcomers_are_told_once_and_nobody_else() {
    let (t, sink) = Tenant::with_finance_and_mail().await;
    let review = t.review().setting("mailNotificationsEnabled", json!(true)).running().await;
    assert_eq!(mailed(&sink), ["mia"]);
    for reviewers in [json!([user("mia"), user("noor")]), json!([user("noor")]), json!([user("mia"), user("noor")])] {
        t.as_admin().patch(&review.instance_path(), &json!({ "reviewers": reviewers })).await.is(200);
        t.run_jobs().await;
    }
    assert_eq!(mailed(&sink), ["mia", "noor"]);
    assert_eq!(t.contacted(1).await, ["mia", "noor"]);
}

/// LC-AUTH-01, LC-AUTH-03, LC-AUTH-04
#[tokio::test]
async fn updating_needs_a_role_that_manages() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let body = json!({ "reviewers": [user("noor")] });
    for (caller, status, code) in [
        (t.as_reader(), 403, "Forbidden"),
        (t.as_user("mia"), 403, "Forbidden"),
        (t.as_user("zoe"), 404, "ResourceNotFound"),
    ] {
        caller.patch(&review.instance_path(), &body).await.refused(status, code);
        caller.put(&review.instance_path(), &body).await.refused(status, code);
    }
}

/// LC-CONC-03
#[tokio::test]
async fn of_two_updates_the_second_is_judged_against_what_the_first_left() {
    let t = Tenant::with_finance().await;
    let review = t.review().fallbacks(&[user("sam")]).running().await;
    let sql = format!(
        "select from instances where tenant_id = '{}' and instance_id = '{}' for update",
        t.id, review.instance
    );
    let mut blocker = Blocker::hold(&t.database, &sql).await;
    let update = |added: &'static str| {
        let (client, path) = (t.as_admin(), review.instance_path());
        let body = json!({ "fallbackReviewers": [user("sam"), user(added)] });
        tokio::spawn(async move { client.patch(&path, &body).await })
    };
    let one = update("tom");
    blocker.wait_until_blocked(1).await;
    let other = update("olga");
    blocker.wait_until_blocked(2).await;
    blocker.rollback().await;

    one.await.unwrap().is(200);
    other.await.unwrap().refused(409, "Conflict");
    assert_eq!(queries(&shown(&t, &review).await["fallbackReviewers"]), users(&["sam", "tom"]));
    t.as_user("sam").get(&format!("{}/{MINE}", review.instance_path())).await.refused(404, "ResourceNotFound");
}

//! A create that comes again under the same key is answered as the first time and made once. LC-CONC-09, CL-27

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Tenant, history_body};

async fn create(client: &Client, headers: &[(&str, &str)], body: &Value) -> Answer {
    create_at("/definitions", client, headers, body).await
}

async fn create_at(path: &str, client: &Client, headers: &[(&str, &str)], body: &Value) -> Answer {
    let request = client.request(Method::POST, path).json(body);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    Answer::of(request.send().await.unwrap()).await
}

async fn made(t: &Tenant) -> usize {
    t.as_admin().get("/definitions").await.rows().len()
}

#[tokio::test]
async fn the_same_key_with_the_same_body_is_answered_as_the_first_time() {
    let t = Tenant::with_finance().await;
    let body = t.review().body().clone();
    let key = [("idempotency-key", "key 1")];
    let first = create(&t.as_admin(), &key, &body).await.is(201);
    t.run_jobs().await;

    let again = create(&t.as_admin(), &key, &body).await.is(201);
    assert_eq!(again.body, first.body, "as it was told then, though the review runs by now");
    assert_eq!(again.headers["location"], first.headers["location"]);
    assert_eq!(again.headers["etag"], first.headers["etag"]);

    let mut members: Vec<_> = body.as_object().unwrap().clone().into_iter().collect();
    members.reverse();
    let reordered: Value = members.into_iter().collect::<serde_json::Map<_, _>>().into();
    assert_eq!(create(&t.as_admin(), &key, &reordered).await.is(201).body, first.body);
    assert_eq!(made(&t).await, 1);
    assert_eq!(t.events_of("Create access review").await.len(), 1);

    t.as_admin().delete(&format!("/definitions/{}", first.text("id"))).await.is(204);
    assert_eq!(create(&t.as_admin(), &key, &body).await.is(201).body, first.body);
    assert_eq!(made(&t).await, 0);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused_and_makes_nothing() {
    let t = Tenant::with_finance().await;
    let key = [("idempotency-key", "k")];
    create(&t.as_admin(), &key, t.review().body()).await.is(201);

    let other = t.review().with("displayName", json!("Another"));
    create(&t.as_admin(), &key, other.body()).await.refused(409, "Conflict");
    assert_eq!(made(&t).await, 1);
    create(&t.as_admin(), &[("idempotency-key", "l")], other.body()).await.is(201);
    assert_eq!(made(&t).await, 2);
}

#[tokio::test]
async fn a_report_asked_for_again_under_its_key_is_made_once() {
    let t = Tenant::with_finance().await;
    let body = history_body(t.now().await);
    let key = [("idempotency-key", "k")];
    let first = create_at("/historyDefinitions", &t.as_admin(), &key, &body).await.is(201);
    t.run_jobs().await;

    let again = create_at("/historyDefinitions", &t.as_admin(), &key, &body).await.is(201);

    assert_eq!((&again.body, again.headers["location"].clone()), (&first.body, first.headers["location"].clone()));
    let mut other = body.clone();
    other["displayName"] = json!("Another");
    create_at("/historyDefinitions", &t.as_admin(), &key, &other).await.refused(409, "Conflict");
    assert_eq!(t.as_admin().get("/historyDefinitions").await.ok().rows().len(), 1);
    // a key of one kind of create is none of another
    create(&t.as_admin(), &key, t.review().body()).await.is(201);
}

#[tokio::test]
async fn a_key_is_its_callers_and_lasts_a_day() {
    let t = Tenant::with_finance().await;
    let other = Tenant::with_finance().await;
    let body = t.review().body().clone();
    let key = [("idempotency-key", "k")];
    let first = create(&t.as_admin(), &key, &body).await.is(201).text("id");
    assert_ne!(create(&t.as_application(), &key, &body).await.is(201).text("id"), first);
    assert_ne!(create(&other.as_admin(), &key, &body).await.is(201).text("id"), first);

    t.advance("PT23H").await;
    assert_eq!(create(&t.as_admin(), &key, &body).await.is(201).text("id"), first);
    t.advance("PT1H").await;
    let second = create(&t.as_admin(), &key, &body).await.is(201).text("id");
    assert_ne!(second, first);
    assert_eq!(create(&t.as_admin(), &key, &body).await.is(201).text("id"), second);
    assert_eq!(t.table("first_answers").await.len(), 1, "the other caller's has been forgotten");
}

#[tokio::test]
async fn a_client_request_id_is_a_key_when_it_is_a_guid() {
    let t = Tenant::with_finance().await;
    let body = t.review().body().clone();
    let id = [("client-request-id", "5bd16aaa-0a1f-4d30-8a4a-6d2f2b0a63f2")];
    let first = create(&t.as_admin(), &id, &body).await.is(201).text("id");
    assert_eq!(create(&t.as_admin(), &id, &body).await.is(201).text("id"), first);
    let keyed = [id[0], ("idempotency-key", "stronger")];
    assert_ne!(create(&t.as_admin(), &keyed, &body).await.is(201).text("id"), first);

    let name = [("client-request-id", "nightly job")];
    let one = create(&t.as_admin(), &name, &body).await.is(201).text("id");
    assert_ne!(create(&t.as_admin(), &name, &body).await.is(201).text("id"), one);
}

#[tokio::test]
async fn of_many_that_come_at_once_one_is_made_and_all_are_told_of_it() {
    let t = Tenant::with_finance().await;
    let body = t.review().body().clone();
    let calls = (0..8).map(|_| {
        let (client, body) = (t.as_admin(), body.clone());
        tokio::spawn(async move { create(&client, &[("idempotency-key", "at once")], &body).await })
    });
    let mut ids = std::collections::BTreeSet::new();
    for call in calls.collect::<Vec<_>>() {
        ids.insert(call.await.unwrap().is(201).text("id"));
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(made(&t).await, 1);
    assert_eq!(t.events_of("Create access review").await.len(), 1);
}

#[tokio::test]
async fn a_refused_create_leaves_its_key_free() {
    let t = Tenant::with_finance().await;
    let key = [("idempotency-key", "k")];
    let wrong = t.review().scope("/groups/6f9619ff-8b86-4011-b42d-00c04fc964ff/transitiveMembers");
    create(&t.as_admin(), &key, wrong.body()).await.faults("scope.query");
    create(&t.as_reader(), &key, t.review().body()).await.refused(403, "Forbidden");
    create(&t.as_admin(), &key, t.review().body()).await.is(201);

    for unreadable in [String::new(), "x".repeat(256)] {
        let refused = create(&t.as_admin(), &[("idempotency-key", &unreadable)], t.review().body()).await;
        assert_eq!(refused.refused(400, "BadRequest").body["error"]["target"], "Idempotency-Key");
    }
}

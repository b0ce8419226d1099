//! Entity tags: what a client read names the state it read, and a change that demands that state never overwrites another's.
//! LC-CONC-08

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, MINE, Review, Tenant, history_body, stage, user};

async fn two_stages(t: &Tenant) -> Review {
    t.review()
        .stages(&[
            stage(1, 3, &[user("mia"), user("noor")], &[user("sam")], &[]),
            stage(2, 3, &[user("olga")], &[], &[]),
        ])
        .running()
        .await
}

async fn with(client: &Client, method: Method, path: &str, header: (&str, &str), body: Option<&Value>) -> Answer {
    let mut request = client.request(method, path).header(header.0, header.1);
    if let Some(body) = body {
        request = request.json(body);
    }
    Answer::of(request.send().await.unwrap()).await
}

async fn tag_of(client: &Client, path: &str) -> String {
    client.get(path).await.ok().text("@odata.etag")
}

#[tokio::test]
async fn an_entity_carries_its_tag_in_the_body_and_the_header_alone_and_in_lists() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let item = review.item_id("ana").await;
    for path in [
        review.path(),
        review.instance_path(),
        review.stage_path(1).await,
        format!("{}/decisions/{item}", review.instance_path()),
        format!("{}/decisions/{item}", review.stage_path(1).await),
    ] {
        let answer = t.as_admin().get(&path).await.ok();
        let tag = answer.text("@odata.etag");
        assert!(tag.starts_with("W/\"") && tag.ends_with('"'), "{tag}");
        assert_eq!(answer.headers["etag"], tag.as_str());

        let (list, id) = path.rsplit_once('/').unwrap();
        let rows = t.as_admin().all(list).await.0;
        assert_eq!(rows.iter().find(|row| row["id"] == id).unwrap()["@odata.etag"], tag.as_str(), "{path}");
        let selected = t.as_admin().get(&format!("{path}?$select=id")).await.ok();
        assert_eq!(selected.text("@odata.etag"), tag);
    }
    let created = t.review().send().await.is(201);
    let read = t.as_admin().get(&format!("/definitions/{}", created.text("id"))).await;
    assert_eq!(created.headers["etag"], read.headers["etag"]);
}

/// What is shown with an entity changes without it, so its tag cannot vouch for the answer.
#[tokio::test]
async fn an_entity_shown_with_others_is_always_sent_again() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    for path in [format!("{}?$expand=instances", review.path()), format!("{}?$expand=stages", review.instance_path())] {
        let answer = t.as_admin().get(&path).await.ok();
        let tag = answer.text("@odata.etag");
        assert!(!answer.headers.contains_key("etag"), "{path}");
        with(&t.as_admin(), Method::GET, &path, ("if-none-match", &tag), None).await.is(200);
    }
}

/// LC-CONC-08
#[tokio::test]
async fn no_tag_that_somebody_names_is_that_of_an_object_without_one() {
    let t = Tenant::with_finance().await;
    let body = history_body(t.now().await);
    let id = t.as_admin().post("/historyDefinitions", &body).await.is(201).text("id");
    let path = format!("/historyDefinitions/{id}");
    let renamed = json!({ "displayName": "Another" });
    let named = ("if-match", "W/\"7\"");
    with(&t.as_admin(), Method::PATCH, &path, named, Some(&renamed)).await.refused(412, "PreconditionFailed");
    with(&t.as_admin(), Method::DELETE, &path, named, None).await.refused(412, "PreconditionFailed");
    assert_eq!(t.as_admin().get(&path).await.ok().text("displayName"), body["displayName"]);

    let any = ("if-match", "*");
    with(&t.as_admin(), Method::PATCH, &path, any, Some(&renamed)).await.ok();
    assert_eq!(t.as_admin().get(&path).await.ok().text("displayName"), "Another");
    with(&t.as_admin(), Method::DELETE, &path, any, None).await.is(204);
}

#[tokio::test]
async fn a_client_that_has_the_entity_as_it_is_gets_no_second_copy() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let stage = review.stage_path(1).await;
    let tag = tag_of(&t.as_admin(), &stage).await;

    for known in [tag.as_str(), tag.trim_start_matches("W/"), "*", &format!("\"other\", {tag}")] {
        let answer = with(&t.as_admin(), Method::GET, &stage, ("if-none-match", known), None).await.is(304);
        assert_eq!((&answer.body, &answer.headers["etag"]), (&Value::Null, &tag.parse().unwrap()), "{known}");
        assert!(!answer.headers.contains_key("content-type"));
    }
    for other in ["\"other\"", "no tag"] {
        with(&t.as_admin(), Method::GET, &stage, ("if-none-match", other), None).await.is(200);
    }
    t.as_admin().patch(&stage, &json!({ "reviewers": [user("pete")] })).await.ok();
    with(&t.as_admin(), Method::GET, &stage, ("if-none-match", &tag), None).await.is(200);
}

#[tokio::test]
async fn a_stage_that_was_changed_since_is_not_overwritten() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let stage = review.stage_path(1).await;
    let read = tag_of(&t.as_admin(), &stage).await;
    let changed = t.as_admin().patch(&stage, &json!({ "reviewers": [user("pete")] })).await.ok();
    assert_ne!(changed.text("@odata.etag"), read);
    let before = t.stored().await;

    let body = json!({ "reviewers": [user("tom")] });
    for stale in [read.as_str(), "\"other\"", "\"1\", \"2\", \"x\""] {
        let refused = with(&t.as_admin(), Method::PATCH, &stage, ("if-match", stale), Some(&body)).await;
        if stale.contains(changed.text("@odata.etag").trim_start_matches("W/")) {
            continue;
        }
        refused.refused(412, "PreconditionFailed");
    }
    with(&t.as_admin(), Method::PATCH, &stage, ("if-none-match", "*"), Some(&body))
        .await
        .refused(412, "PreconditionFailed");
    assert_eq!(t.stored().await, before);

    let current = changed.text("@odata.etag");
    let updated = with(&t.as_admin(), Method::PATCH, &stage, ("if-match", &current), Some(&body)).await.is(200);
    assert_eq!(updated.body["reviewers"][0]["query"], user("tom")["query"]);
    assert_ne!(updated.text("@odata.etag"), current);
    assert_eq!(updated.text("@odata.etag"), tag_of(&t.as_admin(), &stage).await);
    with(&t.as_admin(), Method::PATCH, &stage, ("if-match", "*"), Some(&json!({ "reviewers": [user("mia")] })))
        .await
        .is(200);
}

/// The comparison is made with the row locked: of two who read the same, one writes.
#[tokio::test]
async fn of_two_who_demand_the_same_state_of_a_stage_one_changes_it() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let stage = review.stage_path(1).await;
    for _ in 0..4 {
        let read = tag_of(&t.as_admin(), &stage).await;
        let (first, second) = (t.as_admin(), t.as_admin());
        let (pete, tom) =
            (json!({ "reviewers": [user("pete"), user("mia")] }), json!({ "reviewers": [user("tom"), user("mia")] }));
        let (first, second) = tokio::join!(
            with(&first, Method::PATCH, &stage, ("if-match", &read), Some(&pete)),
            with(&second, Method::PATCH, &stage, ("if-match", &read), Some(&tom)),
        );
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412]);
        t.as_admin().patch(&stage, &json!({ "reviewers": [user("mia")] })).await.ok();
    }
}

#[tokio::test]
async fn a_decision_that_was_recorded_since_is_not_overwritten_on_either_path() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let mia = t.as_user("mia");
    let noor = t.as_user("noor");
    for parent in [review.instance_path(), review.stage_path(1).await] {
        let item = review.item_id("ana").await;
        let path = format!("{parent}/decisions/{item}");
        let answer = |decision: &str| json!({ "decision": decision, "justification": format!("as {decision}") });
        let undecided = mia.get(&path).await.ok().text("@odata.etag");
        noor.patch(&path, &answer("Approve")).await.is(204);
        let approved = mia.get(&path).await.ok().text("@odata.etag");
        assert_ne!(approved, undecided);
        assert_eq!(
            mia.get(&format!("{parent}/{MINE}")).await.rows().iter().find(|row| row["id"] == item).unwrap()["@odata.etag"],
            approved
        );
        let before = t.stored().await;

        let stale = with(&mia, Method::PATCH, &path, ("if-match", &undecided), Some(&answer("Deny"))).await;
        stale.refused(412, "PreconditionFailed");
        assert_eq!(t.stored().await, before);

        with(&mia, Method::PATCH, &path, ("if-match", &approved), Some(&answer("Deny"))).await.is(204);
        let denied = with(&mia, Method::PATCH, &path, ("if-match", &approved), Some(&answer("DontKnow"))).await;
        denied.refused(412, "PreconditionFailed");
        with(&mia, Method::PATCH, &path, ("if-match", "*"), Some(&answer("NotReviewed"))).await.is(204);
        assert_eq!(mia.get(&path).await.text("@odata.etag"), undecided);
    }
}

#[tokio::test]
async fn of_two_who_demand_the_same_decision_one_replaces_it() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let path = format!("{}/decisions/{}", review.stage_path(1).await, review.item_id("ana").await);
    let (mia, noor) = (t.as_user("mia"), t.as_user("noor"));
    for round in 0..6 {
        let read = tag_of(&mia, &path).await;
        let body =
            |who: &str| json!({ "decision": if round % 2 == 0 { "Deny" } else { "Approve" }, "justification": who });
        let (first, second) = (body("mia"), body("noor"));
        let (first, second) = tokio::join!(
            with(&mia, Method::PATCH, &path, ("if-match", &read), Some(&first)),
            with(&noor, Method::PATCH, &path, ("if-match", &read), Some(&second)),
        );
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 412], "round {round}");
    }
}

#[tokio::test]
async fn a_definition_is_deleted_in_the_state_that_was_read_or_not_at_all() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;

    let stale = with(&t.as_admin(), Method::DELETE, &review.path(), ("if-match", "W/\"other\""), None).await;
    stale.refused(412, "PreconditionFailed");
    t.as_admin().get(&review.path()).await.is(200);

    let current = tag_of(&t.as_admin(), &review.path()).await;
    with(&t.as_admin(), Method::DELETE, &review.path(), ("if-match", &current), None).await.is(204);
    with(&t.as_admin(), Method::DELETE, &review.path(), ("if-match", "*"), None).await.refused(404, "ResourceNotFound");
}

#[tokio::test]
async fn a_demand_that_cannot_be_read_changes_nothing() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let stage = review.stage_path(1).await;
    let before = t.stored().await;
    for header in ["if-match", "if-none-match"] {
        for text in ["7", "W/7", "\"7", ""] {
            let body = json!({ "reviewers": [user("pete")] });
            let refused = with(&t.as_admin(), Method::PATCH, &stage, (header, text), Some(&body)).await;
            let refused = refused.refused(400, "BadRequest");
            assert_eq!(refused.body["error"]["target"], header);
        }
    }
    assert_eq!(t.stored().await, before);
}

/// Who may not do it learns nothing of the object's state.
#[tokio::test]
async fn rights_come_before_tags() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let body = json!({ "reviewers": [user("pete")] });
    for (client, status) in [(t.as_reader(), 403), (t.as_user("zoe"), 404)] {
        let answer =
            with(&client, Method::PATCH, &review.stage_path(1).await, ("if-match", "\"x\""), Some(&body)).await;
        assert_eq!(answer.status, status);
    }
}

//! `POST /v1.0/$batch`: each request of a batch is answered as if it had come alone. Section 12 of the OData digest, CL-29, CL-30

use serde_json::{Value, json};

use crate::support::{Answer, Client, Review, Tenant, manager, stage, user};

const BATCH: &str = "//v1.0/$batch";
const ROOT: &str = "/identityGovernance/accessReviews";

async fn two_stages(t: &Tenant) -> Review {
    t.review()
        .stages(&[stage(1, 3, &[manager()], &[user("sam")], &[]), stage(2, 3, &[user("olga")], &[], &[])])
        .running()
        .await
}

async fn batch(client: &Client, requests: &[Value]) -> Answer {
    client.post(BATCH, &json!({ "requests": requests })).await
}

fn get(id: &str, url: &str) -> Value {
    json!({ "id": id, "method": "GET", "url": url })
}

fn statuses(answer: &Answer) -> Vec<(String, u64)> {
    let responses = answer.body["responses"].as_array().unwrap();
    responses.iter().map(|one| (one["id"].as_str().unwrap().to_owned(), one["status"].as_u64().unwrap())).collect()
}

fn pairs(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(id, status)| ((*id).to_owned(), *status)).collect()
}

#[tokio::test]
async fn every_request_is_answered_as_if_it_had_come_alone() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let stage = review.stage_path(1).await;
    let definition = format!("{ROOT}{}", review.path());

    let answer = batch(
        &t.as_admin(),
        &[
            get("one", &definition),
            get("two", &format!("{ROOT}/definitions?%24top=1&%24count=true")),
            json!({ "id": "three", "method": "patch", "url": format!("{ROOT}{stage}"),
                "headers": { "content-type": "application/json", "client-request-id": "my own" },
                "body": { "reviewers": [user("pete")] } }),
            get("four", &format!("{ROOT}/definitions/x")),
            json!({ "id": "five", "method": "DELETE", "url": format!("{ROOT}/definitions") }),
            json!({ "id": "six", "method": "POST", "url": format!("{ROOT}/definitions"),
                "headers": { "Content-Type": "application/json" }, "body": { "displayName": 7 } }),
            json!({ "id": "seven", "method": "POST", "url": format!("{ROOT}{stage}/stop") }),
            get("eight", "/nothing"),
            get("nine", "/$metadata"),
        ],
    )
    .await
    .is(200);

    assert_eq!(
        statuses(&answer),
        pairs(&[
            ("one", 200),
            ("two", 200),
            ("three", 200),
            ("four", 404),
            ("five", 405),
            ("six", 400),
            ("seven", 204),
            ("eight", 404),
            ("nine", 200),
        ])
    );
    let response = |number: usize| &answer.body["responses"][number];
    let alone = t.as_admin().get(&review.path()).await.is(200);
    assert_eq!(response(0)["body"]["id"], alone.body["id"]);
    assert_eq!(response(0)["headers"]["ETag"], response(0)["body"]["@odata.etag"]);
    assert_eq!(response(1)["body"]["@odata.count"], 1);
    assert_eq!(response(2)["body"]["reviewers"][0]["query"], user("pete")["query"]);
    assert_eq!(response(2)["headers"]["client-request-id"], "my own");
    assert_eq!(response(4)["headers"]["Allow"], "GET, HEAD, POST, OPTIONS");
    assert!(response(6).get("body").is_none());
    assert!(response(8)["body"].as_str().unwrap().starts_with("<?xml"));
    for number in [3, 4, 5, 7] {
        let error = &response(number)["body"]["error"];
        assert!(!error["code"].as_str().unwrap().is_empty() && !error["message"].as_str().unwrap().is_empty());
        assert_eq!(error["innerError"]["request-id"], response(number)["headers"]["request-id"]);
        assert!(response(number)["headers"]["Content-Type"].as_str().unwrap().starts_with("application/json"));
    }
    assert_eq!(response(5)["body"]["error"]["target"], "displayName");
}

#[tokio::test]
async fn every_form_of_address_that_clients_use_is_understood() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let path = format!("identityGovernance/accessReviews{}", review.path());
    let forms = [
        path.clone(),
        format!("/{path}"),
        format!("/v1.0/{path}"),
        format!("https://reviews.example/v1.0/{path}?%24select=id"),
        format!("/{path}?$select=id,status"),
    ];
    let requests: Vec<_> = forms.iter().enumerate().map(|(number, url)| get(&number.to_string(), url)).collect();
    for response in batch(&t.as_admin(), &requests).await.is(200).body["responses"].as_array().unwrap() {
        assert_eq!((&response["status"], &response["body"]["id"]), (&json!(200), &json!(review.definition)));
    }

    let elsewhere = ["https://graph.example/v1.0/me", "/beta/me", "/$batch", "/v1.0/$batch"];
    let requests: Vec<_> = elsewhere.iter().enumerate().map(|(number, url)| get(&number.to_string(), url)).collect();
    for response in batch(&t.as_admin(), &requests).await.is(200).body["responses"].as_array().unwrap() {
        assert_eq!((&response["status"], &response["body"]["error"]["target"]), (&json!(400), &json!("url")));
    }
}

#[tokio::test]
async fn what_depends_on_a_failed_request_is_not_made() {
    let t = Tenant::with_finance().await;
    let create = |id: &str, depends_on: Value| {
        let mut request = json!({ "id": id, "method": "POST", "url": format!("{ROOT}/definitions"),
            "headers": { "content-type": "application/json" }, "body": t.review().body() });
        request[if id == "c" { "depends_on" } else { "dependsOn" }] = depends_on;
        request
    };
    let requests = [
        create("a", json!(["LAST"])),
        get("b", &format!("{ROOT}/definitions/x")),
        create("c", json!(["B"])),
        create("d", json!(["a", "c"])),
        get("last", &format!("{ROOT}/definitions")),
    ];

    let answer = batch(&t.as_admin(), &requests).await.is(200);

    assert_eq!(statuses(&answer), pairs(&[("a", 201), ("b", 404), ("c", 424), ("d", 424), ("last", 200)]));
    assert_eq!(answer.body["responses"][2]["body"]["error"]["code"], "FailedDependency");
    assert_eq!(answer.body["responses"][4]["body"]["value"], json!([]), "it ran before what depends on it");
    assert_eq!(t.as_admin().get("/definitions").await.rows().len(), 1);
}

#[tokio::test]
async fn each_request_is_the_batchs_callers_and_commits_alone() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let decide = |id: &str, who: &str, item: &str, decision: &str| {
        json!({ "id": id, "method": "PATCH", "url": format!("{ROOT}{}/decisions/{item}", review.instance_path()),
            "headers": { "content-type": "application/json", "authorization": format!("Bearer {who}") },
            "body": { "decision": decision, "justification": "because" } })
    };
    let (ana, ben) = (review.item_id("ana").await, review.item_id("ben").await);
    let admin = t.admin_token();

    let answer = batch(
        &t.as_user("mia"),
        &[
            decide("1", &admin, &ana, "Deny"),
            decide("2", &admin, &ben, "Never"),
            json!({ "id": "3", "method": "DELETE", "url": format!("{ROOT}{}", review.path()), "headers": { "authorization": format!("Bearer {admin}") } }),
        ],
    )
    .await
    .is(200);

    assert_eq!(statuses(&answer), pairs(&[("1", 204), ("2", 400), ("3", 403)]));
    assert_eq!(review.item("ana").await["decision"], "Deny");
    assert_eq!(review.item("ana").await["reviewedBy"]["displayName"], "mia");
    assert_eq!(review.item("ben").await["decision"], "NotReviewed");
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_changes_nothing() {
    let t = Tenant::with_finance().await;
    let before = t.events().await;
    let create = json!({ "id": "1", "method": "POST", "url": format!("{ROOT}/definitions"),
        "headers": { "content-type": "application/json" }, "body": t.review().body() });
    for (requests, path) in [
        (json!([]), "requests"),
        (json!(vec![create.clone(); 21]), "requests"),
        (json!([create, create]), "requests[1].id"),
        (json!([create, { "id": "2", "method": "GET", "url": "/me", "dependsOn": ["3"] }]), "requests[1].dependsOn[0]"),
        (json!([create, { "id": "2", "method": "GET", "url": "/me", "dependsOn": ["2"] }]), "requests[1].dependsOn"),
        (json!([create, { "id": "2", "method": "GET" }]), "requests[1].url"),
        (
            json!([create, { "id": "2", "method": "GET", "url": "/me", "atomicityGroup": "x" }]),
            "requests[1].atomicityGroup",
        ),
    ] {
        t.as_admin().post(BATCH, &json!({ "requests": requests })).await.faults(path);
    }
    let one = json!({ "requests": [create] });
    t.with_authorization(None).post(BATCH, &one).await.refused(401, "InvalidAuthenticationToken");
    let text = t.as_admin().request(reqwest::Method::POST, BATCH).body(one.to_string());
    Answer::of(text.send().await.unwrap()).await.refused(415, "UnsupportedMediaType");
    t.as_admin().get(BATCH).await.refused(405, "MethodNotAllowed");
    assert_eq!(t.events().await, before);
}

/// Section 12 of the OData digest: a nested form of each rule of the protocol works inside, too.
#[tokio::test]
async fn conditions_and_preferences_count_within_a_batch() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let stage = format!("{ROOT}{}", review.stage_path(1).await);
    let body = json!({ "reviewers": [user("pete")] });
    let patch = |id: &str, name: &str, value: &str| {
        json!({ "id": id, "method": "PATCH", "url": stage, "body": body,
            "headers": { "content-type": "application/json", name: value } })
    };
    let requests = [
        patch("1", "if-match", "\"other\""),
        patch("2", "prefer", "return=minimal"),
        json!({ "id": "3", "method": "HEAD", "url": stage }),
        json!({ "id": "4", "method": "GET", "url": stage, "headers": { "if-none-match": "*" } }),
    ];

    let answer = batch(&t.as_admin(), &requests).await.is(200);

    assert_eq!(statuses(&answer), pairs(&[("1", 412), ("2", 204), ("3", 200), ("4", 304)]));
    assert!(answer.body["responses"].as_array().unwrap()[1..].iter().all(|one| one.get("body").is_none()));
    assert_eq!(answer.body["responses"][1]["headers"]["Preference-Applied"], "return=minimal");
}

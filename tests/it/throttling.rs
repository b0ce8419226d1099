//! Throttling: who asks too much waits, and nobody else does. Section 11 of the OData digest, CL-26

use std::num::NonZeroU32;

use attestry::http::quotas::QuotaSettings;
use serde_json::json;

use crate::support::{Answer, Tenant};

/// More than any test here uses.
const PLENTY: u32 = 1_000_000;

async fn throttled(reads: u32, writes: u32) -> Tenant {
    throttled_to(reads, writes, PLENTY).await
}

async fn throttled_to(reads: u32, writes: u32, tenant_units: u32) -> Tenant {
    let count = |count| NonZeroU32::new(count).unwrap();
    let settings = QuotaSettings { reads: count(reads), writes: count(writes), tenant_units: count(tenant_units) };
    Tenant::with_finance().await.set_up_with(|edge| edge.with_quotas(Some(settings)))
}

fn header(answer: &Answer, name: &str) -> Option<u32> {
    answer.headers.get(name).map(|value| value.to_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn who_asks_too_much_is_told_to_wait_and_for_how_long() {
    let t = throttled(3, 1).await;
    for remaining in [2, 1, 0] {
        let answer = t.as_admin().get("/definitions").await.is(200);
        assert_eq!(
            (header(&answer, "ratelimit-limit"), header(&answer, "ratelimit-remaining")),
            (Some(3), Some(remaining))
        );
    }

    let refused = t.as_admin().get("/definitions").await.refused(429, "TooManyRequests");
    assert!((1..=179).contains(&header(&refused, "retry-after").unwrap()));
    assert_eq!(header(&refused, "ratelimit-remaining"), Some(0));
    assert_eq!(refused.headers["x-ms-throttle-information"], "ReadLimitExceeded");

    t.as_reader().get("/definitions").await.is(200);
    t.review().send().await.is(201);
    let refused = t.review().send().await.refused(429, "TooManyRequests");
    assert_eq!(refused.headers["x-ms-throttle-information"], "WriteLimitExceeded");
    assert_eq!(t.events_of("Create access review").await.len(), 1);
    t.with_authorization(None).get("/definitions").await.refused(401, "InvalidAuthenticationToken");
}

#[tokio::test]
async fn the_quota_comes_back_after_a_while() {
    let t = throttled(10, 1).await;
    let refused = loop {
        let answer = t.as_admin().get("/definitions").await;
        if answer.status == 429 {
            break answer;
        }
    };
    tokio::time::sleep(std::time::Duration::from_secs(header(&refused, "retry-after").unwrap().into())).await;
    t.as_admin().get("/definitions").await.is(200);
}

#[tokio::test]
async fn each_request_of_a_batch_counts_for_itself() {
    let t = throttled(2, 1).await;
    let get = |id: &str| json!({ "id": id, "method": "GET", "url": "/identityGovernance/accessReviews/definitions" });
    let batch = json!({ "requests": [get("1"), get("2"), get("3")] });

    let answer = t.as_admin().post("//v1.0/$batch", &batch).await.is(200);

    let statuses: Vec<_> = answer.body["responses"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, [200, 200, 429]);
    let refused = &answer.body["responses"][2];
    assert_eq!(refused["body"]["error"]["code"], "TooManyRequests");
    assert!(refused["headers"]["Retry-After"].as_str().unwrap().parse::<u32>().unwrap() >= 1);
}

#[tokio::test]
async fn every_answer_tells_what_it_cost() {
    let t = throttled(PLENTY, PLENTY).await;
    let cost = |answer: &Answer| header(answer, "x-ms-resource-unit");
    assert_eq!(cost(&t.as_admin().get("/definitions").await.is(200)), Some(4));
    assert_eq!(cost(&t.as_admin().get("/definitions?$top=999").await.is(200)), Some(21));
    assert_eq!(cost(&t.as_admin().get("/definitions/$count").await.is(200)), Some(2));
    assert_eq!(cost(&t.as_admin().get("/definitions/nobody").await.is(404)), Some(1));
    assert_eq!(cost(&t.review().send().await.is(201)), Some(5));
    let silent = Tenant::with_finance().await;
    assert_eq!(cost(&silent.as_admin().get("/definitions").await.is(200)), None);
}

/// CL-26
#[tokio::test]
async fn a_noisy_tenant_is_throttled_as_a_whole_and_a_quiet_one_of_the_same_service_is_not() {
    // A page costs 4 units, and one unit comes back each second.
    let noisy = throttled_to(PLENTY, PLENTY, 10).await;
    let quiet = Tenant::with_finance().await;
    let quiet_admin = quiet.as_admin().at(noisy.url());

    let refused = loop {
        let answer = noisy.as_admin().get("/definitions").await;
        if answer.status != 200 {
            break answer.refused(429, "TooManyRequests");
        }
    };

    assert!((1..=4).contains(&header(&refused, "retry-after").unwrap()));
    assert_eq!(header(&refused, "x-ms-resource-unit"), Some(4));
    assert_eq!(header(&refused, "ratelimit-limit"), Some(10));
    assert_eq!(header(&refused, "ratelimit-remaining"), Some(0));
    assert_eq!(refused.headers["x-ms-throttle-limit-percentage"], "1.00");
    assert_eq!(refused.headers["x-ms-throttle-information"], "ResourceUnitLimitExceeded");
    let scope = refused.headers["x-ms-throttle-scope"].to_str().unwrap().to_owned();
    assert!(scope.starts_with("Tenant/ReadWrite/") && scope.ends_with(&noisy.id.to_string()), "{scope}");
    // Its units are one account: nobody else of it comes through with as much.
    let page = "/definitions?$top=999";
    noisy.as_reader().get(page).await.refused(429, "TooManyRequests");

    let answer = quiet_admin.get("/definitions").await.is(200);
    assert_eq!(header(&answer, "ratelimit-remaining"), Some(6));
}

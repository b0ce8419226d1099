//! Who gets what: tokens, permissions, roles and personal rights on every route.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, Review, Tenant, manager, stage, user};

/// Every operation of a running two-stage review of which Mia reviews Ana's item.
async fn operations(t: &Tenant, review: &Review) -> Vec<(&'static str, Method, String, Option<Value>)> {
    let definition = review.path();
    let instance = review.instance_path();
    let stage = review.stage_path(1).await;
    let item = review.item_id("ana").await;
    let mine = "filterByCurrentUser(on='reviewer')";
    let decision = json!({ "decision": "Approve", "justification": "because" });
    let create = t.review().body;
    vec![
        ("DEF-LIST", Method::GET, "/definitions".to_owned(), None),
        ("DEF-MINE", Method::GET, format!("/definitions/{mine}"), None),
        ("DEF-CREATE", Method::POST, "/definitions".to_owned(), Some(create)),
        ("DEF-GET", Method::GET, definition.clone(), None),
        ("INST-LIST", Method::GET, format!("{definition}/instances"), None),
        ("INST-MINE", Method::GET, format!("{definition}/instances/{mine}"), None),
        ("INST-GET", Method::GET, instance.clone(), None),
        ("STAGE-LIST", Method::GET, format!("{instance}/stages"), None),
        ("STAGE-MINE", Method::GET, format!("{instance}/stages/{mine}"), None),
        ("STAGE-GET", Method::GET, stage.clone(), None),
        ("STAGE-UPDATE", Method::PATCH, stage.clone(), Some(json!({ "reviewers": [manager()] }))),
        ("DEC-LIST", Method::GET, format!("{instance}/decisions"), None),
        ("DEC-MINE", Method::GET, format!("{instance}/decisions/{mine}"), None),
        ("DEC-GET", Method::GET, format!("{instance}/decisions/{item}"), None),
        ("DEC-UPDATE", Method::PATCH, format!("{instance}/decisions/{item}"), Some(decision.clone())),
        ("STAGE-DEC-LIST", Method::GET, format!("{stage}/decisions"), None),
        ("STAGE-DEC-MINE", Method::GET, format!("{stage}/decisions/{mine}"), None),
        ("STAGE-DEC-GET", Method::GET, format!("{stage}/decisions/{item}"), None),
        ("STAGE-DEC-UPDATE", Method::PATCH, format!("{stage}/decisions/{item}"), Some(decision)),
        ("STAGE-STOP", Method::POST, format!("{stage}/stop"), None),
        ("INST-STOP", Method::POST, format!("{instance}/stop"), None),
        ("DEF-DELETE", Method::DELETE, definition, None),
    ]
}

async fn two_stages(t: &Tenant) -> Review {
    t.review()
        .stages(&[stage(1, 3, &[manager()], &[user("sam")], &[]), stage(2, 3, &[user("olga")], &[], &[])])
        .running()
        .await
}

/// Names and statuses of what `client` gets from every operation; each refusal is in Graph's form.
async fn answers(t: &Tenant, review: &Review, client: &Client) -> Vec<(&'static str, u16)> {
    let mut answers = Vec::new();
    for (name, method, path, body) in operations(t, review).await {
        let answer = client.send(method, &path, body.as_ref()).await;
        let answer = match answer.status {
            403 => answer.refused(403, "Forbidden"),
            404 => answer.refused(404, "ResourceNotFound"),
            _ => answer.ok(),
        };
        answers.push((name, answer.status));
    }
    answers
}

/// The operations whose status is not the one most have.
async fn assert_rights(client: &Client, t: &Tenant, review: &Review, usual: u16, exceptions: &[(&str, u16)]) {
    let found = answers(t, review, client).await;
    let unusual: Vec<_> = found.into_iter().filter(|(_, status)| *status != usual).collect();
    assert_eq!(unusual, exceptions);
}

/// LC-AUTH-01, LC-AUTH-03
#[tokio::test]
async fn an_administrator_does_everything_but_decide() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let exceptions = [
        ("DEF-CREATE", 201),
        ("DEC-UPDATE", 403),
        ("STAGE-DEC-UPDATE", 403),
        ("STAGE-STOP", 204),
        ("INST-STOP", 204),
        ("DEF-DELETE", 204),
    ];

    assert_rights(&t.as_admin(), &t, &review, 200, &exceptions).await;
}

/// LC-DEC-10, A-01
#[tokio::test]
async fn an_application_does_everything_but_decide() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let exceptions = [
        ("DEF-CREATE", 201),
        ("DEC-UPDATE", 403),
        ("STAGE-DEC-UPDATE", 403),
        ("STAGE-STOP", 204),
        ("INST-STOP", 204),
        ("DEF-DELETE", 204),
    ];

    assert_rights(&t.as_application(), &t, &review, 200, &exceptions).await;
}

/// What changes something, and is refused to all who only read.
const CHANGES: [(&str, u16); 7] = [
    ("DEF-CREATE", 403),
    ("STAGE-UPDATE", 403),
    ("DEC-UPDATE", 403),
    ("STAGE-DEC-UPDATE", 403),
    ("STAGE-STOP", 403),
    ("INST-STOP", 403),
    ("DEF-DELETE", 403),
];

#[tokio::test]
async fn a_reader_and_the_creator_read_everything_and_change_nothing() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let before = t.events().await;

    assert_rights(&t.as_reader(), &t, &review, 200, &CHANGES).await;
    assert_rights(&t.as_user("carla"), &t, &review, 200, &CHANGES).await;

    assert_eq!(t.events().await, before);
}

#[tokio::test]
async fn the_read_permission_changes_nothing_whatever_the_role() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let before = t.events().await;
    let read = "AccessReview.Read.All";

    let admin = t.as_user_with_scopes("carla", &["Identity Governance Administrator"], &[read]);
    assert_rights(&admin, &t, &review, 200, &CHANGES).await;
    assert_rights(&t.as_application_with(&[read]), &t, &review, 200, &CHANGES).await;
    let reviewer = t.as_user_with_scopes("mia", &[], &[read]);
    let decision = format!("{}/decisions/{}", review.instance_path(), review.item_id("ana").await);
    let answer = reviewer.patch(&decision, &json!({ "decision": "Deny" })).await.refused(403, "Forbidden");

    assert!(answer.message().contains("AccessReview.ReadWrite.All"), "{}", answer.message());
    assert_eq!(t.events().await, before);
}

/// LC-AUTH-04, A-03
#[tokio::test]
async fn a_reviewer_sees_what_he_reviews_and_decides_it() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;

    let exceptions = [
        ("DEF-LIST", 403),
        ("DEF-CREATE", 403),
        ("INST-LIST", 403),
        ("STAGE-UPDATE", 403),
        ("DEC-LIST", 403),
        ("DEC-UPDATE", 204),
        ("STAGE-DEC-LIST", 403),
        ("STAGE-DEC-UPDATE", 204),
        ("STAGE-STOP", 403),
        ("INST-STOP", 403),
        ("DEF-DELETE", 403),
    ];
    assert_rights(&t.as_user("mia"), &t, &review, 200, &exceptions).await;
}

/// LC-AUTH-04
#[tokio::test]
async fn a_reviewer_of_other_items_does_not_see_this_one() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;

    let exceptions = [
        ("DEF-LIST", 403),
        ("DEF-CREATE", 403),
        ("INST-LIST", 403),
        ("STAGE-UPDATE", 403),
        ("DEC-LIST", 403),
        ("DEC-GET", 404),
        ("DEC-UPDATE", 404),
        ("STAGE-DEC-LIST", 403),
        ("STAGE-DEC-GET", 404),
        ("STAGE-DEC-UPDATE", 404),
        ("STAGE-STOP", 403),
        ("INST-STOP", 403),
        ("DEF-DELETE", 403),
    ];
    assert_rights(&t.as_user("noor"), &t, &review, 200, &exceptions).await;
    assert_rights(&t.as_user("sam"), &t, &review, 200, &exceptions).await;
}

/// LC-AUTH-04. Olga will review in stage 2 only.
#[tokio::test]
async fn to_a_stranger_of_the_tenant_nothing_exists() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let before = t.events().await;
    let exceptions = [("DEF-LIST", 403), ("DEF-MINE", 200), ("DEF-CREATE", 403)];

    assert_rights(&t.as_user("zoe"), &t, &review, 404, &exceptions).await;
    assert_rights(&t.as_user("olga"), &t, &review, 404, &exceptions).await;
    assert_rights(&t.as_user("ana"), &t, &review, 404, &exceptions).await;
    assert_eq!(t.events().await, before);
}

#[tokio::test]
async fn a_token_without_a_permission_is_refused_everywhere() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let before = t.events().await;
    let scopes = ["User.Read", "AccessReview.ReadWrite.Membership"];

    let admin = t.as_user_with_scopes("carla", &["Global Administrator"], &scopes);
    assert_rights(&admin, &t, &review, 403, &[]).await;
    assert_rights(&t.as_user_with_scopes("mia", &[], &scopes), &t, &review, 403, &[]).await;
    assert_rights(&t.as_application_with(&["Directory.Read.All"]), &t, &review, 403, &[]).await;
    let absent = "/definitions/00000000-0000-4000-8000-000000000000";
    admin.get(absent).await.refused(403, "Forbidden");
    assert_eq!(t.events().await, before);
}

/// LC-AUTH-07
#[tokio::test]
async fn the_ids_of_another_tenant_name_nothing() {
    let t = Tenant::with_finance().await;
    let other = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let before = t.events().await;
    let exceptions = [("DEF-LIST", 200), ("DEF-MINE", 200), ("DEF-CREATE", 201)];

    assert_rights(&other.as_admin(), &t, &review, 404, &exceptions).await;
    assert_rights(&other.as_application(), &t, &review, 404, &exceptions).await;
    assert_rights(
        &other.as_user("mia"),
        &t,
        &review,
        404,
        &[("DEF-LIST", 403), ("DEF-MINE", 200), ("DEF-CREATE", 403)],
    )
    .await;

    assert_eq!(t.events().await, before);
    assert_eq!(review.item("ana").await["decision"], "NotReviewed");
}

/// Asserts a 401 with a challenge that does not make clients ask twice.
fn assert_unauthenticated(answer: Answer, said: &str) {
    let answer = answer.refused(401, "InvalidAuthenticationToken");
    assert!(answer.message().contains(said), "{}", answer.message());
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Bearer "), "{challenge}");
    assert!(!challenge.contains("claims="), "{challenge}");
}

/// CL-11, CL-13
#[tokio::test]
async fn without_a_good_token_every_operation_answers_401() {
    let t = Tenant::with_finance().await;
    let review = two_stages(&t).await;
    let before = t.events().await;
    let token = t.admin_token();
    let (rest, signature) = token.rsplit_once('.').unwrap();
    let broken =
        format!("Bearer {rest}.{}", if signature.starts_with('A') { "B" } else { "A" }.to_owned() + &signature[1..]);
    let basic = format!("Basic {token}");

    for (authorization, said) in [
        (None, "no Authorization header"),
        (Some("Bearer"), "Bearer"),
        (Some("Bearer "), "Bearer"),
        (Some("Bearer nonsense"), "well-formed"),
        (Some(basic.as_str()), "Bearer"),
        (Some(broken.as_str()), "signature"),
    ] {
        let client = t.with_authorization(authorization);
        for (_, method, path, body) in operations(&t, &review).await {
            assert_unauthenticated(client.send(method, &path, body.as_ref()).await, said);
        }
        let clock = client.post("//attestry/v1/sandbox/clock", &json!({ "advance": "P1D" })).await;
        assert_unauthenticated(clock, said);
    }
    assert_eq!(t.events().await, before);
}

#[tokio::test]
async fn a_body_is_not_judged_before_the_token() {
    let t = Tenant::with_finance().await;
    let token = t.admin_token();
    let (rest, _) = token.rsplit_once('.').unwrap();
    let unsigned = format!("Bearer {rest}.AAAA");
    for authorization in [None, Some(unsigned.as_str())] {
        for (media_type, body) in [("text/plain", "x"), ("application/json", "{"), ("application/json", "{}")] {
            let request = t.with_authorization(authorization).request(Method::POST, "/definitions");
            let answer = Answer::of(request.header("content-type", media_type).body(body).send().await.unwrap()).await;
            answer.refused(401, "InvalidAuthenticationToken");
        }
    }
}

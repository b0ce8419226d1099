//! What clients cannot create, change or delete, and what is not offered: answers an SDK can read. CL-33, CL-34, section 9 of the API

use reqwest::Method;
use serde_json::json;

use crate::support::{Tenant, id_of, stage, user};

/// CL-33, LC-DEF-34
#[tokio::test]
async fn what_the_service_makes_is_refused_with_405_the_verbs_that_work_and_a_reason() {
    let t = Tenant::with_finance().await;
    let review = t.review().stages(&[stage(1, 3, &[user("mia")], &[], &[])]).running().await;
    let (definition, instance) = (review.path(), review.instance_path());
    let (stage, item) = (review.stage_path(1).await, review.item_id("ana").await);
    let reviewer = format!("{instance}/contactedReviewers/{}", id_of("mia"));
    let (post, put, patch, delete) = (Method::POST, Method::PUT, Method::PATCH, Method::DELETE);
    #[rustfmt::skip]
    let table = [
        (String::new(),                           vec![&post, &put, &patch, &delete], "GET",                     "can only be read"),
        ("/definitions".to_owned(),               vec![&put, &patch, &delete],        "GET, POST",               "created here"),
        (definition.clone(),                      vec![&post],                        "GET, PUT, PATCH, DELETE", "is read"),
        (format!("{definition}/instances"),       vec![&post, &put, &patch, &delete], "GET",                     "made by the service"),
        (instance.clone(),                        vec![&post, &delete],               "GET, PUT, PATCH",         "made by the service"),
        (format!("{instance}/stages"),            vec![&post, &put, &patch, &delete], "GET",                     "made by the service"),
        (stage.clone(),                           vec![&post, &put, &delete],         "GET, PATCH",              "made by the service"),
        (format!("{instance}/decisions"),         vec![&post, &put, &patch, &delete], "GET",                     "made by the service"),
        (format!("{instance}/decisions/{item}"),  vec![&post, &put, &delete],         "GET, PATCH",              "made by the service"),
        (format!("{stage}/decisions"),            vec![&post, &put, &patch, &delete], "GET",                     "made by the service"),
        (format!("{stage}/decisions/{item}"),     vec![&post, &put, &delete],         "GET, PATCH",              "made by the service"),
        (format!("{instance}/contactedReviewers"),vec![&post, &put, &patch, &delete], "GET",                     "a record"),
        (reviewer.clone(),                        vec![&post, &put, &patch, &delete], "GET",                     "a record"),
    ];
    let before = t.stored().await;

    for (path, methods, allow, reason) in table {
        for method in methods {
            let answer = t.as_admin().send(method.clone(), &path, Some(&json!({}))).await;
            let answer = answer.refused(405, "MethodNotAllowed");
            let allow = format!("{}, OPTIONS", allow.replacen("GET", "GET, HEAD", 1));
            assert_eq!(answer.headers["allow"], allow.as_str(), "{method} {path}");
            assert!(answer.message().contains(reason), "{method} {path}: {}", answer.message());
        }
        t.as_admin().get(&path).await.is(200);
    }
    for action in ["/stop", "/sendReminder"] {
        for method in [Method::GET, Method::PATCH, Method::DELETE] {
            let answer = t.as_admin().send(method, &format!("{instance}{action}"), None).await;
            assert_eq!(answer.refused(405, "MethodNotAllowed").headers["allow"], "POST, OPTIONS");
        }
    }
    assert_eq!(t.stored().await, before);
}

/// SET-GET
#[tokio::test]
async fn the_set_of_reviews_can_be_read_with_any_permission() {
    let t = Tenant::with_finance().await;
    let expected = json!({
        "@odata.context": "https://reviews.example/v1.0/$metadata#identityGovernance/accessReviews",
        "id": "accessReviews",
    });
    for caller in [t.as_admin(), t.as_user("zoe"), t.as_application()] {
        assert_eq!(caller.get("").await.is(200).body, expected);
    }
    t.as_user_with_scopes("zoe", &[], &["User.Read"]).get("").await.refused(403, "Forbidden");
    t.with_authorization(None).get("").await.refused(401, "InvalidAuthenticationToken");
}

/// CL-34, CL-33
#[tokio::test]
async fn what_is_not_offered_says_so_in_error_form() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let custom = format!("{}/batchApplyCustomDataProvidedResourceDecisions", review.instance_path());
    for (path, told) in [
        ("/unified".to_owned(), "unified"),
        ("/unified/definitions".to_owned(), "unified"),
        (format!("/Unified/definitions/{}/instances", review.definition), "unified"),
        (custom, "not offered"),
    ] {
        for method in [Method::GET, Method::POST, Method::PATCH, Method::DELETE] {
            let answer = t.as_admin().send(method, &path, None).await.refused(404, "ResourceNotFound");
            assert!(answer.message().contains(told), "{path}: {}", answer.message());
        }
    }
}

//! The outermost middleware: ids of the request, headers of every answer, and errors completed with both.
//! Sections 5, 7 and 8 of the OData digest, CL-09, CL-10, CL-12
//!
//! Errors of the framework itself (routing, wrong verbs, bodies it cannot read) leave here in the same form as ours.
//! Only
//! compression may be wrapped around it.

use std::{cell::RefCell, error::Error as StdError, panic::AssertUnwindSafe, rc::Rc, time::SystemTime};

use actix_web::{
    Error, HttpMessage, HttpResponse, Resource,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::{InternalError, JsonPayloadError},
    http::{
        Method, StatusCode,
        header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};
use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use uuid::Uuid;

use crate::http::{
    error::{ApiError, ErrorCode, InnerError},
    odata::render::JSON_CONTENT_TYPE,
    quotas::Allowance,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");
const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");

/// The longest `client-request-id` that is sent back.
const MAX_CLIENT_REQUEST_ID: usize = 64;

/// The ids of a request; handlers and spans find them among its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestIds {
    /// New for each request; the key to the log.
    pub request_id: Uuid,
    /// The client's own, if it was printable and not too long; else the same as ours.
    pub client_request_id: String,
}

impl RequestIds {
    fn of(headers: &HeaderMap) -> Self {
        let request_id = new_request_id();
        let printable = |text: &&str| {
            (1..=MAX_CLIENT_REQUEST_ID).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        };
        let client_request_id = headers.get(CLIENT_REQUEST_ID).and_then(|value| value.to_str().ok()).filter(printable);
        Self { request_id, client_request_id: client_request_id.map_or_else(|| request_id.to_string(), str::to_owned) }
    }
}

/// Middleware that gives each request its ids and each answer its common headers, and completes errors.
///
/// # Errors
/// Those of the wrapped service, made complete.
pub async fn request_ids<B>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<BoxBody>, Error>
where
    B: MessageBody + 'static,
{
    let ids = RequestIds::of(request.headers());
    request.extensions_mut().insert(ids.clone());
    // A handler that panics is a bug; its client gets an answer all the same, and others go on.
    let outcome = AssertUnwindSafe(next.call(request)).catch_unwind().await;
    match outcome.unwrap_or_else(|_| Err(ApiError::internal("a handler panicked").into())) {
        Ok(answer) => {
            let (request, response) = answer.into_parts();
            let mut response = finish(response.map_into_boxed_body(), &ids);
            if let Some(allowance) = request.extensions().get::<Allowance>() {
                allowance.tell(response.headers_mut());
            }
            Ok(ServiceResponse::new(request, response))
        }
        Err(error) => {
            let message = error.to_string();
            Err(InternalError::from_response(message, finish(HttpResponse::from_error(error), &ids)).into())
        }
    }
}

/// An answer that no application gave, completed as if one had: as that to a request with these headers.
pub fn finished(response: HttpResponse, headers: Option<&HeaderMap>) -> HttpResponse {
    let ids = headers.map_or_else(|| RequestIds::of(&HeaderMap::new()), RequestIds::of);
    finish(response, &ids)
}

/// A resource that refuses every verb but the offered ones, which are registered before it on resources of their own, and tells
/// which there are. GET offers HEAD with it.
pub fn other_methods(path: &str, offered: &'static [Method]) -> Resource {
    other_methods_because(path, offered, "")
}

/// The same, beginning with why.
pub fn other_methods_because(path: &str, offered: &'static [Method], reason: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move |method: Method| async move {
        let mut allowed = offered.to_vec();
        if let Some(read) = offered.iter().position(|offered| *offered == Method::GET) {
            allowed.insert(read + 1, Method::HEAD);
        }
        allowed.push(Method::OPTIONS);
        match method {
            Method::OPTIONS => {
                let names = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
                Ok(HttpResponse::NoContent().insert_header((ALLOW, names)).finish())
            }
            _ => Err(ApiError::method_not_allowed(&allowed).saying_first(reason)),
        }
    }))
}

#[expect(clippy::disallowed_methods, reason = "the id of a request is no business id")]
fn new_request_id() -> Uuid {
    Uuid::new_v4()
}

#[expect(clippy::disallowed_methods, reason = "the Date header tells real time")]
fn real_time() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// A second, spelled.
#[derive(Clone)]
struct Spelled {
    timestamp: i64,
    /// As in the `Date` header.
    header: HeaderValue,
    /// As in an error's body.
    body: Rc<str>,
}

thread_local! {
    /// Thousands of answers share a second, and spelling it costs more than all other headers.
    static SECOND: RefCell<Option<Spelled>> = const { RefCell::new(None) };
}

fn spelled(now: DateTime<Utc>) -> Spelled {
    SECOND.with_borrow_mut(|second| match second {
        Some(spelled) if spelled.timestamp == now.timestamp() => spelled.clone(),
        _ => {
            let header = HeaderValue::try_from(now.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
            let spelled = Spelled {
                timestamp: now.timestamp(),
                header: header.unwrap_or(HeaderValue::from_static("")),
                body: now.format("%Y-%m-%dT%H:%M:%S").to_string().into(),
            };
            second.insert(spelled).clone()
        }
    })
}

fn finish(response: HttpResponse, ids: &RequestIds) -> HttpResponse {
    let second = spelled(real_time());
    let request_id = ids.request_id.to_string();
    let mut response = match error_of(&response) {
        Some(error) => complete(response, &error, ids, &request_id, &second),
        None => response,
    };
    let is_json = content_type(&response).is_some_and(|content_type| content_type.starts_with("application/json"));
    let headers = response.headers_mut();
    headers.insert(DATE, second.header);
    let client_request_id = HeaderValue::try_from(&ids.client_request_id);
    for (name, value) in [(REQUEST_ID, HeaderValue::try_from(request_id)), (CLIENT_REQUEST_ID, client_request_id)] {
        if let Ok(value) = value {
            headers.insert(name, value);
        }
    }
    if is_json {
        headers.insert(ODATA_VERSION, HeaderValue::from_static("4.0"));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// The error an answer stands for; `None` for a success, and for a failure that a handler described in a form of its
/// own.
fn error_of(response: &HttpResponse) -> Option<ApiError> {
    if let Some(error) = response.extensions().get::<ApiError>() {
        return Some(error.clone());
    }
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    match (content_type(response), response.error()) {
        (None, None) => Some(ApiError::of_framework(status, None)),
        (None, Some(error)) => Some(of_framework(status, error)),
        (Some(content_type), Some(error)) if content_type.starts_with("text/plain") => {
            Some(of_framework(status, error))
        }
        (Some(_), _) => None,
    }
}

fn of_framework(status: StatusCode, error: &Error) -> ApiError {
    match error.as_error::<JsonPayloadError>() {
        Some(JsonPayloadError::ContentType) => {
            ApiError::unsupported_media_type("The body must be sent with Content-Type: application/json.")
        }
        Some(JsonPayloadError::OverflowKnownLength { limit, .. } | JsonPayloadError::Overflow { limit }) => {
            ApiError::payload_too_large(*limit)
        }
        _ => ApiError::of_framework(status, Some(error.to_string())),
    }
}

fn content_type(response: &HttpResponse) -> Option<&str> {
    response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok())
}

fn complete(
    response: HttpResponse,
    error: &ApiError,
    ids: &RequestIds,
    request_id: &str,
    second: &Spelled,
) -> HttpResponse {
    if error.code() == ErrorCode::InternalServerError {
        let cause = error.cause().map(chain).unwrap_or_default();
        tracing::error!(request.id = %ids.request_id, cause, "a request failed for a reason of ours");
    }
    let inner = InnerError { date: &second.body, request_id, client_request_id: &ids.client_request_id };
    let mut response = response.set_body(BoxBody::new(error.body(inner)));
    *response.status_mut() = error.code().status();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON_CONTENT_TYPE));
    response
}

/// The error and what caused it, outermost first.
fn chain(error: &(dyn StdError + Send + Sync)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use actix_web::{
        App,
        http::header::WWW_AUTHENTICATE,
        middleware::from_fn,
        test::{TestRequest, init_service},
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::http::odata::{canonicalize, render::json_response};

    struct Answer {
        status: StatusCode,
        headers: HeaderMap,
        body: Vec<u8>,
    }

    impl Answer {
        fn header(&self, name: &str) -> Option<&str> {
            self.headers.get(name).map(|value| value.to_str().expect("text"))
        }

        fn error(&self) -> Value {
            let body: Value = serde_json::from_slice(&self.body).expect("a JSON body");
            assert_eq!(self.header("content-type"), Some(JSON_CONTENT_TYPE));
            assert_eq!(body["error"]["innerError"]["request-id"].as_str(), self.header("request-id"));
            assert_eq!(body["error"]["innerError"]["client-request-id"].as_str(), self.header("client-request-id"));
            assert!(body["error"]["message"].as_str().is_some_and(|message| !message.is_empty()));
            body["error"].clone()
        }
    }

    async fn refusing(_: ServiceRequest, _: Next<BoxBody>) -> Result<ServiceResponse<BoxBody>, Error> {
        Err(ApiError::unauthenticated("The token is empty.", "Bearer").into())
    }

    async fn answer(request: TestRequest) -> Answer {
        let app = init_service(
            App::new()
                .wrap(from_fn(canonicalize))
                .wrap(from_fn(request_ids))
                .app_data(web::JsonConfig::default().limit(16))
                .service(
                    web::resource("/stage")
                        .guard(actix_web::guard::Get())
                        .to(async || json_response(StatusCode::OK, &json!({ "id": "1" }))),
                )
                .service(other_methods("/stage", &[Method::GET]))
                .route("/routed", web::get().to(async || "text"))
                .route("/body", web::post().to(async |_: web::Json<Value>| HttpResponse::NoContent()))
                .route("/panicking", web::get().to(async || -> HttpResponse { unreachable!("as asked") }))
                .route("/broken", web::get().to(async || Err::<String, _>(ApiError::internal("no such column"))))
                .route(
                    "/busy",
                    web::get().to(async || HttpResponse::ServiceUnavailable().json(json!({ "ready": false }))),
                )
                .service(
                    web::scope("/guarded")
                        .wrap(from_fn(refusing))
                        .route("", web::get().to(async || HttpResponse::Ok())),
                ),
        )
        .await;
        let request = request.to_request();
        let response = match actix_web::dev::Service::call(&app, request).await {
            Ok(response) => response.into_parts().1,
            Err(error) => HttpResponse::from_error(error),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let body = actix_web::body::to_bytes(response.into_body()).await.expect("a body").to_vec();
        Answer { status, headers, body }
    }

    /// CL-09, CL-12
    #[actix_web::test]
    async fn every_answer_has_ids_and_may_not_be_stored() {
        let answer = answer(TestRequest::get().uri("/stage")).await;

        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.header("request-id").is_some_and(|id| Uuid::try_parse(id).is_ok()));
        assert!(answer.header("client-request-id").is_some());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("odata-version"), Some("4.0"));
        assert_eq!(answer.header("content-type"), Some(JSON_CONTENT_TYPE));
        assert_eq!(answer.body, br#"{"id":"1"}"#);
    }

    #[actix_web::test]
    async fn answers_that_are_no_json_have_no_odata_version() {
        assert_eq!(answer(TestRequest::get().uri("/routed")).await.header("odata-version"), None);
    }

    /// CL-12
    #[actix_web::test]
    async fn a_printable_client_request_id_is_sent_back_and_another_one_replaced() {
        let echoed = async |id: &str| {
            let answer = answer(TestRequest::get().uri("/nothing").insert_header(("client-request-id", id))).await;
            answer.error();
            answer.header("client-request-id") == Some(id)
        };
        assert!(echoed("my call 1").await);
        assert!(echoed(&"x".repeat(64)).await);
        assert!(!echoed(&"x".repeat(65)).await);
        assert!(!echoed("é").await);
        assert!(!echoed("").await);
    }

    /// CL-10, CL-33
    #[actix_web::test]
    async fn an_unknown_route_is_404_in_error_form() {
        let answer = answer(TestRequest::get().uri("/nothing")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.error()["code"], "ResourceNotFound");
    }

    /// CL-10, CL-33
    #[actix_web::test]
    async fn a_wrong_verb_is_405_with_the_verbs_that_are_offered() {
        let own = answer(TestRequest::delete().uri("/stage")).await;
        assert_eq!(own.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(own.error()["code"], "MethodNotAllowed");
        assert_eq!(own.header(ALLOW.as_str()), Some("GET, HEAD, OPTIONS"));

        let asked = answer(TestRequest::with_uri("/stage").method(Method::OPTIONS)).await;
        assert_eq!(asked.status, StatusCode::NO_CONTENT);
        assert_eq!(asked.header(ALLOW.as_str()), Some("GET, HEAD, OPTIONS"));
    }

    /// CL-10
    #[actix_web::test]
    async fn a_handler_that_panics_is_a_failure_in_error_form() {
        let answer = answer(TestRequest::get().uri("/panicking")).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.error()["code"], "InternalServerError");
        assert!(!answer.error().to_string().contains("as asked"));
    }

    #[actix_web::test]
    async fn a_body_that_cannot_be_read_is_refused_in_error_form() {
        let post = |content_type: &str, body: &str| {
            let request = TestRequest::post().uri("/body").insert_header(("content-type", content_type));
            answer(request.set_payload(body.to_owned()))
        };

        let malformed = post("application/json", "{").await;
        assert_eq!(
            (malformed.status, malformed.error()["code"].as_str()),
            (StatusCode::BAD_REQUEST, Some("BadRequest"))
        );

        let large = post("application/json", &"[1,2,3,4,5,6,7,8,9,0]".repeat(2)).await;
        assert_eq!(
            (large.status, large.error()["code"].as_str()),
            (StatusCode::PAYLOAD_TOO_LARGE, Some("RequestEntityTooLarge"))
        );

        let text = post("text/plain", "{}").await;
        assert_eq!(
            (text.status, text.error()["code"].as_str()),
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, Some("UnsupportedMediaType"))
        );

        let accepted = post("application/json", "{}").await;
        assert_eq!((accepted.status, accepted.body.len()), (StatusCode::NO_CONTENT, 0));
    }

    #[actix_web::test]
    async fn a_failure_inside_tells_only_the_request_id() {
        let answer = answer(TestRequest::get().uri("/broken")).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!answer.error().to_string().contains("column"));
    }

    #[actix_web::test]
    async fn an_error_of_a_middleware_has_the_same_form() {
        let answer = answer(TestRequest::get().uri("/guarded")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.error()["code"], "InvalidAuthenticationToken");
        assert_eq!(answer.header(WWW_AUTHENTICATE.as_str()), Some("Bearer"));
    }

    #[actix_web::test]
    async fn a_failure_in_a_form_of_its_own_is_left_alone() {
        let answer = answer(TestRequest::get().uri("/busy")).await;
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (StatusCode::SERVICE_UNAVAILABLE, &br#"{"ready":false}"#[..])
        );
    }

    #[actix_web::test]
    async fn a_refused_path_is_refused_in_error_form() {
        let uri = "/v1.0/identityGovernance/accessReviews/definitions/filterByCurrentUser(on='owner')";
        let answer = answer(TestRequest::get().uri(uri)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.error()["code"], "BadRequest");
    }

    #[actix_web::test]
    async fn the_instant_of_an_error_is_that_of_its_date_header() {
        let answer = answer(TestRequest::get().uri("/nothing")).await;
        let date = DateTime::parse_from_rfc2822(answer.header("date").expect("always sent")).expect("a date");
        assert_eq!(answer.error()["innerError"]["date"], date.format("%Y-%m-%dT%H:%M:%S").to_string());
    }
}

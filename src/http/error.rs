//! Errors as clients see them, and the one table from error code to HTTP status. Section 7 of the OData digest, CL-10

use std::{error::Error, fmt, sync::Arc};

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        Method, StatusCode,
        header::{ACCEPT_ENCODING, ALLOW, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use serde::Serialize;

use crate::{
    domain::{
        status::WrongState,
        violation::{Violation, ViolationCode},
    },
    http::odata::{ODataError, path::PathError},
};

/// What clients decide on, next to the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    BadRequest,
    UnsupportedQuery,
    InvalidSkipToken,
    InvalidReviewState,
    InvalidAuthenticationToken,
    Forbidden,
    ResourceNotFound,
    MethodNotAllowed,
    Conflict,
    Gone,
    PreconditionFailed,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    FailedDependency,
    TooManyRequests,
    InternalServerError,
    NotImplemented,
    ServiceUnavailable,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 18] = [
        Self::BadRequest,
        Self::UnsupportedQuery,
        Self::InvalidSkipToken,
        Self::InvalidReviewState,
        Self::InvalidAuthenticationToken,
        Self::Forbidden,
        Self::ResourceNotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::Gone,
        Self::PreconditionFailed,
        Self::RequestEntityTooLarge,
        Self::UnsupportedMediaType,
        Self::FailedDependency,
        Self::TooManyRequests,
        Self::InternalServerError,
        Self::NotImplemented,
        Self::ServiceUnavailable,
    ];

    /// The table: the wire spelling and the HTTP status of each code.
    const fn row(self) -> (&'static str, StatusCode) {
        match self {
            Self::BadRequest => ("BadRequest", StatusCode::BAD_REQUEST),
            Self::UnsupportedQuery => ("UnsupportedQuery", StatusCode::BAD_REQUEST),
            Self::InvalidSkipToken => ("InvalidSkipToken", StatusCode::BAD_REQUEST),
            Self::InvalidReviewState => ("InvalidReviewState", StatusCode::BAD_REQUEST),
            Self::InvalidAuthenticationToken => ("InvalidAuthenticationToken", StatusCode::UNAUTHORIZED),
            Self::Forbidden => ("Forbidden", StatusCode::FORBIDDEN),
            Self::ResourceNotFound => ("ResourceNotFound", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => ("MethodNotAllowed", StatusCode::METHOD_NOT_ALLOWED),
            Self::Conflict => ("Conflict", StatusCode::CONFLICT),
            Self::Gone => ("Gone", StatusCode::GONE),
            Self::PreconditionFailed => ("PreconditionFailed", StatusCode::PRECONDITION_FAILED),
            Self::RequestEntityTooLarge => ("RequestEntityTooLarge", StatusCode::PAYLOAD_TOO_LARGE),
            Self::UnsupportedMediaType => ("UnsupportedMediaType", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::FailedDependency => ("FailedDependency", StatusCode::FAILED_DEPENDENCY),
            Self::TooManyRequests => ("TooManyRequests", StatusCode::TOO_MANY_REQUESTS),
            Self::InternalServerError => ("InternalServerError", StatusCode::INTERNAL_SERVER_ERROR),
            Self::NotImplemented => ("NotImplemented", StatusCode::NOT_IMPLEMENTED),
            Self::ServiceUnavailable => ("ServiceUnavailable", StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status it is sent with.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }
}

/// A refusal on its way to the client.
///
/// The response made from it has no body, but carries it along: the outermost middleware writes the body with the ids and the
/// instant of the request, and logs the cause under them.
#[derive(Clone, Debug)]
pub struct ApiError {
    code: ErrorCode,
    message: String,
    target: Option<String>,
    details: Vec<Violation>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// What `innerError` says about the request. Sections 7 and 8 of the OData digest
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct InnerError<'a> {
    /// The instant of the answer's `Date`, UTC without zone: `2026-03-01T10:11:12`.
    pub date: &'a str,
    pub request_id: &'a str,
    pub client_request_id: &'a str,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorMember<'a>,
}

#[derive(Serialize)]
struct ErrorMember<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail<'a>>,
    #[serde(rename = "innerError")]
    inner: InnerError<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    code: &'static str,
    target: &'a str,
    message: &'a str,
}

impl ApiError {
    /// An error of this code; `message` is for developers and never empty.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), target: None, details: Vec::new(), headers: Vec::new(), cause: None }
    }

    /// Names the part of the request it is about.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// 400: the body or the query is wrong. All faults are told; the first one is the message.
    pub fn bad_request(violations: Vec<Violation>) -> Self {
        let Some(first) = violations.first() else {
            return Self::new(ErrorCode::BadRequest, "The request is malformed.");
        };
        let message =
            if first.path.is_empty() { first.reason.clone() } else { format!("{}: {}", first.path, first.reason) };
        let target = (!first.path.is_empty()).then(|| first.path.clone());
        // A-11: a query that is not offered has a code of its own, unless something else is wrong too.
        let code = match violations.iter().all(|violation| violation.code == ViolationCode::UnsupportedQuery) {
            true => ErrorCode::UnsupportedQuery,
            false => ErrorCode::BadRequest,
        };
        Self { target, details: violations, ..Self::new(code, message) }
    }

    /// 400: a query option, property or operator that is not offered here.
    pub fn unsupported_query(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::UnsupportedQuery, message)
    }

    /// 400: the operation is not allowed in the state the review is in; the message names both.
    pub fn invalid_review_state(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidReviewState, message)
    }

    /// 403: the caller may see the object but not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Forbidden, message)
    }

    /// 404: absent, of another tenant, or not for this caller's eyes; the message does not tell which.
    pub fn not_found() -> Self {
        Self::new(ErrorCode::ResourceNotFound, "The resource does not exist, or is not visible to this caller.")
    }

    /// 409: removal of a fallback reviewer, or a creation key used with another body.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Conflict, message)
    }

    /// 410: a download link whose time is over.
    pub fn gone(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Gone, message)
    }

    /// 401. `www_authenticate` is the whole challenge, without `claims=`, which makes clients repeat at once. CL-11
    pub fn unauthenticated(message: impl Into<String>, www_authenticate: &str) -> Self {
        let challenge = HeaderValue::from_str(www_authenticate).unwrap_or(HeaderValue::from_static("Bearer"));
        Self::new(ErrorCode::InvalidAuthenticationToken, message).with_header(WWW_AUTHENTICATE, challenge)
    }

    /// 405 with the verbs that are offered.
    pub fn method_not_allowed(allow: &[Method]) -> Self {
        let allow = allow.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let message = format!("The method is not offered here; offered: {allow}.");
        let error = Self::new(ErrorCode::MethodNotAllowed, message);
        match HeaderValue::from_str(&allow) {
            Ok(value) => error.with_header(ALLOW, value),
            Err(_) => error,
        }
    }

    /// The same with another sentence.
    #[must_use]
    pub fn saying(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// The same with a sentence before its own.
    #[must_use]
    pub fn saying_first(mut self, reason: &str) -> Self {
        if !reason.is_empty() {
            self.message = format!("{reason} {}", self.message);
        }
        self
    }

    /// 415.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::UnsupportedMediaType, message)
    }

    /// 415 for a body packed in a way that is not offered; `offered` goes into `Accept-Encoding`.
    pub fn unsupported_content_encoding(offered: &'static str) -> Self {
        let message = format!("The body's Content-Encoding is not supported; supported: {offered}.");
        Self::new(ErrorCode::UnsupportedMediaType, message)
            .with_header(ACCEPT_ENCODING, HeaderValue::from_static(offered))
    }

    /// 413. `limit_bytes` is the size that would have been accepted, unpacked.
    pub fn payload_too_large(limit_bytes: usize) -> Self {
        let message = format!("The body is larger than the {limit_bytes} bytes that are accepted.");
        Self::new(ErrorCode::RequestEntityTooLarge, message)
    }

    /// 412: `If-Match` names another version.
    pub fn precondition_failed() -> Self {
        Self::new(ErrorCode::PreconditionFailed, "The object was changed since; read it again and compare.")
    }

    /// 429. Seconds outside 1 to 179 are moved to the nearer end, because clients do not accept them. CL-26
    pub fn too_many_requests(retry_after_seconds: u32) -> Self {
        Self::new(ErrorCode::TooManyRequests, "Too many requests; wait as long as Retry-After says.")
            .with_retry_after(retry_after_seconds)
    }

    /// 503: nothing was written, try again. Seconds as in [`ApiError::too_many_requests`].
    pub fn service_unavailable(retry_after_seconds: u32) -> Self {
        Self::new(
            ErrorCode::ServiceUnavailable,
            "The service is busy and nothing was changed; wait as long as Retry-After says.",
        )
        .with_retry_after(retry_after_seconds)
    }

    /// 503: who signed the token cannot be asked for its keys. Seconds as in [`ApiError::too_many_requests`].
    pub fn provider_unavailable(retry_after_seconds: u32) -> Self {
        Self::new(
            ErrorCode::ServiceUnavailable,
            "The token cannot be verified now: its issuer's OpenID provider does not answer. Nothing was changed; wait as long \
             as Retry-After says.",
        )
        .with_retry_after(retry_after_seconds)
    }

    /// 500. The client learns nothing but the request id; the cause goes to the log under that id.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let cause: Box<dyn Error + Send + Sync> = cause.into();
        Self { cause: Some(Arc::from(cause)), ..Self::new(ErrorCode::InternalServerError, INTERNAL_MESSAGE) }
    }

    /// The error for a status that the framework, not this service, chose.
    pub(crate) fn of_framework(status: StatusCode, reason: Option<String>) -> Self {
        let known = ErrorCode::ALL.into_iter().find(|code| code.status() == status);
        let code = known.unwrap_or(if status.is_server_error() {
            ErrorCode::InternalServerError
        } else {
            ErrorCode::BadRequest
        });
        match (code, reason) {
            (ErrorCode::InternalServerError, Some(reason)) => Self::internal(reason),
            (ErrorCode::InternalServerError, None) => Self::new(code, INTERNAL_MESSAGE),
            (ErrorCode::ResourceNotFound, _) => {
                Self::new(code, "No such resource: the path names nothing that is offered.")
            }
            (ErrorCode::MethodNotAllowed, _) => {
                Self::new(code, "The method is not offered here; the Allow header names those that are.")
            }
            (_, Some(reason)) if !reason.is_empty() => Self::new(code, reason),
            (_, _) => Self::new(code, status.canonical_reason().unwrap_or("The request was refused.")),
        }
    }

    /// The code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The sentence for developers.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The part of the request it is about.
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// What went wrong inside, for the log only.
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync)> {
        self.cause.as_deref()
    }

    /// The body: `{"error":{"code","message","target"?,"details"?,"innerError"}}`.
    pub fn body(&self, inner: InnerError<'_>) -> String {
        let details = self.details.iter().map(|Violation { path, reason, code }| Detail {
            code: match code {
                ViolationCode::InvalidValue => "InvalidValue",
                ViolationCode::UnsupportedQuery => ErrorCode::UnsupportedQuery.as_str(),
            },
            target: path,
            message: reason,
        });
        let error = ErrorMember {
            code: self.code.as_str(),
            message: &self.message,
            target: self.target.as_deref(),
            details: details.collect(),
            inner,
        };
        // Texts only: nothing of it cannot be written.
        serde_json::to_string(&ErrorBody { error }).unwrap_or_default()
    }

    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn with_retry_after(self, seconds: u32) -> Self {
        self.with_header(RETRY_AFTER, HeaderValue::from(seconds.clamp(1, 179)))
    }
}

const INTERNAL_MESSAGE: &str = "The service failed; its log has the reason under the request-id.";

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.code.status());
        for (name, value) in &self.headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        response.extensions_mut().insert(self.clone());
        response
    }
}

impl From<WrongState> for ApiError {
    fn from(wrong: WrongState) -> Self {
        Self::invalid_review_state(wrong.to_string())
    }
}

impl From<PathError> for ApiError {
    fn from(error: PathError) -> Self {
        Self::new(ErrorCode::BadRequest, error.to_string())
    }
}

impl From<ODataError> for ApiError {
    fn from(error: ODataError) -> Self {
        let (code, target, message) = match error {
            ODataError::Malformed { target, message } => (ErrorCode::BadRequest, target, message),
            ODataError::Unsupported { target, message } => (ErrorCode::UnsupportedQuery, target, message),
            ODataError::SkipToken => {
                let message =
                    "The continuation is damaged or belongs to another request; start again at the first page.";
                (ErrorCode::InvalidSkipToken, "$skiptoken".to_owned(), message.to_owned())
            }
        };
        Self::new(code, message).with_target(target)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const INNER: InnerError<'static> =
        InnerError { date: "2026-03-01T10:11:12", request_id: "r", client_request_id: "c" };

    fn header(response: &HttpResponse, name: HeaderName) -> &str {
        response.headers().get(name).and_then(|value| value.to_str().ok()).expect("a header of text")
    }

    #[test]
    fn the_table_of_codes_and_statuses_is_that_of_section_7() {
        let table: Vec<_> =
            ErrorCode::ALL.iter().map(|code| format!("{} {}", code.status().as_u16(), code.as_str())).collect();
        assert_eq!(
            table,
            [
                "400 BadRequest",
                "400 UnsupportedQuery",
                "400 InvalidSkipToken",
                "400 InvalidReviewState",
                "401 InvalidAuthenticationToken",
                "403 Forbidden",
                "404 ResourceNotFound",
                "405 MethodNotAllowed",
                "409 Conflict",
                "410 Gone",
                "412 PreconditionFailed",
                "413 RequestEntityTooLarge",
                "415 UnsupportedMediaType",
                "424 FailedDependency",
                "429 TooManyRequests",
                "500 InternalServerError",
                "501 NotImplemented",
                "503 ServiceUnavailable",
            ]
        );
    }

    #[test]
    fn all_faults_of_a_body_are_told_and_the_first_one_is_the_message() {
        let error = ApiError::bad_request(vec![
            Violation::new("stageSettings[1].dependsOn", "must name stage '1'"),
            Violation::new("displayName", "must not be empty"),
        ]);
        assert_eq!(
            serde_json::from_str::<Value>(&error.body(INNER)).expect("JSON"),
            json!({ "error": {
                "code": "BadRequest",
                "message": "stageSettings[1].dependsOn: must name stage '1'",
                "target": "stageSettings[1].dependsOn",
                "details": [
                    {
                        "code": "InvalidValue",
                        "target": "stageSettings[1].dependsOn",
                        "message": "must name stage '1'",
                    },
                    { "code": "InvalidValue", "target": "displayName", "message": "must not be empty" },
                ],
                "innerError": { "date": "2026-03-01T10:11:12", "request-id": "r", "client-request-id": "c" },
            } })
        );
    }

    #[test]
    fn what_failed_inside_is_not_in_the_body() {
        let error = ApiError::internal("relation \"stages\" does not exist");
        assert!(!error.body(INNER).contains("stages"));
        assert!(error.cause().expect("kept for the log").to_string().contains("stages"));
    }

    #[test]
    fn retry_after_lies_between_1_and_179() {
        for (asked, sent) in [(0, "1"), (30, "30"), (4000, "179")] {
            let response = ApiError::service_unavailable(asked).error_response();
            assert_eq!(header(&response, RETRY_AFTER), sent);
        }
    }

    #[test]
    fn a_refused_token_is_challenged_and_a_refused_verb_told_what_is_allowed() {
        let response = ApiError::unauthenticated("The token is empty.", "Bearer realm=\"attestry\"").error_response();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(header(&response, WWW_AUTHENTICATE), "Bearer realm=\"attestry\"");

        let response = ApiError::method_not_allowed(&[Method::GET, Method::PATCH]).error_response();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(header(&response, ALLOW), "GET, PATCH");
    }
}

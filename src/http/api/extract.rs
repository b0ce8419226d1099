//! What handlers take out of a request: the caller, ids of the path, a JSON body.

use std::{future::Future, pin::Pin, str::FromStr};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::{
        Method,
        header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, IF_MATCH, IF_NONE_MATCH},
    },
    web::{Bytes, Data},
};
use chrono::Utc;
use serde_json::Value;

use crate::{
    app::{Call, Refused},
    domain::precondition::{Precondition, TagList},
    http::{
        Edge,
        error::{ApiError, ErrorCode},
        json_reader,
        request_ids::RequestIds,
    },
};

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

/// The largest body that is read, unpacked.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// An authenticated caller of any kind; what he may do is the use case's matter.
pub(super) struct AnyCaller(pub Call);

impl FromRequest for AnyCaller {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let edge = edge(&request)?;
            let header = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
            let asserted = edge.tokens.authenticate(header, real_time()).await?;
            let request_id = request.extensions().get::<RequestIds>().map(|ids| ids.request_id);
            let caller = edge.callers.caller(&edge.services, &asserted).await?;
            let precondition = precondition(&request)?;
            Ok(Self(Call { caller, request_id, precondition }))
        })
    }
}

/// What the request demands of the object it changes. LC-CONC-08
///
/// Reading is answered by the tag in the answer, and an action demands nothing.
fn precondition(request: &HttpRequest) -> Result<Precondition, ApiError> {
    if !matches!(*request.method(), Method::PUT | Method::PATCH | Method::DELETE) {
        return Ok(Precondition::default());
    }
    let list = |name: HeaderName| match request.headers().get(&name) {
        None => Ok(None),
        Some(value) => match value.to_str().ok().and_then(TagList::parse) {
            Some(tags) => Ok(Some(tags)),
            None => {
                let message = format!("{name} must be * or entity tags such as W/\"7\", with commas between them.");
                Err(ApiError::new(ErrorCode::BadRequest, message).with_target(name.as_str()))
            }
        },
    };
    Ok(Precondition { if_match: list(IF_MATCH)?, if_none_match: list(IF_NONE_MATCH)? })
}

/// A token expires by real time, whatever a sandbox tenant's clock says.
#[expect(clippy::disallowed_methods, reason = "tokens are no business of a tenant's clock")]
fn real_time() -> chrono::DateTime<Utc> {
    Utc::now()
}

pub(super) fn edge(request: &HttpRequest) -> Result<Data<Edge>, ApiError> {
    request
        .app_data::<Data<Edge>>()
        .cloned()
        .ok_or_else(|| ApiError::internal(std::io::Error::other("the edge is not set up")))
}

/// An authenticated caller and what he sent. Nothing of the body is read or judged before the token is.
pub(super) struct CallerWithBody(pub Call, pub Value);

impl FromRequest for CallerWithBody {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = AnyCaller::from_request(request, payload);
        let body = JsonBody::from_request(request, payload);
        Box::pin(async move {
            let AnyCaller(call) = caller.await?;
            let JsonBody(body) = body.await?;
            Ok(Self(call, body))
        })
    }
}

/// A JSON body. 415 for another media type, 413 for too large a one, 400 for what is no acceptable JSON.
struct JsonBody(Value);

impl FromRequest for JsonBody {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media_type = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        let body = Bytes::from_request(request, payload);
        Box::pin(async move {
            if media_type.as_deref() != Some("application/json") {
                return Err(ApiError::unsupported_media_type("a body must be application/json"));
            }
            let bytes = body.await.map_err(|error| match error.as_response_error().status_code().as_u16() {
                413 => ApiError::payload_too_large(BODY_LIMIT),
                _ => ApiError::bad_request(vec![crate::domain::violation::Violation::new("", error.to_string())]),
            })?;
            Ok(Self(json_reader::parse(&bytes).map_err(ApiError::bad_request)?))
        })
    }
}

/// An id of the path. What is no GUID names nothing: 404.
pub(super) fn id<T: FromStr>(text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| ApiError::not_found())
}

/// Runs a use case in a task of its own: a client that disconnects must not cancel a unit of work half way.
pub(super) async fn run<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refused>> + Send + 'static,
) -> Result<T, ApiError> {
    Ok(tokio::spawn(work).await.map_err(ApiError::internal)??)
}

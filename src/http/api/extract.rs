//! What handlers take out of a request: the caller, ids of the path, a JSON body.

use std::{future::Future, pin::Pin, str::FromStr};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::{
        Method,
        header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, IF_MATCH, IF_NONE_MATCH},
    },
    web::Data,
};
use chrono::Utc;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    app::{Call, Refused},
    domain::{
        precondition::{Precondition, TagList},
        repeat::{BodyDigest, RepeatKey},
    },
    http::{
        Edge,
        costs::cost,
        error::{ApiError, ErrorCode},
        json_reader, request_body,
        request_ids::RequestIds,
    },
};

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

/// The longest key of a create.
const REPEAT_KEY_LIMIT: usize = 255;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");

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
            if let Some(quotas) = &edge.quotas
                && request.path() != super::BATCH
            {
                let units = cost(request.method(), request.path(), request.query_string(), request.headers());
                let allowance = quotas.take(&caller, request.method(), units);
                request.extensions_mut().insert(allowance);
                if let Some(seconds) = allowance.retry_after() {
                    return Err(ApiError::too_many_requests(seconds));
                }
            }
            let precondition = precondition(&request)?;
            Ok(Self(Call { caller, request_id, precondition, repeat_key: None }))
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

/// How a create is marked as one that may come again: by `Idempotency-Key`, else by a `client-request-id` that is a GUID, as
/// clients are told to make for each call. What is no GUID may well be the same on all calls. LC-CONC-09
fn repeat_key(request: &HttpRequest, body: &Value) -> Result<Option<RepeatKey>, ApiError> {
    let headers = request.headers();
    let text = match (headers.get(IDEMPOTENCY_KEY), headers.get(CLIENT_REQUEST_ID)) {
        (Some(key), _) => match key.to_str() {
            Ok(text) if (1..=REPEAT_KEY_LIMIT).contains(&text.len()) => Some(text),
            _ => {
                let message = format!("Idempotency-Key must be 1 to {REPEAT_KEY_LIMIT} printable characters.");
                return Err(ApiError::new(ErrorCode::BadRequest, message).with_target("Idempotency-Key"));
            }
        },
        (None, Some(id)) => id.to_str().ok().filter(|text| uuid::Uuid::try_parse(text).is_ok()),
        (None, None) => None,
    };
    Ok(text.map(|text| RepeatKey { text: text.to_owned(), body_digest: digest(body) }))
}

/// A digest that does not depend on the order of members.
fn digest(body: &Value) -> BodyDigest {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
                members.sort_by(|(left, _), (right, _)| left.cmp(right));
                Value::Object(members.into_iter().collect())
            }
            Value::Array(values) => values.iter().map(sorted).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }
    Sha256::digest(sorted(body).to_string()).into()
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
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let call = match caller.await {
                Ok(AnyCaller(call)) => call,
                Err(refused) => {
                    request_body::read_away(request.headers(), &mut payload).await;
                    return Err(refused);
                }
            };
            let JsonBody(body) = JsonBody::from_request(&request, &mut payload).await?;
            Ok(Self(call, body))
        })
    }
}

/// The same of a create, which may come again under its key. LC-CONC-09
pub(super) struct CreateWithBody(pub Call, pub Value);

impl FromRequest for CreateWithBody {
    type Error = ApiError;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let sent = CallerWithBody::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let CallerWithBody(mut call, body) = sent.await?;
            call.repeat_key = repeat_key(&request, &body)?;
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
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            if media_type.as_deref() != Some("application/json") {
                return Err(ApiError::unsupported_media_type("a body must be application/json"));
            }
            let bytes = request_body::read(request.headers(), &mut payload).await?;
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

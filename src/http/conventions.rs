//! What HTTP and OData promise of every path, so that no handler has to: HEAD, conditional reads, and `Prefer: return`.
//! Sections 6, 8 and 9 of the protocol.
//!
//! To be wrapped around the routes, inside the request ids.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{
            CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH,
            LOCATION,
        },
    },
    middleware::Next,
    web::{Bytes, Data},
};

use crate::{domain::precondition::TagList, http::in_process::InProcess};

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const ODATA_ENTITY_ID: HeaderName = HeaderName::from_static("odata-entityid");

/// What a client wants back from a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Return {
    Minimal,
    Representation,
}

impl Return {
    /// The first preference that says so; the others stay what they are. RFC 7240
    fn preferred(headers: &HeaderMap) -> Option<Self> {
        headers.get_all(PREFER).filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).find_map(
            |preference| {
                let (name, value) = preference.split(';').next()?.split_once('=')?;
                let value = value.trim().trim_matches('"');
                match (name.trim().eq_ignore_ascii_case("return"), value) {
                    (true, "minimal") => Some(Self::Minimal),
                    (true, "representation") => Some(Self::Representation),
                    _ => None,
                }
            },
        )
    }

    const fn applied(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Minimal => "return=minimal",
            Self::Representation => "return=representation",
        })
    }
}

/// Middleware: HEAD is GET without its body, a client that has the entity is told so, and a change answers as much as the client
/// prefers.
///
/// # Errors
/// Those of the wrapped service.
pub async fn conventions<B>(mut request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<BoxBody>, Error>
where
    B: MessageBody + 'static,
{
    let method = request.method().clone();
    match method {
        Method::HEAD => {
            request.head_mut().method = Method::GET;
            let answer = read(request, next).await?;
            Ok(answer.map_body(|_, body| BoxBody::new(Withheld(body.size()))))
        }
        Method::GET => read(request, next).await,
        Method::POST | Method::PUT | Method::PATCH => change(method, request, next).await,
        _ => Ok(next.call(request).await?.map_into_boxed_body()),
    }
}

/// 304 when the client's copy is the entity as it is.
async fn read<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let known = request.headers().get(IF_NONE_MATCH).and_then(|value| TagList::parse(value.to_str().ok()?));
    let answer = next.call(request).await?.map_into_boxed_body();
    let tag = answer.headers().get(ETAG).and_then(|tag| TagList::parse(tag.to_str().ok()?));
    let same = match (known, tag) {
        (Some(TagList::Any), Some(_)) => true,
        (Some(TagList::These(known)), Some(TagList::These(tag))) => tag.iter().any(|tag| known.contains(tag)),
        _ => false,
    };
    Ok(if same && answer.status() == StatusCode::OK { without_body(answer, StatusCode::NOT_MODIFIED) } else { answer })
}

async fn change<B: MessageBody + 'static>(
    method: Method,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let preferred = Return::preferred(request.headers());
    let again = match (preferred, method != Method::POST) {
        (Some(Return::Representation), true) => {
            let in_process = request.app_data::<Data<InProcess>>().cloned();
            in_process.map(|in_process| (in_process, InProcess::reading_again(&request)))
        }
        _ => None,
    };
    let mut answer = next.call(request).await?.map_into_boxed_body();
    let status = answer.status();
    match preferred {
        None => Ok(answer),
        // An action's answer is its point; only what was made or changed can be left out.
        Some(Return::Minimal)
            if status == StatusCode::CREATED || method != Method::POST && status == StatusCode::OK =>
        {
            let mut answer = without_body(answer, StatusCode::NO_CONTENT);
            if let Some(location) = answer.headers().get(LOCATION).cloned() {
                answer.headers_mut().insert(ODATA_ENTITY_ID, location);
            }
            answer.headers_mut().insert(PREFERENCE_APPLIED, Return::Minimal.applied());
            Ok(answer)
        }
        Some(Return::Minimal) => Ok(answer),
        Some(Return::Representation) if matches!(status, StatusCode::OK | StatusCode::CREATED) => {
            answer.headers_mut().insert(PREFERENCE_APPLIED, Return::Representation.applied());
            Ok(answer)
        }
        Some(Return::Representation) => match again {
            Some((in_process, reading)) if status == StatusCode::NO_CONTENT => {
                Ok(match in_process.answer(reading).await {
                    Ok(shown) if shown.status() == StatusCode::OK => represented(answer, shown),
                    // The change is made, whatever came between it and its reading. CL-27
                    Ok(_) | Err(_) => answer,
                })
            }
            _ => Ok(answer),
        },
    }
}

/// The change's answer with the entity as it is read.
fn represented(answer: ServiceResponse<BoxBody>, shown: HttpResponse) -> ServiceResponse<BoxBody> {
    let (request, mut response) = answer.into_parts();
    for name in [CONTENT_TYPE, ETAG] {
        if let Some(value) = shown.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response.headers_mut().insert(PREFERENCE_APPLIED, Return::Representation.applied());
    *response.status_mut() = StatusCode::OK;
    ServiceResponse::new(request, response.set_body(shown.into_body()))
}

fn without_body(answer: ServiceResponse<BoxBody>, status: StatusCode) -> ServiceResponse<BoxBody> {
    let (request, mut response) = answer.into_parts();
    for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING] {
        response.headers_mut().remove(name);
    }
    *response.status_mut() = status;
    ServiceResponse::new(request, response.set_body(BoxBody::new(())))
}

/// A body of which only the length is told.
struct Withheld(BodySize);

impl MessageBody for Withheld {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preferred(values: &[&'static str]) -> Option<Return> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, HeaderValue::from_static(value));
        }
        Return::preferred(&headers)
    }

    #[test]
    fn the_preference_is_found_among_others() {
        assert_eq!(preferred(&["return=minimal"]), Some(Return::Minimal));
        assert_eq!(preferred(&["odata.maxpagesize=5, Return=\"representation\"; x=1"]), Some(Return::Representation));
        assert_eq!(preferred(&["respond-async", "return=minimal"]), Some(Return::Minimal));
        assert_eq!(preferred(&["return=minimal", "return=representation"]), Some(Return::Minimal));
        for other in ["return", "return=everything", "returns=minimal", ""] {
            assert_eq!(preferred(&[other]), None, "{other}");
        }
    }
}

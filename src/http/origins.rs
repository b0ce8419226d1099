//! Which pages may call from a browser: none unless configured. The CORS protocol of the Fetch standard

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
            ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
        },
    },
    middleware::Next,
    web::Data,
};

use crate::http::Edge;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// What a page may read beside the body.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "ETag, Location, OData-EntityId, Preference-Applied, Retry-After, WWW-Authenticate, request-id, client-request-id, \
     RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, x-ms-resource-unit, x-ms-throttle-limit-percentage, \
     x-ms-throttle-scope, x-ms-throttle-information",
);
/// How long a browser may remember what it asked for, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Middleware that tells browsers whether a page of another origin may call. Credentials of the browser's own are never asked
/// for: a token is what counts.
///
/// # Errors
/// Those of the wrapped service.
pub async fn origins<B>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<BoxBody>, Error>
where
    B: MessageBody + 'static,
{
    let Some(origin) = allowed(&request) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let asks_first =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut answer = if asks_first {
        let mut response = HttpResponse::NoContent().finish();
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        if let Some(wanted) = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        request.into_response(response)
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(VARY, HeaderValue::from_static("Origin"));
    Ok(answer)
}

fn allowed(request: &ServiceRequest) -> Option<HeaderValue> {
    let origin = request.headers().get(ORIGIN)?;
    let edge = request.app_data::<Data<Edge>>()?;
    let known = edge.allowed_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes());
    known.then(|| origin.clone())
}

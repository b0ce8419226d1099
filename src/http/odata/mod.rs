//! The OData dialect of the wire: paths, query options, filters, continuations and envelopes.
//!
//! Every quirk of the dialect is handled here and nowhere else; what leaves this room is typed and checked.

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse, Url},
    http::uri::PathAndQuery,
    middleware::Next,
};

use crate::http::error::ApiError;

pub mod collections;
pub mod filter;
pub mod options;
pub mod path;
pub mod prefer;
pub mod render;
pub mod skip_token;

/// Why a query is refused. The target is the option, or the whole `query`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ODataError {
    /// It cannot be read, or a value is outside its limits.
    #[error("{message}")]
    Malformed { target: String, message: String },
    /// It can be read, but is not offered here.
    #[error("{message}")]
    Unsupported { target: String, message: String },
    /// The continuation was not made by this service for this request and caller.
    #[error("the continuation does not belong to this request")]
    SkipToken,
}

impl ODataError {
    pub(crate) fn malformed(target: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Malformed { target: target.into(), message: message.into() }
    }

    pub(crate) fn unsupported(target: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Unsupported { target: target.into(), message: message.into() }
    }
}

/// Middleware that gives every request its canonical path before it is routed, or answers 400. CL-01, CL-04
///
/// To be wrapped around the whole application, inside the request ids.
///
/// # Errors
/// Those of the wrapped service.
pub async fn canonicalize<B>(mut request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<BoxBody>, Error>
where
    B: MessageBody + 'static,
{
    let path = match path::canonical_path(request.uri().path()) {
        Ok(path) => path,
        Err(refusal) => return Ok(request.error_response(ApiError::from(refusal))),
    };
    if path != request.uri().path() {
        let mut parts = request.uri().clone().into_parts();
        let path_and_query = match request.uri().query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        parts.path_and_query = Some(PathAndQuery::try_from(path_and_query).map_err(ApiError::internal)?);
        let uri = actix_web::http::Uri::from_parts(parts).map_err(ApiError::internal)?;
        request.match_info_mut().set(Url::new(uri.clone()));
        request.head_mut().uri = uri;
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

#[cfg(test)]
mod tests {
    use actix_web::{
        App, HttpRequest,
        http::StatusCode,
        middleware::from_fn,
        test::{TestRequest, call_service, init_service, read_body},
        web,
    };

    use super::*;
    use crate::http::request_ids::request_ids;

    async fn answer(uri: &str) -> (StatusCode, String) {
        let app = init_service(
            App::new()
                .wrap(from_fn(canonicalize))
                .wrap(from_fn(request_ids))
                .route(
                    "/v1.0/identityGovernance/accessReviews/definitions/filterByCurrentUser(on='reviewer')",
                    web::get().to(async || "mine"),
                )
                .service(web::scope("/v1.0/identityGovernance/accessReviews").route(
                    "/definitions/{definition}",
                    web::get().to(async |key: web::Path<String>, request: HttpRequest| {
                        format!("{key} of {} with {}", request.path(), request.query_string())
                    }),
                )),
        )
        .await;
        let response = call_service(&app, TestRequest::with_uri(uri).to_request()).await;
        let status = response.status();
        (status, String::from_utf8(read_body(response).await.to_vec()).expect("text"))
    }

    #[actix_web::test]
    async fn requests_are_routed_by_their_canonical_path() {
        let root = "/v1.0/identityGovernance/accessReviews";
        for uri in [
            "//V1.0/identitygovernance//accessReviews/Definitions('d')/?$top=1",
            "/v1.0/identityGovernance/accessReviews/definitions/d?$top=1",
        ] {
            assert_eq!(answer(uri).await, (StatusCode::OK, format!("d of {root}/definitions/d with $top=1")));
        }
    }

    #[actix_web::test]
    async fn a_key_is_decoded_once() {
        let (status, body) = answer("/v1.0//identityGovernance/accessReviews/definitions/a%2520b").await;
        assert_eq!(status, StatusCode::OK);
        assert!(body.starts_with("a%20b of"), "{body}");
    }

    /// CL-04
    #[actix_web::test]
    async fn the_encoded_function_reaches_the_function_and_its_other_forms_are_refused() {
        let root = "/v1.0/identityGovernance/accessReviews/definitions";
        let encoded = answer(&format!("{root}/microsoft.graph.filterByCurrentUser%28on%3D%27reviewer%27%29")).await;
        assert_eq!(encoded, (StatusCode::OK, "mine".to_owned()));

        let (status, body) = answer(&format!("{root}/filterByCurrentUser()")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body.contains("reviewer"));
    }
}

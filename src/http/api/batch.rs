//! `POST /v1.0/$batch`

use std::collections::BTreeMap;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{AUTHORIZATION, HOST},
    },
    post,
    web::Data,
};

use super::{
    extract::CallerWithBody,
    schema::{BatchAnswers, BatchRequests, ErrorBody},
};
use crate::http::{
    Edge,
    batch::{Answered, BatchItem, OwnAddress, answers, read},
    error::{ApiError, ErrorCode},
    in_process::InProcess,
    odata::render::json_response,
    request_ids::finished,
};

/// Make up to 20 requests in one
///
/// Each has rights, a transaction and an answer of its own; one that depends on a failed one is answered 424.
#[utoipa::path(
    tag = "batch",
    operation_id = "batch",
    request_body = BatchRequests,
    responses((status = 200, body = BatchAnswers), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 415, body = ErrorBody))
)]
#[post("/v1.0/$batch")]
pub(super) async fn batch(
    edge: Data<Edge>,
    in_process: Data<InProcess>,
    request: HttpRequest,
    caller: CallerWithBody,
) -> Result<HttpResponse, ApiError> {
    let address = OwnAddress {
        public_url: &edge.public_url,
        host: request.headers().get(HOST).and_then(|host| host.to_str().ok()),
    };
    let (items, order) =
        read(&caller.1, &address, request.headers().get(AUTHORIZATION)).map_err(ApiError::bad_request)?;
    let mut answered = BTreeMap::new();
    // One after the other: a batch of twenty takes no more of the service than one request at a time.
    for position in order {
        let Some(item) = items.get(position) else { continue };
        let failed =
            item.depends_on.iter().find(|dependency| !answered.get(*dependency).is_some_and(Answered::is_good));
        let response = match (failed.and_then(|failed| items.get(*failed)), &item.request) {
            (Some(failed), _) => {
                let message = format!("The request `{}`, which this one depends on, failed.", failed.id);
                refusal(&ApiError::new(ErrorCode::FailedDependency, message), item)
            }
            (None, Err(error)) => refusal(error, item),
            (None, Ok(request)) => {
                let request = request.clone();
                let request = InProcess::request(request.method, request.uri, request.headers, request.body);
                in_process.answer(request).await.map_err(internal)?
            }
        };
        answered.insert(position, Answered::of(item.id.clone(), response).await.map_err(internal)?);
    }
    let answered: Vec<_> = answered.into_values().collect();
    Ok(json_response(StatusCode::OK, &answers(&answered)))
}

/// The answer to a request that is not made.
fn refusal(error: &ApiError, item: &BatchItem) -> HttpResponse {
    let headers = item.request.as_ref().map(|request| &request.headers).ok();
    finished(HttpResponse::from_error(error.clone()), headers)
}

fn internal(error: actix_web::Error) -> ApiError {
    ApiError::internal(error.to_string())
}

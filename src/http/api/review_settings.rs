//! How the tenant handles reviews, where it may choose. LC-AUTH-02

use actix_web::{HttpResponse, get, http::StatusCode, patch, web::Data};

use super::{
    extract::{AnyCaller, CallerWithBody, run},
    schema::{ErrorBody, ReviewSettingsBody},
};
use crate::{
    app::review_settings::{change_own_review_settings, own_review_settings},
    http::{
        Edge,
        error::ApiError,
        odata::render::json_response,
        review_settings::{parse_change, render},
    },
};

/// Get the tenant's review settings
#[utoipa::path(
    tag = "settings",
    operation_id = "getReviewSettings",
    responses((status = 200), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody))
)]
#[get("/attestry/v1/reviewSettings")]
pub(super) async fn get(edge: Data<Edge>, AnyCaller(call): AnyCaller) -> Result<HttpResponse, ApiError> {
    let services = edge.services.clone();
    let settings = run(async move { own_review_settings(&services, &call).await }).await?;
    Ok(json_response(StatusCode::OK, &render(&settings)))
}

/// Change the tenant's review settings; they count from the next request on
#[utoipa::path(
    tag = "settings",
    operation_id = "updateReviewSettings",
    request_body = ReviewSettingsBody,
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody))
)]
#[patch("/attestry/v1/reviewSettings")]
pub(super) async fn update(
    edge: Data<Edge>,
    CallerWithBody(call, body): CallerWithBody,
) -> Result<HttpResponse, ApiError> {
    let wanted = parse_change(&body).map_err(ApiError::bad_request)?;
    let services = edge.services.clone();
    let settings = run(async move { change_own_review_settings(&services, &call, wanted).await }).await?;
    Ok(json_response(StatusCode::OK, &render(&settings)))
}

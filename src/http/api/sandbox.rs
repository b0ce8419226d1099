//! The clock of a sandbox tenant. Section 6 of the design

use actix_web::{HttpResponse, http::StatusCode, post, web::Data};
use serde_json::json;

use super::{
    bodies,
    extract::{CallerWithBody, run},
    schema::{ClockAdvance, ErrorBody},
};
use crate::{
    app::advance_clock::advance_own_clock,
    http::{Edge, definitions::view::render_date_time, error::ApiError, odata::render::json_response},
};

/// Advance the clock of a sandbox tenant; everything due on the way happens first
#[utoipa::path(
    tag = "sandbox",
    operation_id = "advanceSandboxClock",
    request_body = ClockAdvance,
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody))
)]
#[post("/attestry/v1/sandbox/clock")]
pub(super) async fn advance_clock(
    edge: Data<Edge>,
    CallerWithBody(call, body): CallerWithBody,
) -> Result<HttpResponse, ApiError> {
    let advance = bodies::advance(&body)?;
    let (services, public_url) = (edge.services.clone(), edge.public_url.clone());
    let now = run(async move { advance_own_clock(&services, &call, advance, &public_url).await }).await?;
    Ok(json_response(StatusCode::OK, &json!({ "now": render_date_time(now) })))
}

//! STAGE-LIST, STAGE-MINE, STAGE-GET, STAGE-UPDATE, STAGE-STOP

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    patch, post,
    web::{Data, Path},
};

use super::{
    bodies,
    extract::{AnyCaller, CallerWithBody, id, run},
    lists::ListCall,
    schema::{ErrorBody, StageUpdate},
    view,
};
use crate::{
    app::{
        StagePath,
        get_stage::{StageView, get_stage},
        list_stages::{StageList, list_stages},
        stop_stage::stop_stage,
        update_stage::update_stage,
    },
    http::{
        Edge,
        definitions::view::render_date_time,
        error::ApiError,
        odata::{
            collections::STAGES,
            options::QueryOptions,
            render::{collection_context, entity, entity_context, function_context, json_response, project},
        },
    },
    store::filter::{FilterValue, StageProperty},
};

/// The ids of a stage's path as sent.
pub(super) type StageIds = (String, String, String);

pub(super) fn stage_path(ids: &StageIds) -> Result<StagePath, ApiError> {
    Ok(StagePath { definition: id(&ids.0)?, instance: id(&ids.1)?, stage: id(&ids.2)? })
}

/// List the stages of an instance
#[utoipa::path(
    tag = "stages",
    operation_id = "listStages",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages")]
pub(super) async fn list(
    edge: Data<Edge>,
    caller: AnyCaller,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let listing = ListCall::read(&request, &caller.0, &STAGES).await?;
    let context = collection_context(
        &edge.public_url,
        &[("definitions", &path.0), ("instances", &path.1)],
        "stages",
        listing.options.select.as_deref(),
    );
    answer(edge, caller, path, StageList::All, listing, context).await
}

/// List the stages in which the caller reviews something
#[utoipa::path(
    tag = "stages",
    operation_id = "listMyStages",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/filterByCurrentUser(on='reviewer')"
)]
pub(super) async fn list_mine(
    edge: Data<Edge>,
    caller: AnyCaller,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let listing = ListCall::read(&request, &caller.0, &STAGES).await?;
    let context = function_context(&edge.public_url, "accessReviewStage", listing.options.select.as_deref());
    answer(edge, caller, path, StageList::Mine, listing, context).await
}

async fn answer(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    path: Path<(String, String)>,
    which: StageList,
    listing: ListCall<StageProperty>,
    context: String,
) -> Result<HttpResponse, ApiError> {
    let (definition, instance) = (id(&path.0)?, id(&path.1)?);
    let services = edge.services.clone();
    let stages = run(async move { list_stages(&services, &call, definition, instance, which).await }).await?;
    listing.answer_in_memory(
        context,
        stages,
        |view, property| match property {
            StageProperty::Status => FilterValue::Member(view.stage.status.as_str()),
            StageProperty::StartDateTime => FilterValue::Instant(view.stage.start_at),
            StageProperty::EndDateTime => FilterValue::Instant(view.stage.end_at),
        },
        sort_key,
        view::stage,
    )
}

fn sort_key(view: &StageView, property: StageProperty) -> String {
    match property {
        StageProperty::Status => view.stage.status.to_string(),
        StageProperty::StartDateTime => render_date_time(view.stage.start_at),
        StageProperty::EndDateTime => render_date_time(view.stage.end_at),
    }
}

/// Get a stage
#[utoipa::path(
    tag = "stages",
    operation_id = "getStage",
    params(("definition" = String, Path), ("instance" = String, Path), ("stage" = String, Path)),
    responses((status = 200), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/{stage}")]
pub(super) async fn get(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    request: HttpRequest,
    path: Path<StageIds>,
) -> Result<HttpResponse, ApiError> {
    let options = QueryOptions::parse(request.query_string(), &STAGES.entity())?;
    let (services, stage) = (edge.services.clone(), stage_path(&path)?);
    let found = run(async move { get_stage(&services, &call, stage).await }).await?;
    Ok(stage_answer(&edge, &path, &found, options.select.as_deref()))
}

/// Replace the reviewers of a stage, or add fallback reviewers
///
/// Fallback reviewers are append-only: leaving one out is 409 and changes nothing.
#[utoipa::path(
    tag = "stages",
    operation_id = "updateStage",
    params(("definition" = String, Path), ("instance" = String, Path), ("stage" = String, Path)),
    request_body = StageUpdate,
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 415, body = ErrorBody))
)]
#[patch("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/{stage}")]
pub(super) async fn update(
    edge: Data<Edge>,
    path: Path<StageIds>,
    CallerWithBody(call, body): CallerWithBody,
) -> Result<HttpResponse, ApiError> {
    let (services, stage) = (edge.services.clone(), stage_path(&path)?);
    let request = bodies::stage_update(&body)?;
    let updated = run(async move { update_stage(&services, &call, stage, &request).await }).await?;
    Ok(stage_answer(&edge, &path, &updated, None))
}

/// Stop a running stage
#[utoipa::path(
    tag = "stages",
    operation_id = "stopStage",
    params(("definition" = String, Path), ("instance" = String, Path), ("stage" = String, Path)),
    responses((status = 204), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[post("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/{stage}/stop")]
pub(super) async fn stop(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    path: Path<StageIds>,
) -> Result<HttpResponse, ApiError> {
    let (services, stage) = (edge.services.clone(), stage_path(&path)?);
    run(async move { stop_stage(&services, &call, stage).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn stage_answer(edge: &Edge, path: &StageIds, found: &StageView, select: Option<&[String]>) -> HttpResponse {
    let parents = [("definitions", path.0.as_str()), ("instances", path.1.as_str())];
    let context = entity_context(&edge.public_url, &parents, "stages", select);
    json_response(StatusCode::OK, &entity(context, project(view::stage(found), select)))
}

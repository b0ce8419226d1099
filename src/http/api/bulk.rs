//! batchRecordDecisions, acceptRecommendations, resetDecisions: operations on many decisions at once

use actix_web::{
    HttpResponse, post,
    web::{Data, Path},
};
use serde_json::Value;

use super::{
    bodies,
    extract::{AnyCaller, CallerWithBody, id, run},
    schema::{BatchDecision, ErrorBody},
    stages::StageIds,
};
use crate::{
    app::{
        BulkPath, Call, accept_recommendations::accept_recommendations, batch_record_decisions::batch_record_decisions,
        reset_decisions::reset_decisions,
    },
    domain::ids::{DefinitionId, InstanceId},
    http::{Edge, error::ApiError},
};

fn instance_path(ids: &(String, String)) -> Result<BulkPath, ApiError> {
    Ok(BulkPath { definition: id(&ids.0)?, instance: id(&ids.1)?, stage: None })
}

fn stage_path(ids: &StageIds) -> Result<BulkPath, ApiError> {
    Ok(BulkPath { definition: id(&ids.0)?, instance: id(&ids.1)?, stage: Some(id(&ids.2)?) })
}

async fn batch(edge: &Edge, call: Call, path: BulkPath, body: &Value) -> Result<HttpResponse, ApiError> {
    let (services, request) = (edge.services.clone(), bodies::batch(body)?);
    run(async move { batch_record_decisions(&services, &call, path, request).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn accept(edge: &Edge, call: Call, path: BulkPath) -> Result<HttpResponse, ApiError> {
    let services = edge.services.clone();
    run(async move { accept_recommendations(&services, &call, path).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Record one decision for every item the caller reviews; on a multi-stage instance in its running stage
///
/// An application records it for every item. Decisions made before are overwritten.
#[utoipa::path(
    tag = "instances",
    operation_id = "batchRecordDecisions",
    params(("definition" = String, Path), ("instance" = String, Path)),
    request_body = BatchDecision,
    responses((status = 204), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 415, body = ErrorBody))
)]
#[post("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/batchRecordDecisions")]
pub(super) async fn batch_instance(
    edge: Data<Edge>,
    path: Path<(String, String)>,
    CallerWithBody(call, body): CallerWithBody,
) -> Result<HttpResponse, ApiError> {
    batch(&edge, call, instance_path(&path)?, &body).await
}

/// Record one decision for every item of a stage that the caller reviews
#[utoipa::path(
    tag = "stages",
    operation_id = "batchRecordStageDecisions",
    params(("definition" = String, Path), ("instance" = String, Path), ("stage" = String, Path)),
    request_body = BatchDecision,
    responses((status = 204), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 415, body = ErrorBody))
)]
#[post(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/{stage}/batchRecordDecisions"
)]
pub(super) async fn batch_stage(
    edge: Data<Edge>,
    path: Path<StageIds>,
    CallerWithBody(call, body): CallerWithBody,
) -> Result<HttpResponse, ApiError> {
    batch(&edge, call, stage_path(&path)?, &body).await
}

/// Answer every undecided item the caller reviews as its recommendation says
#[utoipa::path(
    tag = "instances",
    operation_id = "acceptRecommendations",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 204), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[post("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/acceptRecommendations")]
pub(super) async fn accept_instance(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    accept(&edge, call, instance_path(&path)?).await
}

/// Answer every undecided item of a stage that the caller reviews as its recommendation says
#[utoipa::path(
    tag = "stages",
    operation_id = "acceptStageRecommendations",
    params(("definition" = String, Path), ("instance" = String, Path), ("stage" = String, Path)),
    responses((status = 204), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[post(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/{stage}/acceptRecommendations"
)]
pub(super) async fn accept_stage(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    path: Path<StageIds>,
) -> Result<HttpResponse, ApiError> {
    accept(&edge, call, stage_path(&path)?).await
}

/// Take back every decision of the running stage
#[utoipa::path(
    tag = "instances",
    operation_id = "resetDecisions",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 204), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[post("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/resetDecisions")]
pub(super) async fn reset(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (definition, instance) = (id::<DefinitionId>(&path.0)?, id::<InstanceId>(&path.1)?);
    let services = edge.services.clone();
    run(async move { reset_decisions(&services, &call, definition, instance).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

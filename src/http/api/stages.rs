//! STAGE-LIST, STAGE-MINE, STAGE-GET, STAGE-UPDATE, STAGE-STOP

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    patch, post,
    web::{Data, Path},
};
use serde_json::{Map, Value};

use super::{
    bodies,
    extract::{AnyCaller, CallerWithBody, id, run},
    lists::{self, Answer, Collection, Context, Links},
    schema::{ErrorBody, StageUpdate},
    view,
};
use crate::{
    app::{
        Call, Refused, Services, StagePath,
        get_stage::{StageView, get_stage},
        list_stages::{StageList, list_stages},
        listing::{ListRequest, Listed, Position},
        stop_stage::stop_stage,
        update_stage::update_stage,
    },
    domain::ids::{DefinitionId, InstanceId},
    http::{
        Edge,
        error::ApiError,
        odata::{
            collections::{Allowed, STAGES},
            options::{Expand, QueryOptions},
            render::{entity, entity_context, json_response, project},
        },
    },
    store::filter::StageProperty,
};

/// The ids of a stage's path as sent.
pub(super) type StageIds = (String, String, String);

pub(super) fn stage_path(ids: &StageIds) -> Result<StagePath, ApiError> {
    Ok(StagePath { definition: id(&ids.0)?, instance: id(&ids.1)?, stage: id(&ids.2)? })
}

/// STAGE-LIST, STAGE-MINE
struct Stages {
    definition: DefinitionId,
    instance: InstanceId,
    which: StageList,
}

impl Stages {
    fn of(path: &(String, String), which: StageList) -> Result<Self, ApiError> {
        Ok(Self { definition: id(&path.0)?, instance: id(&path.1)?, which })
    }
}

impl Collection for Stages {
    type Property = StageProperty;
    type Cursor = Position;
    type Row = StageView;

    fn allowed(&self) -> Allowed<StageProperty> {
        STAGES
    }

    fn context(&self) -> Context {
        match self.which {
            StageList::All => Context::Contained(
                vec![("definitions", self.definition.to_string()), ("instances", self.instance.to_string())],
                "stages",
            ),
            StageList::Mine => Context::Function("accessReviewStage"),
        }
    }

    async fn list(
        &self,
        services: &Services,
        call: &Call,
        request: &ListRequest<StageProperty, Position>,
        _: &[Expand],
    ) -> Result<Listed<StageView, Position>, Refused> {
        list_stages(services, call, self.definition, self.instance, self.which, request).await
    }

    fn render(&self, _: &Links, row: &StageView, _: &[Expand]) -> Result<Map<String, Value>, ApiError> {
        Ok(view::stage(row))
    }
}

/// List the stages of an instance
#[utoipa::path(
    tag = "stages",
    operation_id = "listStages",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages")]
pub(super) async fn list(caller: AnyCaller, request: HttpRequest, path: Path<(String, String)>) -> Answer {
    lists::list(Stages::of(&path, StageList::All)?, caller, request).await
}

/// Count the stages of an instance
#[utoipa::path(
    tag = "stages",
    operation_id = "countStages",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/$count")]
pub(super) async fn count(caller: AnyCaller, request: HttpRequest, path: Path<(String, String)>) -> Answer {
    lists::count(Stages::of(&path, StageList::All)?, caller, request).await
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
pub(super) async fn list_mine(caller: AnyCaller, request: HttpRequest, path: Path<(String, String)>) -> Answer {
    lists::list(Stages::of(&path, StageList::Mine)?, caller, request).await
}

/// Count the stages in which the caller reviews something
#[utoipa::path(
    tag = "stages",
    operation_id = "countMyStages",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/filterByCurrentUser(on='reviewer')/$count"
)]
pub(super) async fn count_mine(caller: AnyCaller, request: HttpRequest, path: Path<(String, String)>) -> Answer {
    lists::count(Stages::of(&path, StageList::Mine)?, caller, request).await
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

//! DEC-LIST, DEC-MINE, DEC-GET, DEC-UPDATE, and the same below a stage

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    patch,
    web::{Data, Path},
};
use serde_json::Value;
use uuid::Uuid;

use super::{
    bodies,
    extract::{AnyCaller, CallerWithBody, id, run},
    lists::ListCall,
    schema::{DecisionUpdate, ErrorBody},
    stages::{StageIds, stage_path},
    view,
};
use crate::{
    app::{
        Call,
        get_decision::{get_decision, get_stage_decision},
        list_decisions::{DecisionList, DecisionPage, list_decisions, list_stage_decisions},
        record_decision::{DecisionPath, record_decision},
    },
    domain::{
        ids::{DefinitionId, InstanceId, StageId},
        instance::Instance,
    },
    http::{
        Edge,
        error::ApiError,
        odata::{
            collections::DECISIONS,
            options::QueryOptions,
            render::{collection_context, entity, entity_context, function_context, json_response, project},
        },
    },
    store::{ItemRow, filter::DecisionProperty},
};

/// The type the functions answer with.
const TYPE: &str = "accessReviewInstanceDecisionItem";

/// List the decision items of an instance with their effective decisions
#[utoipa::path(
    tag = "decisions",
    operation_id = "listDecisions",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/decisions")]
pub(super) async fn list(
    edge: Data<Edge>,
    caller: AnyCaller,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let listing = ListCall::read(&request, &caller.0, &DECISIONS).await?;
    let parents = [("definitions", path.0.as_str()), ("instances", path.1.as_str())];
    let context = collection_context(&edge.public_url, &parents, "decisions", listing.options.select.as_deref());
    instance_list(edge, caller, path, DecisionList::All, listing, context).await
}

/// List the decision items the caller reviews
#[utoipa::path(
    tag = "decisions",
    operation_id = "listMyDecisions",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/decisions/filterByCurrentUser(on='reviewer')"
)]
pub(super) async fn list_mine(
    edge: Data<Edge>,
    caller: AnyCaller,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let listing = ListCall::read(&request, &caller.0, &DECISIONS).await?;
    let context = function_context(&edge.public_url, TYPE, listing.options.select.as_deref());
    instance_list(edge, caller, path, DecisionList::Mine, listing, context).await
}

async fn instance_list(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    path: Path<(String, String)>,
    which: DecisionList,
    listing: ListCall<DecisionProperty>,
    context: String,
) -> Result<HttpResponse, ApiError> {
    let (definition, instance) = (id::<DefinitionId>(&path.0)?, id::<InstanceId>(&path.1)?);
    let (services, wanted) = (edge.services.clone(), listing.request()?);
    let page = run(async move { list_decisions(&services, &call, definition, instance, which, &wanted).await }).await?;
    page_answer(&edge, &listing, context, page)
}

/// List the decision items of a stage with that stage's decisions
#[utoipa::path(
    tag = "decisions",
    operation_id = "listStageDecisions",
    params(("definition" = String, Path), ("instance" = String, Path), ("stage" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/{stage}/decisions")]
pub(super) async fn list_stage(
    edge: Data<Edge>,
    caller: AnyCaller,
    request: HttpRequest,
    path: Path<StageIds>,
) -> Result<HttpResponse, ApiError> {
    let listing = ListCall::read(&request, &caller.0, &DECISIONS).await?;
    let parents = [("definitions", path.0.as_str()), ("instances", path.1.as_str()), ("stages", path.2.as_str())];
    let context = collection_context(&edge.public_url, &parents, "decisions", listing.options.select.as_deref());
    stage_list(edge, caller, path, DecisionList::All, listing, context).await
}

/// List the decision items of a stage that the caller reviews
#[utoipa::path(
    tag = "decisions",
    operation_id = "listMyStageDecisions",
    params(("definition" = String, Path), ("instance" = String, Path), ("stage" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/{stage}/decisions/filterByCurrentUser(on='reviewer')"
)]
pub(super) async fn list_stage_mine(
    edge: Data<Edge>,
    caller: AnyCaller,
    request: HttpRequest,
    path: Path<StageIds>,
) -> Result<HttpResponse, ApiError> {
    let listing = ListCall::read(&request, &caller.0, &DECISIONS).await?;
    let context = function_context(&edge.public_url, TYPE, listing.options.select.as_deref());
    stage_list(edge, caller, path, DecisionList::Mine, listing, context).await
}

async fn stage_list(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    path: Path<StageIds>,
    which: DecisionList,
    listing: ListCall<DecisionProperty>,
    context: String,
) -> Result<HttpResponse, ApiError> {
    let stage = stage_path(&path)?;
    let (services, wanted) = (edge.services.clone(), listing.request()?);
    let page = run(async move { list_stage_decisions(&services, &call, stage, which, &wanted).await }).await?;
    page_answer(&edge, &listing, context, page)
}

fn page_answer(
    edge: &Edge,
    listing: &ListCall<DecisionProperty>,
    context: String,
    (instance, listed): DecisionPage,
) -> Result<HttpResponse, ApiError> {
    let rows = listed.slice.rows.iter().map(|row| view::item(&edge.public_url, &instance, row)).collect();
    listing.answer(context, rows, listed.count, listed.slice.next.as_ref())
}

/// Get a decision item
#[utoipa::path(
    tag = "decisions",
    operation_id = "getDecision",
    params(("definition" = String, Path), ("instance" = String, Path), ("item" = String, Path)),
    responses((status = 200), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/decisions/{item}")]
pub(super) async fn get(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    request: HttpRequest,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse, ApiError> {
    let options = QueryOptions::parse(request.query_string(), &DECISIONS.entity())?;
    let (definition, instance, item) = (id(&path.0)?, id(&path.1)?, id::<Uuid>(&path.2)?);
    let found = shown(&edge, call, DecisionPath { definition, instance, stage: None, item }).await?;
    let parents = [("definitions", path.0.as_str()), ("instances", path.1.as_str())];
    let select = options.select.as_deref();
    Ok(item_answer(&edge, entity_context(&edge.public_url, &parents, "decisions", select), &found, select))
}

/// Get a decision item of a stage
#[utoipa::path(
    tag = "decisions",
    operation_id = "getStageDecision",
    params(("definition" = String, Path), ("instance" = String, Path), ("stage" = String, Path), ("item" = String, Path)),
    responses((status = 200), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/{stage}/decisions/{item}"
)]
pub(super) async fn get_stage(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    request: HttpRequest,
    path: Path<(String, String, String, String)>,
) -> Result<HttpResponse, ApiError> {
    let options = QueryOptions::parse(request.query_string(), &DECISIONS.entity())?;
    let (definition, instance, item) = (id(&path.0)?, id(&path.1)?, id::<Uuid>(&path.3)?);
    let stage = Some(id::<StageId>(&path.2)?);
    let found = shown(&edge, call, DecisionPath { definition, instance, stage, item }).await?;
    let parents = [("definitions", path.0.as_str()), ("instances", path.1.as_str()), ("stages", path.2.as_str())];
    let select = options.select.as_deref();
    Ok(item_answer(&edge, entity_context(&edge.public_url, &parents, "decisions", select), &found, select))
}

/// The item as this caller sees it.
pub(super) async fn shown(edge: &Edge, call: Call, path: DecisionPath) -> Result<(Instance, ItemRow), ApiError> {
    let services = edge.services.clone();
    run(async move {
        match path.stage {
            None => get_decision(&services, &call, path.definition, path.instance, path.item).await,
            Some(stage) => {
                let stage = crate::app::StagePath { definition: path.definition, instance: path.instance, stage };
                get_stage_decision(&services, &call, stage, path.item).await
            }
        }
    })
    .await
}

fn item_answer(
    edge: &Edge,
    context: String,
    (instance, row): &(Instance, ItemRow),
    select: Option<&[String]>,
) -> HttpResponse {
    let item = view::item(&edge.public_url, instance, row);
    json_response(StatusCode::OK, &entity(context, project(item, select)))
}

/// Record a decision; on a multi-stage instance in its running stage
#[utoipa::path(
    tag = "decisions",
    operation_id = "updateDecision",
    params(("definition" = String, Path), ("instance" = String, Path), ("item" = String, Path)),
    request_body = DecisionUpdate,
    responses((status = 204), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 415, body = ErrorBody))
)]
#[patch("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/decisions/{item}")]
pub(super) async fn update(
    edge: Data<Edge>,
    path: Path<(String, String, String)>,
    CallerWithBody(call, body): CallerWithBody,
) -> Result<HttpResponse, ApiError> {
    let (definition, instance, item) = (id(&path.0)?, id(&path.1)?, id::<Uuid>(&path.2)?);
    record(&edge, call, DecisionPath { definition, instance, stage: None, item }, &body).await
}

/// Record a decision in a stage
#[utoipa::path(
    tag = "decisions",
    operation_id = "updateStageDecision",
    params(("definition" = String, Path), ("instance" = String, Path), ("stage" = String, Path), ("item" = String, Path)),
    request_body = DecisionUpdate,
    responses((status = 204), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 415, body = ErrorBody))
)]
#[patch(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/{stage}/decisions/{item}"
)]
pub(super) async fn update_stage(
    edge: Data<Edge>,
    path: Path<(String, String, String, String)>,
    CallerWithBody(call, body): CallerWithBody,
) -> Result<HttpResponse, ApiError> {
    let (definition, instance, item) = (id(&path.0)?, id(&path.1)?, id::<Uuid>(&path.3)?);
    let stage = Some(id::<StageId>(&path.2)?);
    record(&edge, call, DecisionPath { definition, instance, stage, item }, &body).await
}

async fn record(edge: &Edge, call: Call, path: DecisionPath, body: &Value) -> Result<HttpResponse, ApiError> {
    let answer = bodies::answer(body)?;
    if bodies::echoes_item(body) {
        let (instance, row) = shown(edge, call.clone(), path).await?;
        bodies::check_item_echo(body, &view::item(&edge.public_url, &instance, &row))?;
    }
    let services = edge.services.clone();
    run(async move { record_decision(&services, &call, path, answer).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

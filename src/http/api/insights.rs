//! DEC-INSIGHTS, DEC-INSIGHT and the same below a stage: seen by whoever sees the item, as he sees it

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    web::{Data, Path},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    decisions::shown,
    extract::{AnyCaller, id},
    lists::ListCall,
    schema::ErrorBody,
    view,
};
use crate::{
    app::record_decision::DecisionPath,
    http::{
        Edge,
        error::ApiError,
        odata::{
            collections::INSIGHTS,
            options::QueryOptions,
            render::{collection_context, entity, entity_context, json_response, project},
        },
    },
};

type ItemIds = (String, String, String);
type StageItemIds = (String, String, String, String);
type InsightIds = (String, String, String, String);
type StageInsightIds = (String, String, String, String, String);

fn item_path(definition: &str, instance: &str, stage: Option<&str>, item: &str) -> Result<DecisionPath, ApiError> {
    Ok(DecisionPath {
        definition: id(definition)?,
        instance: id(instance)?,
        stage: stage.map(id).transpose()?,
        item: id(item)?,
    })
}

async fn answer_list(
    edge: &Edge,
    AnyCaller(call): AnyCaller,
    request: &HttpRequest,
    path: DecisionPath,
    parents: &[(&str, &str)],
) -> Result<HttpResponse, ApiError> {
    let listing = ListCall::read(request, &call, &INSIGHTS).await?;
    let context = collection_context(&edge.public_url, parents, "insights", listing.options.select.as_deref());
    let (instance, row) = shown(edge, call, path).await?;
    let insights = view::insights(&instance, &row);
    listing.answer_in_memory(
        context,
        insights,
        |_, property| match property {},
        |_, property| match property {},
        Clone::clone,
    )
}

async fn answer_one(
    edge: &Edge,
    AnyCaller(call): AnyCaller,
    request: &HttpRequest,
    path: DecisionPath,
    parents: &[(&str, &str)],
    insight: &str,
) -> Result<HttpResponse, ApiError> {
    let options = QueryOptions::parse(request.query_string(), &INSIGHTS.entity())?;
    let insight: Uuid = id(insight)?;
    let (instance, row) = shown(edge, call, path).await?;
    let wanted = |found: &Map<String, Value>| found.get("id").and_then(Value::as_str) == Some(&insight.to_string());
    let found = view::insights(&instance, &row).into_iter().find(wanted).ok_or_else(ApiError::not_found)?;
    let select = options.select.as_deref();
    let context = entity_context(&edge.public_url, parents, "insights", select);
    Ok(json_response(StatusCode::OK, &entity(context, project(found, select))))
}

/// List the insights of a decision item
#[utoipa::path(
    tag = "decisions",
    operation_id = "listInsights",
    params(("definition" = String, Path), ("instance" = String, Path), ("item" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/decisions/{item}/insights")]
pub(super) async fn list(
    edge: Data<Edge>,
    caller: AnyCaller,
    request: HttpRequest,
    path: Path<ItemIds>,
) -> Result<HttpResponse, ApiError> {
    let (definition, instance, item) = path.into_inner();
    let parents = [("definitions", &*definition), ("instances", &*instance), ("decisions", &*item)];
    answer_list(&edge, caller, &request, item_path(&definition, &instance, None, &item)?, &parents).await
}

/// Get an insight of a decision item
#[utoipa::path(
    tag = "decisions",
    operation_id = "getInsight",
    params(("definition" = String, Path), ("instance" = String, Path), ("item" = String, Path), ("insight" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/decisions/{item}/insights/{insight}"
)]
pub(super) async fn get(
    edge: Data<Edge>,
    caller: AnyCaller,
    request: HttpRequest,
    path: Path<InsightIds>,
) -> Result<HttpResponse, ApiError> {
    let (definition, instance, item, insight) = path.into_inner();
    let parents = [("definitions", &*definition), ("instances", &*instance), ("decisions", &*item)];
    answer_one(&edge, caller, &request, item_path(&definition, &instance, None, &item)?, &parents, &insight).await
}

/// List the insights of a decision item of a stage
#[utoipa::path(
    tag = "decisions",
    operation_id = "listStageInsights",
    params(("definition" = String, Path), ("instance" = String, Path), ("stage" = String, Path), ("item" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/{stage}/decisions/{item}/insights"
)]
pub(super) async fn list_stage(
    edge: Data<Edge>,
    caller: AnyCaller,
    request: HttpRequest,
    path: Path<StageItemIds>,
) -> Result<HttpResponse, ApiError> {
    let (definition, instance, stage, item) = path.into_inner();
    let parents =
        [("definitions", &*definition), ("instances", &*instance), ("stages", &*stage), ("decisions", &*item)];
    answer_list(&edge, caller, &request, item_path(&definition, &instance, Some(&stage), &item)?, &parents).await
}

/// Get an insight of a decision item of a stage
#[utoipa::path(
    tag = "decisions",
    operation_id = "getStageInsight",
    params(("definition" = String, Path), ("instance" = String, Path), ("stage" = String, Path), ("item" = String, Path), ("insight" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/{stage}/decisions/{item}/insights/{insight}"
)]
pub(super) async fn get_stage(
    edge: Data<Edge>,
    caller: AnyCaller,
    request: HttpRequest,
    path: Path<StageInsightIds>,
) -> Result<HttpResponse, ApiError> {
    let (definition, instance, stage, item, insight) = path.into_inner();
    let parents =
        [("definitions", &*definition), ("instances", &*instance), ("stages", &*stage), ("decisions", &*item)];
    answer_one(&edge, caller, &request, item_path(&definition, &instance, Some(&stage), &item)?, &parents, &insight)
        .await
}

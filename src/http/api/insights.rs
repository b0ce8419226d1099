//! DEC-INSIGHTS, DEC-INSIGHT and the same below a stage: seen by whoever sees the item, as he sees it

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    web::{Data, Path},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    decisions::{find, shown},
    extract::{AnyCaller, id},
    lists::{self, Answer, Collection, Context, Links},
    schema::ErrorBody,
    view,
};
use crate::{
    app::{
        Call, Refused, Services,
        listing::{ListRequest, Listed, Position, list_in_memory},
        record_decision::DecisionPath,
    },
    http::{
        Edge,
        error::ApiError,
        odata::{
            collections::{Allowed, INSIGHTS},
            options::{Expand, QueryOptions},
            render::{entity, entity_context, json_response, project},
        },
    },
    store::filter::NoProperty,
};

type ItemIds = (String, String, String);
type StageItemIds = (String, String, String, String);
type InsightIds = (String, String, String, String);
type StageInsightIds = (String, String, String, String, String);

/// The insights of one item.
struct Insights(DecisionPath);

impl Insights {
    fn of(path: &ItemIds) -> Result<Self, ApiError> {
        Ok(Self(item_path(&path.0, &path.1, None, &path.2)?))
    }

    fn of_stage(path: &StageItemIds) -> Result<Self, ApiError> {
        Ok(Self(item_path(&path.0, &path.1, Some(&path.2), &path.3)?))
    }
}

impl Collection for Insights {
    type Property = NoProperty;
    type Cursor = Position;
    type Row = Map<String, Value>;

    fn allowed(&self) -> Allowed<NoProperty> {
        INSIGHTS
    }

    fn context(&self) -> Context {
        let DecisionPath { definition, instance, stage, item } = &self.0;
        let mut parents = vec![("definitions", definition.to_string()), ("instances", instance.to_string())];
        parents.extend(stage.map(|stage| ("stages", stage.to_string())));
        parents.push(("decisions", item.to_string()));
        Context::Contained(parents, "insights")
    }

    async fn list(
        &self,
        services: &Services,
        call: &Call,
        request: &ListRequest<NoProperty, Position>,
        _: &[Expand],
    ) -> Result<Listed<Self::Row, Position>, Refused> {
        let (instance, row) = find(services, call, &self.0).await?;
        Ok(list_in_memory(view::insights(&instance, &row), request, |_, property| match property {}))
    }

    fn render(&self, _: &Links, row: &Self::Row, _: &[Expand]) -> Result<Map<String, Value>, ApiError> {
        Ok(row.clone())
    }
}

fn item_path(definition: &str, instance: &str, stage: Option<&str>, item: &str) -> Result<DecisionPath, ApiError> {
    Ok(DecisionPath {
        definition: id(definition)?,
        instance: id(instance)?,
        stage: stage.map(id).transpose()?,
        item: id(item)?,
    })
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
pub(super) async fn list(caller: AnyCaller, request: HttpRequest, path: Path<ItemIds>) -> Answer {
    lists::list(Insights::of(&path)?, caller, request).await
}

/// Count the insights of a decision item
#[utoipa::path(
    tag = "decisions",
    operation_id = "countInsights",
    params(("definition" = String, Path), ("instance" = String, Path), ("item" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/decisions/{item}/insights/$count"
)]
pub(super) async fn count(caller: AnyCaller, request: HttpRequest, path: Path<ItemIds>) -> Answer {
    lists::count(Insights::of(&path)?, caller, request).await
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
pub(super) async fn list_stage(caller: AnyCaller, request: HttpRequest, path: Path<StageItemIds>) -> Answer {
    lists::list(Insights::of_stage(&path)?, caller, request).await
}

/// Count the insights of a decision item of a stage
#[utoipa::path(
    tag = "decisions",
    operation_id = "countStageInsights",
    params(("definition" = String, Path), ("instance" = String, Path), ("stage" = String, Path), ("item" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/{stage}/decisions/{item}/insights/$count"
)]
pub(super) async fn count_stage(caller: AnyCaller, request: HttpRequest, path: Path<StageItemIds>) -> Answer {
    lists::count(Insights::of_stage(&path)?, caller, request).await
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

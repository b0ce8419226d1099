//! DEC-LIST, DEC-MINE, DEC-GET, DEC-UPDATE, and the same below a stage

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    patch,
    web::{Data, Path},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    bodies,
    extract::{AnyCaller, CallerWithBody, id, run},
    item_body::{Surroundings, TEXT_OF_AN_ITEM},
    lists::{self, Answer, Collection, Context, Links},
    schema::{DecisionUpdate, ErrorBody},
    stages::{StageIds, stage_path},
    view,
};
use crate::{
    app::{
        Call, Refused, Services, StagePath, entity_tags,
        get_decision::{get_decision, get_stage_decision},
        list_decisions::{DecisionList, list_decisions, list_stage_decisions},
        listing::{ListRequest, Listed},
        record_decision::{DecisionPath, record_decision},
    },
    domain::{
        ids::{DefinitionId, InstanceId, StageId},
        instance::ReviewedInstance,
    },
    http::{
        Edge,
        error::ApiError,
        odata::{
            collections::{Allowed, DECISIONS},
            options::{Expand, QueryOptions},
            render::{begin_text, entity, entity_context, json_response, json_text_response, project},
        },
    },
    store::{ItemCursor, ItemRow, filter::DecisionProperty},
};

/// DEC-LIST, DEC-MINE, STAGE-DEC-LIST, STAGE-DEC-MINE
struct Decisions {
    definition: DefinitionId,
    instance: InstanceId,
    /// `None` for the items of the whole instance.
    stage: Option<StageId>,
    which: DecisionList,
}

impl Decisions {
    fn of_instance(path: &(String, String), which: DecisionList) -> Result<Self, ApiError> {
        Ok(Self { definition: id(&path.0)?, instance: id(&path.1)?, stage: None, which })
    }

    fn of_stage(path: &StageIds, which: DecisionList) -> Result<Self, ApiError> {
        let StagePath { definition, instance, stage } = stage_path(path)?;
        Ok(Self { definition, instance, stage: Some(stage), which })
    }
}

impl Collection for Decisions {
    type Property = DecisionProperty;
    type Cursor = ItemCursor;
    type Row = (Arc<ReviewedInstance>, ItemRow);

    fn allowed(&self) -> Allowed<DecisionProperty> {
        match (self.stage, self.which) {
            (None, DecisionList::All) => DECISIONS.numbered(),
            _ => DECISIONS,
        }
    }

    fn context(&self) -> Context {
        match self.which {
            DecisionList::All => {
                let mut parents =
                    vec![("definitions", self.definition.to_string()), ("instances", self.instance.to_string())];
                parents.extend(self.stage.map(|stage| ("stages", stage.to_string())));
                Context::Contained(parents, "decisions")
            }
            DecisionList::Mine => Context::Function("accessReviewInstanceDecisionItem"),
        }
    }

    async fn list(
        &self,
        services: &Services,
        call: &Call,
        request: &ListRequest<DecisionProperty, ItemCursor>,
        expand: &[Expand],
    ) -> Result<Listed<Self::Row, ItemCursor>, Refused> {
        let Self { definition, instance, stage, which } = *self;
        // Insights are all there is to expand, and all that is made of facts.
        let with_facts = !expand.is_empty();
        let (instance, listed) = match stage {
            None => list_decisions(services, call, definition, instance, which, request, with_facts).await?,
            Some(stage) => {
                let stage = StagePath { definition, instance, stage };
                list_stage_decisions(services, call, stage, which, request).await?
            }
        };
        let instance = Arc::new(instance);
        Ok(listed.map(|row| (Arc::clone(&instance), row)))
    }

    fn write(&self, links: &Links, rows: &[Self::Row], out: &mut Vec<u8>) -> Result<bool, ApiError> {
        // All rows are of one instance.
        let Some((instance, _)) = rows.first() else { return Ok(true) };
        let around = Surroundings::of(&links.edge.public_url, instance).map_err(ApiError::internal)?;
        lists::write_rows(rows, out, |(_, row), out| around.write(row, out))
    }

    fn render(&self, links: &Links, row: &Self::Row, expand: &[Expand]) -> Result<Map<String, Value>, ApiError> {
        let (instance, row) = row;
        let mut item = view::item(&links.edge.public_url, instance, row).map_err(ApiError::internal)?;
        put_insights(links, &mut item, instance, row, expand)?;
        Ok(item)
    }
}

/// List the decision items of an instance with their effective decisions
#[utoipa::path(
    tag = "decisions",
    operation_id = "listDecisions",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/decisions")]
pub(super) async fn list(caller: AnyCaller, request: HttpRequest, path: Path<(String, String)>) -> Answer {
    lists::list(Decisions::of_instance(&path, DecisionList::All)?, caller, request).await
}

/// Count the decision items of an instance with their effective decisions
#[utoipa::path(
    tag = "decisions",
    operation_id = "countDecisions",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/decisions/$count")]
pub(super) async fn count(caller: AnyCaller, request: HttpRequest, path: Path<(String, String)>) -> Answer {
    lists::count(Decisions::of_instance(&path, DecisionList::All)?, caller, request).await
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
pub(super) async fn list_mine(caller: AnyCaller, request: HttpRequest, path: Path<(String, String)>) -> Answer {
    lists::list(Decisions::of_instance(&path, DecisionList::Mine)?, caller, request).await
}

/// Count the decision items the caller reviews
#[utoipa::path(
    tag = "decisions",
    operation_id = "countMyDecisions",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/decisions/filterByCurrentUser(on='reviewer')/$count"
)]
pub(super) async fn count_mine(caller: AnyCaller, request: HttpRequest, path: Path<(String, String)>) -> Answer {
    lists::count(Decisions::of_instance(&path, DecisionList::Mine)?, caller, request).await
}

/// List the decision items of a stage with that stage's decisions
#[utoipa::path(
    tag = "decisions",
    operation_id = "listStageDecisions",
    params(("definition" = String, Path), ("instance" = String, Path), ("stage" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/{stage}/decisions")]
pub(super) async fn list_stage(caller: AnyCaller, request: HttpRequest, path: Path<StageIds>) -> Answer {
    lists::list(Decisions::of_stage(&path, DecisionList::All)?, caller, request).await
}

/// Count the decision items of a stage with that stage's decisions
#[utoipa::path(
    tag = "decisions",
    operation_id = "countStageDecisions",
    params(("definition" = String, Path), ("instance" = String, Path), ("stage" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/{stage}/decisions/$count"
)]
pub(super) async fn count_stage(caller: AnyCaller, request: HttpRequest, path: Path<StageIds>) -> Answer {
    lists::count(Decisions::of_stage(&path, DecisionList::All)?, caller, request).await
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
pub(super) async fn list_stage_mine(caller: AnyCaller, request: HttpRequest, path: Path<StageIds>) -> Answer {
    lists::list(Decisions::of_stage(&path, DecisionList::Mine)?, caller, request).await
}

/// Count the decision items of a stage that the caller reviews
#[utoipa::path(
    tag = "decisions",
    operation_id = "countMyStageDecisions",
    params(("definition" = String, Path), ("instance" = String, Path), ("stage" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stages/{stage}/decisions/filterByCurrentUser(on='reviewer')/$count"
)]
pub(super) async fn count_stage_mine(caller: AnyCaller, request: HttpRequest, path: Path<StageIds>) -> Answer {
    lists::count(Decisions::of_stage(&path, DecisionList::Mine)?, caller, request).await
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
    let links = Links::of(&request, &call).await?;
    let found = shown(&edge, call, DecisionPath { definition, instance, stage: None, item }).await?;
    let parents = [("definitions", path.0.as_str()), ("instances", path.1.as_str())];
    item_answer(&links, &parents, &found, &options)
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
    let links = Links::of(&request, &call).await?;
    let found = shown(&edge, call, DecisionPath { definition, instance, stage, item }).await?;
    let parents = [("definitions", path.0.as_str()), ("instances", path.1.as_str()), ("stages", path.2.as_str())];
    item_answer(&links, &parents, &found, &options)
}

/// The item as this caller sees it.
pub(super) async fn shown(
    edge: &Edge,
    call: Call,
    path: DecisionPath,
) -> Result<(ReviewedInstance, ItemRow), ApiError> {
    let services = edge.services.clone();
    run(async move { find(&services, &call, &path).await }).await
}

/// The same, inside a task that runs already.
pub(super) async fn find(
    services: &Services,
    call: &Call,
    path: &DecisionPath,
) -> Result<(ReviewedInstance, ItemRow), Refused> {
    let DecisionPath { definition, instance, stage, item } = *path;
    match stage {
        None => get_decision(services, call, definition, instance, item).await,
        Some(stage) => get_stage_decision(services, call, StagePath { definition, instance, stage }, item).await,
    }
}

fn item_answer(
    links: &Links,
    parents: &[(&str, &str)],
    (instance, row): &(ReviewedInstance, ItemRow),
    options: &QueryOptions<DecisionProperty>,
) -> Answer {
    let public_url = &links.edge.public_url;
    if options.members().is_none() && options.expand.is_empty() {
        let context = entity_context(public_url, parents, "decisions", None);
        let mut text = begin_text(&context, TEXT_OF_AN_ITEM).map_err(ApiError::internal)?;
        let begun = text.len();
        let around = Surroundings::of(public_url, instance).map_err(ApiError::internal)?;
        around.write(row, &mut text).map_err(ApiError::internal)?;
        // The item's members go on where the context ends.
        text[begun] = b',';
        return Ok(json_text_response(StatusCode::OK, text, Some(entity_tags::of_item(row).to_string())));
    }
    let mut item = view::item(public_url, instance, row).map_err(ApiError::internal)?;
    put_insights(links, &mut item, instance, row, &options.expand)?;
    let names = options.context_names();
    let context = entity_context(public_url, parents, "decisions", names.as_deref());
    let members = options.members();
    Ok(json_response(StatusCode::OK, &entity(context, project(item, members.as_deref()))))
}

/// `$expand=insights`: everything is in the row already.
fn put_insights(
    links: &Links,
    item: &mut Map<String, Value>,
    instance: &ReviewedInstance,
    row: &ItemRow,
    expand: &[Expand],
) -> Result<(), ApiError> {
    for expand in expand {
        links.put_expanded::<()>(item, expand, "", view::insights(instance, row), None)?;
    }
    Ok(())
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
        let item = view::item(&edge.public_url, &instance, &row).map_err(ApiError::internal)?;
        bodies::check_item_echo(body, &item)?;
    }
    let services = edge.services.clone();
    run(async move { record_decision(&services, &call, path, answer).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

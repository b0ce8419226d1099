//! HIST-LIST, HIST-CREATE, HIST-GET, HIST-UPDATE, HIST-DELETE, HIST-INST-LIST, HIST-INST-GET, HIST-INST-URI

use actix_web::{
    HttpRequest, HttpResponse, delete, get,
    http::{StatusCode, header::LOCATION},
    patch, post,
    web::{Data, Path},
};
use serde_json::{Map, Value};

use super::{
    ROOT,
    bodies::check_echo,
    extract::{AnyCaller, CallerWithBody, CreateWithBody, id, run},
    history_bodies::{HISTORY_READ_ONLY, history_create, history_definition, history_instance, history_update},
    lists::{self, Answer, Collection, Context, Links},
    schema::{ErrorBody, HistoryDefinitionCreate, HistoryDefinitionUpdate},
    view::object,
};
use crate::{
    app::{
        Call, Refused, Services,
        history::{
            HistoryView,
            create::create_history_definition,
            delete::delete_history_definition,
            get::{get_history_definition, get_history_instance, list_history_instances},
            link::generate_download_uri,
            list::list_history_definitions,
            update::update_history_definition,
        },
        listing::{ListRequest, Listed, Position},
    },
    domain::{
        history::HistoryInstance,
        ids::{HistoryDefinitionId, HistoryInstanceId},
    },
    http::{
        Edge,
        error::ApiError,
        odata::{
            collections::{Allowed, HISTORY_DEFINITIONS, HISTORY_INSTANCES},
            options::{Expand, QueryOptions},
            render::{entity, entity_context, json_response, project},
        },
    },
    store::{
        filter::{HistoryDefinitionProperty, HistoryInstanceProperty},
        history::HistoryCursor,
    },
};

/// HIST-LIST
struct HistoryDefinitions;

impl Collection for HistoryDefinitions {
    type Property = HistoryDefinitionProperty;
    type Cursor = HistoryCursor;
    type Row = HistoryView;

    fn allowed(&self) -> Allowed<HistoryDefinitionProperty> {
        HISTORY_DEFINITIONS
    }

    fn context(&self) -> Context {
        Context::Contained(Vec::new(), "historyDefinitions")
    }

    async fn list(
        &self,
        services: &Services,
        call: &Call,
        request: &ListRequest<HistoryDefinitionProperty, HistoryCursor>,
        expand: &[Expand],
    ) -> Result<Listed<HistoryView, HistoryCursor>, Refused> {
        list_history_definitions(services, call, request, !expand.is_empty()).await
    }

    fn render(&self, links: &Links, row: &HistoryView, expand: &[Expand]) -> Result<Map<String, Value>, ApiError> {
        expanded(links, row, expand)
    }
}

/// The definition with its runs, when they were asked for.
fn expanded(links: &Links, view: &HistoryView, expand: &[Expand]) -> Result<Map<String, Value>, ApiError> {
    let mut shown = history_definition(&view.definition);
    if let (Some(expand), Some(instances)) = (expand.first(), &view.instances) {
        let path = format!("{ROOT}/historyDefinitions/{}/instances", view.definition.id);
        let limit = usize::try_from(expand.page_size()).unwrap_or(usize::MAX);
        let rows = instances.iter().take(limit).map(|instance| history_instance(links, instance)).collect();
        let next: Option<Position> = (limit < instances.len()).then_some(limit);
        links.put_expanded(&mut shown, expand, &path, rows, next.as_ref())?;
    }
    Ok(shown)
}

/// HIST-INST-LIST
struct HistoryInstances(HistoryDefinitionId);

impl Collection for HistoryInstances {
    type Property = HistoryInstanceProperty;
    type Cursor = Position;
    type Row = HistoryInstance;

    fn allowed(&self) -> Allowed<HistoryInstanceProperty> {
        HISTORY_INSTANCES
    }

    fn context(&self) -> Context {
        Context::Contained(vec![("historyDefinitions", self.0.to_string())], "instances")
    }

    async fn list(
        &self,
        services: &Services,
        call: &Call,
        request: &ListRequest<HistoryInstanceProperty, Position>,
        _: &[Expand],
    ) -> Result<Listed<HistoryInstance, Position>, Refused> {
        list_history_instances(services, call, self.0, request).await
    }

    fn render(&self, links: &Links, row: &HistoryInstance, _: &[Expand]) -> Result<Map<String, Value>, ApiError> {
        Ok(history_instance(links, row))
    }
}

/// List report definitions: the caller's own, or all of the tenant for a Global Administrator or Global Reader
#[utoipa::path(
    tag = "history",
    operation_id = "listHistoryDefinitions",
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/historyDefinitions")]
pub(super) async fn list(caller: AnyCaller, request: HttpRequest) -> Answer {
    lists::list(HistoryDefinitions, caller, request).await
}

/// Count report definitions
#[utoipa::path(
    tag = "history",
    operation_id = "countHistoryDefinitions",
    responses((status = 200, body = String, content_type = "text/plain"), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/historyDefinitions/$count")]
pub(super) async fn count(caller: AnyCaller, request: HttpRequest) -> Answer {
    lists::count(HistoryDefinitions, caller, request).await
}

/// Ask for a report of decisions, once or again and again
#[utoipa::path(
    tag = "history",
    operation_id = "createHistoryDefinition",
    request_body = HistoryDefinitionCreate,
    responses((status = 201), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 415, body = ErrorBody))
)]
#[post("/v1.0/identityGovernance/accessReviews/historyDefinitions")]
pub(super) async fn create(
    edge: Data<Edge>,
    CreateWithBody(call, body): CreateWithBody,
) -> Result<HttpResponse, ApiError> {
    let draft = history_create(&body)?;
    let services = edge.services.clone();
    let tell = |definition: &_| Value::Object(history_definition(definition));
    let definition = object(run(async move { create_history_definition(&services, &call, draft, tell).await }).await?);
    let id = definition.get("id").and_then(Value::as_str).unwrap_or_default();
    let location = format!("{}{ROOT}/historyDefinitions/{id}", edge.public_url);
    let context = entity_context(&edge.public_url, &[], "historyDefinitions", None);
    let mut response = json_response(StatusCode::CREATED, &entity(context, definition));
    response.headers_mut().insert(LOCATION, location.try_into().map_err(ApiError::internal)?);
    Ok(response)
}

/// Get a report definition
#[utoipa::path(
    tag = "history",
    operation_id = "getHistoryDefinition",
    params(("historyDefinition" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/historyDefinitions/{historyDefinition}")]
pub(super) async fn get(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    request: HttpRequest,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let options = QueryOptions::parse(request.query_string(), &HISTORY_DEFINITIONS.entity())?;
    let links = Links::of(&request, &call).await?;
    let (services, id) = (edge.services.clone(), id::<HistoryDefinitionId>(&path)?);
    let with_instances = !options.expand.is_empty();
    let view = run(async move { get_history_definition(&services, &call, id, with_instances).await }).await?;
    let shown = project(expanded(&links, &view, &options.expand)?, options.members().as_deref());
    let context = entity_context(&edge.public_url, &[], "historyDefinitions", options.context_names().as_deref());
    Ok(json_response(StatusCode::OK, &entity(context, shown)))
}

/// Rename a report definition
#[utoipa::path(
    tag = "history",
    operation_id = "updateHistoryDefinition",
    params(("historyDefinition" = String, Path)),
    request_body = HistoryDefinitionUpdate,
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 415, body = ErrorBody))
)]
#[patch("/v1.0/identityGovernance/accessReviews/historyDefinitions/{historyDefinition}")]
pub(super) async fn update(
    edge: Data<Edge>,
    CallerWithBody(call, body): CallerWithBody,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let display_name = history_update(&body)?;
    let id = id::<HistoryDefinitionId>(&path)?;
    if HISTORY_READ_ONLY.iter().any(|name| body.get(name).is_some_and(|value| !value.is_null())) {
        let (services, call) = (edge.services.clone(), call.clone());
        let stored = run(async move { get_history_definition(&services, &call, id, false).await }).await?;
        check_echo(&HISTORY_READ_ONLY, &body, &history_definition(&stored.definition))?;
    }
    let services = edge.services.clone();
    let definition = run(async move { update_history_definition(&services, &call, id, display_name).await }).await?;
    let context = entity_context(&edge.public_url, &[], "historyDefinitions", None);
    Ok(json_response(StatusCode::OK, &entity(context, history_definition(&definition))))
}

/// Delete a report definition with its reports
#[utoipa::path(
    tag = "history",
    operation_id = "deleteHistoryDefinition",
    params(("historyDefinition" = String, Path)),
    responses((status = 204), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[delete("/v1.0/identityGovernance/accessReviews/historyDefinitions/{historyDefinition}")]
pub(super) async fn delete(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let (services, id) = (edge.services.clone(), id::<HistoryDefinitionId>(&path)?);
    run(async move { delete_history_definition(&services, &call, id).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// List the runs of a report
#[utoipa::path(
    tag = "history",
    operation_id = "listHistoryInstances",
    params(("historyDefinition" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/historyDefinitions/{historyDefinition}/instances")]
pub(super) async fn list_instances(caller: AnyCaller, request: HttpRequest, path: Path<String>) -> Answer {
    lists::list(HistoryInstances(id(&path)?), caller, request).await
}

/// Count the runs of a report
#[utoipa::path(
    tag = "history",
    operation_id = "countHistoryInstances",
    params(("historyDefinition" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/historyDefinitions/{historyDefinition}/instances/$count")]
pub(super) async fn count_instances(caller: AnyCaller, request: HttpRequest, path: Path<String>) -> Answer {
    lists::count(HistoryInstances(id(&path)?), caller, request).await
}

/// The ids of a run's path as sent.
type InstanceIds = (String, String);

/// Get a run of a report: this is how to wait for it
#[utoipa::path(
    tag = "history",
    operation_id = "getHistoryInstance",
    params(("historyDefinition" = String, Path), ("historyInstance" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/historyDefinitions/{historyDefinition}/instances/{historyInstance}")]
pub(super) async fn get_instance(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    request: HttpRequest,
    path: Path<InstanceIds>,
) -> Result<HttpResponse, ApiError> {
    let options = QueryOptions::parse(request.query_string(), &HISTORY_INSTANCES.entity())?;
    let links = Links::of(&request, &call).await?;
    let (definition, instance) = (id::<HistoryDefinitionId>(&path.0)?, id::<HistoryInstanceId>(&path.1)?);
    let services = edge.services.clone();
    let found = run(async move { get_history_instance(&services, &call, definition, instance).await }).await?;
    let shown = project(history_instance(&links, &found), options.select.as_deref());
    Ok(json_response(StatusCode::OK, &entity(instance_context(&edge, &path.0, options.select.as_deref()), shown)))
}

/// Make a link to a finished report; it works for 24 hours, without a token
#[utoipa::path(
    tag = "history",
    operation_id = "generateDownloadUri",
    params(("historyDefinition" = String, Path), ("historyInstance" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[post(
    "/v1.0/identityGovernance/accessReviews/historyDefinitions/{historyDefinition}/instances/{historyInstance}/generateDownloadUri"
)]
pub(super) async fn generate_link(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    request: HttpRequest,
    path: Path<InstanceIds>,
) -> Result<HttpResponse, ApiError> {
    let links = Links::of(&request, &call).await?;
    let (definition, instance) = (id::<HistoryDefinitionId>(&path.0)?, id::<HistoryInstanceId>(&path.1)?);
    let services = edge.services.clone();
    let linked = run(async move { generate_download_uri(&services, &call, definition, instance).await }).await?;
    let shown = history_instance(&links, &linked);
    Ok(json_response(StatusCode::OK, &entity(instance_context(&edge, &path.0, None), shown)))
}

fn instance_context(edge: &Edge, definition: &str, select: Option<&[String]>) -> String {
    entity_context(&edge.public_url, &[("historyDefinitions", definition)], "instances", select)
}

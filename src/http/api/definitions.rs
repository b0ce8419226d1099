//! DEF-LIST, DEF-MINE, DEF-CREATE, DEF-GET, DEF-UPDATE, DEF-STOP, DEF-DELETE

use actix_web::{
    HttpRequest, HttpResponse, delete, get,
    http::{StatusCode, header::LOCATION},
    patch, post, put,
    web::{Data, Path},
};
use serde_json::{Map, Value};

use super::{
    ROOT,
    extract::{AnyCaller, CallerWithBody, CreateWithBody, id, run},
    instances::expanded_instance,
    lists::{self, Answer, Collection, Context, Links},
    schema::{DefinitionCreate, DefinitionPatch, ErrorBody},
    view::object,
};
use crate::{
    app::{
        Call, Refused, Services,
        create_definition::create_definition,
        delete_definition::delete_definition,
        get_definition::{get_definition, get_definition_with_instances},
        list_definitions::{DefinitionList, list_definitions},
        listing::{ListRequest, Listed},
        update_definition::{Wanted, stop_definition, update_definition},
    },
    domain::{definition::Definition, ids::DefinitionId},
    http::{
        Edge,
        definitions::{
            body::parse_create,
            update as bodies,
            view::{body, render},
        },
        error::ApiError,
        odata::{
            collections::{Allowed, DEFINITION_EXPANDABLE, DEFINITIONS},
            options::{Expand, QueryOptions},
            render::{entity, entity_context, json_response, project, untagged},
        },
    },
    store::{DefinitionCursor, filter::DefinitionProperty},
};

/// DEF-LIST, DEF-MINE
struct Definitions(DefinitionList);

impl Collection for Definitions {
    type Property = DefinitionProperty;
    type Cursor = DefinitionCursor;
    type Row = Definition;

    fn allowed(&self) -> Allowed<DefinitionProperty> {
        DEFINITIONS
    }

    fn context(&self) -> Context {
        match self.0 {
            DefinitionList::All => Context::Contained(Vec::new(), "definitions"),
            DefinitionList::Mine => Context::Function("accessReviewScheduleDefinition"),
        }
    }

    async fn list(
        &self,
        services: &Services,
        call: &Call,
        request: &ListRequest<DefinitionProperty, DefinitionCursor>,
        _: &[Expand],
    ) -> Result<Listed<Definition, DefinitionCursor>, Refused> {
        list_definitions(services, call, self.0, request).await
    }

    fn write(&self, _: &Links, rows: &[Definition], out: &mut Vec<u8>) -> Result<bool, ApiError> {
        lists::write_rows(rows, out, |row, out| serde_json::to_writer(out, &body(row)))
    }

    fn render(&self, _: &Links, row: &Definition, _: &[Expand]) -> Result<Map<String, Value>, ApiError> {
        Ok(object(render(row)))
    }
}

/// List definitions
#[utoipa::path(
    tag = "definitions",
    operation_id = "listDefinitions",
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions")]
pub(super) async fn list(caller: AnyCaller, request: HttpRequest) -> Answer {
    lists::list(Definitions(DefinitionList::All), caller, request).await
}

/// Count definitions
#[utoipa::path(
    tag = "definitions",
    operation_id = "countDefinitions",
    responses((status = 200, body = String, content_type = "text/plain"), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/$count")]
pub(super) async fn count(caller: AnyCaller, request: HttpRequest) -> Answer {
    lists::count(Definitions(DefinitionList::All), caller, request).await
}

/// List the definitions in which the caller reviews something
#[utoipa::path(
    tag = "definitions",
    operation_id = "listMyDefinitions",
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/filterByCurrentUser(on='reviewer')")]
pub(super) async fn list_mine(caller: AnyCaller, request: HttpRequest) -> Answer {
    lists::list(Definitions(DefinitionList::Mine), caller, request).await
}

/// Count the definitions in which the caller reviews something
#[utoipa::path(
    tag = "definitions",
    operation_id = "countMyDefinitions",
    responses((status = 200, body = String, content_type = "text/plain"), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/filterByCurrentUser(on='reviewer')/$count")]
pub(super) async fn count_mine(caller: AnyCaller, request: HttpRequest) -> Answer {
    lists::count(Definitions(DefinitionList::Mine), caller, request).await
}

/// Create a definition
#[utoipa::path(
    tag = "definitions",
    operation_id = "createDefinition",
    request_body = DefinitionCreate,
    responses((status = 201), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 415, body = ErrorBody))
)]
#[post("/v1.0/identityGovernance/accessReviews/definitions")]
pub(super) async fn create(
    edge: Data<Edge>,
    CreateWithBody(call, body): CreateWithBody,
) -> Result<HttpResponse, ApiError> {
    let draft = parse_create(&body).map_err(ApiError::bad_request)?;
    let services = edge.services.clone();
    let definition = object(run(async move { create_definition(&services, &call, draft, render).await }).await?);
    let id = definition.get("id").and_then(Value::as_str).unwrap_or_default();
    let location = format!("{}{ROOT}/definitions/{id}", edge.public_url);
    let context = entity_context(&edge.public_url, &[], "definitions", None);
    let mut response = json_response(StatusCode::CREATED, &entity(context, definition));
    response.headers_mut().insert(LOCATION, location.try_into().map_err(ApiError::internal)?);
    Ok(response)
}

/// Get a definition
#[utoipa::path(
    tag = "definitions",
    operation_id = "getDefinition",
    params(("definition" = String, Path)),
    responses((status = 200), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}")]
pub(super) async fn get(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    request: HttpRequest,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let options = QueryOptions::parse(request.query_string(), &DEFINITIONS.entity().expanding(DEFINITION_EXPANDABLE))?;
    let (services, id) = (edge.services.clone(), id::<DefinitionId>(&path)?);
    let shown = match options.expand.first() {
        None => {
            let definition = run(async move { get_definition(&services, &call, id).await }).await?;
            object(render(&definition))
        }
        Some(expand) => {
            let links = Links::of(&request, &call).await?;
            let (limit, with_stages) = (expand.page_size(), !expand.expand.is_empty());
            let (definition, instances) =
                run(async move { get_definition_with_instances(&services, &call, id, limit, with_stages).await })
                    .await?;
            let mut shown = object(render(&definition));
            let path = format!("{ROOT}/definitions/{id}/instances");
            let rows = instances.rows.iter().map(|row| expanded_instance(&links, row, &expand.expand));
            let rows = rows.collect::<Result<_, _>>()?;
            links.put_expanded(&mut shown, expand, &path, rows, instances.next.as_ref())?;
            shown
        }
    };
    let context = entity_context(&edge.public_url, &[], "definitions", options.context_names().as_deref());
    let response = json_response(StatusCode::OK, &entity(context, project(shown, options.members().as_deref())));
    Ok(if options.expand.is_empty() { response } else { untagged(response) })
}

/// Replace a definition
///
/// Running instances keep what they started with; the one that waits for its start follows.
#[utoipa::path(
    tag = "definitions",
    operation_id = "replaceDefinition",
    params(("definition" = String, Path)),
    request_body = DefinitionCreate,
    responses((status = 204), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 415, body = ErrorBody))
)]
#[put("/v1.0/identityGovernance/accessReviews/definitions/{definition}")]
pub(super) async fn replace(
    edge: Data<Edge>,
    path: Path<String>,
    CallerWithBody(call, body): CallerWithBody,
) -> Result<HttpResponse, ApiError> {
    change(edge, path, call, Box::new(move |stored| bodies::replace(&body, stored))).await
}

/// Change parts of a definition
///
/// What is left out stays; collections are replaced.
#[utoipa::path(
    tag = "definitions",
    operation_id = "updateDefinition",
    params(("definition" = String, Path)),
    request_body = DefinitionPatch,
    responses((status = 204), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 415, body = ErrorBody))
)]
#[patch("/v1.0/identityGovernance/accessReviews/definitions/{definition}")]
pub(super) async fn update(
    edge: Data<Edge>,
    path: Path<String>,
    CallerWithBody(call, body): CallerWithBody,
) -> Result<HttpResponse, ApiError> {
    change(edge, path, call, Box::new(move |stored| bodies::merge(&body, stored))).await
}

async fn change(edge: Data<Edge>, path: Path<String>, call: Call, wanted: Wanted) -> Result<HttpResponse, ApiError> {
    let (services, definition) = (edge.services.clone(), id::<DefinitionId>(&path)?);
    run(async move { update_definition(&services, &call, definition, wanted).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Stop the creation of further instances
#[utoipa::path(
    tag = "definitions",
    operation_id = "stopDefinition",
    params(("definition" = String, Path)),
    responses((status = 204), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[post("/v1.0/identityGovernance/accessReviews/definitions/{definition}/stop")]
pub(super) async fn stop(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let (services, definition) = (edge.services.clone(), id::<DefinitionId>(&path)?);
    run(async move { stop_definition(&services, &call, definition).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Delete a definition
#[utoipa::path(
    tag = "definitions",
    operation_id = "deleteDefinition",
    params(("definition" = String, Path)),
    responses((status = 204), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[delete("/v1.0/identityGovernance/accessReviews/definitions/{definition}")]
pub(super) async fn delete(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let (services, definition) = (edge.services.clone(), id::<DefinitionId>(&path)?);
    run(async move { delete_definition(&services, &call, definition).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

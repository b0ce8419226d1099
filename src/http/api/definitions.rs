//! DEF-LIST, DEF-MINE, DEF-CREATE, DEF-GET, DEF-UPDATE, DEF-STOP, DEF-DELETE

use actix_web::{
    HttpRequest, HttpResponse, delete, get,
    http::{StatusCode, header::LOCATION},
    patch, post, put,
    web::{Data, Path},
};

use super::{
    ROOT,
    extract::{AnyCaller, CallerWithBody, id, run},
    lists::ListCall,
    schema::{DefinitionCreate, DefinitionPatch, ErrorBody},
    view::object,
};
use crate::{
    app::{
        Call,
        create_definition::create_definition,
        delete_definition::delete_definition,
        get_definition::get_definition,
        list_definitions::{DefinitionList, list_definitions},
        update_definition::{Wanted, stop_definition, update_definition},
    },
    domain::ids::DefinitionId,
    http::{
        Edge,
        definitions::{body::parse_create, update as bodies, view::render},
        error::ApiError,
        odata::{
            collections::DEFINITIONS,
            options::QueryOptions,
            render::{collection_context, entity, entity_context, function_context, json_response, project},
        },
    },
};

/// List definitions
#[utoipa::path(
    tag = "definitions",
    operation_id = "listDefinitions",
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions")]
pub(super) async fn list(edge: Data<Edge>, caller: AnyCaller, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let listing = ListCall::read(&request, &caller.0, &DEFINITIONS).await?;
    let context = collection_context(&edge.public_url, &[], "definitions", listing.options.select.as_deref());
    answer(edge, caller, DefinitionList::All, listing, context).await
}

/// List the definitions in which the caller reviews something
#[utoipa::path(
    tag = "definitions",
    operation_id = "listMyDefinitions",
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/filterByCurrentUser(on='reviewer')")]
pub(super) async fn list_mine(
    edge: Data<Edge>,
    caller: AnyCaller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let listing = ListCall::read(&request, &caller.0, &DEFINITIONS).await?;
    let context =
        function_context(&edge.public_url, "accessReviewScheduleDefinition", listing.options.select.as_deref());
    answer(edge, caller, DefinitionList::Mine, listing, context).await
}

async fn answer(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    which: DefinitionList,
    listing: ListCall<crate::store::filter::DefinitionProperty>,
    context: String,
) -> Result<HttpResponse, ApiError> {
    let (services, wanted) = (edge.services.clone(), listing.request()?);
    let listed = run(async move { list_definitions(&services, &call, which, &wanted).await }).await?;
    let rows = listed.slice.rows.iter().map(|definition| object(render(definition))).collect();
    listing.answer(context, rows, listed.count, listed.slice.next.as_ref())
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
    CallerWithBody(call, body): CallerWithBody,
) -> Result<HttpResponse, ApiError> {
    let draft = parse_create(&body).map_err(ApiError::bad_request)?;
    let services = edge.services.clone();
    let definition = run(async move { create_definition(&services, &call, draft).await }).await?;
    let context = entity_context(&edge.public_url, &[], "definitions", None);
    let mut response = json_response(StatusCode::CREATED, &entity(context, object(render(&definition))));
    let location = format!("{}{ROOT}/definitions/{}", edge.public_url, definition.id);
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
    let options = QueryOptions::parse(request.query_string(), &DEFINITIONS.entity())?;
    let (services, definition) = (edge.services.clone(), id::<DefinitionId>(&path)?);
    let definition = run(async move { get_definition(&services, &call, definition).await }).await?;
    let select = options.select.as_deref();
    let context = entity_context(&edge.public_url, &[], "definitions", select);
    Ok(json_response(StatusCode::OK, &entity(context, project(object(render(&definition)), select))))
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

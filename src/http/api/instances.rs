//! INST-LIST, INST-MINE, INST-GET, INST-STOP

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    post,
    web::{Data, Path},
};

use super::{
    extract::{AnyCaller, id, run},
    lists::ListCall,
    schema::ErrorBody,
    view,
};
use crate::{
    app::{
        get_instance::get_instance,
        list_instances::{InstanceList, list_instances},
        stop_instance::stop_instance,
    },
    domain::ids::{DefinitionId, InstanceId},
    http::{
        Edge,
        error::ApiError,
        odata::{
            collections::INSTANCES,
            options::QueryOptions,
            render::{collection_context, entity, entity_context, function_context, json_response, project},
        },
    },
    store::filter::InstanceProperty,
};

/// List the instances of a definition
#[utoipa::path(
    tag = "instances",
    operation_id = "listInstances",
    params(("definition" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances")]
pub(super) async fn list(
    edge: Data<Edge>,
    caller: AnyCaller,
    request: HttpRequest,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let definition = id(&path)?;
    let listing = ListCall::read(&request, &caller.0, &INSTANCES).await?;
    let context =
        collection_context(&edge.public_url, &[("definitions", &path)], "instances", listing.options.select.as_deref());
    answer(edge, caller, definition, InstanceList::All, listing, context).await
}

/// List the instances of a definition in which the caller reviews something
#[utoipa::path(
    tag = "instances",
    operation_id = "listMyInstances",
    params(("definition" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/filterByCurrentUser(on='reviewer')")]
pub(super) async fn list_mine(
    edge: Data<Edge>,
    caller: AnyCaller,
    request: HttpRequest,
    path: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let definition = id(&path)?;
    let listing = ListCall::read(&request, &caller.0, &INSTANCES).await?;
    let context = function_context(&edge.public_url, "accessReviewInstance", listing.options.select.as_deref());
    answer(edge, caller, definition, InstanceList::Mine, listing, context).await
}

async fn answer(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    definition: DefinitionId,
    which: InstanceList,
    listing: ListCall<InstanceProperty>,
    context: String,
) -> Result<HttpResponse, ApiError> {
    let (services, wanted) = (edge.services.clone(), listing.request()?);
    let listed = run(async move { list_instances(&services, &call, definition, which, &wanted).await }).await?;
    let rows = listed.slice.rows.iter().map(view::instance).collect();
    listing.answer(context, rows, listed.count, listed.slice.next.as_ref())
}

/// Get an instance
#[utoipa::path(
    tag = "instances",
    operation_id = "getInstance",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 200), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}")]
pub(super) async fn get(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let options = QueryOptions::parse(request.query_string(), &INSTANCES.entity())?;
    let (definition, instance) = (id::<DefinitionId>(&path.0)?, id::<InstanceId>(&path.1)?);
    let services = edge.services.clone();
    let found = run(async move { get_instance(&services, &call, definition, instance).await }).await?;
    let select = options.select.as_deref();
    let context = entity_context(&edge.public_url, &[("definitions", &path.0)], "instances", select);
    Ok(json_response(StatusCode::OK, &entity(context, project(view::instance(&found), select))))
}

/// Stop a running instance
#[utoipa::path(
    tag = "instances",
    operation_id = "stopInstance",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 204), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[post("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/stop")]
pub(super) async fn stop(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (definition, instance) = (id::<DefinitionId>(&path.0)?, id::<InstanceId>(&path.1)?);
    let services = edge.services.clone();
    run(async move { stop_instance(&services, &call, definition, instance).await }).await?;
    Ok(HttpResponse::NoContent().finish())
}

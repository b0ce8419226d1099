//! INST-LIST, INST-MINE, INST-GET, INST-UPDATE, INST-REMIND, INST-STOP

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    patch, post, put,
    web::{Data, Path},
};

use super::{
    bodies,
    extract::{AnyCaller, CallerWithBody, id, run},
    lists::ListCall,
    schema::{ErrorBody, InstanceUpdate},
    view,
};
use crate::{
    app::{
        Call,
        get_instance::{InstanceView, get_instance},
        list_instances::{InstanceList, list_instances},
        send_reminder::send_reminder,
        stop_instance::stop_instance,
        update_instance::update_instance,
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
    Ok(instance_answer(&edge, &path.0, &found, options.select.as_deref()))
}

fn instance_answer(edge: &Edge, definition: &str, found: &InstanceView, select: Option<&[String]>) -> HttpResponse {
    let context = entity_context(&edge.public_url, &[("definitions", definition)], "instances", select);
    json_response(StatusCode::OK, &entity(context, project(view::instance(found), select)))
}

/// Replace the reviewers of a running instance, or add fallback reviewers
///
/// Fallback reviewers are append-only: leaving one out is 409 and changes nothing. `scope` must come along and stays as it is.
#[utoipa::path(
    tag = "instances",
    operation_id = "replaceInstance",
    params(("definition" = String, Path), ("instance" = String, Path)),
    request_body = InstanceUpdate,
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 415, body = ErrorBody))
)]
#[put("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}")]
pub(super) async fn replace(
    edge: Data<Edge>,
    path: Path<(String, String)>,
    CallerWithBody(call, body): CallerWithBody,
) -> Result<HttpResponse, ApiError> {
    change(edge, path, call, body, true).await
}

/// Replace the reviewers of a running instance, or add fallback reviewers; the same as PUT without the scope
#[utoipa::path(
    tag = "instances",
    operation_id = "updateInstance",
    params(("definition" = String, Path), ("instance" = String, Path)),
    request_body = InstanceUpdate,
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 415, body = ErrorBody))
)]
#[patch("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}")]
pub(super) async fn update(
    edge: Data<Edge>,
    path: Path<(String, String)>,
    CallerWithBody(call, body): CallerWithBody,
) -> Result<HttpResponse, ApiError> {
    change(edge, path, call, body, false).await
}

async fn change(
    edge: Data<Edge>,
    path: Path<(String, String)>,
    call: Call,
    body: serde_json::Value,
    scope_is_required: bool,
) -> Result<HttpResponse, ApiError> {
    let (definition, instance) = (id::<DefinitionId>(&path.0)?, id::<InstanceId>(&path.1)?);
    let services = edge.services.clone();
    let wanted =
        Box::new(move |shown: &InstanceView| bodies::instance_update(&body, &view::instance(shown), scope_is_required));
    let updated = run(async move { update_instance(&services, &call, definition, instance, wanted).await }).await?;
    Ok(instance_answer(&edge, &path.0, &updated, None))
}

/// Remind the reviewers of a running instance who still have items to answer
#[utoipa::path(
    tag = "instances",
    operation_id = "sendReminder",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 204), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 429, body = ErrorBody))
)]
#[post("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/sendReminder")]
pub(super) async fn remind(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (definition, instance) = (id::<DefinitionId>(&path.0)?, id::<InstanceId>(&path.1)?);
    let services = edge.services.clone();
    run(async move { send_reminder(&services, &call, definition, instance).await }).await?;
    Ok(HttpResponse::NoContent().finish())
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

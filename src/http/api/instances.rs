//! INST-LIST, INST-MINE, INST-GET, INST-UPDATE, INST-REMIND, INST-STOP

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    patch, post, put,
    web::{Data, Path},
};
use serde_json::{Map, Value};

use super::{
    ROOT, bodies, contacted_reviewers,
    extract::{AnyCaller, CallerWithBody, id, run},
    lists::{self, Answer, Collection, Context, Links},
    schema::{ErrorBody, InstanceUpdate},
    view,
};
use crate::{
    app::{
        Call, Refused, Services,
        get_instance::{InstanceExpansion, InstanceView, expand_instance, get_instance},
        list_instances::{ExpandedInstance, InstanceList, list_instances},
        listing::{ListRequest, Listed, Position},
        send_reminder::send_reminder,
        stop_instance::stop_instance,
        update_instance::update_instance,
    },
    domain::ids::{DefinitionId, InstanceId},
    http::{
        Edge,
        error::ApiError,
        odata::{
            collections::{Allowed, INSTANCE_EXPANDABLE, INSTANCES, INSTANCES_EXPANDABLE},
            options::{Expand, QueryOptions},
            render::{entity, entity_context, json_response, project, untagged},
        },
    },
    store::{InstanceCursor, filter::InstanceProperty},
};

/// INST-LIST, INST-MINE
struct Instances {
    definition: DefinitionId,
    which: InstanceList,
}

impl Instances {
    fn of(path: &str, which: InstanceList) -> Result<Self, ApiError> {
        Ok(Self { definition: id(path)?, which })
    }
}

impl Collection for Instances {
    type Property = InstanceProperty;
    type Cursor = InstanceCursor;
    type Row = ExpandedInstance;

    fn allowed(&self) -> Allowed<InstanceProperty> {
        match self.which {
            InstanceList::All => INSTANCES.expanding(INSTANCES_EXPANDABLE),
            InstanceList::Mine => INSTANCES,
        }
    }

    fn context(&self) -> Context {
        match self.which {
            InstanceList::All => Context::Contained(vec![("definitions", self.definition.to_string())], "instances"),
            InstanceList::Mine => Context::Function("accessReviewInstance"),
        }
    }

    async fn list(
        &self,
        services: &Services,
        call: &Call,
        request: &ListRequest<InstanceProperty, InstanceCursor>,
        expand: &[Expand],
    ) -> Result<Listed<ExpandedInstance, InstanceCursor>, Refused> {
        list_instances(services, call, self.definition, self.which, request, !expand.is_empty()).await
    }

    fn render(&self, links: &Links, row: &ExpandedInstance, expand: &[Expand]) -> Result<Map<String, Value>, ApiError> {
        expanded_instance(links, row, expand)
    }
}

/// An instance and, where they were asked for, its stages.
pub(super) fn expanded_instance(
    links: &Links,
    row: &ExpandedInstance,
    expand: &[Expand],
) -> Result<Map<String, Value>, ApiError> {
    let mut shown = view::instance(&row.view);
    let instance = &row.view.instance;
    for expand in expand {
        if let ("stages", Some(stages)) = (expand.name, &row.stages) {
            let path = format!("{ROOT}/definitions/{}/instances/{}/stages", instance.definition_id, instance.id);
            let limit = usize::try_from(expand.page_size()).unwrap_or(usize::MAX);
            let rows = stages.iter().take(limit).map(view::stage).collect();
            let next: Option<Position> = (limit < stages.len()).then_some(limit);
            links.put_expanded(&mut shown, expand, &path, rows, next.as_ref())?;
        }
    }
    Ok(shown)
}

/// List the instances of a definition
#[utoipa::path(
    tag = "instances",
    operation_id = "listInstances",
    params(("definition" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances")]
pub(super) async fn list(caller: AnyCaller, request: HttpRequest, path: Path<String>) -> Answer {
    lists::list(Instances::of(&path, InstanceList::All)?, caller, request).await
}

/// Count the instances of a definition
#[utoipa::path(
    tag = "instances",
    operation_id = "countInstances",
    params(("definition" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/$count")]
pub(super) async fn count(caller: AnyCaller, request: HttpRequest, path: Path<String>) -> Answer {
    lists::count(Instances::of(&path, InstanceList::All)?, caller, request).await
}

/// List the instances of a definition in which the caller reviews something
#[utoipa::path(
    tag = "instances",
    operation_id = "listMyInstances",
    params(("definition" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/filterByCurrentUser(on='reviewer')")]
pub(super) async fn list_mine(caller: AnyCaller, request: HttpRequest, path: Path<String>) -> Answer {
    lists::list(Instances::of(&path, InstanceList::Mine)?, caller, request).await
}

/// Count the instances of a definition in which the caller reviews something
#[utoipa::path(
    tag = "instances",
    operation_id = "countMyInstances",
    params(("definition" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/filterByCurrentUser(on='reviewer')/$count"
)]
pub(super) async fn count_mine(caller: AnyCaller, request: HttpRequest, path: Path<String>) -> Answer {
    lists::count(Instances::of(&path, InstanceList::Mine)?, caller, request).await
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
    let options = QueryOptions::parse(request.query_string(), &INSTANCES.entity().expanding(INSTANCE_EXPANDABLE))?;
    let (definition, instance) = (id::<DefinitionId>(&path.0)?, id::<InstanceId>(&path.1)?);
    let services = edge.services.clone();
    let shown = match options.expand.as_slice() {
        [] => {
            let found = run(async move { get_instance(&services, &call, definition, instance).await }).await?;
            view::instance(&found)
        }
        expand => {
            let links = Links::of(&request, &call).await?;
            let contacted = expand.iter().find(|part| part.name == "contactedReviewers");
            let wanted = InstanceExpansion {
                stages: expand.iter().any(|part| part.name == "stages"),
                contacted_reviewers: contacted.map(Expand::page_size),
            };
            let (found, reviewers) =
                run(async move { expand_instance(&services, &call, definition, instance, wanted).await }).await?;
            let mut shown = expanded_instance(&links, &found, expand)?;
            if let (Some(expand), Some(reviewers)) = (contacted, reviewers) {
                let path = format!("{ROOT}/definitions/{definition}/instances/{instance}/contactedReviewers");
                let rows = reviewers.rows.iter().map(contacted_reviewers::render).collect();
                links.put_expanded(&mut shown, expand, &path, rows, reviewers.next.as_ref())?;
            }
            shown
        }
    };
    let parents = [("definitions", path.0.as_str())];
    let context = entity_context(&edge.public_url, &parents, "instances", options.context_names().as_deref());
    let response = json_response(StatusCode::OK, &entity(context, project(shown, options.members().as_deref())));
    Ok(if options.expand.is_empty() { response } else { untagged(response) })
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

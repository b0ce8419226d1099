//! INST-CONTACTED, CONTACTED-GET

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    web::{Data, Path},
};
use serde_json::{Map, Value, json};

use super::{
    extract::{AnyCaller, id, run},
    lists::ListCall,
    schema::ErrorBody,
    view::object,
};
use crate::{
    app::contacted_reviewers::{get_contacted_reviewer, list_contacted_reviewers},
    domain::ids::{DefinitionId, InstanceId, ObjectId},
    http::{
        Edge,
        definitions::view::render_date_time,
        error::ApiError,
        odata::{
            collections::CONTACTED_REVIEWERS,
            options::QueryOptions,
            render::{collection_context, entity, entity_context, json_response, project},
        },
    },
    store::ContactedReviewer,
};

/// List the people behind the reviewer scopes of an instance
///
/// All stages together, whether or not mail went out.
#[utoipa::path(
    tag = "contactedReviewers",
    operation_id = "listContactedReviewers",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/contactedReviewers")]
pub(super) async fn list(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (definition, instance) = (id::<DefinitionId>(&path.0)?, id::<InstanceId>(&path.1)?);
    let listing = ListCall::read(&request, &call, &CONTACTED_REVIEWERS).await?;
    let parents = [("definitions", path.0.as_str()), ("instances", path.1.as_str())];
    let select = listing.options.select.as_deref();
    let context = collection_context(&edge.public_url, &parents, "contactedReviewers", select);
    let (services, wanted) = (edge.services.clone(), listing.request()?);
    let listed =
        run(async move { list_contacted_reviewers(&services, &call, definition, instance, &wanted).await }).await?;
    let rows = listed.slice.rows.iter().map(render).collect();
    listing.answer(context, rows, listed.count, listed.slice.next.as_ref())
}

/// Get one of the people behind the reviewer scopes of an instance
#[utoipa::path(
    tag = "contactedReviewers",
    operation_id = "getContactedReviewer",
    params(("definition" = String, Path), ("instance" = String, Path), ("reviewer" = String, Path)),
    responses((status = 200), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get(
    "/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/contactedReviewers/{reviewer}"
)]
pub(super) async fn get(
    edge: Data<Edge>,
    AnyCaller(call): AnyCaller,
    request: HttpRequest,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse, ApiError> {
    let options = QueryOptions::parse(request.query_string(), &CONTACTED_REVIEWERS.entity())?;
    let (definition, instance) = (id::<DefinitionId>(&path.0)?, id::<InstanceId>(&path.1)?);
    let reviewer = id::<ObjectId>(&path.2)?;
    let services = edge.services.clone();
    let found =
        run(async move { get_contacted_reviewer(&services, &call, definition, instance, reviewer).await }).await?;
    let select = options.select.as_deref();
    let parents = [("definitions", path.0.as_str()), ("instances", path.1.as_str())];
    let context = entity_context(&edge.public_url, &parents, "contactedReviewers", select);
    Ok(json_response(StatusCode::OK, &entity(context, project(render(&found), select))))
}

/// `accessReviewReviewer`. Section 4.3 of the model
fn render(reviewer: &ContactedReviewer) -> Map<String, Value> {
    object(json!({
        "id": reviewer.id,
        "displayName": reviewer.display_name,
        "userPrincipalName": reviewer.user_principal_name,
        "createdDateTime": render_date_time(reviewer.contacted_at),
    }))
}

//! INST-CONTACTED, CONTACTED-GET

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    web::{Data, Path},
};
use serde_json::{Map, Value, json};

use super::{
    extract::{AnyCaller, id, run},
    lists::{self, Answer, Collection, Context, Links},
    schema::ErrorBody,
    view::object,
};
use crate::{
    app::{
        Call, Refused, Services,
        contacted_reviewers::{get_contacted_reviewer, list_contacted_reviewers},
        listing::{ListRequest, Listed},
    },
    domain::ids::{DefinitionId, InstanceId, ObjectId},
    http::{
        Edge,
        definitions::view::render_date_time,
        error::ApiError,
        odata::{
            collections::{Allowed, CONTACTED_REVIEWERS},
            options::{Expand, QueryOptions},
            render::{entity, entity_context, json_response, project},
        },
    },
    store::{ContactedReviewer, ContactedReviewerCursor, filter::ContactedReviewerProperty},
};

/// INST-CONTACTED
struct ContactedReviewers {
    definition: DefinitionId,
    instance: InstanceId,
}

impl ContactedReviewers {
    fn of(path: &(String, String)) -> Result<Self, ApiError> {
        Ok(Self { definition: id(&path.0)?, instance: id(&path.1)? })
    }
}

impl Collection for ContactedReviewers {
    type Property = ContactedReviewerProperty;
    type Cursor = ContactedReviewerCursor;
    type Row = ContactedReviewer;

    fn allowed(&self) -> Allowed<ContactedReviewerProperty> {
        CONTACTED_REVIEWERS
    }

    fn context(&self) -> Context {
        let parents = vec![("definitions", self.definition.to_string()), ("instances", self.instance.to_string())];
        Context::Contained(parents, "contactedReviewers")
    }

    async fn list(
        &self,
        services: &Services,
        call: &Call,
        request: &ListRequest<ContactedReviewerProperty, ContactedReviewerCursor>,
        _: &[Expand],
    ) -> Result<Listed<ContactedReviewer, ContactedReviewerCursor>, Refused> {
        list_contacted_reviewers(services, call, self.definition, self.instance, request).await
    }

    fn render(&self, _: &Links, row: &ContactedReviewer, _: &[Expand]) -> Result<Map<String, Value>, ApiError> {
        Ok(render(row))
    }
}

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
pub(super) async fn list(caller: AnyCaller, request: HttpRequest, path: Path<(String, String)>) -> Answer {
    lists::list(ContactedReviewers::of(&path)?, caller, request).await
}

/// Count the people behind the reviewer scopes of an instance
#[utoipa::path(
    tag = "contactedReviewers",
    operation_id = "countContactedReviewers",
    params(("definition" = String, Path), ("instance" = String, Path)),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews/definitions/{definition}/instances/{instance}/contactedReviewers/$count")]
pub(super) async fn count(caller: AnyCaller, request: HttpRequest, path: Path<(String, String)>) -> Answer {
    lists::count(ContactedReviewers::of(&path)?, caller, request).await
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
pub(super) fn render(reviewer: &ContactedReviewer) -> Map<String, Value> {
    object(json!({
        "id": reviewer.id,
        "displayName": reviewer.display_name,
        "userPrincipalName": reviewer.user_principal_name,
        "createdDateTime": render_date_time(reviewer.contacted_at),
    }))
}

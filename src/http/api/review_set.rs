//! SET-GET, and the parts of the surface that are not offered. CL-33, CL-34, section 9 of the API

use actix_web::{
    HttpResponse, Resource, get,
    http::StatusCode,
    web::{self, Data},
};
use serde_json::json;

use super::{ROOT, extract::AnyCaller, schema::ErrorBody, view::object};
use crate::{
    app::get_review_set::get_review_set,
    http::{
        Edge,
        error::{ApiError, ErrorCode},
        odata::render::{entity, json_response},
    },
};

/// Get the set that holds all access reviews
#[utoipa::path(
    tag = "accessReviews",
    operation_id = "getReviewSet",
    responses((status = 200), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody))
)]
#[get("/v1.0/identityGovernance/accessReviews")]
pub(super) async fn get(edge: Data<Edge>, AnyCaller(call): AnyCaller) -> Result<HttpResponse, ApiError> {
    let id = get_review_set(&call)?;
    let context = format!("{}/v1.0/$metadata#identityGovernance/accessReviews", edge.public_url);
    Ok(json_response(StatusCode::OK, &entity(context, object(json!({ "id": id })))))
}

/// Answers 404 in error form, saying what is not offered, to every verb.
pub(super) fn not_offered() -> [Resource; 3] {
    let instance = format!("{ROOT}/definitions/{{definition}}/instances/{{instance}}");
    let custom_data = format!("{instance}/batchApplyCustomDataProvidedResourceDecisions");
    let unified = "The unified surface (reviews over a whole catalog) is not offered; use definitions.";
    [
        absent(&format!("{ROOT}/unified"), unified),
        absent(&format!("{ROOT}/unified/{{rest:.*}}"), unified),
        absent(&custom_data, "Reviews of resources outside the directory, which this action is for, are not offered."),
    ]
}

fn absent(path: &str, message: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move {
        Err::<HttpResponse, ApiError>(ApiError::new(ErrorCode::ResourceNotFound, message))
    }))
}

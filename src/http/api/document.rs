//! Completes the API document: what holds of every operation by its path and verb stands here once, not at each handler.

use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use crate::http::metadata::schemas::{component, reference, schemas};

/// The whole document.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct ApiDocument(Value);

impl ApiDocument {
    /// As people read it.
    ///
    /// # Errors
    /// Never in practice; it is JSON already.
    pub fn to_pretty_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(&self.0)
    }

    /// The same for a service at this address.
    pub fn served_at(&self, public_url: &str) -> Value {
        let mut document = self.0.clone();
        document["servers"] = json!([{ "url": public_url }]);
        document
    }
}

/// The document with every parameter, status and schema.
pub fn complete(document: &OpenApi) -> ApiDocument {
    let mut value = serde_json::to_value(document).unwrap_or_default();
    if let Some(components) = value.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        components.extend(schemas());
    }
    if let Some(paths) = value.get_mut("paths").and_then(Value::as_object_mut) {
        for (path, item) in paths {
            let addressed = Addressed::of(path);
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                if let Some(operation) = operation.as_object_mut() {
                    complete_operation(method, &addressed, path, operation);
                }
            }
        }
    }
    ApiDocument(value)
}

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Addressed {
    Collection(&'static str),
    /// Some of a collection.
    Selection(&'static str),
    Count,
    Entity(&'static str),
    /// An action, or something that is no object of Graph's.
    Other,
}

impl Addressed {
    fn of(path: &str) -> Self {
        let Some(path) = path.strip_prefix(super::ROOT) else { return Self::Other };
        let mut parent = "";
        let mut current = if path.is_empty() { Self::Entity("accessReviewSet") } else { Self::Other };
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            current = match (segment, current) {
                ("$count", Self::Collection(_)) => Self::Count,
                (function, Self::Collection(kind)) if function.starts_with("filterByCurrentUser") => {
                    Self::Selection(kind)
                }
                (key, Self::Collection(kind)) if key.starts_with('{') => Self::Entity(kind),
                (name, _) => match entity_type(parent, name) {
                    Some(kind) => Self::Collection(kind),
                    None => Self::Other,
                },
            };
            if let Self::Collection(_) = current {
                parent = segment;
            }
        }
        current
    }
}

fn entity_type(parent: &str, collection: &str) -> Option<&'static str> {
    Some(match (parent, collection) {
        (_, "definitions") => "accessReviewScheduleDefinition",
        ("historyDefinitions", "instances") => "accessReviewHistoryInstance",
        (_, "instances") => "accessReviewInstance",
        (_, "stages") => "accessReviewStage",
        (_, "decisions") => "accessReviewInstanceDecisionItem",
        (_, "insights") => "governanceInsight",
        (_, "contactedReviewers") => "accessReviewReviewer",
        (_, "historyDefinitions") => "accessReviewHistoryDefinition",
        _ => return None,
    })
}

fn complete_operation(method: &str, addressed: &Addressed, path: &str, operation: &mut Map<String, Value>) {
    let has_body = operation.contains_key("requestBody");
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    for parameter in parameters.as_array_mut().into_iter().flatten() {
        let is_id = parameter["name"] != "kind";
        if is_id && parameter["in"] == "path" && parameter["schema"]["type"] == "string" {
            parameter["schema"]["format"] = "uuid".into();
        }
    }
    let mut parameter = |place: &str, name: &str, schema: Value, told: &str| {
        if let Some(parameters) = parameters.as_array_mut()
            && !parameters.iter().any(|parameter| parameter["name"] == name)
        {
            parameters.push(json!({
                "name": name, "in": place, "required": false, "description": told, "schema": schema,
            }));
        }
    };
    let text = || json!({ "type": "string" });
    let entity = match addressed {
        Addressed::Collection(kind) | Addressed::Selection(kind) | Addressed::Entity(kind) => Some(*kind),
        Addressed::Count | Addressed::Other => None,
    };
    let mut answers: Vec<(StatusCode, Option<(&str, Value)>)> = Vec::new();
    const JSON: &str = "application/json";
    match (method, addressed) {
        ("get", Addressed::Collection(kind) | Addressed::Selection(kind)) => {
            for (name, told) in [
                ("$filter", "Which to show, such as `status eq 'InProgress'`."),
                ("$orderby", "By which properties, such as `displayName desc`."),
                ("$select", "Which properties to show."),
                ("$expand", "Which relationships to show with each."),
                ("$skiptoken", "From an `@odata.nextLink` only."),
            ] {
                parameter("query", name, text(), told);
            }
            let size = json!({ "type": "integer", "minimum": 1, "maximum": 999 });
            parameter("query", "$top", size, "How many on a page.");
            let skip = json!({ "type": "integer", "minimum": 0, "maximum": 10_000 });
            parameter("query", "$skip", skip, "How many to leave out first.");
            parameter("query", "$count", json!({ "type": "boolean" }), "Whether to tell how many there are in all.");
            let collection = reference(&format!("{}Collection", component(kind)));
            answers.push((StatusCode::OK, Some((JSON, collection))));
        }
        ("get", Addressed::Count) => {
            parameter("query", "$filter", text(), "Which to count.");
            answers.push((StatusCode::OK, Some(("text/plain", json!({ "type": "integer", "minimum": 0 })))));
        }
        ("get", Addressed::Entity(kind)) => {
            parameter("query", "$select", text(), "Which properties to show.");
            parameter("query", "$expand", text(), "Which relationships to show with it.");
            parameter(
                "header",
                "If-None-Match",
                text(),
                "Entity tags of the copies the client has: 304 when one is current.",
            );
            answers.push((StatusCode::OK, Some((JSON, reference(&component(kind))))));
            answers.push((StatusCode::NOT_MODIFIED, None));
        }
        ("post", Addressed::Collection(kind)) => {
            let key = json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" });
            parameter(
                "header",
                "Idempotency-Key",
                key,
                "For 24 hours the same key with the same body is answered as the first time; with another body 409.",
            );
            parameter("header", "Prefer", text(), "`return=minimal` leaves the body out.");
            answers.push((StatusCode::CREATED, Some((JSON, reference(&component(kind))))));
            answers.push((StatusCode::NO_CONTENT, None));
            answers.push((StatusCode::CONFLICT, None));
        }
        ("put" | "patch", Addressed::Entity(kind)) => {
            parameter("header", "If-Match", tags(), "Entity tags: 412 when the object's is another.");
            parameter("header", "Prefer", text(), "`return=representation` or `return=minimal`.");
            answers.push((StatusCode::OK, Some((JSON, reference(&component(kind))))));
            answers.push((StatusCode::NO_CONTENT, None));
            answers.push((StatusCode::CONFLICT, None));
            answers.push((StatusCode::PRECONDITION_FAILED, None));
        }
        ("delete", Addressed::Entity(_)) => {
            parameter("header", "If-Match", tags(), "Entity tags: 412 when the object's is another.");
            answers.push((StatusCode::PRECONDITION_FAILED, None));
        }
        _ => {}
    }
    parameter("header", "client-request-id", text(), "Sent back, to find the call in both logs.");
    answers.extend(
        [
            StatusCode::BAD_REQUEST,
            StatusCode::UNAUTHORIZED,
            StatusCode::FORBIDDEN,
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
        ]
        .map(|status| (status, None)),
    );
    if path.contains('{') || entity.is_none() {
        answers.push((StatusCode::NOT_FOUND, None));
    }
    if has_body {
        answers.push((StatusCode::PAYLOAD_TOO_LARGE, None));
        answers.push((StatusCode::UNSUPPORTED_MEDIA_TYPE, None));
    }
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    for (status, content) in answers {
        answer(responses, status, content);
    }
    for (status, response) in responses.as_object_mut().into_iter().flatten() {
        if !["204", "304"].contains(&status.as_str()) && response.get("content").is_none() {
            response["content"] = json!({ JSON: { "schema": { "type": "object" } } });
        }
        if response["description"].as_str().is_none_or(str::is_empty) {
            let status = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
            response["description"] = status.and_then(|status| status.canonical_reason()).unwrap_or("Answer").into();
        }
    }
}

fn tags() -> Value {
    json!({ "type": "string", "pattern": "^(\\*|(W/)?\"[!#-~]*\")$" })
}

/// Adds a status, with its content unless the handler told it already.
fn answer(responses: &mut Value, status: StatusCode, content: Option<(&str, Value)>) {
    let response = &mut responses[status.as_str()];
    if response.is_null() {
        *response = json!({ "description": "" });
    }
    let is_error = status.is_client_error() || status.is_server_error();
    let content = match content {
        None if is_error => Some(("application/json", reference("ErrorBody"))),
        content => content,
    };
    if let Some((media_type, schema)) = content
        && response.get("content").is_none_or(|content| content.as_object().is_none_or(Map::is_empty))
    {
        response["content"] = json!({ media_type: { "schema": schema } });
    }
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response["headers"] = json!({
            "Retry-After": { "description": "Seconds to wait, 1 to 179.", "schema": { "type": "integer" } },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_what_it_names() {
        let root = "/v1.0/identityGovernance/accessReviews";
        for (path, addressed) in [
            ("definitions", Addressed::Collection("accessReviewScheduleDefinition")),
            ("definitions/$count", Addressed::Count),
            (
                "definitions/{d}/instances/filterByCurrentUser(on='reviewer')",
                Addressed::Selection("accessReviewInstance"),
            ),
            ("definitions/{d}/instances/{i}/stages/{s}", Addressed::Entity("accessReviewStage")),
            ("definitions/{d}/instances/{i}/stages/{s}/stop", Addressed::Other),
            ("historyDefinitions/{h}/instances/{r}", Addressed::Entity("accessReviewHistoryInstance")),
        ] {
            assert_eq!(Addressed::of(&format!("{root}/{path}")), addressed, "{path}");
        }
        assert_eq!(Addressed::of("/attestry/v1/sandbox/clock"), Addressed::Other);
    }
}

//! Envelopes, projections and context URLs. Sections 4 and 5 of the OData digest

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, ETAG},
    },
};
use serde_json::{Map, Value};

/// The content type of every JSON answer. CL-09
pub const JSON_CONTENT_TYPE: &str =
    "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";

/// An answer with a JSON body and its content type; that of one entity has the entity's tag as its `ETag`.
pub fn json_response(status: StatusCode, value: &Value) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.insert_header((CONTENT_TYPE, JSON_CONTENT_TYPE));
    if let Some(tag) = value.get("@odata.etag").and_then(Value::as_str) {
        response.insert_header((ETAG, tag));
    }
    response.body(value.to_string())
}

/// The same with a body that is text already; `tag` is that of the one entity it shows.
pub fn json_text_response(status: StatusCode, body: Vec<u8>, tag: Option<String>) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.insert_header((CONTENT_TYPE, JSON_CONTENT_TYPE));
    if let Some(tag) = tag {
        response.insert_header((ETAG, tag));
    }
    response.body(body)
}

/// The beginning of an object as text: its context, with room for more. To be followed by members and `}`.
pub fn begin_text(context: &str, capacity: usize) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = Vec::with_capacity(capacity);
    text.extend_from_slice(b"{\"@odata.context\":");
    serde_json::to_writer(&mut text, context)?;
    Ok(text)
}

/// The answer without a tag: what is shown with the entity changes without it.
pub fn untagged(mut response: HttpResponse) -> HttpResponse {
    response.headers_mut().remove(ETAG);
    response
}

/// A collection: `value` is always there; no link means that this is the last page. CL-24
pub fn collection(context: String, values: Vec<Value>, count: Option<i64>, next_link: Option<String>) -> Value {
    let mut body = Map::new();
    body.insert("@odata.context".to_owned(), context.into());
    if let Some(count) = count {
        body.insert("@odata.count".to_owned(), count.into());
    }
    if let Some(next_link) = next_link {
        body.insert("@odata.nextLink".to_owned(), next_link.into());
    }
    body.insert("value".to_owned(), values.into());
    Value::Object(body)
}

/// A single entity: the bare object with its context first, never wrapped in `value`.
pub fn entity(context: String, value: Map<String, Value>) -> Value {
    let mut body = Map::with_capacity(value.len() + 1);
    body.insert("@odata.context".to_owned(), context.into());
    body.extend(value.into_iter().filter(|(name, _)| name != "@odata.context"));
    Value::Object(body)
}

/// Applies `$select`: only the named properties stay, with their annotations and the object's own (`@odata.…`).
pub fn project(value: Map<String, Value>, select: Option<&[String]>) -> Map<String, Value> {
    let Some(select) = select else { return value };
    let selected = |name: &str| {
        let (property, _) = name.split_once('@').unwrap_or((name, ""));
        property.is_empty() || select.iter().any(|selected| selected == property)
    };
    value.into_iter().filter(|(name, _)| selected(name)).collect()
}

/// The context of a collection: `definitions('{id}')/instances` with `parents` `[("definitions", id)]` and `name`
/// `instances`.
pub fn collection_context(
    public_base_url: &str,
    parents: &[(&str, &str)],
    name: &str,
    select: Option<&[String]>,
) -> String {
    let mut context = metadata(public_base_url);
    context.push_str("identityGovernance/accessReviews/");
    for (collection, key) in parents {
        context.push_str(&format!("{collection}('{}')/", encode_key(key)));
    }
    context.push_str(name);
    push_select(&mut context, select);
    context
}

/// The context of one entity of a collection.
pub fn entity_context(
    public_base_url: &str,
    parents: &[(&str, &str)],
    name: &str,
    select: Option<&[String]>,
) -> String {
    collection_context(public_base_url, parents, name, select) + "/$entity"
}

/// The context of what a function answers, such as `#Collection(accessReviewStage)`.
pub fn function_context(public_base_url: &str, type_name: &str, select: Option<&[String]>) -> String {
    let mut context = metadata(public_base_url);
    context.push_str(&format!("Collection({type_name})"));
    push_select(&mut context, select);
    context
}

fn metadata(public_base_url: &str) -> String {
    format!("{}/v1.0/$metadata#", public_base_url.trim_end_matches('/'))
}

fn push_select(context: &mut String, select: Option<&[String]>) {
    if let Some(select) = select.filter(|select| !select.is_empty()) {
        context.push_str(&format!("({})", select.join(",")));
    }
}

fn encode_key(key: &str) -> String {
    let doubled = key.replace('\'', "''");
    percent_encoding::utf8_percent_encode(&doubled, percent_encoding::NON_ALPHANUMERIC).to_string().replace("%2D", "-")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BASE: &str = "https://reviews.example.com/";

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            other => unreachable!("{other} is no object"),
        }
    }

    #[test]
    fn an_empty_collection_still_has_a_value_and_no_link() {
        assert_eq!(collection("c".to_owned(), vec![], None, None), json!({ "@odata.context": "c", "value": [] }));
    }

    #[test]
    fn the_members_of_a_collection_come_in_the_order_of_the_contract() {
        let page = collection("c".to_owned(), vec![json!(1)], Some(7), Some("n".to_owned()));
        assert_eq!(page.to_string(), r#"{"@odata.context":"c","@odata.count":7,"@odata.nextLink":"n","value":[1]}"#);
    }

    #[test]
    fn an_entity_is_bare_and_starts_with_its_context() {
        let stage = entity("c".to_owned(), object(json!({ "id": "1", "@odata.context": "old" })));
        assert_eq!(stage.to_string(), r#"{"@odata.context":"c","id":"1"}"#);
    }

    #[test]
    fn select_keeps_annotations_of_the_object_and_of_what_is_selected() {
        let whole = object(json!({
            "@odata.type": "#microsoft.graph.accessReviewStage",
            "id": "1",
            "status": "InProgress",
            "decisions@odata.context": "d",
            "status@odata.type": "#String",
        }));
        let select = ["status".to_owned()];
        assert_eq!(
            Value::Object(project(whole.clone(), Some(&select))),
            json!({
                "@odata.type": "#microsoft.graph.accessReviewStage",
                "status": "InProgress",
                "status@odata.type": "#String",
            })
        );
        assert_eq!(project(whole.clone(), None), whole);
    }

    #[test]
    fn contexts_have_the_forms_of_section_5() {
        let select = ["id".to_owned(), "displayName".to_owned()];
        let root = "https://reviews.example.com/v1.0/$metadata#";
        let reviews = format!("{root}identityGovernance/accessReviews/");
        assert_eq!(collection_context(BASE, &[], "definitions", None), format!("{reviews}definitions"));
        assert_eq!(
            entity_context(BASE, &[], "definitions", Some(&select)),
            format!("{reviews}definitions(id,displayName)/$entity")
        );
        assert_eq!(
            collection_context(BASE, &[("definitions", "a-1"), ("instances", "b'2")], "stages", None),
            format!("{reviews}definitions('a-1')/instances('b%27%272')/stages")
        );
        assert_eq!(
            function_context(BASE, "accessReviewStage", Some(&select)),
            format!("{root}Collection(accessReviewStage)(id,displayName)")
        );
    }
}

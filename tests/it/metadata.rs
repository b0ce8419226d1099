//! What describes the service is true: the metadata, the API document, and the page to read it.

use std::collections::BTreeMap;

use attestry::http::metadata::model::{ENUMERATIONS, Of, TYPES, Type, type_of};
use serde_json::Value;

use crate::support::{MINE, Tenant, manager, stage, user};

/// Faults of a value that is declared to be of this type: members nobody declared, and wrong kinds.
fn undeclared(path: &str, value: &Value, declared: &'static Type, faults: &mut Vec<String>) {
    let Some(members) = value.as_object() else { return faults.push(format!("{path} is no object")) };
    let named = members.get("@odata.type").map(|name| name.as_str().unwrap().trim_start_matches("#microsoft.graph."));
    let kind = named.map_or(Some(declared), type_of);
    let Some(kind) = kind else { return faults.push(format!("{path} is of the unknown type {named:?}")) };
    let properties = kind.all_properties();
    for (name, value) in members.iter().filter(|(name, _)| !name.contains('@')) {
        let path = format!("{path}.{name}");
        let Some(property) = properties.iter().find(|property| property.name == name) else {
            faults.push(format!("{path} is not declared on {}", kind.name));
            continue;
        };
        let values = match value {
            Value::Array(values) if property.many => values.iter().collect(),
            Value::Null if property.nullable => Vec::new(),
            value if !property.many => vec![value],
            _ => return faults.push(format!("{path} is no collection")),
        };
        for value in values {
            let fits = match property.of {
                Of::Complex(name) => {
                    undeclared(&path, value, type_of(name).unwrap(), faults);
                    true
                }
                Of::Enumeration(name) => ENUMERATIONS
                    .iter()
                    .any(|one| one.name == name && value.as_str().is_some_and(|value| one.members.contains(&value))),
                Of::Flag => value.is_boolean(),
                Of::Integer => value.is_i64(),
                Of::DateTime => value.as_str().is_some_and(|text| chrono::DateTime::parse_from_rfc3339(text).is_ok()),
                Of::Date => value.as_str().is_some_and(|text| text.parse::<chrono::NaiveDate>().is_ok()),
                Of::Duration => value.as_str().is_some_and(|text| text.starts_with('P')),
                Of::Text => value.is_string(),
            };
            if !fits {
                faults.push(format!("{path} holds {value}"));
            }
        }
    }
}

#[tokio::test]
async fn every_property_of_an_answer_is_declared_with_its_kind() {
    let t = Tenant::with_finance().await;
    let review = t
        .review()
        .with("descriptionForAdmins", "to be exact".into())
        .with(
            "additionalNotificationRecipients",
            serde_json::json!([{
                "notificationTemplateType": "CompletedAdditionalRecipients",
                "notificationRecipientScope": {
                    "@odata.type": "#microsoft.graph.accessReviewNotificationRecipientQueryScope",
                    "query": user("olga")["query"], "queryType": "MicrosoftGraph",
                },
            }]),
        )
        .setting(
            "recurrence",
            serde_json::json!({
                "pattern": { "type": "weekly", "interval": 4 }, "range": { "type": "noEnd", "startDate": "2026-01-05" },
            }),
        )
        .setting("applyActions", serde_json::json!([{ "@odata.type": "#microsoft.graph.removeAccessApplyAction" }]))
        .stages(&[stage(1, 3, &[manager()], &[user("sam")], &["Deny"]), stage(2, 3, &[user("olga")], &[], &[])])
        .running()
        .await;
    let occurrence = t.as_admin().get(&format!("{}/instances", review.path())).await.rows()[0]["id"].clone();
    let review = review.occurrence(occurrence.as_str().unwrap());
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    let stage = review.stage_path(1).await;
    let mut faults = Vec::new();
    for (client, path, kind) in [
        (t.as_admin(), "/definitions".to_owned(), "accessReviewScheduleDefinition"),
        (t.as_admin(), format!("{}/instances", review.path()), "accessReviewInstance"),
        (t.as_admin(), format!("{}/stages", review.instance_path()), "accessReviewStage"),
        (t.as_admin(), format!("{}/decisions", review.instance_path()), "accessReviewInstanceDecisionItem"),
        (t.as_user("mia"), format!("{stage}/{MINE}"), "accessReviewInstanceDecisionItem"),
    ] {
        let listed = client.get(&path).await.is(200);
        assert!(!listed.rows().is_empty(), "{path}");
        for row in listed.rows() {
            undeclared(kind, row, type_of(kind).unwrap(), &mut faults);
        }
    }
    assert_eq!(faults, Vec::<String>::new());
}

/// Elements of an XML document without text: names, attributes, and whether they are well nested.
fn elements(xml: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut found = Vec::new();
    let mut open: Vec<String> = Vec::new();
    for tag in xml.split('<').skip(2) {
        let (tag, behind) = tag.split_once('>').expect("a tag ends");
        assert!(behind.trim().is_empty(), "no text: {behind}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
            continue;
        }
        let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut pieces = attributes.split('"');
        let mut read = BTreeMap::new();
        while let (Some(name), Some(value)) = (pieces.next(), pieces.next()) {
            let before = read.insert(name.trim().trim_end_matches('=').to_owned(), value.to_owned());
            assert_eq!(before, None);
        }
        found.push((name.to_owned(), read));
        if !closed {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "{open:?}");
    found
}

#[tokio::test]
async fn the_metadata_is_well_formed_needs_no_token_and_names_only_what_it_declares() {
    let t = Tenant::new().await;
    let answer = t.with_authorization(None).get("//v1.0/$metadata").await.is(200);
    assert_eq!(answer.headers["content-type"], "application/xml; charset=utf-8");
    let found = elements(answer.body.as_str().unwrap());

    let declared: Vec<_> = found
        .iter()
        .filter(|(name, _)| ["EntityType", "ComplexType", "EnumType"].contains(&name.as_str()))
        .map(|(_, attributes)| format!("microsoft.graph.{}", attributes["Name"]))
        .collect();
    assert_eq!(declared.len(), TYPES.len() + ENUMERATIONS.len());
    for (element, attributes) in &found {
        for name in ["Type", "BaseType"].iter().filter_map(|name| attributes.get(*name)) {
            let named = name.strip_prefix("Collection(").map_or(name.as_str(), |name| name.trim_end_matches(')'));
            assert!(named.starts_with("Edm.") || declared.iter().any(|known| known == named), "{element} {name}");
        }
    }
    let functions = found.iter().filter(|(name, _)| name == "Function").count();
    assert_eq!(functions, 4);
}

#[tokio::test]
async fn the_document_and_its_page_are_served_to_everybody_and_stand_alone() {
    let t = Tenant::new().await;
    let everybody = t.with_authorization(None);
    let document = everybody.get("//openapi.json").await.is(200).body;
    assert_eq!(document["servers"][0]["url"], "https://reviews.example");
    assert_eq!(everybody.get("//attestry/v1/openapi.json").await.is(200).body, document);

    let page = everybody.get("//docs").await.is(200);
    assert!(page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    for path in ["//docs", "//docs/page.js", "//docs/page.css"] {
        let text = everybody.get(path).await.is(200).body;
        let text = text.as_str().unwrap();
        assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("\"//"), "{path}");
    }
}

/// Every operation of the document tells what it takes and answers; what it refers to is there.
#[tokio::test]
async fn the_document_is_complete() {
    let document = serde_json::to_value(attestry::http::server::api_document()).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100);
    for reference in found {
        let name = reference.strip_prefix("#/components/schemas/").unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let told = format!("{method} {path}");
            let parameters = operation["parameters"].as_array().unwrap();
            let places = path.matches('{').count();
            assert_eq!(parameters.iter().filter(|one| one["in"] == "path").count(), places, "{told}");
            let responses = operation["responses"].as_object().unwrap();
            for status in ["400", "401", "403", "429", "503"] {
                assert!(responses.contains_key(status), "{told} {status}");
            }
            for (status, response) in responses {
                assert!(!response["description"].as_str().unwrap().is_empty(), "{told} {status}");
                let has_body = !["204", "304"].contains(&status.as_str());
                assert_eq!(response["content"].is_object(), has_body, "{told} {status}");
            }
        }
    }
}

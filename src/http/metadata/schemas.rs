//! The table as JSON schemas, as the API document shows them.

use serde_json::{Map, Value, json};

use super::model::{ENUMERATIONS, Of, Property, TYPES, Type};

/// The schema of every type by its name in the document, and of a collection of every entity type.
pub fn schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
    for kind in TYPES.iter().filter(|kind| kind.name != "identityGovernance") {
        schemas.insert(component(kind.name), schema(kind));
        if kind.is_entity {
            schemas.insert(format!("{}Collection", component(kind.name)), collection(kind));
        }
    }
    schemas
}

/// The name of a type in the document: capitalised, as code generators expect.
pub fn component(name: &str) -> String {
    let (head, tail) = name.split_at_checked(1).unwrap_or((name, ""));
    head.to_ascii_uppercase() + tail
}

/// A reference to the schema of this name.
pub fn reference(component: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{component}") })
}

fn schema(kind: &Type) -> Value {
    let mut properties = Map::new();
    properties.insert(
        "@odata.type".to_owned(),
        json!({ "type": "string", "example": format!("#microsoft.graph.{}", kind.name) }),
    );
    if kind.is_entity {
        properties.insert("@odata.context".to_owned(), json!({ "type": "string", "format": "uri-reference" }));
        properties.insert("@odata.etag".to_owned(), json!({ "type": "string", "example": "W/\"7\"" }));
    }
    for property in kind.all_properties() {
        properties.insert(property.name.to_owned(), property_schema(property));
    }
    for navigation in kind.all_navigations() {
        let target = reference(&component(navigation.target));
        let shown = if navigation.many { json!({ "type": "array", "items": target }) } else { target };
        properties.insert(navigation.name.to_owned(), shown);
    }
    let mut schema = json!({ "type": "object", "properties": properties });
    let derived: Vec<_> = derived(kind).iter().map(|name| format!("#microsoft.graph.{name}")).collect();
    if !derived.is_empty() {
        let told = format!("`@odata.type` tells which it is: {}. Each adds properties of its own.", derived.join(", "));
        schema["description"] = told.into();
    }
    schema
}

fn derived(kind: &Type) -> Vec<&'static str> {
    let mut names = Vec::new();
    for other in TYPES.iter().filter(|other| other.base == Some(kind.name) && kind.name != "entity") {
        names.push(other.name);
        names.extend(derived(other));
    }
    names
}

fn collection(kind: &Type) -> Value {
    json!({
        "type": "object",
        "required": ["@odata.context", "value"],
        "properties": {
            "@odata.context": { "type": "string", "format": "uri-reference" },
            "@odata.count": { "type": "integer", "format": "int64", "minimum": 0, "description": "With `$count=true` only." },
            "@odata.nextLink": { "type": "string", "description": "Opaque; absent on the last page." },
            "value": { "type": "array", "items": reference(&component(kind.name)) },
        },
    })
}

fn property_schema(property: &Property) -> Value {
    let one = match property.of {
        Of::Text | Of::Duration => json!({ "type": "string" }),
        Of::Flag => json!({ "type": "boolean" }),
        Of::Integer => json!({ "type": "integer", "format": "int32" }),
        Of::DateTime => json!({ "type": "string", "format": "date-time" }),
        Of::Date => json!({ "type": "string", "format": "date" }),
        Of::Enumeration(name) => {
            let members = ENUMERATIONS.iter().find(|enumeration| enumeration.name == name);
            json!({ "type": "string", "enum": members.map(|enumeration| enumeration.members).unwrap_or_default() })
        }
        Of::Complex(name) => reference(&component(name)),
    };
    match (property.many, property.nullable) {
        (true, _) => json!({ "type": "array", "items": one }),
        (false, false) => one,
        (false, true) => or_null(one),
    }
}

fn or_null(mut one: Value) -> Value {
    match one.get("type").cloned() {
        Some(kind) => {
            one["type"] = json!([kind, "null"]);
            if let Some(members) = one.get_mut("enum").and_then(Value::as_array_mut) {
                members.push(Value::Null);
            }
            one
        }
        None => json!({ "oneOf": [{ "type": "null" }, one] }),
    }
}

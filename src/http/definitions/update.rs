//! Bodies of DEF-UPDATE, read against the definition as stored. LC-DEF-20, A-15, A-18, CL-20

use serde_json::{Map, Value};

use super::{body::read_draft, view::render};
use crate::{
    domain::{
        definition::{Definition, DefinitionDraft},
        violation::Violation,
    },
    http::{echo, json_reader::Faults},
};

/// Members of a definition that no client writes.
const READ_ONLY: [&str; 5] = ["id", "status", "createdBy", "createdDateTime", "lastModifiedDateTime"];

/// PUT: everything that is left out takes its default, but for `instanceEnumerationScope`, which no update changes.
pub fn replace(body: &Value, stored: &Definition) -> Result<DefinitionDraft, Vec<Violation>> {
    let shown = shown(stored);
    let mut wanted = body.clone();
    if let (Value::Object(members), Some(enumeration)) = (&mut wanted, shown.get("instanceEnumerationScope")) {
        members.entry("instanceEnumerationScope").or_insert_with(|| enumeration.clone());
    }
    read(body, &wanted, &shown)
}

/// PATCH: what is left out stays; `settings` and its `recurrence` are merged member by member, everything else is replaced. A-18
pub fn merge(body: &Value, stored: &Definition) -> Result<DefinitionDraft, Vec<Violation>> {
    let shown = shown(stored);
    let mut wanted = shown.clone();
    if let Value::Object(members) = body {
        // The deprecated twin alone is meant. M-04
        if members.contains_key("backupReviewers") && !members.contains_key("fallbackReviewers") {
            wanted.remove("fallbackReviewers");
        }
        for (name, value) in members {
            put(&mut wanted, name, value, &["settings", "recurrence", "pattern", "range"]);
        }
        read(body, &Value::Object(wanted), &shown)
    } else {
        read(body, body, &shown)
    }
}

/// Puts a member in its place; an object of the next of these names is merged into the one that is there.
fn put(into: &mut Map<String, Value>, name: &str, value: &Value, merged: &[&str]) {
    match (into.get_mut(name), value) {
        (Some(Value::Object(there)), Value::Object(members)) if merged.contains(&name) => {
            for (name, value) in members {
                put(there, name, value, &merged[1..]);
            }
        }
        _ => {
            into.insert(name.to_owned(), value.clone());
        }
    }
}

fn shown(stored: &Definition) -> Map<String, Value> {
    match render(stored) {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// The faults of both: of what is to be, and of the read-only members that were sent.
fn read(body: &Value, wanted: &Value, shown: &Map<String, Value>) -> Result<DefinitionDraft, Vec<Violation>> {
    let faults = Faults::default();
    echo::check(&faults, body, shown, &READ_ONLY);
    read_draft(wanted, faults)
}

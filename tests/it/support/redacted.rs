//! Answers without what differs from run to run, for snapshots.

use chrono::DateTime;
use serde_json::Value;
use uuid::Uuid;

use super::id_of;

/// Who and what of [`Company`](super::Company) is shown by name.
const NAMES: &[&str] = &[
    "mia",
    "noor",
    "olga",
    "pete",
    "sam",
    "tom",
    "carla",
    "rita",
    "zoe",
    "fay",
    "ana",
    "ben",
    "cleo",
    "eve",
    "dan",
    "gus",
    "contractors",
    "finance",
    "auditors",
    "app-sync",
];

/// Names instead of the company's ids, numbers instead of others, `{time}` instead of moments.
pub fn redacted(value: &Value) -> Value {
    Redaction::default().value(value)
}

#[derive(Default)]
struct Redaction {
    /// Other ids in the order of their appearance.
    seen: Vec<Uuid>,
}

impl Redaction {
    fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) if DateTime::parse_from_rfc3339(text).is_ok() => Value::from("{time}"),
            Value::String(text) => Value::from(self.text(text)),
            Value::Array(values) => values.iter().map(|value| self.value(value)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| match name.as_str() {
                    "@odata.etag" => (name.clone(), Value::from("{tag}")),
                    _ => (name.clone(), self.value(value)),
                })
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn text(&mut self, text: &str) -> String {
        let mut rest = text;
        let mut shown = String::new();
        while let Some(first) = rest.chars().next() {
            match rest.get(..36).and_then(|window| Uuid::try_parse(window).ok()) {
                Some(id) => {
                    shown.push_str(&self.name(id));
                    rest = &rest[36..];
                }
                None => {
                    shown.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        shown
    }

    fn name(&mut self, id: Uuid) -> String {
        if id.is_nil() {
            return id.to_string();
        }
        if let Some(name) = NAMES.iter().find(|name| id_of(name).as_uuid() == id) {
            return format!("{{{name}}}");
        }
        let position = self.seen.iter().position(|seen| *seen == id).unwrap_or_else(|| {
            self.seen.push(id);
            self.seen.len() - 1
        });
        format!("{{id {}}}", position + 1)
    }
}

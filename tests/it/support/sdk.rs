//! What an SDK makes of an object it has read when it sends it back.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

/// The whole object as the Python SDK writes it: nulls left out, times with an offset and six digits, durations in Python's
/// notation, types added to identities.
pub fn as_the_python_sdk_sends(object: &Value) -> Value {
    match object {
        Value::Object(members) => {
            let mut sent: Map<String, Value> = members
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), as_the_python_sdk_sends(value)))
                .collect();
            if let Some(Value::Object(identity)) = sent.get_mut("createdBy") {
                identity.insert("@odata.type".to_owned(), json!("#microsoft.graph.userIdentity"));
            }
            Value::Object(sent)
        }
        Value::Array(entries) => entries.iter().map(as_the_python_sdk_sends).collect(),
        Value::String(text) => json!(respelled(text)),
        other => other.clone(),
    }
}

fn respelled(text: &str) -> String {
    if let Some(days) = text.strip_prefix('P').and_then(|rest| rest.strip_suffix('D')) {
        return match days {
            "1" => "1 day, 0:00:00".to_owned(),
            days => format!("{days} days, 0:00:00"),
        };
    }
    match text.parse::<DateTime<Utc>>() {
        Ok(at) => at.to_rfc3339_opts(SecondsFormat::Micros, false),
        Err(_) => text.to_owned(),
    }
}

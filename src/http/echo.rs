//! Read-only members that a client sends back: tolerated when equal by value, refused when different. Section 5 of the design, CL-20

use serde_json::{Map, Value};

use super::json_reader::{Faults, date_time};

/// Reports each of these members that the body carries with another value than the object is shown with. Null and absent say
/// nothing.
pub fn check(faults: &Faults, body: &Value, shown: &Map<String, Value>, read_only: &[&str]) {
    for name in read_only {
        if let (Some(sent), Some(stored)) = (body.get(name), shown.get(*name))
            && !sent.is_null()
            && !same_value(sent, stored)
        {
            faults.report(*name, "is read-only and differs from what is stored");
        }
    }
}

/// Equal by value: times as instants, objects by the members sent, annotations aside.
fn same_value(sent: &Value, stored: &Value) -> bool {
    match (sent, stored) {
        (Value::String(sent), Value::String(stored)) => {
            sent == stored || date_time(sent).is_some_and(|at| date_time(stored) == Some(at))
        }
        (Value::Object(sent), Value::Object(stored)) => sent.iter().all(|(name, value)| {
            name.contains('@') || value.is_null() || stored.get(name).is_some_and(|stored| same_value(value, stored))
        }),
        (Value::Array(sent), Value::Array(stored)) => {
            sent.len() == stored.len() && sent.iter().zip(stored).all(|(sent, stored)| same_value(sent, stored))
        }
        (sent, stored) => sent == stored,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differing(body: Value) -> Vec<String> {
        let shown = json!({
            "id": "a",
            "createdDateTime": "2026-02-02T08:15:30.123456Z",
            "createdBy": { "id": "u", "displayName": "Ines" },
            "errors": [{ "@odata.type": "#microsoft.graph.accessReviewError", "code": "c" }],
        });
        let faults = Faults::default();
        let Value::Object(shown) = shown else { unreachable!("an object") };
        check(&faults, &body, &shown, &["id", "createdDateTime", "createdBy", "errors"]);
        faults.into_violations().into_iter().map(|violation| violation.path).collect()
    }

    /// Section 8 of the clients: seven digits cut to six, another offset, types added, nulls left out.
    #[test]
    fn what_an_sdk_makes_of_an_object_is_still_the_same() {
        let none: [&str; 0] = [];
        assert_eq!(differing(json!({})), none);
        let sent_back = json!({
            "id": "a",
            "createdDateTime": "2026-02-02T10:15:30.123456+02:00",
            "createdBy": { "@odata.type": "#microsoft.graph.userIdentity", "id": "u", "displayName": null },
            "errors": [{ "code": "c" }],
        });
        assert_eq!(differing(sent_back), none);
    }

    #[test]
    fn another_value_is_told_by_its_name() {
        let other = json!({
            "id": "b",
            "createdDateTime": "2026-02-02T08:15:30.123457Z",
            "createdBy": { "id": "v" },
            "errors": [],
        });
        assert_eq!(differing(other), ["id", "createdDateTime", "createdBy", "errors"]);
    }
}

//! The committed API document is the one the routes make.

use std::path::PathBuf;

use attestry::http::server::api_document;

/// `ATTESTRY_REGENERATE=1 cargo test --test it api_document` writes it anew.
#[test]
fn the_committed_document_describes_the_routes() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let made = api_document().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("ATTESTRY_REGENERATE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }

    let committed = std::fs::read_to_string(&path).unwrap_or_default();

    assert!(committed == made, "{} is out of date; run with ATTESTRY_REGENERATE=1", path.display());
}

#[test]
fn every_operation_has_a_name_of_its_own_and_tells_its_refusals() {
    let document = serde_json::to_value(api_document()).unwrap();
    let mut names = std::collections::BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no name"));
            assert!(names.insert(name.to_owned()), "{name} names two operations");
            assert!(operation["summary"].is_string(), "{method} {path}");
            // A link to a report needs no token.
            let is_public = operation["security"] == serde_json::json!([{}]);
            assert_eq!(is_public, name == "downloadHistoryReport", "{method} {path}");
            assert!(is_public || operation["responses"]["401"].is_object(), "{method} {path}");
        }
    }
    assert_eq!(names.len(), 80);
}

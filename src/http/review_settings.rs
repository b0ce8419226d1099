//! A tenant's review settings as clients write and read them; the command line speaks the same form.

use serde_json::{Value, json};

use crate::{
    app::review_settings::WantedSettings,
    domain::{review_settings::ReviewSettings, violation::Violation},
    http::json_reader::{Faults, ObjectReader},
};

/// The settings as clients read them.
pub fn render(settings: &ReviewSettings) -> Value {
    json!({ "groupOwnersMayReview": settings.group_owners_may_review })
}

/// Reads a change; what is not mentioned stays.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_change(body: &Value) -> Result<WantedSettings, Vec<Violation>> {
    let faults = Faults::default();
    let mut group_owners_may_review = None;
    if let Some(mut reader) = ObjectReader::new("", body, &faults) {
        group_owners_may_review = reader.flag("groupOwnersMayReview");
        reader.finish();
    }
    match faults.is_empty() {
        true => Ok(Box::new(move |stored: ReviewSettings| ReviewSettings {
            group_owners_may_review: group_owners_may_review.unwrap_or(stored.group_owners_may_review),
        })),
        false => Err(faults.into_violations()),
    }
}

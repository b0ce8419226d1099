//! HIST-UPDATE: the name, and nothing else.

use serde_json::json;

use super::{event, find};
use crate::{
    app::{Call, Refused, Services},
    domain::{
        authorization::Operation,
        event::{Activity, Event},
        history::{HistoryDefinition, check_display_name},
        ids::HistoryDefinitionId,
    },
};

/// Renames a report definition; `None` changes nothing. Answers it as it is now.
pub async fn update_history_definition(
    services: &Services,
    call: &Call,
    id: HistoryDefinitionId,
    display_name: Option<String>,
) -> Result<HistoryDefinition, Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    find(&mut *uow, call, Operation::HistoryUpdate, id).await?;
    let mut definition = uow.history().lock(id).await?.ok_or(Refused::NotFound)?;
    call.precondition.check_untagged()?;
    let Some(display_name) = display_name.filter(|name| *name != definition.draft.display_name) else {
        return Ok(definition);
    };
    if let Some(violation) = check_display_name(&display_name) {
        return Err(Refused::Invalid(vec![violation]));
    }
    let before = std::mem::replace(&mut definition.draft.display_name, display_name);
    uow.history().update(&definition).await?;
    let updated = event(Activity::ReportUpdated, &definition, None, json!({}));
    let updated = Event { before: Some(json!({ "displayName": before })), ..updated };
    uow.events().append(&call.actor(), &[updated]).await?;
    uow.commit().await?;
    Ok(definition)
}

//! DEF-DELETE: the review and all that belongs to it disappears; events stay. LC-DEF-30 to 32

use serde_json::json;

use super::{Call, Refused, Services, access, entity_tags};
use crate::domain::{
    authorization::Operation,
    event::{Activity, Event},
    ids::DefinitionId,
};

/// Deletes a definition in whatever status it is. A running review sends nothing and applies nothing. LC-DEF-31
pub async fn delete_definition(services: &Services, call: &Call, id: DefinitionId) -> Result<(), Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    let (definition, _) = access::definition(&mut *uow, call, Operation::DefinitionDelete, id).await?;
    let locked = uow.definitions().lock(id).await?.ok_or(Refused::NotFound)?;
    call.precondition.check(&entity_tags::of_definition(&locked))?;
    if !uow.definitions().delete(id).await? {
        return Err(Refused::NotFound);
    }
    let event = Event {
        definition_id: Some(id),
        before: Some(json!({
            "displayName": definition.draft.display_name,
            "status": definition.status.as_str(),
            "scope": definition.draft.scope.sent.to_string(),
        })),
        ..Event::new(Activity::DeleteReview)
    };
    uow.events().append(&call.actor(), &[event]).await?;
    uow.commit().await?;
    Ok(())
}

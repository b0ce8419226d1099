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
    let mut uow = services.begin_bulk(call.tenant()).await?;
    access::definition(&mut *uow, call, Operation::DefinitionDelete, id).await?;
    let definition = uow.definitions().lock(id).await?.ok_or(Refused::NotFound)?;
    call.precondition.check(&entity_tags::of_definition(&definition))?;
    let pending = uow.apply().pending_deletions(id).await?;
    if !uow.definitions().delete(id).await? {
        return Err(Refused::NotFound);
    }
    // The accounts stay blocked, and nobody deletes them any more. LC-DEF-33
    let mut events: Vec<_> = pending
        .into_iter()
        .map(|pending| Event {
            definition_id: Some(id),
            instance_id: Some(pending.instance),
            item_seq: Some(pending.seq),
            before: Some(json!({ "userId": pending.user })),
            after: Some(json!({ "reason": "the review was deleted" })),
            ..Event::new(Activity::UserDeletionCancelled)
        })
        .collect();
    events.push(Event {
        definition_id: Some(id),
        before: Some(json!({
            "displayName": definition.draft.display_name,
            "status": definition.status.as_str(),
            "scope": definition.draft.scope.sent.to_string(),
        })),
        ..Event::new(Activity::DeleteReview)
    });
    uow.events().append(&call.actor(), &events).await?;
    uow.commit().await?;
    Ok(())
}

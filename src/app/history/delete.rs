//! HIST-DELETE: the definition, its runs and their reports; links to them lead nowhere from then on.

use serde_json::json;

use super::{event, find};
use crate::{
    app::{Call, Refused, Services},
    domain::{authorization::Operation, event::Activity, ids::HistoryDefinitionId},
};

/// Deletes a report definition in whatever status it is; a report that is being written is given up.
pub async fn delete_history_definition(
    services: &Services,
    call: &Call,
    id: HistoryDefinitionId,
) -> Result<(), Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    find(&mut *uow, call, Operation::HistoryDelete, id).await?;
    let definition = uow.history().lock(id).await?.ok_or(Refused::NotFound)?;
    call.precondition.check_untagged()?;
    if !uow.history().delete(id).await? {
        return Err(Refused::NotFound);
    }
    let mut deleted =
        event(Activity::ReportDeleted, &definition, None, json!({ "status": definition.status.as_str() }));
    deleted.before = deleted.after.take();
    uow.events().append(&call.actor(), &[deleted]).await?;
    uow.commit().await?;
    Ok(())
}

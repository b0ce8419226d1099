//! HIST-INST-URI: a link to a finished report. LC-HIST-06

use serde_json::json;

use super::{event, find, find_instance};
use crate::{
    app::{Call, Refused, Services},
    domain::{
        authorization::Operation,
        event::Activity,
        history::HistoryInstance,
        ids::{HistoryDefinitionId, HistoryInstanceId},
    },
};

/// Gives a finished report a fresh link and answers the run as it is now; earlier links work until their own end.
///
/// [`Refused::InvalidState`] when the report is not done.
pub async fn generate_download_uri(
    services: &Services,
    call: &Call,
    definition: HistoryDefinitionId,
    id: HistoryInstanceId,
) -> Result<HistoryInstance, Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    let definition = find(&mut *uow, call, Operation::HistoryDownload, definition).await?;
    uow.history().lock_instance(id).await?.ok_or(Refused::NotFound)?;
    let mut instance = find_instance(&mut *uow, definition.id, id).await?;
    let now = uow.now();
    let until = instance.link_until(now).map_err(|refusal| Refused::InvalidState(refusal.to_string()))?;
    instance.link_expires_at = Some(until);
    uow.history().update_instance(&instance).await?;
    let made = event(Activity::ReportLinkCreated, &definition, Some(id), json!({ "linkExpiresDateTime": until }));
    uow.events().append(&call.actor(), &[made]).await?;
    uow.commit().await?;
    Ok(instance)
}

//! The end of a report: the run and its text are deleted, and with the last one the definition. LC-HIST-07

use serde_json::json;

use super::event;
use crate::{
    app::{Refused, Services},
    domain::{event::Activity, ids::HistoryInstanceId},
    store::{Actor, ClaimedJob, Outcome},
};

/// Deletes a run whose time is over.
pub(in crate::app) async fn expire_report(
    services: &Services,
    job: &ClaimedJob,
    id: HistoryInstanceId,
) -> Result<(), Refused> {
    let mut uow = services.begin(job.tenant).await?;
    let now = uow.now();
    let Some(found) = uow.history().find_instance(id).await? else {
        uow.jobs().finish(job, Outcome::Obsolete).await?;
        return Ok(uow.commit().await?);
    };
    let definition = uow.history().lock(found.definition_id).await?;
    if let Some(instance) = uow.history().lock_instance(id).await? {
        if instance.is_there_at(now) {
            uow.jobs().postpone(job, instance.expires_at).await?;
            return Ok(uow.commit().await?);
        }
        uow.history().delete_instance(id).await?;
        if let Some(definition) = &definition {
            let mut deleted = event(
                Activity::ReportDeleted,
                definition,
                Some(id),
                json!({ "status": instance.status.as_str(), "reason": "its time is over" }),
            );
            deleted.before = deleted.after.take();
            uow.events().append(&Actor::system(), &[deleted]).await?;
        }
    }
    if let Some(definition) = definition.filter(|definition| !definition.is_there_at(now))
        && uow.history().instances_of(&[definition.id], now).await?.is_empty()
    {
        uow.history().delete(definition.id).await?;
    }
    uow.jobs().finish(job, Outcome::Done).await?;
    Ok(uow.commit().await?)
}

//! INST-REMIND, and the automatic reminder in the middle of a stage. N-4, N-5, LC-NOTE-02, LC-NOTE-07, LC-NOTE-10

use serde_json::json;

use super::{Call, Refused, Services, access, run_review::about};
use crate::{
    domain::{
        authorization::Operation,
        event::{Activity, Event},
        ids::{DefinitionId, InstanceId, StageId},
        lifecycle, reminder,
        status::Status,
    },
    store::{ClaimedJob, Outcome},
};

/// Has everyone who still has items to answer in the running stage reminded, whatever the mail switches say: an admin asks for it.
///
/// Who that is, is found out when each mail is sent. [`Refused::TooOften`] when the last time was a moment ago.
pub async fn send_reminder(
    services: &Services,
    call: &Call,
    definition: DefinitionId,
    id: InstanceId,
) -> Result<(), Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    access::instance(&mut *uow, call, Operation::InstanceRemind, definition, id).await?;

    let instance = uow.instances().lock(id).await?.ok_or(Refused::NotFound)?;
    lifecycle::check_reminder(&instance)?;
    let now = uow.now();
    reminder::check_interval(uow.reminders().last_manual(id).await?, now)?;
    let sequence = uow.reminders().count_manual(id).await?;
    let stages = uow.stages().list(id).await?;
    // While one stage hands over to the next nobody has anything to answer.
    let running = stages.iter().find(|entry| entry.stage.status == Status::InProgress);
    let mut event =
        Event { after: Some(json!({ "sequence": sequence })), ..about(Activity::ReminderRequested, &instance) };
    if let Some(running) = running {
        event.stage_id = Some(running.stage.id);
        uow.reminders().enqueue(id, running.stage.ordinal, sequence).await?;
    }
    uow.events().append(&call.actor(), &[event]).await?;
    uow.commit().await?;
    services.work.notify_waiters();
    Ok(())
}

/// N-4: the stage is half over.
pub(super) async fn remind_stage(
    services: &Services,
    job: &ClaimedJob,
    instance: InstanceId,
    stage: StageId,
) -> Result<(), Refused> {
    let mut uow = services.begin(job.tenant).await?;
    let running = uow.stages().find(instance, stage).await?.filter(|stage| stage.status == Status::InProgress);
    let outcome = match running {
        Some(stage) => {
            uow.reminders().enqueue(instance, stage.ordinal, 0).await?;
            Outcome::Done
        }
        None => Outcome::Obsolete,
    };
    uow.jobs().finish(job, outcome).await?;
    Ok(uow.commit().await?)
}

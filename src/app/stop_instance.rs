//! INST-STOP: ends the running review now; completion follows as usual. IN-08, LC-INST-32, LC-INST-33

use super::{
    Call, Refused, Services, access,
    run_review::{ReviewRun, about},
};
use crate::domain::{
    authorization::Operation,
    event::Activity,
    ids::{DefinitionId, InstanceId},
    lifecycle::{self, Cause, Next},
    status::Status,
};

/// Stops a running instance and its running stage; later stages never come to be.
pub async fn stop_instance(
    services: &Services,
    call: &Call,
    definition: DefinitionId,
    id: InstanceId,
) -> Result<(), Refused> {
    let mut uow = services.begin_bulk(call.tenant()).await?;
    access::instance(&mut *uow, call, Operation::InstanceStop, definition, id).await?;

    let blueprint = uow.definitions().lock(definition).await?.ok_or(Refused::NotFound)?;
    let mut instance = uow.instances().lock(id).await?.ok_or(Refused::NotFound)?;
    lifecycle::check_stop(&instance)?;
    let mut running = uow
        .stages()
        .list(id)
        .await?
        .into_iter()
        .find(|entry| entry.stage.status == Status::InProgress)
        .ok_or_else(|| Refused::InvalidState("no stage of the instance is running".to_owned()))?;
    // The lock waits for decisions in flight; what the row says afterwards counts.
    running.stage = uow.stages().lock(id, running.stage.id).await?.ok_or(Refused::NotFound)?;
    let now = uow.now();
    let next = lifecycle::close_stage(&running.stage, Cause::InstanceStop, now)?.unwrap_or(Next::Completion);

    let actor = call.actor();
    let mut run = ReviewRun::new(&mut *uow, &actor);
    run.note(about(Activity::InstanceStopped, &instance));
    run.close_stage(&blueprint, &mut instance, running, next, &services.limits).await?;
    run.finish(&blueprint).await?;
    uow.commit().await?;
    services.work.notify_waiters();
    Ok(())
}

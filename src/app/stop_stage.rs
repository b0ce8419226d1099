//! STAGE-STOP: ends the running stage now; the next one starts at this moment. ST-07, LC-STAGE-06, LC-STAGE-20, LC-STAGE-21

use super::{
    Call, Refused, Services,
    access::{self, StagePath},
    run_review::{ReviewRun, about},
};
use crate::domain::{
    authorization::Operation,
    event::{Activity, Event},
    lifecycle::{self, Cause, Next},
};

/// Stops a running stage. Stopping the last one completes the instance.
pub async fn stop_stage(services: &Services, call: &Call, path: StagePath) -> Result<(), Refused> {
    let mut uow = services.begin_bulk(call.tenant()).await?;
    access::stage(&mut *uow, call, Operation::StageStop, path).await?;

    let blueprint = uow.definitions().lock(path.definition).await?.ok_or(Refused::NotFound)?;
    let mut instance = uow.instances().lock(path.instance).await?.ok_or(Refused::NotFound)?;
    let stage = uow.stages().lock(path.instance, path.stage).await?.ok_or(Refused::NotFound)?;
    let now = uow.now();
    let next = lifecycle::close_stage(&stage, Cause::StageStop, now)?.unwrap_or(Next::Completion);
    let running = uow
        .stages()
        .list(path.instance)
        .await?
        .into_iter()
        .find(|entry| entry.stage.id == path.stage)
        .ok_or(Refused::NotFound)?;

    let actor = call.actor();
    let mut run = ReviewRun::new(&mut *uow, &actor);
    run.note(Event { stage_id: Some(path.stage), ..about(Activity::StageStopped, &instance) });
    run.close_stage(&blueprint, &mut instance, running, next, &services.limits).await?;
    run.finish(&blueprint).await?;
    uow.commit().await?;
    services.work.notify_waiters();
    Ok(())
}

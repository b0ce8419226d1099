//! INST-RESET: every item of the running stage back to `NotReviewed`. LC-DEC-13

use serde_json::json;

use super::{Call, Refused, Services, access, bulk_decisions::addressed, run_review::about};
use crate::{
    domain::{
        authorization::Operation,
        bulk_decision,
        decision::Verdict,
        event::{Activity, Event},
        ids::{DefinitionId, InstanceId},
    },
    store::bulk::ItemSelection,
};

/// Removes the running stage's decisions; those of closed stages are evidence and stay. Nobody is told.
pub async fn reset_decisions(
    services: &Services,
    call: &Call,
    definition: DefinitionId,
    id: InstanceId,
) -> Result<(), Refused> {
    let mut uow = services.begin_bulk(call.tenant()).await?;
    let (instance, _) = access::instance(&mut *uow, call, Operation::InstanceReset, definition, id).await?;
    let stages = uow.stages().list(id).await?;
    let running = addressed(&instance, &stages, None)?;
    let (ordinal, entry) = (running.stage.ordinal, running.entry);
    let stage = uow.stages().lock_shared(id, ordinal).await?.ok_or(Refused::NotFound)?;
    bulk_decision::check_reset(&stage, uow.now())?;

    let actor = call.actor();
    let about_stage = |activity| Event { stage_id: Some(stage.id), ..about(activity, &instance) };
    let overwritten = Event {
        after: Some(json!({ "decision": Verdict::NotReviewed.as_str() })),
        ..about_stage(Activity::DecisionOverwritten)
    };
    let selection = ItemSelection { instance: id, ordinal, entry, reach: None, principal: None };
    let items = uow.bulk_decisions().withdraw_all(&selection, &actor, &overwritten).await?;
    if items > 0 {
        let event = Event {
            after: Some(json!({ "items": items })),
            ..about_stage(Activity::of_bulk_verdict(Verdict::NotReviewed))
        };
        uow.events().append(&actor, &[event]).await?;
    }
    uow.commit().await?;
    Ok(())
}

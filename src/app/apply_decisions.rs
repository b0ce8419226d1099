//! INST-APPLY: an admin has the decisions of a review that ended carried out. IN-12, IN-13; the rule is `domain::apply::check_apply`.

use super::{Call, Refused, Services, access, run_review::ReviewRun};
use crate::{
    domain::{
        apply::{self, ApplyRefusal},
        authorization::Operation,
        ids::{DefinitionId, InstanceId},
    },
    store::Plans,
};

impl From<ApplyRefusal> for Refused {
    fn from(refusal: ApplyRefusal) -> Self {
        match refusal {
            ApplyRefusal::WrongState(error) => error.into(),
            ApplyRefusal::Automatic => Self::InvalidState(refusal.to_string()),
        }
    }
}

/// Begins to apply; a job does the work while the status says `Applying`. LC-APPLY-01, LC-CONC-05
pub async fn apply_decisions(
    services: &Services,
    call: &Call,
    definition: DefinitionId,
    id: InstanceId,
) -> Result<(), Refused> {
    let mut uow = services.begin_with(call.tenant(), Plans::Kept).await?;
    access::instance(&mut *uow, call, Operation::InstanceApply, definition, id).await?;
    let blueprint = uow.definitions().lock(definition).await?.ok_or(Refused::NotFound)?;
    let mut instance = uow.instances().lock(id).await?.ok_or(Refused::NotFound)?;
    apply::check_apply(&instance)?;

    let actor = call.actor();
    let mut run = ReviewRun::new(&mut *uow, &actor);
    run.begin_applying(&mut instance, &call.caller.identity).await?;
    run.finish(&blueprint).await?;
    uow.commit().await?;
    services.work.notify_waiters();
    Ok(())
}

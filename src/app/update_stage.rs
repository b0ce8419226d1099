//! STAGE-UPDATE: replaces the reviewers of a stage and adds fallback reviewers. The rule is `domain::stage_update`.

use super::{
    Call, Refused, Services,
    access::{self, StagePath},
    change_reviewers::change_reviewers,
    entity_tags,
    get_stage::StageView,
    update_together::{Settled, update_together},
};
use crate::{
    domain::{authorization::Operation, stage_update::StageUpdateRequest},
    store::{Plans, StoreError},
};

/// Updates a stage's reviewer lists: all of it or nothing. LC-SUPD-01 to LC-SUPD-31
///
/// Updates of one stage that come at the same time are committed together (`update_together`); what follows is for one alone.
///
/// One transaction with the stage row locked: two updates serialise, and each is judged against what the other left
/// (LC-CONC-03). Answers the stage as committed.
pub async fn update_stage(
    services: &Services,
    call: &Call,
    path: StagePath,
    request: &StageUpdateRequest,
) -> Result<StageView, Refused> {
    match update_together(services, call, path, request).await {
        Settled::Judged(answer) => return *answer,
        Settled::Failed(failure) => return Err(StoreError::from(failure).into()),
        Settled::Alone => {}
    }
    // Few updates leave a warning. Only these lock the instance, and an instance is locked before its stages.
    let mut instance_locked = false;
    loop {
        match attempt(services, call, path, request, instance_locked).await? {
            Some(view) => return Ok(view),
            None => instance_locked = true,
        }
    }
}

/// One unit of work; `None` when it was undone because it has a warning to leave and the instance is not locked.
async fn attempt(
    services: &Services,
    call: &Call,
    path: StagePath,
    request: &StageUpdateRequest,
    instance_locked: bool,
) -> Result<Option<StageView>, Refused> {
    let mut uow = services.begin_with(call.tenant(), Plans::Kept).await?;
    if instance_locked {
        uow.instances().lock(path.instance).await?.ok_or(Refused::NotFound)?;
    }
    let access = access::stage(&mut *uow, call, Operation::StageUpdate, path).await?;

    let mut entry = access.stages.into_iter().find(|entry| entry.stage.id == path.stage).ok_or(Refused::NotFound)?;
    entry.stage = uow.stages().lock(path.instance, path.stage).await?.ok_or(Refused::NotFound)?;
    call.precondition.check(&entity_tags::of_stage(&entry.stage))?;
    let mut instance = access.instance;
    let changed = change_reviewers(&mut *uow, call, &instance, &mut entry, request, &services.limits).await?;
    if changed.items_without_reviewer > 0 {
        if !instance_locked {
            return Ok(None);
        }
        instance.warn_of_items_without_reviewer(entry.stage.ordinal, changed.items_without_reviewer);
        uow.instances().update(&mut instance).await?;
    }
    if changed.changed {
        uow.commit().await?;
        services.work.notify_waiters();
    }
    Ok(Some(StageView { stage: entry.stage, lists: changed.lists }))
}

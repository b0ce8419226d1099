//! INST-UPDATE: replaces the reviewers of a running single-stage instance and adds fallback reviewers. LC-INST-30, LC-INST-31

use super::{
    Call, Refused, Services, access, change_reviewers::change_reviewers, entity_tags, get_instance::InstanceView,
};
use crate::domain::{
    authorization::Operation,
    ids::{DefinitionId, InstanceId, ReviewerListId},
    lifecycle,
    stage_update::StageUpdateRequest,
    violation::Violation,
};

/// Makes of the body what is to change, or tells what is wrong with its form: read-only members are held against the instance as
/// stored.
pub type WantedReviewers = Box<dyn FnOnce(&InstanceView) -> Result<StageUpdateRequest, Vec<Violation>> + Send>;

/// Updates an instance's reviewer lists: all of it or nothing; answers the instance as committed.
///
/// Its one hidden stage is what decides who reviews, and takes the same way as a shown one; the instance's own lists follow.
pub async fn update_instance(
    services: &Services,
    call: &Call,
    definition: DefinitionId,
    id: InstanceId,
    wanted: WantedReviewers,
) -> Result<InstanceView, Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    access::instance(&mut *uow, call, Operation::InstanceUpdate, definition, id).await?;

    let instance = uow.instances().lock(id).await?.ok_or(Refused::NotFound)?;
    call.precondition.check(&entity_tags::of_instance(&instance))?;
    lifecycle::check_reviewer_change(&instance).map_err(|refusal| Refused::InvalidState(refusal.to_string()))?;
    let own = ReviewerListId::of_instance(id);
    let view = InstanceView { lists: uow.reviewer_lists().find(own).await?, instance };
    let request = wanted(&view).map_err(Refused::Invalid)?;
    let mut entry = uow.stages().list(id).await?.into_iter().next().ok_or(Refused::NotFound)?;
    entry.stage = uow.stages().lock(id, entry.stage.id).await?.ok_or(Refused::NotFound)?;
    let mut instance = view.instance;
    let changed = change_reviewers(&mut *uow, call, &instance, &mut entry, &request, &services.limits).await?;
    if changed.changed {
        uow.reviewer_lists().replace(own, &changed.lists).await?;
        if changed.items_without_reviewer > 0 {
            instance.warn_of_items_without_reviewer(entry.stage.ordinal, changed.items_without_reviewer);
        }
        uow.instances().update(&mut instance).await?;
        uow.commit().await?;
        services.work.notify_waiters();
    }
    Ok(InstanceView { instance, lists: changed.lists })
}

//! STAGE-LIST, STAGE-MINE

use super::{
    Call, Refused, Services,
    access::{self, Sight},
    get_stage::StageView,
    listing::{ListRequest, Listed, Position, list_in_memory},
};
use crate::{
    domain::{
        authorization::{CallerKind, Operation},
        ids::{DefinitionId, InstanceId, ReviewerListId},
    },
    store::{
        StageEntry, UnitOfWork,
        filter::{FilterValue, StageProperty},
    },
};

/// Which list of stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageList {
    /// STAGE-LIST; a reviewer without a role sees those he reviews.
    All,
    /// Those of any status in which the caller reviews an item. STAGE-MINE, LC-AUTH-05
    Mine,
}

/// The stages created so far that the caller gets to see, first to last; none for a single-stage review (LC-STAGE-02).
pub async fn list_stages(
    services: &Services,
    call: &Call,
    definition: DefinitionId,
    instance: InstanceId,
    list: StageList,
    request: &ListRequest<StageProperty, Position>,
) -> Result<Listed<StageView, Position>, Refused> {
    let operation = match list {
        StageList::All => Operation::StageList,
        StageList::Mine => Operation::StageMine,
    };
    let mut uow = services.begin(call.tenant()).await?;
    let views = visible_stages(&mut *uow, call, operation, definition, instance).await?;
    Ok(list_in_memory(views, request, |view: &StageView, property| match property {
        StageProperty::Id => FilterValue::Id(view.stage.id.as_uuid()),
        StageProperty::Status => FilterValue::Member(view.stage.status.as_str()),
        StageProperty::StartDateTime => FilterValue::Instant(view.stage.start_at),
        StageProperty::EndDateTime => FilterValue::Instant(view.stage.end_at),
    }))
}

/// The stages of one instance that this operation shows the caller.
pub(super) async fn visible_stages(
    uow: &mut dyn UnitOfWork,
    call: &Call,
    operation: Operation,
    definition: DefinitionId,
    instance: InstanceId,
) -> Result<Vec<StageView>, Refused> {
    let (found, sight) = access::instance(uow, call, operation, definition, instance).await?;
    if !found.multi_stage {
        return Ok(Vec::new());
    }
    let mut stages = uow.stages().list(instance).await?;
    if sight == Sight::OwnOnly {
        let reaches = match call.caller.kind {
            CallerKind::User => uow.reviewers().reaches(instance, call.caller.identity.id).await?,
            CallerKind::Application => Vec::new(),
        };
        stages.retain(|entry| reaches.iter().any(|part| part.ordinal == entry.stage.ordinal));
    }
    stage_views(uow, stages).await
}

/// Completes stages with their lists.
pub(super) async fn stage_views(uow: &mut dyn UnitOfWork, stages: Vec<StageEntry>) -> Result<Vec<StageView>, Refused> {
    let ids: Vec<_> = stages.iter().map(|entry| ReviewerListId::of_stage(entry.stage.id)).collect();
    let lists = uow.reviewer_lists().find_all(&ids).await?;
    Ok(stages.into_iter().zip(lists).map(|(entry, lists)| StageView { stage: entry.stage, lists }).collect())
}

//! STAGE-LIST, STAGE-MINE

use super::{
    Call, Refused, Services,
    access::{self, Sight},
    get_stage::StageView,
};
use crate::domain::{
    authorization::{CallerKind, Operation},
    ids::{DefinitionId, InstanceId, ReviewerListId},
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
) -> Result<Vec<StageView>, Refused> {
    let operation = match list {
        StageList::All => Operation::StageList,
        StageList::Mine => Operation::StageMine,
    };
    let mut uow = services.begin(call.tenant()).await?;
    let (found, sight) = access::instance(&mut *uow, call, operation, definition, instance).await?;
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
    let ids: Vec<_> = stages.iter().map(|entry| ReviewerListId::of_stage(entry.stage.id)).collect();
    let lists = uow.reviewer_lists().find_all(&ids).await?;
    Ok(stages.into_iter().zip(lists).map(|(entry, lists)| StageView { stage: entry.stage, lists }).collect())
}

//! STAGE-GET

use super::{
    Call, Refused, Services,
    access::{self, StagePath},
};
use crate::domain::{authorization::Operation, ids::ReviewerListId, reviewer_scope::ReviewerLists, stage::Stage};

/// A stage and its reviewer lists.
#[derive(Clone, Debug, PartialEq)]
pub struct StageView {
    pub stage: Stage,
    pub lists: ReviewerLists,
}

/// One stage, for whoever may read it.
pub async fn get_stage(services: &Services, call: &Call, path: StagePath) -> Result<StageView, Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    let access = access::stage(&mut *uow, call, Operation::StageGet, path).await?;
    let lists = uow.reviewer_lists().find(ReviewerListId::of_stage(path.stage)).await?;
    Ok(StageView { stage: access.stage, lists })
}

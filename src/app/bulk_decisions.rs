//! What the bulk operations have in common: which stage takes the answers, who asks, and what he reaches there.

use super::{
    Call, Refused,
    access::{authorize, kind_of_instance, relation},
    run_review::about,
};
use crate::{
    domain::{
        authorization::{CallerKind, Operation, require_permission},
        event::{Activity, Event},
        ids::{DefinitionId, InstanceId, ObjectId, StageId},
        instance::Instance,
        stage::Stage,
        status::Status,
    },
    store::{StageEntry, UnitOfWork, bulk::ItemSelection},
};

/// Which items are answered for.
#[derive(Clone, Copy, Debug)]
pub struct BulkPath {
    pub definition: DefinitionId,
    pub instance: InstanceId,
    /// `None` on the instance path, which acts on the running stage. LC-STAGE-61
    pub stage: Option<StageId>,
}

/// The stage that takes the answers, held so that it cannot close before the commit, and the caller's items in it.
pub(super) struct Answering {
    pub instance: Instance,
    pub stage: Stage,
    pub selection: ItemSelection,
}

impl Answering {
    /// An event about the stage.
    pub(super) fn event(&self, activity: Activity) -> Event {
        Event { stage_id: Some(self.stage.id), ..about(activity, &self.instance) }
    }
}

/// The stage an answer goes to: the one addressed, else the running one, else the last, whose state then refuses. LC-STAGE-60
pub(super) fn addressed<'a>(
    instance: &Instance,
    stages: &'a [StageEntry],
    stage: Option<StageId>,
) -> Result<&'a StageEntry, Refused> {
    let found = match stage {
        Some(id) if instance.multi_stage => stages.iter().find(|entry| entry.stage.id == id),
        Some(_) => None,
        None => stages.iter().find(|entry| entry.stage.status == Status::InProgress).or(stages.last()),
    };
    found.ok_or(Refused::NotFound)
}

/// Loads and holds what a bulk answer of this caller needs, if he may give one. LC-DEC-09, LC-DEC-10, LC-AUTH-04
pub(super) async fn answering(
    uow: &mut dyn UnitOfWork,
    call: &Call,
    path: BulkPath,
    operation: Operation,
    principal: Option<ObjectId>,
) -> Result<Answering, Refused> {
    require_permission(&call.caller)?;
    let instance = uow.instances().find(path.definition, path.instance).await?.ok_or(Refused::NotFound)?;
    let stages = uow.stages().list(path.instance).await?;
    let addressed = addressed(&instance, &stages, path.stage)?;
    let (ordinal, entry) = (addressed.stage.ordinal, addressed.entry);
    // Before anything is asked of the stage: neither its status nor who reviews what can change from here to the commit.
    let stage = uow.stages().lock_shared(path.instance, ordinal).await?.ok_or(Refused::NotFound)?;
    let kind = kind_of_instance(uow, &instance).await?;
    let mut ties = relation(uow, &call.caller, kind, path.definition, Some(path.instance)).await?;
    let reach = match call.caller.kind {
        CallerKind::Application => None,
        CallerKind::User => {
            let mut reaches = uow.reviewers().reaches(path.instance, call.caller.identity.id).await?;
            ties.reviews_instance |= !reaches.is_empty();
            // With no stage running everybody who reviews something hears of the state, not of his rights.
            let anywhere = path.stage.is_none() && stage.status != Status::InProgress;
            ties.reviews_stage = reaches.iter().any(|part| part.ordinal == ordinal || anywhere);
            let own = reaches.iter().position(|part| part.ordinal == ordinal);
            Some(own.map(|index| reaches.swap_remove(index).reach).unwrap_or_default())
        }
    };
    authorize(&call.caller, operation, kind, &ties)?;
    let selection = ItemSelection { instance: path.instance, ordinal, entry, reach, principal };
    Ok(Answering { instance, stage, selection })
}

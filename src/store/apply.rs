//! What carrying decisions out asks of storage. The directory is ours, so access is removed in the unit that records the result.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Actor, Principal, StoreError};
use crate::domain::{
    apply::{Access, ApplyResult},
    decision::Verdict,
    definition::Identity,
    event::Event,
    ids::{DefinitionId, InstanceId, ItemSeq, ObjectId},
    instance::Instance,
};

/// An instance being applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyRun {
    /// Who had it applied; shown as `appliedBy`. LC-APPLY-06
    pub by: Identity,
    /// Items up to this one are done or await a deletion.
    pub applied_through: ItemSeq,
}

/// How far a step of a run goes, in items; it ends where either number is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepSize {
    /// Those that somebody, or the system, decided.
    pub decided: i32,
    /// Those of them whose decision does not settle what becomes of them.
    pub open: i32,
}

/// What a decision comes to, whoever's it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettledVerdict {
    pub verdict: Verdict,
    /// `None` leaves the item as it is.
    pub result: Option<(ApplyResult, Option<&'static str>)>,
}

/// A step of a run: the items behind the last one, up to `through`.
#[derive(Clone, Debug, PartialEq)]
pub struct StepToApply {
    /// The last item of the step, of the instance in the last step.
    pub through: ItemSeq,
    /// Those whose decision does not settle what becomes of them, in order.
    pub items: Vec<ItemToApply>,
}

/// An item with a decision, and how its principal holds access now.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemToApply {
    pub seq: ItemSeq,
    pub principal: Principal,
    /// The effective decision. LC-STAGE-41
    pub decision: Verdict,
    pub access: Access,
}

/// The result of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemResult {
    pub seq: ItemSeq,
    /// Never [`ApplyResult::New`].
    pub result: ApplyResult,
    pub description: Option<&'static str>,
}

/// What a step of a run leaves.
#[derive(Debug)]
pub struct AppliedStep<'a> {
    pub instance: InstanceId,
    pub by: &'a Identity,
    pub results: &'a [ItemResult],
    /// How far the run has come; `None` when it is not further.
    pub through: Option<ItemSeq>,
    /// Who did what `events` tell of.
    pub actor: &'a Actor,
    pub events: &'a [Event],
}

/// A blocked account that is to be deleted. LC-APPLY-09
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingDeletion {
    pub instance: InstanceId,
    pub seq: ItemSeq,
    pub user: ObjectId,
}

/// An item of a running review whose principal was deleted. LC-APPLY-15
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemovedItem {
    pub definition: DefinitionId,
    pub instance: InstanceId,
    pub seq: ItemSeq,
    pub user: ObjectId,
}

/// What became of an account since it was blocked. LC-APPLY-10
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockedAccount {
    StillBlocked,
    Unblocked,
    /// Somebody else deleted it.
    Gone,
}

/// Each method is one statement, or one for each table of the directory, whatever the number of items.
#[async_trait]
pub trait ApplyRepository: Send {
    /// Records that an instance is being applied, and for whom; once per instance.
    async fn begin_run(&mut self, instance: InstanceId, by: &Identity) -> Result<(), StoreError>;
    /// `None` when the instance was never applied.
    async fn find_run(&mut self, instance: InstanceId) -> Result<Option<ApplyRun>, StoreError>;
    /// Takes the next step of a run, behind what was applied: stores, at the unit's instant, the results of items whose decision is
    /// one of `settled`, and returns the others.
    async fn next_step(
        &mut self,
        instance: &Instance,
        run: &ApplyRun,
        size: StepSize,
        settled: &[SettledVerdict],
    ) -> Result<StepToApply, StoreError>;
    /// Takes the principals' own assignments that are under review away, whatever the kind of the resource; returns those who had
    /// one, perhaps more than once. LC-APPLY-03
    async fn remove(&mut self, instance: &Instance, principals: &[ObjectId]) -> Result<Vec<ObjectId>, StoreError>;
    /// Stores the items' results at the unit's instant, the events in the order given, and how far the run has come.
    async fn record(&mut self, step: &AppliedStep<'_>) -> Result<(), StoreError>;
    /// How often each result was recorded.
    async fn tally(&mut self, instance: InstanceId) -> Result<Vec<(ApplyResult, i64)>, StoreError>;
    /// Blocks the sign-in of these users; returns those who exist.
    async fn block(&mut self, users: &[ObjectId]) -> Result<Vec<ObjectId>, StoreError>;
    /// Remembers to delete these blocked users at `due_at`.
    async fn await_deletions(
        &mut self,
        instance: InstanceId,
        items: &[(ItemSeq, ObjectId)],
        due_at: DateTime<Utc>,
    ) -> Result<(), StoreError>;
    /// When the instance's next deletion is due; `None` when none is pending.
    async fn next_deletion(&mut self, instance: InstanceId) -> Result<Option<DateTime<Utc>>, StoreError>;
    /// Up to `limit` deletions that are due, in order of their items, and what became of the accounts; which stay as they are
    /// until the unit ends.
    async fn due_deletions(
        &mut self,
        instance: InstanceId,
        limit: i64,
    ) -> Result<Vec<(PendingDeletion, BlockedAccount)>, StoreError>;
    /// Takes the items of these users out of the reviews that are running, for good; returns them, in order. LC-APPLY-15
    async fn remove_items_of(&mut self, users: &[ObjectId]) -> Result<Vec<RemovedItem>, StoreError>;
    /// Deletes users from the directory with everything that names them there.
    async fn delete_users(&mut self, users: &[ObjectId]) -> Result<(), StoreError>;
    /// Forgets deletions that were done or are not to be done.
    async fn settle_deletions(&mut self, instance: InstanceId, items: &[ItemSeq]) -> Result<(), StoreError>;
    /// What is pending in all instances of a definition. LC-DEF-33
    async fn pending_deletions(&mut self, definition: DefinitionId) -> Result<Vec<PendingDeletion>, StoreError>;
}

//! A step of a review: what it needs, locked and read at once, and what it leaves, written at once.

use async_trait::async_trait;

use super::{Actor, ClaimedJob, Outcome, StageEntry, StoreError};
use crate::domain::{
    definition::Definition,
    event::Event,
    ids::{DefinitionId, InstanceId, StageId},
    instance::Instance,
    lifecycle::InstanceProgress,
    stage::Stage,
    status::Status,
};

/// Which stage of the instance is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedStage {
    /// The step concerns none.
    None,
    /// The one that the instance begins with.
    First,
    /// The one with this id.
    Of(StageId),
}

/// A review that nobody else moves along until the unit ends.
#[derive(Clone, Debug, PartialEq)]
pub struct LockedReview {
    pub definition: Definition,
    pub instance: Instance,
    /// The stage that was asked for, locked, too; `None` when it is not there.
    pub stage: Option<StageEntry>,
    /// As [`super::InstanceRepository::progress`] tells of all, of the definition's other instances.
    pub progress_of_others: Vec<InstanceProgress>,
}

/// What a step of a review leaves.
#[derive(Debug)]
pub struct ReviewStep<'a> {
    pub definition: DefinitionId,
    /// The derived status of the definition. LC-DEF-11
    pub status: Status,
    /// Status, dates, item count and errors are stored, and the version is counted up.
    pub instance: Option<&'a Instance>,
    /// Status and dates of a stage are stored, and its version is counted up.
    pub stage: Option<&'a Stage>,
    /// The claimed job that made the step, and how it ends.
    pub job: Option<(&'a ClaimedJob, Outcome)>,
    pub actor: &'a Actor,
    /// In their order, at the unit's instant.
    pub events: &'a [Event],
}

/// What moves a review along, in one round trip before it is judged and in one afterwards. LC-CONC-04
#[async_trait]
pub trait ReviewStepRepository: Send {
    /// Locks definition, instance and stage, in this order, and reads them with what else a step needs. `None` when the definition
    /// or the instance is gone.
    async fn lock(&mut self, instance: InstanceId, stage: AskedStage) -> Result<Option<LockedReview>, StoreError>;
    /// Writes all of it in one statement. [`StoreError::LeaseLost`] when somebody else has the job by now.
    async fn save(&mut self, step: &ReviewStep<'_>) -> Result<(), StoreError>;
}

//! What an update of a definition reads and writes: the definition itself and the instances that wait for their start.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{
    definition::Definition,
    definition_update::StartedOccurrence,
    ids::{DefinitionId, InstanceId},
    instance::Instance,
    reviewer_scope::ReviewerLists,
    stage::{PlannedStage, Stage, StageOrdinal},
};

#[async_trait]
pub trait DefinitionUpdateRepository: Send {
    /// Stores everything an update may change: what the client writes, the schedule, the time of the change; counts the
    /// version up. The lists become exactly the given ones: a definition's fallback reviewers may go.
    async fn store(&mut self, definition: &Definition) -> Result<(), StoreError>;
    /// The instances that wait for their start, by id, kept from changing until the unit ends.
    async fn lock_waiting(&mut self, definition: DefinitionId) -> Result<Vec<Instance>, StoreError>;
    /// The latest occurrence that has begun, with the latest end of its instances.
    async fn last_started(&mut self, definition: DefinitionId) -> Result<Option<StartedOccurrence>, StoreError>;
    /// Stores dates, settings, own lists and stages to come of a waiting instance anew, and counts its version up. The lists
    /// become exactly the given ones.
    async fn rederive_instance(
        &mut self,
        instance: &mut Instance,
        lists: &ReviewerLists,
        planned: &[PlannedStage],
    ) -> Result<(), StoreError>;
    /// Stores dates, moving decisions and recommendations of a waiting stage anew, and counts its version up. With `lists` its
    /// lists become exactly these.
    async fn rederive_stage(&mut self, stage: &mut Stage, lists: Option<&ReviewerLists>) -> Result<(), StoreError>;
    /// Removes an instance with its stages and lists; events stay. IN-17
    async fn remove_instance(&mut self, id: InstanceId) -> Result<(), StoreError>;
    /// Remembers that an admin set the stage's lists himself. LC-DEF-23
    async fn keep_lists(&mut self, instance: InstanceId, ordinal: StageOrdinal) -> Result<(), StoreError>;
    /// Whether an admin set the stage's lists himself. LC-DEF-23
    async fn keeps_lists(&mut self, instance: InstanceId, ordinal: StageOrdinal) -> Result<bool, StoreError>;
    /// Switches reminders on for the running instances of the definition where they are off, or not mentioned; returns these, in no
    /// order. LC-NOTE-10
    async fn switch_reminders_on(&mut self, definition: DefinitionId) -> Result<Vec<InstanceId>, StoreError>;
}

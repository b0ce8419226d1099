//! Occurrences of all-groups reviews: which groups there are to review, and their instances made all at once.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{
    domain::{
        enumeration::OpenedOccurrence,
        ids::{DefinitionId, ObjectId},
        instance::Instance,
        scope::{GroupEnumeration, UserKind},
        stage::{PlannedStage, Stage},
    },
    store::StoreError,
};

/// Which groups an occurrence reviews.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupSearch {
    pub groups: GroupEnumeration,
    /// Only groups with such a direct member count. LC-INST-09
    pub members: UserKind,
    /// Only users whose last sign-in, and account, are older than this count. LC-INST-11
    pub inactive_before: Option<DateTime<Utc>>,
}

/// A group to be reviewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundGroup {
    pub id: ObjectId,
    pub display_name: String,
}

/// An instance and its first stage, to be stored together.
#[derive(Clone, Debug, PartialEq)]
pub struct NewInstance {
    pub instance: Instance,
    pub first_stage: Stage,
}

#[async_trait]
pub trait OccurrenceRepository: Send {
    /// The groups to review, by id, `limit` at most. Dynamic and role-assignable groups, and those without a member under
    /// review, are left out. LC-INST-09
    async fn groups(&mut self, search: &GroupSearch, limit: i64) -> Result<Vec<FoundGroup>, StoreError>;
    /// Stores the instances of one occurrence with their plans and reviewer lists, which are copied from the definition's stored
    /// lists. The number of statements does not depend on the number of instances, and everything but ids, names and scopes
    /// is the first one's. `false`, and nothing stored, when the occurrence was opened before.
    async fn open(
        &mut self,
        definition: DefinitionId,
        opened: &OpenedOccurrence,
        instances: &[NewInstance],
        planned: &[PlannedStage],
    ) -> Result<bool, StoreError>;
    /// The latest occurrence that was opened.
    async fn last_opened(&mut self, definition: DefinitionId) -> Result<Option<OpenedOccurrence>, StoreError>;
}

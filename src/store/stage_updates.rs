//! What an update of a stage's reviewers reads and writes, each in one round trip.

use async_trait::async_trait;

use super::{Actor, StageEntry, StoreError};
use crate::domain::{
    event::Event,
    ids::{DefinitionId, InstanceId, ObjectId, StageId},
    instance::Instance,
    mail::MailKind,
    reviewer_scope::{ReviewerForm, ReviewerLists},
    stage::Stage,
};

/// A locked stage, and what an update of its reviewers is judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct StageToUpdate {
    pub instance: Instance,
    /// Whether the instance is of a group that directory roles can be assigned to. LC-AUTH-01
    pub role_assignable: bool,
    pub entry: StageEntry,
    pub lists: ReviewerLists,
    /// Those of the forms asked about that name something that is not there. LC-SUPD-12
    pub missing: Vec<ReviewerForm>,
}

/// What judged updates make of a locked stage.
#[derive(Clone, Copy, Debug)]
pub struct StageChange<'a> {
    /// Its version is counted up.
    pub stage: &'a Stage,
    pub lists: &'a ReviewerLists,
    /// In the order in which the updates were judged.
    pub events: &'a [(Actor, Event)],
    /// `None` when reviewers are to stay as they are, or not every item has the same.
    pub reviewers: Option<SameReviewers>,
}

/// How to settle the reviewers of a stage of which every item has the same.
#[derive(Clone, Copy, Debug)]
pub struct SameReviewers {
    /// What the instance reviews.
    pub resource: ObjectId,
    /// How many an item may have. LC-REV-13
    pub most: i64,
    /// Sent to newcomers.
    pub mail: Option<MailKind>,
}

#[async_trait]
pub trait StageUpdateRepository: Send {
    /// Reads a stage and keeps others from changing it until the unit ends. `named` are the forms whose objects are looked for.
    async fn lock(
        &mut self,
        definition: DefinitionId,
        instance: InstanceId,
        stage: StageId,
        named: &[ReviewerForm],
    ) -> Result<Option<StageToUpdate>, StoreError>;
    /// Stores the lists, remembers that an admin set them (LC-DEF-23), stores the version and appends the events. Where somebody is
    /// named for every item, and not too many, also replaces the stage's reviewers and records newcomers, with mail for each, and
    /// answers `true`; else they stay as they were, and are for [`ReviewerRepository::resolve`](super::ReviewerRepository::resolve). A
    /// fallback row is never removed, whatever is asked. LC-INV-03, LC-SUPD-20, LC-SUPD-22
    async fn save(&mut self, change: StageChange<'_>) -> Result<bool, StoreError>;
}

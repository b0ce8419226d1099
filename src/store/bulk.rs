//! What deciding many items at once asks of storage: one statement each, however many items there are.

use async_trait::async_trait;

use super::{Actor, StoreError};
use crate::domain::{
    bulk_decision::{Acceptance, MovesByRecommendation},
    decision::Verdict,
    definition::Identity,
    event::Event,
    ids::{InstanceId, ObjectId},
    lifecycle::Entry,
    reviewer_reach::ReviewerReach,
    stage::StageOrdinal,
};

/// Items of one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemSelection {
    pub instance: InstanceId,
    pub ordinal: StageOrdinal,
    pub entry: Entry,
    /// Only those within reach; `None` is every item of the stage.
    pub reach: Option<ReviewerReach>,
    /// Only this principal's.
    pub principal: Option<ObjectId>,
}

/// One answer for many items.
#[derive(Clone, Debug, PartialEq)]
pub struct BulkAnswer {
    /// Never [`Verdict::NotReviewed`]: that is [`BulkDecisionRepository::withdraw_all`].
    pub verdict: Verdict,
    pub justification: String,
    pub moves_on: MovesByRecommendation,
}

/// Each method holds the rows it writes in order of `seq`, writes at the unit's instant, and returns how many items it wrote to.
#[async_trait]
pub trait BulkDecisionRepository: Send {
    /// Makes this the stage's decision of every selected item. Each decision it takes the place of becomes one event like
    /// `overwritten`, with the item and what stood there, whoever wrote it and however late. LC-DEC-09, LC-DEC-14
    async fn record_all(
        &mut self,
        selection: &ItemSelection,
        answer: &BulkAnswer,
        by: &Identity,
        actor: &Actor,
        overwritten: &Event,
    ) -> Result<i64, StoreError>;
    /// Makes each selected item's recommendation its decision in the stage, where it has one and the stage none; a decision that
    /// somebody else makes meanwhile stays. LC-DEC-11
    async fn accept_all(
        &mut self,
        selection: &ItemSelection,
        acceptance: &Acceptance,
        by: &Identity,
    ) -> Result<i64, StoreError>;
    /// Removes the stage's decision of every selected item, each with an event as in `record_all`. LC-DEC-13
    async fn withdraw_all(
        &mut self,
        selection: &ItemSelection,
        actor: &Actor,
        overwritten: &Event,
    ) -> Result<i64, StoreError>;
}

//! Stages of an instance: their state, dates, and how one follows another. LC-STAGE, table 4.2.

use chrono::{DateTime, Utc};

use crate::domain::{
    definition::{DefinitionDraft, MovingDecision},
    ids::{DefinitionId, InstanceId, StageId},
    insight::{StageInsight, insights_in_force},
    reviewer_scope::ReviewerLists,
    status::Status,
};

/// Position of a stage within its instance: 1 to 3. A single-stage review has stage 1 too, hidden from `/stages`.
pub type StageOrdinal = i16;

/// The pseudo-stage that holds the system's default decisions: below every real one, so any reviewer's decision outranks it.
pub const SYSTEM_STAGE: StageOrdinal = 0;

/// A stored stage. Reviewer lists are separate values ([`crate::domain::reviewer_scope::ReviewerLists`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    pub id: StageId,
    pub instance_id: InstanceId,
    pub definition_id: DefinitionId,
    /// 1 to 3.
    pub ordinal: StageOrdinal,
    /// How many stages the instance has in all.
    pub stage_count: StageOrdinal,
    pub status: Status,
    /// Scheduled, then actual start. UTC. LC-STAGE-06
    pub start_at: DateTime<Utc>,
    /// Scheduled end: the instance's start plus the durations up to here. UTC. LC-STAGE-04
    pub end_at: DateTime<Utc>,
    /// Which decisions move on; empty means all. Ignored on the last stage. LC-STAGE-30
    pub moves: Vec<MovingDecision>,
    /// Whether this stage shows recommendations. LC-RCM-10
    pub recommendations_enabled: bool,
    /// Counts changes of this row; the entity tag.
    pub version: i64,
}

impl Stage {
    /// Whether no other stage follows this one.
    pub fn is_last(&self) -> bool {
        self.ordinal == self.stage_count
    }
}

/// A stage to come, as the settings were when its instance was made. LC-SUPD-30
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedStage {
    pub ordinal: StageOrdinal,
    /// Days from the instance's start to the scheduled end; the last stage ends with its instance. LC-STAGE-04
    pub ends_after_days: u32,
    pub moves: Vec<MovingDecision>,
    pub recommendations_enabled: bool,
    /// What its recommendations rest on, where it shows any. LC-RCM-10
    pub insights: Vec<StageInsight>,
    pub reviewer_lists: ReviewerLists,
}

impl PlannedStage {
    /// The stages of an instance made now, in their order; never empty. LC-DEF-02
    pub fn all_of(draft: &DefinitionDraft) -> Vec<Self> {
        let resource = draft.scope.form.resource_kind();
        draft
            .stage_plan()
            .into_iter()
            .map(|stage| Self {
                ordinal: stage.ordinal,
                ends_after_days: stage.ends_after_days,
                moves: stage.moves.to_vec(),
                recommendations_enabled: stage.recommendations_enabled,
                insights: insights_in_force(stage.insight_settings, stage.look_back, resource),
                reviewer_lists: stage.reviewer_lists.clone(),
            })
            .collect()
    }
}

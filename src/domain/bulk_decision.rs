//! Deciding many items at once: a bulk answer, the recommendations as answers, and the reset. LC-DEC-09 to 14
//!
//! Which items are meant is told set-wise to storage; these rules say what is written to each of them, and whether at all.

use chrono::{DateTime, Utc};

use crate::domain::{
    decision::{Answer, RecordRefusal, Verdict, check_justification, check_open, moves_on},
    recommendation::Recommendation,
    stage::Stage,
};

/// Stored as the justification of an accepted recommendation where one is required. LC-DEC-12
pub const RECOMMENDATION_ACCEPTED: &str = "Recommendation accepted";

/// For each recommendation, at the place of its code, whether an item with it moves to the next stage. LC-STAGE-30, LC-STAGE-33
pub type MovesByRecommendation = [bool; Recommendation::ALL.len()];

/// What a bulk answer leaves behind on every item it reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedAll {
    /// Each item's record in the stage is now this.
    Stored { verdict: Verdict, justification: String, moves_on: MovesByRecommendation },
    /// No item has a record in the stage any more.
    Withdrawn,
}

/// Records one answer for many items of an open stage, exactly as [`crate::domain::decision::record`] does for each. LC-DEC-09
pub fn record_all(
    stage: &Stage,
    justification_required: bool,
    answer: Answer,
    now: DateTime<Utc>,
) -> Result<RecordedAll, RecordRefusal> {
    check_open(stage, "recording decisions", now)?;
    let justification = check_justification(&answer, justification_required)?;
    Ok(match answer.verdict {
        Verdict::NotReviewed => RecordedAll::Withdrawn,
        verdict @ (Verdict::Approve | Verdict::Deny | Verdict::DontKnow) => RecordedAll::Stored {
            verdict,
            justification,
            moves_on: Recommendation::ALL.map(|recommendation| moves_on(&stage.moves, verdict, recommendation)),
        },
    })
}

/// What accepting writes to each undecided item that has a recommendation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// Empty when none is required.
    pub justification: &'static str,
    /// Without meaning for the item that has no recommendation.
    pub moves_on: MovesByRecommendation,
}

/// Why recommendations cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptRefusal {
    /// As for a decision.
    #[error(transparent)]
    Record(#[from] RecordRefusal),
    /// LC-RCM-01
    #[error("recommendations are disabled here; there is nothing to accept")]
    Disabled,
}

/// Takes the recommendations of an open stage for answers. LC-DEC-11, LC-DEC-12
pub fn accept(stage: &Stage, justification_required: bool, now: DateTime<Utc>) -> Result<Acceptance, AcceptRefusal> {
    check_open(stage, "accepting recommendations", now)?;
    if !stage.recommendations_enabled {
        return Err(AcceptRefusal::Disabled);
    }
    Ok(Acceptance {
        justification: if justification_required { RECOMMENDATION_ACCEPTED } else { "" },
        moves_on: Recommendation::ALL.map(|recommendation| {
            recommendation.as_verdict().is_some_and(|verdict| moves_on(&stage.moves, verdict, recommendation))
        }),
    })
}

/// Whether the decisions of a stage may be reset. LC-DEC-13
pub fn check_reset(stage: &Stage, now: DateTime<Utc>) -> Result<(), RecordRefusal> {
    check_open(stage, "resetting decisions", now)
}

#[cfg(test)]
mod tests;

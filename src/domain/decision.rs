//! Decisions: what a reviewer answers for one item, and which items move on. LC-DEC, LC-STAGE-30 to 44.

use chrono::{DateTime, Utc};

use crate::domain::{
    definition::{DefaultDecision, Identity, MovingDecision},
    recommendation::Recommendation,
    stage::Stage,
    status::{Status, WrongState},
};

/// What stands for an item. LC-DEC-01
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    Approve,
    Deny,
    DontKnow,
    NotReviewed,
}

impl Verdict {
    /// Every value.
    pub const ALL: [Self; 4] = [Self::Approve, Self::Deny, Self::DontKnow, Self::NotReviewed];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "Approve",
            Self::Deny => "Deny",
            Self::DontKnow => "DontKnow",
            Self::NotReviewed => "NotReviewed",
        }
    }

    /// Reads a wire value without regard to case. Section 10 of the model.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str().eq_ignore_ascii_case(text))
    }
}

/// What a reviewer sends for one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub verdict: Verdict,
    /// As sent; `None` when absent.
    pub justification: Option<String>,
}

/// A decision recorded for one item in one stage. No record means [`Verdict::NotReviewed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Never [`Verdict::NotReviewed`]: withdrawing removes the record. LC-STAGE-43
    pub verdict: Verdict,
    /// Empty when none was given.
    pub justification: String,
    /// Who decided.
    pub decided_by: Identity,
    /// When. UTC.
    pub decided_at: DateTime<Utc>,
    /// Whether the item moves to the next stage if nothing changes before the close. LC-STAGE-30
    pub moves_on: bool,
}

/// What recording an answer leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The stage's record of the item is now this.
    Stored(Decision),
    /// The stage has no record of the item any more. LC-DEC-03
    Withdrawn,
}

/// Why an answer was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordRefusal {
    /// The stage is not open. LC-DEC-04
    #[error(transparent)]
    WrongState(#[from] WrongState),
    /// The clock decides, not the scheduler. LC-DEC-05
    #[error("the stage ended at {}; decisions can no longer be recorded", .0.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))]
    DeadlinePassed(DateTime<Utc>),
    /// LC-DEC-06
    #[error("a justification is required for {}", .0.as_str())]
    JustificationRequired(Verdict),
}

/// The statuses in which decisions are taken.
const DECIDABLE: &[Status] = &[Status::InProgress];

/// Whether the stage takes decisions at this instant. LC-DEC-04, LC-DEC-05
pub fn check_open(stage: &Stage, operation: &'static str, now: DateTime<Utc>) -> Result<(), RecordRefusal> {
    if stage.status != Status::InProgress {
        return Err(WrongState { operation, object: "stage", current: stage.status, allowed: DECIDABLE }.into());
    }
    if now >= stage.end_at {
        return Err(RecordRefusal::DeadlinePassed(stage.end_at));
    }
    Ok(())
}

/// The justification to store, when it is enough for what was answered. LC-DEC-06
pub(super) fn check_justification(answer: &Answer, required: bool) -> Result<String, RecordRefusal> {
    let justification = answer.justification.clone().unwrap_or_default();
    match answer.verdict {
        Verdict::Approve | Verdict::Deny if required && justification.trim().is_empty() => {
            Err(RecordRefusal::JustificationRequired(answer.verdict))
        }
        Verdict::Approve | Verdict::Deny | Verdict::DontKnow | Verdict::NotReviewed => Ok(justification),
    }
}

/// Records a reviewer's answer in an open stage.
///
/// Who may answer is decided before (`authorization`); this is the rule of state, deadline and justification.
/// LC-DEC-03 to 06, LC-STAGE-43
pub fn record(
    stage: &Stage,
    justification_required: bool,
    recommendation: Recommendation,
    answer: Answer,
    caller: Identity,
    now: DateTime<Utc>,
) -> Result<Recorded, RecordRefusal> {
    check_open(stage, "recording a decision", now)?;
    let justification = check_justification(&answer, justification_required)?;
    if answer.verdict == Verdict::NotReviewed {
        return Ok(Recorded::Withdrawn);
    }
    Ok(Recorded::Stored(Decision {
        verdict: answer.verdict,
        justification,
        decided_by: caller,
        decided_at: now,
        moves_on: moves_on(&stage.moves, answer.verdict, recommendation),
    }))
}

/// Whether an item with this stage decision moves to the next stage. LC-STAGE-30 to 33
pub fn moves_on(moves: &[MovingDecision], verdict: Verdict, recommendation: Recommendation) -> bool {
    moves.is_empty()
        || moves.iter().any(|moving| match moving {
            MovingDecision::Approve => verdict == Verdict::Approve,
            MovingDecision::Deny => verdict == Verdict::Deny,
            MovingDecision::DontKnow => verdict == Verdict::DontKnow,
            MovingDecision::NotReviewed => verdict == Verdict::NotReviewed,
            MovingDecision::Recommendation => recommendation.as_verdict() == Some(verdict),
        })
}

/// The decision that counts: the one of the highest stage that has a record. LC-STAGE-41, LC-STAGE-42, LC-INV-05
///
/// `records` are the stages' records of one item, first stage first; the system's own record (default decision) stands
/// before them because it only counts where no stage has one.
pub fn effective<'a>(system: Option<&'a Decision>, records: &[Option<&'a Decision>]) -> Option<&'a Decision> {
    records.iter().rev().find_map(|record| *record).or(system)
}

/// The verdict that the default decision gives an item nobody decided; `None` leaves it unreviewed. LC-CMP-02 to 05
pub fn default_verdict(enabled: bool, default: DefaultDecision, recommendation: Recommendation) -> Option<Verdict> {
    if !enabled {
        return None;
    }
    match default {
        DefaultDecision::None => None,
        DefaultDecision::Approve => Some(Verdict::Approve),
        DefaultDecision::Deny => Some(Verdict::Deny),
        DefaultDecision::Recommendation => recommendation.as_verdict(),
    }
}

#[cfg(test)]
mod tests;

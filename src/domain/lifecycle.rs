//! How instances and stages move along tables 2.2 and 4.2. LC-INST, LC-STAGE, LC-CMP-01, LC-DEF-11
//!
//! Each function judges one step and answers the statuses to walk and what follows; `app::run_review` walks them inside one
//! transaction.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::{
    definition::{DefaultDecision, MovingDecision, Settings},
    instance::Instance,
    stage::{PlannedStage, Stage, StageOrdinal},
    status::{Status, WrongState},
};

/// A start this much behind its time is an outage; less is the scheduler's ordinary lateness and moves nothing. LC-INST-15
pub const START_TOLERANCE: TimeDelta = TimeDelta::minutes(10);

/// What is left for each of its stages when an occurrence that is late has to end early must be at least this, or it fails.
/// LC-INST-15
pub const SHORTEST_LATE_RUN: TimeDelta = TimeDelta::days(1);

/// What ends a stage or an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its time was up. ST-06
    Timer,
    /// An admin stopped the stage. ST-07
    StageStop,
    /// An admin stopped the instance. ST-08
    InstanceStop,
}

/// What follows when a stage has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// ST-01: this stage is created now and starts at this instant.
    Stage { ordinal: StageOrdinal, start_at: DateTime<Utc> },
    /// IN-07, IN-08: nobody reviews any further.
    Completion,
}

const RUNNING: &[Status] = &[Status::InProgress];

/// Whether a running stage may close now, and what follows. ST-06 to ST-09, LC-STAGE-06, LC-STAGE-20, LC-STAGE-21
///
/// `Ok(None)` when the timer came before its time, which changes nothing. A stage closed by the timer hands over at its
/// scheduled end, a stopped one at `now`; but a stop that comes after the end, before a late timer, hands over at the end too.
/// Whether that was long ago is [`hand_over`]'s to judge.
pub fn close_stage(stage: &Stage, cause: Cause, now: DateTime<Utc>) -> Result<Option<Next>, WrongState> {
    if stage.status != Status::InProgress {
        let operation = match cause {
            Cause::Timer => "closing",
            Cause::StageStop | Cause::InstanceStop => "stopping",
        };
        return Err(WrongState { operation, object: "stage", current: stage.status, allowed: RUNNING });
    }
    let handed_over_at = match cause {
        Cause::Timer if now < stage.end_at => return Ok(None),
        Cause::Timer => stage.end_at,
        Cause::StageStop => now.min(stage.end_at),
        Cause::InstanceStop => return Ok(Some(Next::Completion)),
    };
    Ok(Some(after_stage(stage, handed_over_at)))
}

/// What follows a stage that has nothing left to do at `handed_over_at`. LC-STAGE-37
pub fn after_stage(stage: &Stage, handed_over_at: DateTime<Utc>) -> Next {
    if stage.is_last() {
        Next::Completion
    } else {
        Next::Stage { ordinal: stage.ordinal + 1, start_at: handed_over_at }
    }
}

/// Whether an instance may be stopped. IN-08, section 2.3
pub fn check_stop(instance: &Instance) -> Result<(), WrongState> {
    check_running(instance, "stopping")
}

/// Why the reviewers of an instance cannot change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewerChangeRefusal {
    /// Its own lists decide nothing. LC-INST-31
    #[error("the reviewers of an instance with stages are those of its stages: update the running stage instead")]
    HasStages,
    /// LC-INST-30
    #[error(transparent)]
    WrongState(#[from] WrongState),
}

/// Whether the reviewers of the instance itself may change. LC-INST-30, LC-INST-31
pub fn check_reviewer_change(instance: &Instance) -> Result<(), ReviewerChangeRefusal> {
    if instance.multi_stage {
        return Err(ReviewerChangeRefusal::HasStages);
    }
    Ok(check_running(instance, "updating reviewers")?)
}

/// Whether the reviewers of an instance may be reminded. Section 2.3
pub fn check_reminder(instance: &Instance) -> Result<(), WrongState> {
    check_running(instance, "reminding reviewers")
}

fn check_running(instance: &Instance, operation: &'static str) -> Result<(), WrongState> {
    match instance.status {
        Status::InProgress => Ok(()),
        current => Err(WrongState { operation, object: "instance", current, allowed: RUNNING }),
    }
}

/// The statuses an instance walks when it completes, to its resting place or to applying. IN-07, IN-09 to IN-13, LC-CMP-02,
/// LC-APPLY-01
pub fn completion_path(settings: &Settings) -> &'static [Status] {
    let decides = settings.default_decision_enabled && settings.default_decision != DefaultDecision::None;
    match (decides, settings.auto_apply_decisions_enabled) {
        (true, true) => {
            &[Status::Completing, Status::Completed, Status::AutoReviewing, Status::AutoReviewed, Status::Applying]
        }
        (true, false) => &[Status::Completing, Status::Completed, Status::AutoReviewing, Status::AutoReviewed],
        (false, true) => &[Status::Completing, Status::Completed, Status::Applying],
        (false, false) => &[Status::Completing, Status::Completed],
    }
}

/// How the items of a stage are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Every item of the instance.
    All,
    /// Every item but those that an earlier stage decided so that they stay.
    Remaining,
    /// The items listed when the previous stage closed.
    Listed,
}

impl Entry {
    /// The stored spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Remaining => "remaining",
            Self::Listed => "listed",
        }
    }

    /// Reads the stored spelling.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::All, Self::Remaining, Self::Listed].into_iter().find(|entry| entry.as_str() == text)
    }
}

/// How the next stage's items follow from the previous stage's entry and what moves on. LC-STAGE-30, LC-STAGE-36, LC-INV-10
///
/// Silence moving on means that only decided items can stay behind: an anti-join tells the rest. Otherwise a narrow set is
/// listed before the next stage opens. Decisions are never copied.
pub fn entry_after(previous: Entry, moves: &[MovingDecision]) -> Entry {
    let everything =
        [MovingDecision::Approve, MovingDecision::Deny, MovingDecision::DontKnow, MovingDecision::NotReviewed];
    match previous {
        Entry::Listed => Entry::Listed,
        Entry::All if moves.is_empty() || everything.iter().all(|decision| moves.contains(decision)) => Entry::All,
        Entry::All | Entry::Remaining if moves.is_empty() || moves.contains(&MovingDecision::NotReviewed) => {
            Entry::Remaining
        }
        Entry::All | Entry::Remaining => Entry::Listed,
    }
}

/// The dates of an instance that starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    pub start_at: DateTime<Utc>,
    pub end_at: DateTime<Utc>,
}

/// Why an occurrence cannot start, or go on, any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the review is too late: one of its stages would have less than a day before the next occurrence")]
pub struct TooLate;

/// The dates an instance starts with at `now`: as scheduled when on time, else moved by the delay and capped at the next
/// occurrence. `planned` are all its stages. LC-INST-15
///
/// # Errors
/// As of [`hand_over`].
pub fn start(
    instance: &Instance,
    planned: &[PlannedStage],
    next_occurrence: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Start, TooLate> {
    let begun = begin(instance, planned, 1, instance.start_at, next_occurrence, now)?;
    Ok(Start { start_at: begun.start_at, end_at: begun.end_at })
}

/// When a stage begins that follows another, and what that does to the rest of the review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// When the stage begins.
    pub start_at: DateTime<Utc>,
    /// When the instance ends.
    pub end_at: DateTime<Utc>,
    /// By how much what is left of the review was moved; zero when all is on time.
    pub delay: TimeDelta,
}

/// The dates with which the review goes on when stage `ordinal` should have taken over at `scheduled`; `planned` are all its
/// stages. LC-INST-15, LC-REC-10
///
/// A hand-over that an outage delayed moves what is left of the review by the delay, as a late start does: otherwise the next
/// stage could be over before anybody was asked, and a default decision would fall on those who could not answer.
///
/// # Errors
/// [`TooLate`] when the next occurrence leaves less than a day for one of the stages to come: nothing is decided or applied then.
pub fn hand_over(
    instance: &Instance,
    planned: &[PlannedStage],
    ordinal: StageOrdinal,
    scheduled: DateTime<Utc>,
    next_occurrence: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Begun, TooLate> {
    begin(instance, planned, ordinal, scheduled, next_occurrence, now)
}

fn begin(
    instance: &Instance,
    planned: &[PlannedStage],
    ordinal: StageOrdinal,
    scheduled: DateTime<Utc>,
    next_occurrence: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Begun, TooLate> {
    let delay = now - scheduled;
    if delay < START_TOLERANCE {
        return Ok(Begun { start_at: scheduled, end_at: instance.end_at, delay: TimeDelta::zero() });
    }
    let moved = instance.end_at + delay;
    let end_at = next_occurrence.map_or(moved, |next| moved.min(next));
    // The stages keep their days, so what the next occurrence cuts off is the last one's, then that of the one before.
    let start = Start { start_at: instance.start_at + delay, end_at };
    if end_at < moved && shortest_stage(start, planned, ordinal, now) < SHORTEST_LATE_RUN {
        return Err(TooLate);
    }
    Ok(Begun { start_at: now, end_at, delay })
}

/// How long the shortest of the stages from `ordinal` on would last if that one began at `now`.
fn shortest_stage(start: Start, planned: &[PlannedStage], ordinal: StageOrdinal, now: DateTime<Utc>) -> TimeDelta {
    let stage_count = StageOrdinal::try_from(planned.len()).unwrap_or(StageOrdinal::MAX);
    let mut begins = now;
    let mut shortest = start.end_at - now;
    for stage in planned.iter().filter(|stage| stage.ordinal >= ordinal) {
        let ends = stage_end(start, stage, stage_count);
        shortest = shortest.min(ends - begins);
        begins = ends;
    }
    shortest
}

/// The scheduled end of a planned stage: the instance's start plus the durations up to here, the last one the instance's end.
/// Days are 24 h. LC-STAGE-04
pub fn stage_end(start: Start, planned: &PlannedStage, stage_count: StageOrdinal) -> DateTime<Utc> {
    if planned.ordinal == stage_count {
        return start.end_at;
    }
    // An end beyond the calendar is certainly beyond the instance's.
    start
        .start_at
        .checked_add_signed(TimeDelta::days(i64::from(planned.ends_after_days)))
        .map_or(start.end_at, |end_at| end_at.min(start.end_at))
}

/// Half way between a stage's start and its end. N-4
pub fn middle(stage: &Stage) -> DateTime<Utc> {
    stage.start_at + (stage.end_at - stage.start_at) / 2
}

/// Whether an instance in this status lets the next occurrence be seen. IN-09, LC-INST-07
pub const fn shows_the_next(status: Status) -> bool {
    match status {
        Status::NotStarted | Status::Initializing | Status::Starting | Status::InProgress | Status::Completing => false,
        Status::Completed
        | Status::AutoReviewing
        | Status::AutoReviewed
        | Status::Applying
        | Status::Applied
        | Status::Failed => true,
    }
}

/// One instance as the definition's status sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceProgress {
    pub occurrence: i32,
    pub status: Status,
}

/// The status of a definition. LC-DEF-11
///
/// `more_to_come` says whether the recurrence has an occurrence after the last one in `instances`.
pub fn definition_status(is_series: bool, instances: &[InstanceProgress], more_to_come: bool) -> Status {
    let started = instances.iter().any(|instance| instance.status != Status::NotStarted);
    if !started {
        // Stopped before anything began, it is over without having been. DEF-STOP
        return if instances.is_empty() && !more_to_come { Status::Completed } else { Status::NotStarted };
    }
    if !is_series {
        return instances.iter().map(|instance| instance.status).min().unwrap_or(Status::NotStarted);
    }
    let last = instances.iter().map(|instance| instance.occurrence).max().unwrap_or_default();
    let resting = || instances.iter().filter(|instance| instance.occurrence == last).map(|instance| instance.status);
    let all_over = !more_to_come
        && instances.iter().all(|instance| instance.status.is_at_rest() || instance.status == Status::Applying);
    if all_over { resting().min().unwrap_or(Status::Completed) } else { Status::InProgress }
}

#[cfg(test)]
mod tests;

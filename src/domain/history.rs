//! Reports of decisions: what is asked for, when it runs, how long it is kept. LC-HIST, section 7 of the model.

pub mod report;
pub mod scope;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::{
    authorization::ReviewKind,
    definition::{self, Identity, MAX_DAYS, MAX_DISPLAY_NAME, Recurrence},
    duration::IsoDuration,
    history::scope::HistoryScope,
    ids::{HistoryDefinitionId, HistoryInstanceId, ObjectId},
    recurrence,
    violation::Violation,
};

/// How long a finished report, and a one-time definition, is kept. REPORT_RETENTION
pub const RETENTION: TimeDelta = TimeDelta::days(30);
/// How long a download link works. DOWNLOAD_URI_LIFE
pub const LINK_LIFE: TimeDelta = TimeDelta::hours(24);
/// Most scopes of a report.
pub const MAX_SCOPES: usize = 100;

/// Status of a report and of its runs. There is no way back. LC-HIST-01
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HistoryStatus {
    Requested,
    InProgress,
    Done,
    Error,
}

impl HistoryStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Requested, Self::InProgress, Self::Done, Self::Error];

    /// The wire spelling; clients know `inprogress` in no other one. M-30, CL-19
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::InProgress => "inprogress",
            Self::Done => "done",
            Self::Error => "error",
        }
    }

    /// Reads the wire spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// Which items a report shows. LC-HIST-05
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HistoryDecision {
    Approve,
    Deny,
    DontKnow,
    /// Every item nobody decided.
    NotReviewed,
    /// Those of them whose reviewers were never told: there are none, mail is switched off, or none arrived. M-32, LC-REV-09
    NotNotified,
}

impl HistoryDecision {
    /// Every value.
    pub const ALL: [Self; 5] = [Self::Approve, Self::Deny, Self::DontKnow, Self::NotReviewed, Self::NotNotified];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::DontKnow => "dontKnow",
            Self::NotReviewed => "notReviewed",
            Self::NotNotified => "notNotified",
        }
    }

    /// Reads the wire spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.as_str() == text)
    }
}

/// A window of time, both ends included. UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryPeriod {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

/// `accessReviewHistoryScheduleSettings`. Section 7.3 of the model
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HistorySchedule {
    pub recurrence: Recurrence,
    /// How far each run looks back: years, months and days.
    pub report_range: IsoDuration,
}

/// When a report runs, and over what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryTiming {
    /// At once, over this window.
    Once(HistoryPeriod),
    /// Again and again, each over what lies before it. LC-HIST-08
    Recurring(HistorySchedule),
}

/// What a client asks for. [`validate`] tells which rules it breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryDraft {
    pub display_name: String,
    /// All five when the client named none. LC-HIST-05
    pub decisions: Vec<HistoryDecision>,
    /// A review is in the report when one of them matches its definition. LC-HIST-04
    pub scopes: Vec<HistoryScope>,
    pub timing: HistoryTiming,
}

/// A stored report definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryDefinition {
    pub id: HistoryDefinitionId,
    pub draft: HistoryDraft,
    pub status: HistoryStatus,
    /// UTC.
    pub created_at: DateTime<Utc>,
    pub created_by: Identity,
    /// What the creator could read then, beside the reviews he created. A-39
    pub readable_kinds: Vec<ReviewKind>,
    /// The window of the first run.
    pub period: HistoryPeriod,
    /// From then on it is gone; `None` while runs of a recurring one are to come. UTC.
    pub expires_at: Option<DateTime<Utc>>,
}

impl HistoryDefinition {
    /// Whether it is still there at that time. A one-time report is 404 once it is 30 days old (HIST-GET); a recurring one lives
    /// until the report of its last run expires.
    pub fn is_there_at(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }

    /// Whether this person asked for it. LC-AUTH-08
    pub fn was_created_by(&self, person: ObjectId) -> bool {
        self.created_by.id == person
    }
}

/// One run of a report. Section 7.2 of the model
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryInstance {
    /// The definition's own id for a one-time report. LC-HIST-02
    pub id: HistoryInstanceId,
    pub definition_id: HistoryDefinitionId,
    /// Number of the run, from 0.
    pub occurrence: i32,
    pub status: HistoryStatus,
    pub period: HistoryPeriod,
    /// When it is to run. UTC.
    pub run_at: DateTime<Utc>,
    /// When and how it was finished; `Some` exactly when it is done.
    pub finished: Option<FinishedReport>,
    /// When it and its data are deleted. LC-HIST-07. UTC.
    pub expires_at: DateTime<Utc>,
    /// Until when the link made last works. UTC.
    pub link_expires_at: Option<DateTime<Utc>>,
}

/// A report that can be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinishedReport {
    /// UTC.
    pub at: DateTime<Utc>,
    /// Items, without the header.
    pub rows: i64,
    /// Of the whole text.
    pub bytes: i64,
    /// Pieces that it is kept in, numbered from 0.
    pub pieces: i32,
}

/// A link was asked for of a report that is not there yet, or never will be. LC-HIST-06
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("generating a download link needs the history instance to be done, but it is {}", .0.as_str())]
pub struct NotDone(pub HistoryStatus);

impl HistoryInstance {
    /// A run that was not begun.
    pub fn requested(id: HistoryInstanceId, definition: HistoryDefinitionId, occurrence: i32, run: Run) -> Self {
        Self {
            id,
            definition_id: definition,
            occurrence,
            status: HistoryStatus::Requested,
            period: run.period,
            run_at: run.at,
            finished: None,
            expires_at: expiry(run.at),
            link_expires_at: None,
        }
    }

    /// Whether it is still there at that time. LC-HIST-07
    pub fn is_there_at(&self, now: DateTime<Utc>) -> bool {
        now < self.expires_at
    }

    /// Until when a link made now works: [`LINK_LIFE`], and never beyond the report's own end.
    ///
    /// # Errors
    /// [`NotDone`] when there is nothing to download.
    pub fn link_until(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, NotDone> {
        match (self.status, self.finished) {
            (HistoryStatus::Done, Some(_)) => Ok((now + LINK_LIFE).min(self.expires_at)),
            (status, _) => Err(NotDone(status)),
        }
    }

    /// The end of the link that is shown at that time.
    pub fn link_shown_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.link_expires_at.filter(|end| now < *end)
    }
}

/// When data that came to be then is deleted; the end of time when that lies beyond it.
pub fn expiry(from: DateTime<Utc>) -> DateTime<Utc> {
    from.checked_add_signed(RETENTION).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// When a run happens and what it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// UTC.
    pub at: DateTime<Utc>,
    pub period: HistoryPeriod,
}

/// Run number `k` (from 0) of a report that was created then; `None` when there is none. LC-HIST-02, LC-HIST-08
pub fn run(timing: &HistoryTiming, created_at: DateTime<Utc>, k: u32) -> Option<Run> {
    match timing {
        HistoryTiming::Once(period) => (k == 0).then_some(Run { at: created_at, period: *period }),
        HistoryTiming::Recurring(HistorySchedule { recurrence, report_range }) => {
            let first = recurrence::first_start(Some(recurrence), created_at);
            let at = recurrence::occurrence_start(Some(recurrence), first, k)?;
            Some(Run { at, period: HistoryPeriod { start: report_range.before(at), end: at } })
        }
    }
}

/// Every rule the draft breaks. Section 7 of the API
pub fn validate(draft: &HistoryDraft) -> Vec<Violation> {
    let mut found = Vec::new();
    if let Some(violation) = check_display_name(&draft.display_name) {
        found.push(violation);
    }
    if draft.scopes.is_empty() {
        found.push(Violation::new("scopes", "must have at least one scope"));
    }
    if draft.scopes.len() > MAX_SCOPES {
        found.push(Violation::new("scopes", format!("must have at most {MAX_SCOPES} scopes")));
    }
    match &draft.timing {
        HistoryTiming::Once(period) if period.end < period.start => found.push(Violation::new(
            "reviewHistoryPeriodEndDateTime",
            "must not be before reviewHistoryPeriodStartDateTime",
        )),
        HistoryTiming::Once(_) => {}
        HistoryTiming::Recurring(schedule) => check_schedule(&mut found, schedule),
    }
    found
}

/// The one member that can be changed later.
pub fn check_display_name(name: &str) -> Option<Violation> {
    if name.trim().is_empty() {
        return Some(Violation::new("displayName", "must not be empty"));
    }
    (name.chars().count() > MAX_DISPLAY_NAME)
        .then(|| Violation::new("displayName", format!("must have at most {MAX_DISPLAY_NAME} characters")))
}

fn check_schedule(found: &mut Vec<Violation>, schedule: &HistorySchedule) {
    let path = "scheduleSettings.recurrence";
    definition::check_recurrence(found, path, &schedule.recurrence);
    if schedule.recurrence.series().is_none() {
        let missing = if schedule.recurrence.pattern.is_none() { "pattern" } else { "range" };
        let path = format!("{path}.{missing}");
        if !found.iter().any(|violation| violation.path == path) {
            found.push(Violation::new(path, "is required: a report that does not recur has no scheduleSettings"));
        }
    }
    let range = schedule.report_range;
    if range.is_zero() || !range.is_whole_days() || range.exceeds_days(MAX_DAYS) {
        found.push(Violation::new(
            "scheduleSettings.reportRange",
            format!(
                "must be a number of years, months and days such as P1M, longer than none and at most {MAX_DAYS} days"
            ),
        ));
    }
}

#[cfg(test)]
mod tests;

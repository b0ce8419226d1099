//! What a history is made of: commands as they are drawn, and acts, which name whom and what they are about.

use std::{collections::BTreeSet, fmt};

use super::{
    company::{Change, Name},
    faults::Fault,
    postbox::Server,
    review::{Draft, Reviewer},
};
use attestry::domain::{decision::Verdict, mail::MailKind};
use chrono::TimeDelta;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Carla, who may manage reviews and reviews nothing.
    Admin,
    /// Somebody without a role.
    Person(Name),
    Application,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin => f.write_str("carla"),
            Self::Person(name) => write!(f, "{name}"),
            Self::Application => f.write_str("sync"),
        }
    }
}

/// An instance: the number of its review in the history, and its occurrence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    pub review: usize,
    pub occurrence: i64,
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}/{}", self.review, self.occurrence)
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A mail, told by what makes it one mail. LC-NOTE-08
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MailKey {
    /// The stored word of its kind.
    pub kind: &'static str,
    pub at: At,
    /// 0 when it is about the instance.
    pub stage: usize,
    pub to: Name,
    pub sequence: i32,
}

impl fmt::Display for MailKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{} to {}", self.kind, self.at, self.stage, self.to)?;
        if self.sequence > 0 {
            write!(f, " for the {}. time", self.sequence)?;
        }
        Ok(())
    }
}

pub const REVIEW_STARTED: &str = MailKind::ReviewStarted.key();
pub const STAGE_STARTED: &str = MailKind::StageStarted.key();
pub const REVIEWER_ADDED: &str = MailKind::ReviewerAdded.key();
pub const REMINDER: &str = MailKind::Reminder.key();
pub const MANUAL_REMINDER: &str = MailKind::ManualReminder.key();
pub const COMPLETED: &str = MailKind::ReviewCompleted.key();

/// Due work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    Open(At),
    Close(At, usize),
    Remind(At, usize),
    Apply(At),
    DeleteBlocked(At),
    Mail(MailKey),
    /// About what came and went while nobody looked.
    Gone,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(at) => write!(f, "the start of {at}"),
            Self::Close(at, stage) => write!(f, "the end of stage {stage} of {at}"),
            Self::Remind(at, stage) => write!(f, "the middle of stage {stage} of {at}"),
            Self::Apply(at) => write!(f, "applying {at}"),
            Self::DeleteBlocked(at) => write!(f, "deleting who was blocked by {at}"),
            Self::Mail(key) => write!(f, "the mail {key}"),
            Self::Gone => f.write_str("something of what is gone"),
        }
    }
}

/// What is to become of reviewer lists; `None` leaves a list out of the request.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ListChange {
    pub reviewers: Option<BTreeSet<Reviewer>>,
    pub fallbacks: Option<BTreeSet<Reviewer>>,
}

/// One call or one job. Stages are numbered from 1; `None` is the instance path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Create {
        review: usize,
        draft: Draft,
    },
    Decide {
        by: By,
        at: At,
        stage: Option<usize>,
        item: Name,
        verdict: Verdict,
        justified: bool,
    },
    Batch {
        by: By,
        at: At,
        stage: Option<usize>,
        verdict: Verdict,
        justified: bool,
        principal: Option<Name>,
        elsewhere: bool,
    },
    Accept {
        by: By,
        at: At,
        stage: Option<usize>,
    },
    Reset {
        by: By,
        at: At,
    },
    UpdateStage {
        by: By,
        at: At,
        stage: usize,
        change: ListChange,
    },
    UpdateInstance {
        by: By,
        at: At,
        change: ListChange,
    },
    StopStage {
        by: By,
        at: At,
        stage: usize,
    },
    StopInstance {
        by: By,
        at: At,
    },
    UpdateDefinition {
        by: By,
        review: usize,
        draft: Draft,
    },
    Delete {
        by: By,
        review: usize,
    },
    Apply {
        by: By,
        at: At,
    },
    Remind {
        by: By,
        at: At,
    },
    /// `last`: no other try follows, if it is a mail; `stale`: the lease is another worker's by now.
    Work {
        work: Work,
        last: bool,
        stale: bool,
    },
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = |at: &At, stage: &Option<usize>| match stage {
            Some(stage) => format!("{at}/stage {stage}"),
            None => at.to_string(),
        };
        let lists = |change: &ListChange| {
            let part = |name: &str, list: &Option<BTreeSet<Reviewer>>| match list {
                Some(list) => format!("{name} {list:?}"),
                None => format!("{name} as they are"),
            };
            format!("{}, {}", part("reviewers", &change.reviewers), part("fallback reviewers", &change.fallbacks))
        };
        let reason = |justified: &bool| if *justified { "" } else { " without saying why" };
        match self {
            Self::Create { review, draft } => write!(f, "carla creates r{review}: {draft:?}"),
            Self::Decide { by, at, stage, item, verdict, justified } => {
                write!(f, "{by} answers {} for {item} on {}{}", verdict.as_str(), path(at, stage), reason(justified))
            }
            Self::Batch { by, at, stage, verdict, justified, principal, elsewhere } => {
                let whom = principal.map_or("everybody".to_owned(), |name| name.to_string());
                let what = if *elsewhere { " of another resource" } else { "" };
                let (path, reason) = (path(at, stage), reason(justified));
                write!(f, "{by} answers {} for {whom}{what} on {path}{reason}", verdict.as_str())
            }
            Self::Accept { by, at, stage } => write!(f, "{by} accepts the recommendations on {}", path(at, stage)),
            Self::Reset { by, at } => write!(f, "{by} resets the decisions of {at}"),
            Self::UpdateStage { by, at, stage, change } => {
                write!(f, "{by} updates {at}/stage {stage}: {}", lists(change))
            }
            Self::UpdateInstance { by, at, change } => write!(f, "{by} updates {at}: {}", lists(change)),
            Self::StopStage { by, at, stage } => write!(f, "{by} stops {at}/stage {stage}"),
            Self::StopInstance { by, at } => write!(f, "{by} stops {at}"),
            Self::UpdateDefinition { by, review, draft } => write!(f, "{by} updates r{review}: {draft:?}"),
            Self::Delete { by, review } => write!(f, "{by} deletes r{review}"),
            Self::Apply { by, at } => write!(f, "{by} has {at} applied"),
            Self::Remind { by, at } => write!(f, "{by} has the reviewers of {at} reminded"),
            Self::Work { work, last, stale } => {
                let last = if *last && matches!(work, Work::Mail(_)) { ", for the last time" } else { "" };
                let stale = if *stale { ", which is another's by now" } else { "" };
                write!(f, "a worker does {work}{last}{stale}")
            }
        }
    }
}

/// What came of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// 404
    Absent,
    /// 403
    Forbidden,
    /// 400 `InvalidReviewState`
    WrongState,
    /// 400
    Invalid,
    /// 409
    Conflict,
    /// 429
    TooOften,
    /// The job's lease had ended; nothing was changed.
    LeaseLost,
    /// A mail that is tried again later.
    Again,
    /// What no client and no worker should ever see.
    Failure,
}

/// Numbers that are read against what is there when the command's turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Of the running instances, or of all when it is a multiple of five.
    pub instance: u8,
    /// The stage of the path; `None` is the instance path.
    pub stage: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    Admin,
    Person(u8),
    /// One of those who review the item, or anything, in the stage the answer goes to.
    Reviewer(u8),
    Application,
}

/// How a blueprint is changed; everything else stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftChange {
    /// Other settings, reviewers and durations from this draft.
    Take(Draft),
    /// So many occurrences.
    Occurrences(i64),
    Reminders(bool),
    Nothing,
}

/// A list is left out, replaced, or what it is and these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewList {
    Omit,
    Replace(BTreeSet<Reviewer>),
    Grow(BTreeSet<Reviewer>),
}

/// A call that is to be made, or a job to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    Create(Draft),
    Decide {
        by: Caller,
        target: Target,
        item: u8,
        verdict: Verdict,
        justified: bool,
    },
    Batch {
        by: Caller,
        target: Target,
        verdict: Verdict,
        justified: bool,
        principal: Option<u8>,
        elsewhere: bool,
    },
    Accept {
        by: Caller,
        target: Target,
    },
    Reset {
        by: Caller,
        target: Target,
    },
    Update {
        by: Caller,
        target: Target,
        reviewers: NewList,
        fallbacks: NewList,
    },
    StopStage {
        by: Caller,
        target: Target,
    },
    StopInstance {
        by: Caller,
        target: Target,
    },
    UpdateDefinition {
        by: Caller,
        target: Target,
        change: DraftChange,
    },
    Delete {
        by: Caller,
        target: Target,
    },
    Apply {
        by: Caller,
        target: Target,
    },
    Remind {
        by: Caller,
        target: Target,
    },
    /// One of the jobs that are due.
    Work(u8),
}

/// How far the clock moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    Hours(i64),
    /// To the next thing that is scheduled, and so many microseconds on.
    ToNext(i64),
}

impl Span {
    pub fn hours(self) -> Option<TimeDelta> {
        match self {
            Self::Hours(hours) => Some(TimeDelta::hours(hours)),
            Self::ToNext(_) => None,
        }
    }
}

/// A step of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Do(Deed),
    /// Begun, and dead after so many steps of its future; when `at_once`, without waiting for the answer of the last one.
    Crash {
        deed: Deed,
        polls: usize,
        at_once: bool,
    },
    /// One of its commits fails, or seems to.
    Fault {
        deed: Deed,
        fault: Fault,
    },
    /// Two at once, the second beginning when the first has made so many steps.
    Race {
        first: Deed,
        second: Deed,
        lead: usize,
    },
    /// A job whose lease ends while it is worked on, and which another worker takes: both go on.
    Twice {
        which: u8,
        lead: usize,
    },
    /// The clock moves; no worker is there.
    Wait(Span),
    /// The clock moves and everything due on the way happens.
    Live(Span),
    Change(Change),
    /// What the mail server is like from now on.
    Server(Server),
    /// Somebody who was blocked and waits for his deletion is let in again. LC-APPLY-10
    Spare(u8),
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Do(deed) => write!(f, "{deed:?}"),
            Self::Crash { deed, polls, .. } => write!(f, "crash after {polls} steps: {deed:?}"),
            Self::Fault { deed, fault } => write!(f, "{fault}: {deed:?}"),
            Self::Race { first, second, lead } => {
                write!(f, "at once, the first {lead} steps ahead: {first:?} and {second:?}")
            }
            Self::Twice { which, lead } => write!(f, "two workers do job {which}, the first {lead} steps ahead"),
            Self::Wait(Span::Hours(hours)) => write!(f, "{hours} hours pass without a worker"),
            Self::Wait(Span::ToNext(off)) => {
                write!(f, "time passes without a worker to the next due instant {off:+} µs")
            }
            Self::Live(Span::Hours(hours)) => write!(f, "{hours} hours pass"),
            Self::Live(Span::ToNext(off)) => write!(f, "time passes to the next due instant {off:+} µs"),
            Self::Change(change) => write!(f, "{change}"),
            Self::Server(server) => write!(f, "the mail server {server}"),
            Self::Spare(_) => f.write_str("somebody who was blocked is let in again"),
        }
    }
}

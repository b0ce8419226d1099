//! The rules in their own words, without storage and without the code under test: what each act answers, and what is there
//! afterwards.
//!
//! An act is one transaction, or two where a rule says so (`Initializing` is visible while principals are gathered; a mail leaves
//! between two). [`Model::step`] takes the next one. What is there is told by [`Model::facts`], in the words in which
//! `observed.rs` tells what the database holds.

mod answers;
mod facts;
mod jobs;
mod lists;

use std::collections::{BTreeMap, BTreeSet};

use attestry::domain::{decision::Verdict, definition::DefaultDecision, status::Status};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

use super::{
    command::{Act, Answer, At, By, MailKey, Work},
    company::{CARLA, CONTRACTORS, Directory, Name, SYSTEM, SignIn},
    postbox::Server,
    review::{Draft, Lists, Reviewer, Scope},
};

/// Days without a sign-in after which `Deny` is recommended. LC-RCM-03
const LOOK_BACK: TimeDelta = TimeDelta::days(30);
/// A start this late moves the dates. LC-INST-15
const LATE: TimeDelta = TimeDelta::minutes(10);
/// How long an account stays blocked. LC-APPLY-09
const BLOCK_DAYS: TimeDelta = TimeDelta::days(30);
/// Least time between two reminders on an admin's word.
const REMINDER_REST: TimeDelta = TimeDelta::minutes(15);

/// What has become of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// One transaction is committed, another follows.
    More,
    Done(Answer),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    pub by: Name,
    pub at: DateTime<Utc>,
    pub justified: Justified,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Justified {
    No,
    Because,
    /// LC-DEC-12
    Accepted,
}

#[derive(Clone, Debug)]
pub struct Stage {
    pub status: Status,
    pub start_at: DateTime<Utc>,
    pub end_at: DateTime<Utc>,
    pub lists: Lists,
    /// Who is in it. LC-STAGE-36
    pub items: BTreeSet<Name>,
    /// Who reviews each of them, since reviewers were last resolved. LC-REV-03
    pub reviewers: BTreeMap<Name, BTreeSet<Name>>,
    pub decisions: BTreeMap<Name, Decision>,
    /// Who was contacted, and when. LC-REV-12
    pub contacted: BTreeMap<Name, DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    Successfully,
    ObjectNotFound,
    NotSupported,
}

#[derive(Clone, Debug, Default)]
pub struct Item {
    /// What the system would decide, before any stage hides it.
    pub recommendation: Option<Verdict>,
    /// The default decision. LC-CMP-03
    pub system: Option<Decision>,
    /// `None` is `New`.
    pub applied: Option<Applied>,
    /// When the blocked account is deleted. LC-APPLY-09
    pub deletion: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug)]
pub struct Instance {
    pub status: Status,
    pub start_at: DateTime<Utc>,
    pub end_at: DateTime<Utc>,
    /// The blueprint as it was when the instance was made. LC-DEF-22
    pub plan: Draft,
    pub items: BTreeMap<Name, Item>,
    pub stages: Vec<Stage>,
    /// Whether an admin set the reviewers of the first stage himself. LC-DEF-23
    keeps_lists: bool,
    applied_by: Name,
    /// Whether accounts were blocked, to be deleted.
    blocked: bool,
    reminded: Option<(DateTime<Utc>, i32)>,
    /// Whether the middle of a stage is to be reminded of: the stages with such a timer.
    middles: BTreeMap<usize, DateTime<Utc>>,
}

#[derive(Clone, Debug)]
pub struct Review {
    pub draft: Draft,
    pub created_at: DateTime<Utc>,
    /// An occurrence and its start, from which the others are counted.
    anchor: (i64, DateTime<Utc>),
    /// How often it was changed.
    pub updates: i64,
    pub instances: BTreeMap<i64, Instance>,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub now: DateTime<Utc>,
    pub directory: Directory,
    /// By number; a review that was deleted is gone.
    pub reviews: BTreeMap<usize, Review>,
    /// Every mail that was ever due. LC-NOTE-08
    ever_due: BTreeSet<MailKey>,
    /// Mails that wait for a worker.
    pub waiting: BTreeSet<MailKey>,
    /// Those of them that may have left. LC-NOTE-08
    pub handed_over: BTreeSet<MailKey>,
    /// Mails that left, in no order.
    pub delivered: BTreeSet<MailKey>,
    pub server: Server,
}

impl Review {
    /// When an occurrence starts; `None` when there is none. LC-REC-06, LC-REC-07
    pub fn occurrence_start(&self, occurrence: i64) -> Option<DateTime<Utc>> {
        let (counted, from) = self.anchor;
        match self.draft.series {
            None => (occurrence == 0).then_some(from),
            Some(series) if occurrence >= series.occurrences || occurrence < counted => None,
            Some(series) => Some(from + TimeDelta::days(7 * series.weeks * (occurrence - counted))),
        }
    }

    fn next_occurrence(&self) -> i64 {
        self.instances.keys().max().map_or(0, |last| last + 1)
    }

    /// LC-DEF-11
    pub fn status(&self) -> Status {
        let statuses: Vec<_> = self.instances.values().map(|instance| instance.status).collect();
        if statuses.iter().all(|status| *status == Status::NotStarted) {
            return Status::NotStarted;
        }
        let last = *statuses.last().unwrap();
        if self.draft.series.is_none() {
            return last;
        }
        let more = self.occurrence_start(self.next_occurrence()).is_some();
        let over = |status: &Status| {
            use Status::{Applied, Applying, AutoReviewed, Completed, Failed};
            matches!(status, Completed | AutoReviewed | Applying | Applied | Failed)
        };
        if !more && statuses.iter().all(over) { last } else { Status::InProgress }
    }
}

impl Instance {
    pub fn running(&self) -> Option<usize> {
        self.stages.iter().position(|stage| stage.status == Status::InProgress)
    }

    /// The last decision recorded in any stage, or the system's. LC-STAGE-41, LC-INV-05
    pub fn effective(&self, item: Name) -> Option<&Decision> {
        let recorded = self.stages.iter().rev().find_map(|stage| stage.decisions.get(&item));
        recorded.or(self.items[&item].system.as_ref())
    }

    /// What a stage shows, from 0. LC-RCM-10
    pub fn shown_recommendation(&self, stage: usize, item: Name) -> Option<Verdict> {
        self.items[&item].recommendation.filter(|_| self.plan.stages[stage].recommendations)
    }

    /// Whether somebody reviews something in it, in any stage, open or closed.
    pub fn is_reviewed_by(&self, person: Name) -> bool {
        self.stages.iter().any(|stage| stage.is_reviewed_by(person))
    }
}

impl Stage {
    pub fn is_reviewed_by(&self, person: Name) -> bool {
        self.reviewers.values().any(|people| people.contains(&person))
    }

    /// N-4; instants are stored by the microsecond.
    fn middle(&self) -> DateTime<Utc> {
        (self.start_at + (self.end_at - self.start_at) / 2).trunc_subsecs(6)
    }

    pub fn reviews(&self, person: Name, item: Name) -> bool {
        self.items.contains(&item) && self.reviewers.get(&item).is_some_and(|people| people.contains(&person))
    }
}

impl Model {
    pub fn new(now: DateTime<Utc>, directory: Directory) -> Self {
        Self {
            now,
            directory,
            reviews: BTreeMap::new(),
            ever_due: BTreeSet::new(),
            waiting: BTreeSet::new(),
            handed_over: BTreeSet::new(),
            delivered: BTreeSet::new(),
            server: Server::default(),
        }
    }

    pub fn instance(&self, at: At) -> Option<&Instance> {
        self.reviews.get(&at.review)?.instances.get(&at.occurrence)
    }

    /// Takes the next transaction of an act; `taken` were before it.
    pub fn step(&mut self, act: &Act, taken: usize) -> Step {
        let answer = match act {
            // Under the lease it is recorded that a mail leaves from now on.
            Act::Work { work: Work::Mail(_), stale: true, .. } => Err(Answer::LeaseLost),
            Act::Work { work, last, stale } => {
                let before = stale.then(|| self.clone());
                let step = self.work(*work, *last, taken);
                // Whoever lost the lease cannot end the job, and what he did together with that is undone. LC-CONC-06, LC-CONC-07
                return match (step, before) {
                    (Step::Done(_), Some(before)) => {
                        *self = before;
                        Step::Done(Answer::LeaseLost)
                    }
                    (step, _) => step,
                };
            }
            Act::Create { review, draft } => self.create(*review, draft),
            Act::Decide { by, at, stage, item, verdict, justified } => {
                self.decide(*by, *at, *stage, *item, *verdict, *justified)
            }
            Act::Batch { by, at, stage, verdict, justified, principal, elsewhere } => {
                self.batch(*by, *at, *stage, *verdict, *justified, *principal, *elsewhere)
            }
            Act::Accept { by, at, stage } => self.accept(*by, *at, *stage),
            Act::Reset { by, at } => self.reset(*by, *at),
            Act::UpdateStage { by, at, stage, change } => self.update_stage(*by, *at, *stage, change),
            Act::UpdateInstance { by, at, change } => self.update_instance(*by, *at, change),
            Act::StopStage { by, at, stage } => self.stop_stage(*by, *at, *stage),
            Act::StopInstance { by, at } => self.stop_instance(*by, *at),
            Act::UpdateDefinition { by, review, draft } => self.update_definition(*by, *review, draft),
            Act::Delete { by, review } => self.delete(*by, *review),
            Act::Apply { by, at } => self.apply(*by, *at),
            Act::Remind { by, at } => self.remind(*by, *at),
        };
        Step::Done(answer.err().unwrap_or(Answer::Done))
    }

    /// The act as a whole.
    pub fn act(&mut self, act: &Act) -> Answer {
        let mut taken = 0;
        loop {
            match self.step(act, taken) {
                Step::More => taken += 1,
                Step::Done(answer) => return answer,
            }
        }
    }

    /// Work that must be waiting for its time, and when that is. Work that has become pointless may wait, too.
    pub fn timers(&self) -> BTreeMap<Work, DateTime<Utc>> {
        let mut timers = BTreeMap::new();
        for (review, occurrence, instance) in self.instances() {
            let at = At { review, occurrence };
            match instance.status {
                Status::NotStarted | Status::Initializing => {
                    timers.insert(Work::Open(at), instance.start_at);
                }
                Status::InProgress => {
                    let running = instance.running().unwrap();
                    timers.insert(Work::Close(at, running + 1), instance.stages[running].end_at);
                    let middle = instance.middles.get(&running).filter(|middle| **middle > self.now);
                    timers.extend(middle.map(|middle| (Work::Remind(at, running + 1), *middle)));
                }
                Status::Applying => {
                    let deletion = instance.items.values().filter_map(|item| item.deletion).min();
                    match deletion {
                        Some(due_at) => timers.insert(Work::DeleteBlocked(at), due_at),
                        // Who was deleted is deleted, and that this was the last one is still to be found.
                        None if instance.blocked => timers.insert(Work::DeleteBlocked(at), self.now),
                        None => timers.insert(Work::Apply(at), self.now),
                    };
                }
                _ => {}
            }
        }
        timers
    }

    pub fn instances(&self) -> impl Iterator<Item = (usize, i64, &Instance)> {
        self.reviews.iter().flat_map(|(number, review)| {
            review.instances.iter().map(|(occurrence, instance)| (*number, *occurrence, instance))
        })
    }

    fn instance_mut(&mut self, at: At) -> Option<&mut Instance> {
        self.reviews.get_mut(&at.review)?.instances.get_mut(&at.occurrence)
    }

    // --- who may do what: section 13 --------------------------------------------------------------------------------------------

    /// What an admin may do to a review. A reviewer sees it and may not; for everybody else it is not there. LC-AUTH-04
    fn manages(by: By, sees: impl Fn(Name) -> bool) -> Result<(), Answer> {
        match by {
            By::Admin | By::Application => Ok(()),
            By::Person(person) if sees(person) => Err(Answer::Forbidden),
            By::Person(_) => Err(Answer::Absent),
        }
    }

    fn manages_instance(&self, by: By, at: At) -> Result<&Instance, Answer> {
        let instance = self.instance(at).ok_or(Answer::Absent)?;
        Self::manages(by, |person| instance.is_reviewed_by(person))?;
        Ok(instance)
    }

    fn manages_review(&self, by: By, review: usize) -> Result<&Review, Answer> {
        let review = self.reviews.get(&review).ok_or(Answer::Absent)?;
        Self::manages(by, |person| review.instances.values().any(|instance| instance.is_reviewed_by(person)))?;
        Ok(review)
    }

    // --- making, starting and ending: tables 2.2 and 4.2 ------------------------------------------------------------------------

    fn create(&mut self, number: usize, draft: &Draft) -> Result<(), Answer> {
        let named = draft.lists().flat_map(|lists| lists.reviewers.iter().chain(&lists.fallbacks));
        if !draft.is_valid() || !named.copied().all(|reviewer| self.is_there(reviewer)) {
            return Err(Answer::Invalid);
        }
        let anchor = (0, self.now + TimeDelta::days(draft.ahead));
        let review =
            Review { draft: draft.clone(), created_at: self.now, anchor, updates: 0, instances: BTreeMap::new() };
        self.reviews.insert(number, review);
        self.materialise(At { review: number, occurrence: 0 });
        Ok(())
    }

    /// LC-SUPD-12
    fn is_there(&self, reviewer: Reviewer) -> bool {
        match reviewer {
            Reviewer::User(name) => self.directory.users.contains_key(&name),
            Reviewer::Owners | Reviewer::Manager | Reviewer::Contractors => true,
        }
    }

    /// IN-01, ST-01
    fn materialise(&mut self, at: At) {
        let review = self.reviews.get_mut(&at.review).unwrap();
        let Some(start_at) = review.occurrence_start(at.occurrence) else { return };
        let plan = review.draft.clone();
        let first = Stage {
            status: Status::NotStarted,
            start_at,
            end_at: start_at + TimeDelta::days(plan.days_through(1)),
            lists: plan.stages[0].lists.clone(),
            items: BTreeSet::new(),
            reviewers: BTreeMap::new(),
            decisions: BTreeMap::new(),
            contacted: BTreeMap::new(),
        };
        let instance = Instance {
            status: Status::NotStarted,
            start_at,
            end_at: start_at + TimeDelta::days(plan.total_days()),
            plan,
            items: BTreeMap::new(),
            stages: vec![first],
            keeps_lists: false,
            applied_by: SYSTEM,
            blocked: false,
            reminded: None,
            middles: BTreeMap::new(),
        };
        review.instances.entry(at.occurrence).or_insert(instance);
    }

    /// Who is under review, once and for all. LC-INST-06, LC-INST-12, LC-INST-14, LC-REV-06
    fn gathered(&self, instance: &Instance) -> BTreeSet<Name> {
        let users = match instance.plan.scope {
            Scope::Everybody => self.directory.users_however_nested(),
            Scope::Guests => self.directory.users_however_nested().into_iter().filter(|name| name.is_guest()).collect(),
            Scope::Direct => self.directory.members.clone(),
        };
        let asked_of_people_only = |lists: &Lists| lists.reviewers.is_empty() && lists.fallbacks.is_empty();
        let self_review = instance.plan.lists().skip(1).chain([&instance.stages[0].lists]).all(asked_of_people_only);
        users.into_iter().filter(|name| *name != CONTRACTORS || !self_review).collect()
    }

    /// LC-RCM-03, LC-RCM-05, LC-RCM-09
    fn recommended(&self, name: Name, start_at: DateTime<Utc>) -> Option<Verdict> {
        let user = self.directory.users.get(&name)?;
        let cutoff = start_at - LOOK_BACK;
        match user.sign_in {
            SignIn::NoInformation => None,
            SignIn::Never => Some(Verdict::Deny),
            SignIn::DaysAgo(days) if super::beginning() - TimeDelta::days(i64::from(days)) < cutoff => {
                Some(Verdict::Deny)
            }
            SignIn::DaysAgo(_) => Some(Verdict::Approve),
        }
    }

    /// LC-REV-01 to LC-REV-06: the primary scopes of the item, and only if they name nobody its fallback scopes.
    fn reviewers_of(&self, lists: &Lists, item: Name) -> BTreeSet<Name> {
        let named = |scopes: &BTreeSet<Reviewer>| {
            let people = scopes.iter().flat_map(|reviewer| match reviewer {
                Reviewer::User(name) => vec![*name],
                Reviewer::Owners => self.directory.owners.iter().copied().collect(),
                Reviewer::Manager => self.directory.manager_of(item).into_iter().collect(),
                Reviewer::Contractors => self.directory.nested.iter().copied().collect(),
            });
            people.filter(|name| self.directory.is_enabled(*name)).collect::<BTreeSet<_>>()
        };
        let mut primaries = named(&lists.reviewers);
        if lists.reviewers.is_empty() && self.directory.is_enabled(item) {
            primaries.insert(item);
        }
        if primaries.is_empty() { named(&lists.fallbacks) } else { primaries }
    }

    /// Resolves the reviewers of a stage, from 0, and tells those who were not told. LC-REV-03, LC-REV-12, LC-SUPD-22, N-1 to N-3
    fn resolve(&mut self, at: At, index: usize, kind: &'static str) {
        let stage = &self.instance(at).unwrap().stages[index];
        let reviewers: BTreeMap<_, _> =
            stage.items.iter().map(|item| (*item, self.reviewers_of(&stage.lists, *item))).collect();
        let people: BTreeSet<_> = reviewers.values().flatten().copied().collect();
        let now = self.now;
        let instance = self.instance_mut(at).unwrap();
        instance.stages[index].reviewers = reviewers;
        let mail = instance.plan.mail;
        let contacted = &mut instance.stages[index].contacted;
        let new: Vec<_> = people.into_iter().filter(|person| !contacted.contains_key(person)).collect();
        contacted.extend(new.iter().map(|person| (*person, now)));
        if mail {
            for to in new {
                self.due(MailKey { kind, at, stage: index + 1, to, sequence: 0 });
            }
        }
    }

    /// LC-NOTE-08
    fn due(&mut self, mail: MailKey) {
        if self.ever_due.insert(mail) {
            self.waiting.insert(mail);
        }
    }

    /// ST-03, ST-04
    fn open_stage(&mut self, at: At, index: usize) {
        let multi_stage = self.instance(at).unwrap().plan.multi_stage;
        self.resolve(
            at,
            index,
            if multi_stage { super::command::STAGE_STARTED } else { super::command::REVIEW_STARTED },
        );
        let now = self.now;
        let instance = self.instance_mut(at).unwrap();
        let stage = &mut instance.stages[index];
        stage.status = Status::InProgress;
        let middle = stage.middle();
        if instance.plan.reminders && middle >= now {
            instance.middles.insert(index, middle);
        }
    }

    /// ST-06 to ST-09 and what follows: IN-06, IN-07
    fn close_stage(&mut self, at: At, index: usize, handed_over_at: DateTime<Utc>) {
        let now = self.now;
        let next_occurrence = self.reviews[&at.review].occurrence_start(at.occurrence + 1);
        let instance = self.instance_mut(at).unwrap();
        instance.stages[index].status = Status::Completed;
        let next = index + 1;
        if next == instance.plan.stages.len() {
            return self.complete(at);
        }
        // LC-STAGE-30, LC-STAGE-36
        let plan = &instance.plan.stages[index];
        let moving: BTreeSet<_> = instance.stages[index]
            .items
            .iter()
            .copied()
            .filter(|item| {
                let decision = instance.stages[index].decisions.get(item);
                let verdict = decision.map_or(Verdict::NotReviewed, |decision| decision.verdict);
                plan.lets_move(verdict, instance.shown_recommendation(index, *item))
            })
            .collect();
        let last = next + 1 == instance.plan.stages.len();
        let nobody_moves = moving.is_empty();
        let mut begins = (handed_over_at, instance.end_at, TimeDelta::zero());
        if !nobody_moves && now - handed_over_at >= LATE {
            // A hand-over that an outage delayed moves what is left, as a late start does. LC-INST-15, LC-REC-10
            let delay = now - handed_over_at;
            let scheduled = instance.start_at + delay + TimeDelta::days(instance.plan.days_before_the_last());
            let last_begins = if last { now } else { scheduled };
            let Some(end_at) = moved(instance.end_at, delay, next_occurrence, last_begins) else {
                return self.fail(at);
            };
            begins = (now, end_at, delay);
        }
        let (start_at, end_at, delay) = begins;
        instance.end_at = end_at;
        let scheduled = instance.start_at + delay + TimeDelta::days(instance.plan.days_through(next + 1));
        instance.stages.push(Stage {
            status: Status::Initializing,
            start_at,
            // LC-STAGE-04
            end_at: if last { end_at } else { scheduled.min(end_at) },
            lists: instance.plan.stages[next].lists.clone(),
            items: moving,
            reviewers: BTreeMap::new(),
            decisions: BTreeMap::new(),
            contacted: BTreeMap::new(),
        });
        // ST-05, LC-STAGE-37
        if nobody_moves { self.close_stage(at, next, handed_over_at) } else { self.open_stage(at, next) }
    }

    /// IN-15: nothing is decided or applied any more, and the series goes on.
    fn fail(&mut self, at: At) {
        self.instance_mut(at).unwrap().status = Status::Failed;
        self.materialise(At { occurrence: at.occurrence + 1, ..at });
    }

    /// IN-07 to IN-13, LC-CMP-01 to 07
    fn complete(&mut self, at: At) {
        let now = self.now;
        let instance = self.instance_mut(at).unwrap();
        instance.status = Status::Completed;
        let default = instance.plan.default.filter(|default| *default != DefaultDecision::None);
        if let Some(default) = default {
            let undecided: Vec<_> =
                instance.items.keys().copied().filter(|item| instance.effective(*item).is_none()).collect();
            for item in undecided {
                let item = instance.items.get_mut(&item).unwrap();
                let verdict = match default {
                    DefaultDecision::Approve => Some(Verdict::Approve),
                    DefaultDecision::Deny => Some(Verdict::Deny),
                    DefaultDecision::Recommendation => item.recommendation,
                    DefaultDecision::None => None,
                };
                let decide = |verdict| Decision { verdict, by: SYSTEM, at: now, justified: Justified::No };
                item.system = verdict.map(decide);
            }
            instance.status = Status::AutoReviewed;
            instance.stages.last_mut().unwrap().status = Status::AutoReviewed;
        }
        if instance.plan.auto_apply {
            instance.status = Status::Applying;
            instance.applied_by = SYSTEM;
        }
        if instance.plan.mail {
            self.due(MailKey { kind: super::command::COMPLETED, at, stage: 0, to: CARLA, sequence: 0 });
        }
        self.materialise(At { occurrence: at.occurrence + 1, ..at });
    }
}

/// The end of a review that goes on so much later: not beyond the next occurrence; `None` when that leaves its last stage, which
/// begins at `last_begins`, less than a day. LC-INST-15
fn moved(
    end_at: DateTime<Utc>,
    delay: TimeDelta,
    next_occurrence: Option<DateTime<Utc>>,
    last_begins: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let later = end_at + delay;
    let end_at = next_occurrence.map_or(later, |next| later.min(next));
    (end_at == later || end_at - last_begins >= TimeDelta::days(1)).then_some(end_at)
}

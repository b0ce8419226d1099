//! A whole review in memory, driven by random histories.
//!
//! [`Review`] composes the rules of this room the way the use cases do and tells items and reviewers the way storage does:
//! cohorts, fallback sets, single items handed to somebody else, and stages told by [`Entry`]. After every step it is held
//! against what the rules *say*, computed the slow way from their definitions.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use uuid::Uuid;

use crate::domain::{
    decision::{self, Answer, Decision, Recorded, Verdict},
    definition::{DefaultDecision, Identity, MovingDecision},
    examples::{at, instance, object, person, planned, settings, stage},
    ids::{ItemSeq, ObjectId, StageId},
    instance::Instance,
    lifecycle::{self, Begun, Cause, Entry, InstanceProgress, Next, Start},
    recommendation::{Recommendation, SignInActivity, from_last_sign_in, inactivity_cutoff},
    reviewer_reach::{Cohort, EVERY_COHORT, ReviewerReach},
    reviewer_scope::{ReviewerForm, ReviewerLists, ReviewerScope},
    stage::{PlannedStage, Stage, StageOrdinal},
    stage_update::{StageEcho, StageUpdateRequest, distinct, plan_stage_update},
    status::Status,
};

/// Users 1 to 6; 4 and 6 own the resource.
const PEOPLE: std::ops::RangeInclusive<u128> = 1..=6;
const OWNERS: [u128; 2] = [4, 6];
/// A member that is no user.
const GROUP: u128 = 9;

#[derive(Clone, Debug)]
struct StageSetup {
    days: u32,
    moves: Vec<MovingDecision>,
    recommendations_enabled: bool,
    reviewers: Vec<ReviewerForm>,
    fallback_reviewers: Vec<ReviewerForm>,
}

#[derive(Clone, Debug)]
struct Setup {
    stages: Vec<StageSetup>,
    default_decision: Option<DefaultDecision>,
    justification_required: bool,
    /// Who is under review.
    principals: BTreeSet<u128>,
    managers: BTreeMap<u128, u128>,
    /// Days between a user's last sign-in and the scheduled start; no entry is no information.
    silent_days: BTreeMap<u128, i64>,
    /// Days from the end to the next occurrence.
    gap: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
enum Who {
    Person(u128),
    /// One of those who review the item in the running stage, so that histories get anywhere.
    Reviewer(usize),
}

#[derive(Clone, Debug)]
enum Command {
    Decide {
        who: Who,
        item: ItemSeq,
        stage: Option<StageOrdinal>,
        verdict: Verdict,
        justified: bool,
    },
    Update {
        stage: StageOrdinal,
        reviewers: Option<Vec<ReviewerForm>>,
        fallback_reviewers: Option<Vec<ReviewerForm>>,
    },
    StopStage(StageOrdinal),
    StopInstance,
    Pass {
        hours: i64,
    },
    /// To the very instant at which the running stage ends.
    PassToEnd,
    /// A worker takes the job that comes next, due or not.
    Work,
    /// The timer of a stage fires, however early, late or often.
    Timer(StageOrdinal),
    Manager {
        of: u128,
        is: Option<u128>,
    },
    Account {
        of: u128,
        enabled: bool,
    },
    Delete,
}

#[derive(Clone, Debug, PartialEq)]
struct Item {
    principal: u128,
    cohort: Cohort,
    /// One per stage as its reviewers see it, and the one for the default decision.
    recommendations: Vec<Recommendation>,
}

#[derive(Clone, Debug, PartialEq, Default)]
struct ReviewerSets {
    primaries: BTreeSet<(u128, Cohort)>,
    fallbacks: BTreeSet<(u128, Cohort)>,
    unassigned: BTreeSet<Cohort>,
    /// Single items with their own primary (or fallback) reviewer; `None` is nobody.
    own_primary: BTreeMap<ItemSeq, Option<u128>>,
    own_fallback: BTreeMap<ItemSeq, Option<u128>>,
}

#[derive(Clone, Debug, PartialEq)]
struct KeptStage {
    stage: Stage,
    entry: Entry,
    lists: ReviewerLists,
    /// Filled for [`Entry::Listed`] only.
    listed: BTreeSet<ItemSeq>,
    sets: ReviewerSets,
    /// By definition: who reviews which item since reviewers were last resolved.
    reviewers_of: BTreeMap<ItemSeq, BTreeSet<u128>>,
    /// When it ended by the rules, and the decisions it ended with.
    closed: Option<(DateTime<Utc>, BTreeMap<ItemSeq, Decision>)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Review {
    instance: Instance,
    planned: Vec<PlannedStage>,
    next_occurrence: Option<DateTime<Utc>>,
    stages: Vec<KeptStage>,
    items: Vec<Item>,
    decisions: BTreeMap<(StageOrdinal, ItemSeq), Decision>,
    /// The number of the command that wrote each decision.
    written: BTreeMap<(StageOrdinal, ItemSeq), usize>,
    system: BTreeMap<ItemSeq, Decision>,
    principals: BTreeSet<u128>,
    managers: BTreeMap<u128, u128>,
    disabled: BTreeSet<u128>,
    silent_days: BTreeMap<u128, i64>,
    now: DateTime<Utc>,
    step: usize,
    stopped: bool,
    /// What has happened, so that a test can tell whether the histories reach what they are to prove.
    reached: BTreeSet<&'static str>,
}

#[derive(Debug)]
struct Refused;

fn scopes(forms: &[ReviewerForm]) -> Vec<ReviewerScope> {
    distinct(&forms.iter().cloned().map(ReviewerScope::from_form).collect::<Vec<_>>())
}

fn number(id: ObjectId) -> u128 {
    id.as_uuid().as_u128()
}

/// LC-STAGE-30 to 33 in their own words.
fn moves_by_definition(moves: &[MovingDecision], verdict: Verdict, recommendation: Recommendation) -> bool {
    let named = match verdict {
        Verdict::Approve => moves.contains(&MovingDecision::Approve),
        Verdict::Deny => moves.contains(&MovingDecision::Deny),
        Verdict::DontKnow => moves.contains(&MovingDecision::DontKnow),
        Verdict::NotReviewed => moves.contains(&MovingDecision::NotReviewed),
    };
    let followed = verdict.as_str() == recommendation.as_str() && moves.contains(&MovingDecision::Recommendation);
    moves.is_empty() || named || followed
}

impl Review {
    fn new(setup: &Setup) -> Self {
        let mut ends_after_days = 0;
        let planned: Vec<_> = (1..)
            .zip(&setup.stages)
            .map(|(ordinal, stage)| {
                ends_after_days += stage.days;
                PlannedStage {
                    moves: stage.moves.clone(),
                    recommendations_enabled: stage.recommendations_enabled,
                    reviewer_lists: ReviewerLists {
                        reviewers: scopes(&stage.reviewers),
                        fallback_reviewers: scopes(&stage.fallback_reviewers),
                    },
                    ..planned(ordinal, ends_after_days)
                }
            })
            .collect();
        let mut instance = instance(Status::NotStarted);
        instance.end_at = instance.start_at + TimeDelta::days(i64::from(ends_after_days));
        instance.settings.default_decision_enabled = setup.default_decision.is_some();
        instance.settings.default_decision = setup.default_decision.unwrap_or(DefaultDecision::Deny);
        instance.settings.justification_required_on_approval = setup.justification_required;
        assert_eq!(settings().default_decision, DefaultDecision::None);
        let mut review = Self {
            next_occurrence: setup.gap.map(|days| instance.end_at + TimeDelta::days(days)),
            now: instance.start_at - TimeDelta::hours(1),
            planned,
            stages: Vec::new(),
            items: Vec::new(),
            decisions: BTreeMap::new(),
            written: BTreeMap::new(),
            system: BTreeMap::new(),
            principals: setup.principals.clone(),
            managers: setup.managers.clone(),
            disabled: BTreeSet::new(),
            silent_days: setup.silent_days.clone(),
            step: 0,
            stopped: false,
            reached: BTreeSet::new(),
            instance,
        };
        let on_time =
            Begun { start_at: review.instance.start_at, end_at: review.instance.end_at, delay: TimeDelta::zero() };
        review.create_stage(1, on_time, Entry::All, BTreeSet::new());
        review
    }

    fn seqs(&self) -> impl Iterator<Item = ItemSeq> + use<> {
        1..=ItemSeq::try_from(self.items.len()).unwrap()
    }

    fn item(&self, seq: ItemSeq) -> &Item {
        &self.items[usize::try_from(seq - 1).unwrap()]
    }

    fn kept(&mut self, ordinal: StageOrdinal) -> &mut KeptStage {
        &mut self.stages[usize::try_from(ordinal - 1).unwrap()]
    }

    fn recommendation(&self, seq: ItemSeq, ordinal: StageOrdinal) -> Recommendation {
        self.item(seq).recommendations[usize::try_from(ordinal - 1).unwrap()]
    }

    // --- what the use cases do -----------------------------------------------------------------------------------------------

    fn move_instance(&mut self, to: Status) {
        let from = self.instance.status;
        assert!(from.instance_may_become(to), "LC-INV-01: an instance went from {from} to {to}");
        self.instance.status = to;
    }

    fn move_stage(&mut self, ordinal: StageOrdinal, to: Status) {
        let from = self.kept(ordinal).stage.status;
        assert!(from.stage_may_become(to), "LC-INV-01: stage {ordinal} went from {from} to {to}");
        self.kept(ordinal).stage.status = to;
    }

    fn create_stage(&mut self, ordinal: StageOrdinal, begun: Begun, entry: Entry, listed: BTreeSet<ItemSeq>) {
        let plan = self.planned.iter().find(|plan| plan.ordinal == ordinal).unwrap();
        let stage_count = StageOrdinal::try_from(self.planned.len()).unwrap();
        let start = Start { start_at: self.instance.start_at + begun.delay, end_at: begun.end_at };
        let stage = Stage {
            id: StageId::new(Uuid::from_u128(200 + u128::from(ordinal.unsigned_abs()))),
            ordinal,
            stage_count,
            start_at: begun.start_at,
            end_at: lifecycle::stage_end(start, plan, stage_count),
            moves: plan.moves.clone(),
            recommendations_enabled: plan.recommendations_enabled,
            ..stage(Status::NotStarted)
        };
        let lists = plan.reviewer_lists.clone();
        self.stages.push(KeptStage {
            stage,
            entry,
            lists,
            listed,
            sets: ReviewerSets::default(),
            reviewers_of: BTreeMap::new(),
            closed: None,
        });
    }

    fn open_instance(&mut self) -> Result<(), Refused> {
        match self.instance.status {
            Status::NotStarted if self.now < self.instance.start_at => Err(Refused),
            Status::NotStarted => {
                let Ok(start) = lifecycle::start(&self.instance, &self.planned, self.next_occurrence, self.now) else {
                    self.reached.insert("failed for being late");
                    self.move_instance(Status::Failed);
                    return Ok(());
                };
                if start.start_at > self.instance.start_at {
                    self.reached.insert("started late");
                }
                self.instance.start_at = start.start_at;
                self.instance.end_at = start.end_at;
                let first = &mut self.stages[0].stage;
                first.start_at = start.start_at;
                first.end_at = lifecycle::stage_end(start, &self.planned[0], first.stage_count);
                self.move_stage(1, Status::Initializing);
                self.move_instance(Status::Initializing);
                Ok(())
            }
            Status::Initializing => {
                self.gather();
                if self.items.is_empty() {
                    self.reached.insert("nobody in scope");
                    self.move_stage(1, Status::Completed);
                    self.kept(1).closed = Some((self.now, BTreeMap::new()));
                    self.complete();
                    return Ok(());
                }
                self.move_instance(Status::Starting);
                self.open_stage(1);
                self.move_instance(Status::InProgress);
                Ok(())
            }
            _ => Err(Refused),
        }
    }

    fn gather(&mut self) {
        let self_review = self.stages[0].lists.reviewers.is_empty()
            || self.planned.iter().skip(1).any(|plan| plan.reviewer_lists.reviewers.is_empty());
        let cutoff = inactivity_cutoff(self.instance.start_at, None);
        let mut shown: Vec<_> = self.planned.iter().map(|plan| plan.recommendations_enabled).collect();
        shown.push(true);
        let mut cohorts: Vec<Option<u128>> = Vec::new();
        let principals: Vec<_> = self.principals.iter().copied().collect();
        for principal in principals {
            let activity = match self.silent_days.get(&principal) {
                Some(days) => SignInActivity::Last(at("2025-01-06T09:00:00Z") - TimeDelta::days(*days)),
                None => SignInActivity::Unknown,
            };
            let manager = self.managers.get(&principal).copied();
            let known = cohorts.iter().position(|cohort| !self_review && *cohort == manager);
            let cohort = known.unwrap_or_else(|| {
                cohorts.push(manager);
                cohorts.len() - 1
            });
            self.items.push(Item {
                principal,
                cohort: Cohort::try_from(cohort).unwrap() + 1,
                recommendations: shown
                    .iter()
                    .map(|shown| match shown {
                        true => from_last_sign_in(activity, cutoff),
                        false => Recommendation::NoInfoAvailable,
                    })
                    .collect(),
            });
        }
    }

    fn open_stage(&mut self, ordinal: StageOrdinal) {
        self.resolve(ordinal);
        self.move_stage(ordinal, Status::Starting);
        self.move_stage(ordinal, Status::InProgress);
        let entry = self.kept(ordinal).entry;
        self.reached.insert(match (ordinal, entry) {
            (1, _) => "stage 1",
            (2, Entry::All) => "stage 2 of all",
            (2, Entry::Remaining) => "stage 2 of the remaining",
            (2, Entry::Listed) => "stage 2 of listed",
            (_, Entry::All) => "stage 3 of all",
            (_, Entry::Remaining) => "stage 3 of the remaining",
            (_, Entry::Listed) => "stage 3 of listed",
        });
    }

    fn close_stage(&mut self, ordinal: StageOrdinal, ended_at: DateTime<Utc>, mut next: Next) {
        self.move_stage(ordinal, Status::Completing);
        self.move_stage(ordinal, Status::Completed);
        let frozen = self.decisions_of(ordinal);
        self.kept(ordinal).closed = Some((ended_at, frozen));
        let mut previous = ordinal;
        loop {
            let Next::Stage { ordinal, start_at } = next else { return self.complete() };
            let from = self.kept(previous).clone();
            let entry = lifecycle::entry_after(from.entry, &from.stage.moves);
            let listed = match entry {
                Entry::Listed => self.list_moving(&from),
                Entry::All | Entry::Remaining => BTreeSet::new(),
            };
            let on_time = Begun { start_at, end_at: self.instance.end_at, delay: TimeDelta::zero() };
            // who is in the stage does not hang on its dates
            self.create_stage(ordinal, on_time, entry, listed.clone());
            let has_items = self.seqs().any(|seq| self.holds(ordinal, seq));
            self.stages.pop();
            let begun = match has_items {
                true => {
                    let (planned, next) = (&self.planned, self.next_occurrence);
                    lifecycle::hand_over(&self.instance, planned, ordinal, start_at, next, self.now)
                }
                false => Ok(on_time),
            };
            let Ok(begun) = begun else {
                self.reached.insert("failed for being handed over late");
                return self.move_instance(Status::Failed);
            };
            if begun.delay > TimeDelta::zero() {
                self.reached.insert("handed over late");
            }
            self.instance.end_at = begun.end_at;
            self.create_stage(ordinal, begun, entry, listed);
            self.move_stage(ordinal, Status::Initializing);
            if has_items {
                return self.open_stage(ordinal);
            }
            self.reached.insert("nothing moved");
            self.move_stage(ordinal, Status::Completed);
            self.kept(ordinal).closed = Some((start_at, BTreeMap::new()));
            next = lifecycle::after_stage(&self.kept(ordinal).stage, start_at);
            previous = ordinal;
        }
    }

    fn complete(&mut self) {
        for status in lifecycle::completion_path(&self.instance.settings.clone()) {
            self.move_instance(*status);
            if *status == Status::AutoReviewing {
                self.decide_by_default();
            }
        }
    }

    fn decide_by_default(&mut self) {
        let settings = self.instance.settings.clone();
        for seq in self.seqs() {
            if self.decisions.keys().any(|(_, decided)| *decided == seq) {
                continue;
            }
            let recommendation = *self.item(seq).recommendations.last().unwrap();
            let verdict =
                decision::default_verdict(settings.default_decision_enabled, settings.default_decision, recommendation);
            if let Some(verdict) = verdict {
                self.reached.insert("decided by default");
                let decision = Decision {
                    verdict,
                    justification: String::new(),
                    decided_by: Identity::system(),
                    decided_at: self.now,
                    moves_on: false,
                };
                self.system.insert(seq, decision);
            }
        }
        let last = StageOrdinal::try_from(self.stages.len()).unwrap();
        self.move_stage(last, Status::AutoReviewing);
        self.move_stage(last, Status::AutoReviewed);
    }

    fn timer(&mut self, ordinal: StageOrdinal) -> Result<(), Refused> {
        let stage = self.stages.get(usize::try_from(ordinal - 1).unwrap()).ok_or(Refused)?.stage.clone();
        match lifecycle::close_stage(&stage, Cause::Timer, self.now) {
            Ok(Some(next)) => {
                if self.now > stage.end_at {
                    self.reached.insert("closed late");
                }
                self.close_stage(ordinal, stage.end_at, next);
                Ok(())
            }
            Ok(None) | Err(_) => Err(Refused),
        }
    }

    fn stop_stage(&mut self, ordinal: StageOrdinal) -> Result<(), Refused> {
        let stage = self.stages.get(usize::try_from(ordinal - 1).unwrap()).ok_or(Refused)?.stage.clone();
        let next = lifecycle::close_stage(&stage, Cause::StageStop, self.now).map_err(|_| Refused)?;
        self.reached.insert("stage stopped");
        self.close_stage(ordinal, self.now.min(stage.end_at), next.unwrap_or(Next::Completion));
        Ok(())
    }

    fn stop_instance(&mut self) -> Result<(), Refused> {
        lifecycle::check_stop(&self.instance).map_err(|_| Refused)?;
        let running = self.stages.iter().find(|kept| kept.stage.status == Status::InProgress).ok_or(Refused)?;
        let stage = running.stage.clone();
        let next = lifecycle::close_stage(&stage, Cause::InstanceStop, self.now).map_err(|_| Refused)?;
        self.stopped = true;
        self.close_stage(stage.ordinal, self.now.min(stage.end_at), next.unwrap_or(Next::Completion));
        assert!(self.instance.status.is_at_rest(), "a stopped review is over");
        Ok(())
    }

    fn update(
        &mut self,
        ordinal: StageOrdinal,
        reviewers: Option<&[ReviewerForm]>,
        fallback_reviewers: Option<&[ReviewerForm]>,
    ) -> Result<(), Refused> {
        let kept = self.stages.get(usize::try_from(ordinal - 1).unwrap()).ok_or(Refused)?.clone();
        let request = StageUpdateRequest {
            reviewers: reviewers.map(scopes),
            fallback_reviewers: fallback_reviewers.map(scopes),
            echo: StageEcho::default(),
        };
        let plan = plan_stage_update(&kept.stage, &kept.lists, &request, self.now).map_err(|_| Refused)?;
        if plan.changed {
            let decisions = self.decisions.clone();
            self.kept(ordinal).lists = plan.lists;
            if plan.resolve_now {
                self.reached.insert("reviewers changed while running");
                self.resolve(ordinal);
            }
            // LC-SUPD-20: other people, and while the stage runs, means resolved anew.
            let meanings = |scopes: &[ReviewerScope]| scopes.iter().map(|s| s.form.clone()).collect::<BTreeSet<_>>();
            let lists = self.kept(ordinal).lists.clone();
            let same = meanings(&lists.reviewers) == meanings(&kept.lists.reviewers)
                && meanings(&lists.fallback_reviewers) == meanings(&kept.lists.fallback_reviewers);
            if kept.stage.status == Status::InProgress && !same {
                for seq in self.members_by_definition(ordinal) {
                    let people = self.reviewers_by_definition(&lists, seq);
                    self.kept(ordinal).reviewers_of.insert(seq, people);
                }
            }
            assert_eq!(self.decisions, decisions, "LC-SUPD-21: recorded decisions stay");
        }
        Ok(())
    }

    fn decide(
        &mut self,
        person_number: u128,
        seq: ItemSeq,
        path: Option<StageOrdinal>,
        verdict: Verdict,
        justification: Option<String>,
    ) -> Result<(), Refused> {
        let ordinal = self.addressed(path).ok_or(Refused)?;
        if !self.seqs().any(|known| known == seq) {
            return Err(Refused);
        }
        let cohort = self.item(seq).cohort;
        if !self.reach(ordinal, person_number).covers(cohort, seq) || !self.holds(ordinal, seq) {
            return Err(Refused);
        }
        let recorded = decision::record(
            &self.kept(ordinal).stage.clone(),
            self.instance.settings.justification_required_on_approval,
            self.recommendation(seq, ordinal),
            Answer { verdict, justification },
            person(person_number),
            self.now,
        )
        .map_err(|_| Refused)?;
        match recorded {
            Recorded::Stored(decision) => {
                self.decisions.insert((ordinal, seq), decision);
                self.written.insert((ordinal, seq), self.step);
            }
            Recorded::Withdrawn => {
                if self.decisions.remove(&(ordinal, seq)).is_some() {
                    self.reached.insert("withdrawn");
                }
                self.written.remove(&(ordinal, seq));
            }
        }
        Ok(())
    }

    /// The stage an answer goes to. LC-STAGE-60
    fn addressed(&self, path: Option<StageOrdinal>) -> Option<StageOrdinal> {
        let running = self.stages.iter().find(|kept| kept.stage.status == Status::InProgress);
        match path {
            Some(ordinal) => self.stages.iter().find(|kept| kept.stage.ordinal == ordinal),
            None => running.or(self.stages.last()),
        }
        .map(|kept| kept.stage.ordinal)
    }

    // --- how storage tells items and reviewers -------------------------------------------------------------------------------

    fn decisions_of(&self, ordinal: StageOrdinal) -> BTreeMap<ItemSeq, Decision> {
        let of_stage = self.decisions.iter().filter(|((stage, _), _)| *stage == ordinal);
        of_stage.map(|((_, seq), decision)| (*seq, decision.clone())).collect()
    }

    fn holds(&self, ordinal: StageOrdinal, seq: ItemSeq) -> bool {
        let kept = &self.stages[usize::try_from(ordinal - 1).unwrap()];
        match kept.entry {
            Entry::All => true,
            Entry::Remaining => !(1..ordinal)
                .any(|earlier| self.decisions.get(&(earlier, seq)).is_some_and(|decision| !decision.moves_on)),
            Entry::Listed => kept.listed.contains(&seq),
        }
    }

    fn list_moving(&self, from: &KeptStage) -> BTreeSet<ItemSeq> {
        let ordinal = from.stage.ordinal;
        let decided = self.decisions_of(ordinal);
        let moves = |seq: &ItemSeq| decided.get(seq).map(|decision| decision.moves_on);
        if from.stage.moves.is_empty() || from.stage.moves.contains(&MovingDecision::NotReviewed) {
            from.listed.iter().copied().filter(|seq| moves(seq) != Some(false)).collect()
        } else {
            decided.keys().copied().filter(|seq| moves(seq) == Some(true)).collect()
        }
    }

    fn is_enabled(&self, user: u128) -> bool {
        PEOPLE.contains(&user) && !self.disabled.contains(&user)
    }

    fn manager_of(&self, principal: u128) -> Option<u128> {
        let is_user = PEOPLE.contains(&principal);
        self.managers.get(&principal).copied().filter(|manager| is_user && self.is_enabled(*manager))
    }

    /// The people a form names for every item alike.
    fn fixed(&self, scopes: &[ReviewerScope]) -> BTreeSet<u128> {
        let named = scopes.iter().flat_map(|scope| match &scope.form {
            ReviewerForm::User(user) => vec![number(*user)],
            ReviewerForm::ResourceOwners => OWNERS.to_vec(),
            _ => Vec::new(),
        });
        named.filter(|user| self.is_enabled(*user)).collect()
    }

    fn resolve(&mut self, ordinal: StageOrdinal) {
        let lists = self.kept(ordinal).lists.clone();
        let held: Vec<_> = self.seqs().filter(|seq| self.holds(ordinal, *seq)).collect();
        let every = |people: BTreeSet<u128>| people.into_iter().map(|user| (user, EVERY_COHORT)).collect();
        let mut sets = ReviewerSets {
            primaries: every(self.fixed(&lists.reviewers)),
            fallbacks: every(self.fixed(&lists.fallback_reviewers)),
            ..Default::default()
        };
        let asks_managers = |scopes: &[ReviewerScope]| scopes.iter().any(|scope| scope.form == ReviewerForm::Manager);
        let (primary, fallback) = (asks_managers(&lists.reviewers), asks_managers(&lists.fallback_reviewers));
        let cohorts: BTreeSet<_> = held.iter().map(|seq| self.item(*seq).cohort).collect();
        for cohort in &cohorts {
            let items: Vec<_> = held.iter().copied().filter(|seq| self.item(*seq).cohort == *cohort).collect();
            let manager = |seq: ItemSeq| self.manager_of(self.item(seq).principal);
            let share = |candidate: Option<u128>| items.iter().filter(|seq| manager(**seq) == candidate).count();
            let chosen =
                items.iter().map(|seq| manager(*seq)).max_by_key(|manager| (share(*manager), *manager)).flatten();
            for (asked, set, own) in [
                (primary, &mut sets.primaries, &mut sets.own_primary),
                (fallback, &mut sets.fallbacks, &mut sets.own_fallback),
            ] {
                if asked {
                    set.extend(chosen.map(|manager| (manager, *cohort)));
                    own.extend(items.iter().map(|seq| (*seq, manager(*seq))).filter(|(_, manager)| *manager != chosen));
                }
            }
        }
        if !sets.own_primary.is_empty() {
            self.reached.insert("items handed over");
        }
        if lists.reviewers.is_empty() {
            let own = held.iter().map(|seq| self.item(*seq)).filter(|item| self.is_enabled(item.principal));
            sets.primaries.extend(own.map(|item| (item.principal, item.cohort)));
        }
        let assigned = |cohort: &Cohort| sets.primaries.iter().any(|(_, of)| [EVERY_COHORT, *cohort].contains(of));
        sets.unassigned = cohorts.into_iter().filter(|cohort| !assigned(cohort)).collect();
        if !sets.unassigned.is_empty() && !sets.fallbacks.is_empty() {
            self.reached.insert("left to the fallback");
        }

        let by_definition = held.iter().map(|seq| (*seq, self.reviewers_by_definition(&lists, *seq))).collect();
        let kept = self.kept(ordinal);
        kept.sets = sets;
        kept.reviewers_of = by_definition;
    }

    fn reviews_item(&self, ordinal: StageOrdinal, seq: ItemSeq, user: u128) -> bool {
        let sets = &self.stages[usize::try_from(ordinal - 1).unwrap()].sets;
        let cohort = self.item(seq).cohort;
        let role = |set: &BTreeSet<(u128, Cohort)>, own: &BTreeMap<ItemSeq, Option<u128>>| {
            let of_item = own.get(&seq);
            let shared = set.iter().filter(|(_, of)| *of == EVERY_COHORT || *of == cohort && of_item.is_none());
            shared.map(|(user, _)| *user).chain(of_item.copied().flatten()).collect::<BTreeSet<_>>()
        };
        let primaries = role(&sets.primaries, &sets.own_primary);
        primaries.contains(&user) || primaries.is_empty() && role(&sets.fallbacks, &sets.own_fallback).contains(&user)
    }

    fn reach(&self, ordinal: StageOrdinal, user: u128) -> ReviewerReach {
        let sets = &self.stages[usize::try_from(ordinal - 1).unwrap()].sets;
        let mut cohorts: Vec<_> =
            sets.primaries.iter().filter(|(of, _)| *of == user).map(|(_, cohort)| *cohort).collect();
        let every = cohorts.contains(&EVERY_COHORT);
        cohorts.retain(|cohort| *cohort != EVERY_COHORT);
        cohorts.extend(
            sets.unassigned.iter().filter(|cohort| {
                [EVERY_COHORT, **cohort].iter().any(|cohort| sets.fallbacks.contains(&(user, *cohort)))
            }),
        );
        let touched: BTreeSet<_> = sets.own_primary.keys().chain(sets.own_fallback.keys()).copied().collect();
        let (items, except) = touched.into_iter().partition(|seq| self.reviews_item(ordinal, *seq, user));
        ReviewerReach { every, cohorts, items, except }
    }

    // --- what the rules say ---------------------------------------------------------------------------------------------------

    /// LC-REV-01 to LC-REV-06: the primary scopes of the item, and only if they name nobody its fallback scopes.
    fn reviewers_by_definition(&self, lists: &ReviewerLists, seq: ItemSeq) -> BTreeSet<u128> {
        let principal = self.item(seq).principal;
        let named = |scopes: &[ReviewerScope]| {
            let mut people = self.fixed(scopes);
            if scopes.iter().any(|scope| scope.form == ReviewerForm::Manager) {
                people.extend(self.manager_of(principal));
            }
            people
        };
        let mut primaries = named(&lists.reviewers);
        if lists.reviewers.is_empty() && self.is_enabled(principal) {
            primaries.insert(principal);
        }
        if primaries.is_empty() { named(&lists.fallback_reviewers) } else { primaries }
    }

    /// LC-STAGE-30, LC-STAGE-36: every item in stage 1; later, what was in the stage before and moved.
    fn members_by_definition(&self, ordinal: StageOrdinal) -> BTreeSet<ItemSeq> {
        if ordinal == 1 {
            return self.seqs().collect();
        }
        let previous = ordinal - 1;
        let moves = &self.planned[usize::try_from(previous - 1).unwrap()].moves;
        self.members_by_definition(previous)
            .into_iter()
            .filter(|seq| {
                let verdict =
                    self.decisions.get(&(previous, *seq)).map_or(Verdict::NotReviewed, |decision| decision.verdict);
                moves_by_definition(moves, verdict, self.recommendation(*seq, previous))
            })
            .collect()
    }

    fn may_decide_by_definition(
        &self,
        user: u128,
        seq: ItemSeq,
        path: Option<StageOrdinal>,
        verdict: Verdict,
        justified: bool,
    ) -> bool {
        let Some(ordinal) = self.addressed(path) else { return false };
        let kept = &self.stages[usize::try_from(ordinal - 1).unwrap()];
        let needs_text = self.instance.settings.justification_required_on_approval
            && matches!(verdict, Verdict::Approve | Verdict::Deny);
        kept.stage.status == Status::InProgress
            && self.now < kept.stage.end_at
            && self.members_by_definition(ordinal).contains(&seq)
            && kept.reviewers_of.get(&seq).is_some_and(|people| people.contains(&user))
            && (justified || !needs_text)
    }

    fn default_by_definition(&self, seq: ItemSeq) -> Option<&'static str> {
        let settings = &self.instance.settings;
        match settings.default_decision {
            _ if !settings.default_decision_enabled => None,
            DefaultDecision::None => None,
            DefaultDecision::Approve => Some("Approve"),
            DefaultDecision::Deny => Some("Deny"),
            DefaultDecision::Recommendation => Some(self.item(seq).recommendations.last().unwrap().as_str())
                .filter(|recommendation| *recommendation != "NoInfoAvailable"),
        }
    }

    // --- a step, and what must hold after it ----------------------------------------------------------------------------------

    /// Runs a command; `false` when the review is gone.
    fn run(&mut self, command: &Command) -> bool {
        self.step += 1;
        let before = self.clone();
        let outcome = match command {
            Command::Decide { who, item, stage, verdict, justified } => {
                let user = match *who {
                    Who::Person(user) => user,
                    Who::Reviewer(which) => {
                        let kept = self.addressed(*stage).map(|ordinal| self.kept(ordinal).clone());
                        let people = kept.and_then(|kept| kept.reviewers_of.get(item).cloned()).unwrap_or_default();
                        people.iter().nth(which % people.len().max(1)).copied().unwrap_or(1)
                    }
                };
                let expected = self.may_decide_by_definition(user, *item, *stage, *verdict, *justified);
                let justification = justified.then(|| "because".to_owned());
                let outcome = self.decide(user, *item, *stage, *verdict, justification);
                assert_eq!(outcome.is_ok(), expected, "LC-INV-07, LC-DEC-04 to 06: who may decide what, and when");
                outcome
            }
            Command::Update { stage, reviewers, fallback_reviewers } => {
                self.update(*stage, reviewers.as_deref(), fallback_reviewers.as_deref())
            }
            Command::StopStage(ordinal) => self.stop_stage(*ordinal),
            Command::StopInstance => self.stop_instance(),
            Command::Pass { hours } => {
                self.now += TimeDelta::hours(*hours);
                Ok(())
            }
            Command::PassToEnd => {
                let running = self.stages.iter().find(|kept| kept.stage.status == Status::InProgress);
                self.now = running.map_or(self.now, |kept| kept.stage.end_at.max(self.now));
                Ok(())
            }
            Command::Work => {
                let running = self.stages.iter().find(|kept| kept.stage.status == Status::InProgress);
                match running.map(|kept| kept.stage.ordinal) {
                    Some(ordinal) => self.timer(ordinal),
                    None => self.open_instance(),
                }
            }
            Command::Timer(ordinal) => self.timer(*ordinal),
            Command::Manager { of, is } => {
                match is {
                    Some(manager) => self.managers.insert(*of, *manager),
                    None => self.managers.remove(of),
                };
                Ok(())
            }
            Command::Account { of, enabled } => {
                if *enabled {
                    self.disabled.remove(of)
                } else {
                    self.disabled.insert(*of)
                };
                Ok(())
            }
            Command::Delete => {
                self.reached.insert("deleted");
                return false;
            }
        };
        if outcome.is_err() {
            assert_eq!(*self, before, "a refused command changes nothing");
        }
        self.check(&before);
        true
    }

    fn check(&self, before: &Self) {
        let open = self.stages.iter().filter(|kept| kept.stage.status.is_open()).count();
        assert!(open <= 1, "LC-INV-02: {open} stages are open");
        if self.instance.status == Status::InProgress {
            let running = self.stages.last().unwrap();
            assert_eq!(running.stage.status, Status::InProgress, "somebody reviews while the instance runs");
            let members = self.members_by_definition(running.stage.ordinal);
            assert!(!members.is_empty(), "LC-STAGE-37: a stage without items never runs");
        }
        let progress = InstanceProgress { occurrence: 0, status: self.instance.status };
        assert_eq!(lifecycle::definition_status(false, &[progress], false), self.instance.status, "LC-DEF-11");
        self.check_fallbacks(before);
        self.check_dates();
        for kept in &self.stages {
            self.check_items_of(kept);
            self.check_reviewers_of(kept);
            if let Some((_, frozen)) = &kept.closed {
                assert_eq!(&self.decisions_of(kept.stage.ordinal), frozen, "LC-DEC-04: a closed stage is frozen");
            }
        }
        self.check_effective_decisions();
        self.check_end(before);
    }

    /// LC-INV-03
    fn check_fallbacks(&self, before: &Self) {
        for (old, new) in before.stages.iter().zip(&self.stages) {
            for scope in &old.lists.fallback_reviewers {
                let stays = new.lists.fallback_reviewers.iter().any(|kept| kept.form == scope.form);
                assert!(stays, "LC-INV-03: {} fell out of stage {}", scope.query, new.stage.ordinal);
            }
        }
    }

    /// LC-STAGE-04, LC-STAGE-06, LC-INST-15
    fn check_dates(&self) {
        let last = self.planned.len() - 1;
        let mut starts = Some(self.instance.start_at);
        let mut delay = TimeDelta::zero();
        for (index, kept) in self.stages.iter().enumerate() {
            let stage = &kept.stage;
            let handed_over = starts.expect("a stage follows one that was closed");
            let late = stage.start_at - handed_over;
            assert!(
                late == TimeDelta::zero() || late >= lifecycle::START_TOLERANCE && index > 0,
                "LC-STAGE-06: stage {} starts where the last ended, or late",
                stage.ordinal
            );
            delay += late;
            let scheduled = match index == last {
                true => self.instance.end_at,
                false => {
                    let days = TimeDelta::days(i64::from(self.planned[index].ends_after_days));
                    (self.instance.start_at + days + delay).min(self.instance.end_at)
                }
            };
            assert_eq!(stage.end_at, scheduled, "LC-STAGE-04: the end of stage {} is anchored", stage.ordinal);
            assert!(stage.start_at <= stage.end_at, "stage {} ends before it starts", stage.ordinal);
            starts = kept.closed.as_ref().map(|(closed_at, _)| *closed_at);
        }
        let days = TimeDelta::days(i64::from(self.planned[last].ends_after_days));
        let moved = self.instance.start_at + days + delay;
        assert_eq!(
            self.instance.end_at,
            self.next_occurrence.map_or(moved, |next| moved.min(next)),
            "LC-INST-15: the end moves with what is late, up to the next occurrence"
        );
    }

    /// LC-STAGE-30, LC-STAGE-36, LC-INV-10
    fn check_items_of(&self, kept: &KeptStage) {
        let ordinal = kept.stage.ordinal;
        let held: BTreeSet<_> = self.seqs().filter(|seq| self.holds(ordinal, *seq)).collect();
        assert_eq!(held, self.members_by_definition(ordinal), "stage {ordinal} told by {:?}", kept.entry);
        if ordinal > 1 {
            assert!(self.seqs().all(|seq| !held.contains(&seq) || self.holds(ordinal - 1, seq)), "LC-INV-10");
        }
        let decided = self.decisions_of(ordinal);
        assert!(decided.keys().all(|seq| held.contains(seq)), "only items of a stage are decided in it");
        for (seq, decision) in decided {
            assert_ne!(decision.verdict, Verdict::NotReviewed, "LC-STAGE-43");
            let moves = moves_by_definition(&kept.stage.moves, decision.verdict, self.recommendation(seq, ordinal));
            assert_eq!(decision.moves_on, moves, "LC-STAGE-30");
        }
    }

    /// LC-INV-07, LC-REV-03, LC-REV-04: what somebody reads through his reach is what he reviews, no more and no less.
    fn check_reviewers_of(&self, kept: &KeptStage) {
        let ordinal = kept.stage.ordinal;
        for user in PEOPLE {
            let reach = self.reach(ordinal, user);
            for seq in self.seqs().filter(|seq| self.holds(ordinal, *seq)) {
                let reviews = kept.reviewers_of.get(&seq).is_some_and(|people| people.contains(&user));
                let reads = reach.covers(self.item(seq).cohort, seq);
                assert_eq!(reads, reviews, "LC-INV-07: person {user}, item {seq}, stage {ordinal}, {reach:?}");
                assert_eq!(self.reviews_item(ordinal, seq, user), reviews, "one item asked for is told alike");
                assert!(!reads || !reach.is_empty());
            }
        }
    }

    /// LC-INV-05, LC-STAGE-41, LC-STAGE-42
    fn check_effective_decisions(&self) {
        for seq in self.seqs() {
            let records: Vec<_> =
                self.stages.iter().map(|kept| self.decisions.get(&(kept.stage.ordinal, seq))).collect();
            let newest = self.written.iter().filter(|((_, of), _)| *of == seq).max_by_key(|(_, step)| **step);
            let newest = newest.map(|(key, _)| &self.decisions[key]);
            let system = self.system.get(&seq);
            assert_eq!(decision::effective(system, &records), newest.or(system), "LC-INV-05: item {seq}");
            assert!(system.is_none() || newest.is_none(), "LC-STAGE-42: the system decides only where nobody did");
        }
    }

    /// LC-CMP-01 to 05, LC-STAGE-37
    fn check_end(&self, before: &Self) {
        match self.instance.status {
            Status::NotStarted | Status::Initializing | Status::InProgress | Status::Failed => {
                assert!(self.system.is_empty(), "LC-STAGE-44: no default decision before the end");
            }
            Status::Completed | Status::AutoReviewed => {
                for seq in self.seqs() {
                    let decided = self.decisions.keys().any(|(_, of)| *of == seq);
                    let expected = if decided { None } else { self.default_by_definition(seq) };
                    let system = self.system.get(&seq).map(|decision| decision.verdict.as_str());
                    assert_eq!(system, expected, "LC-CMP-03: item {seq}");
                }
                if before.instance.status == Status::InProgress && !self.stopped {
                    let complete = self.stages.len() == self.planned.len();
                    assert!(complete, "LC-CMP-01: a review ends with its last stage or by stop");
                }
                assert!(self.stages.iter().all(|kept| kept.closed.is_some()), "nothing is open when a review is over");
            }
            other => panic!("an instance rests in {other} between transactions"),
        }
    }
}

fn play(setup: &Setup, commands: &[Command]) -> BTreeSet<&'static str> {
    let mut review = Review::new(setup);
    for command in commands {
        if !review.run(command) {
            break;
        }
    }
    review.reached
}

fn any_forms() -> impl Strategy<Value = Vec<ReviewerForm>> {
    let form = prop_oneof![
        3 => PEOPLE.prop_map(|user| ReviewerForm::User(object(user))),
        1 => Just(ReviewerForm::ResourceOwners),
        3 => Just(ReviewerForm::Manager),
    ];
    prop::collection::vec(form, 0..3)
}

fn any_stage() -> impl Strategy<Value = StageSetup> {
    let moves = prop_oneof![
        1 => Just(Vec::new()),
        2 => Just(vec![
            MovingDecision::Approve,
            MovingDecision::Deny,
            MovingDecision::DontKnow,
            MovingDecision::NotReviewed,
        ]),
        6 => prop::sample::subsequence(&MovingDecision::ALL[..], 1..=4),
    ];
    (1_u32..5, moves, any::<bool>(), any_forms(), any_forms()).prop_map(
        |(days, moves, recommendations_enabled, reviewers, fallback_reviewers)| StageSetup {
            days,
            moves,
            recommendations_enabled,
            reviewers,
            fallback_reviewers,
        },
    )
}

fn any_setup() -> impl Strategy<Value = Setup> {
    let principals = prop_oneof![
        1 => Just(Vec::new()),
        24 => prop::sample::subsequence(vec![1, 2, 3, 4, 5, GROUP], 1..=6),
    ];
    (
        prop_oneof![
            1 => prop::collection::vec(any_stage(), 1),
            2 => prop::collection::vec(any_stage(), 2),
            4 => prop::collection::vec(any_stage(), 3),
        ],
        prop::option::of(prop::sample::select(&DefaultDecision::ALL[..])),
        prop::bool::weighted(0.3),
        principals,
        // Few managers, so that some have several people under review and hand one over.
        prop::collection::btree_map(PEOPLE, prop_oneof![4 => Just(5_u128), 2 => Just(6), 1 => PEOPLE], 0..=6),
        prop::collection::btree_map(PEOPLE, 0_i64..60, 0..6),
        prop::option::of(0_i64..20),
    )
        .prop_map(|(stages, default_decision, justification_required, principals, managers, silent_days, gap)| {
            Setup {
                stages,
                default_decision,
                justification_required,
                principals: principals.into_iter().collect(),
                managers,
                silent_days,
                gap,
            }
        })
}

fn any_command() -> impl Strategy<Value = Command> {
    let ordinal = 1_i16..=3;
    let who = prop_oneof![1 => PEOPLE.prop_map(Who::Person), 4 => (0_usize..4).prop_map(Who::Reviewer)];
    let path = prop_oneof![3 => Just(None), 1 => ordinal.clone().prop_map(Some)];
    let decide = (who, 1_i32..=7, path, prop::sample::select(&Verdict::ALL[..]), prop::bool::weighted(0.8));
    prop_oneof![
        30 => decide.prop_map(|(who, item, stage, verdict, justified)| {
            Command::Decide { who, item, stage, verdict, justified }
        }),
        5 => (ordinal.clone(), prop::option::of(any_forms()), prop::option::of(any_forms())).prop_map(
            |(stage, reviewers, fallback_reviewers)| Command::Update { stage, reviewers, fallback_reviewers }
        ),
        3 => ordinal.clone().prop_map(Command::StopStage),
        1 => Just(Command::StopInstance),
        4 => (0_i64..30).prop_map(|hours| Command::Pass { hours }),
        1 => (30_i64..24 * 12).prop_map(|hours| Command::Pass { hours }),
        2 => Just(Command::PassToEnd),
        8 => Just(Command::Work),
        2 => ordinal.prop_map(Command::Timer),
        4 => (PEOPLE, prop::option::of(PEOPLE)).prop_map(|(of, is)| Command::Manager { of, is }),
        1 => (PEOPLE, any::<bool>()).prop_map(|(of, enabled)| Command::Account { of, enabled }),
    ]
}

/// Most histories begin with the review's start, so that they have something to say about a running one.
fn any_history() -> impl Strategy<Value = Vec<Command>> {
    let beginning = prop_oneof![
        8 => Just(vec![Command::Pass { hours: 1 }, Command::Work, Command::Work]),
        1 => (2_i64..24 * 30).prop_map(|hours| vec![Command::Pass { hours }, Command::Work, Command::Work]),
        1 => Just(Vec::new()),
    ];
    let deletion = prop_oneof![9 => Just(None), 1 => Just(Some(Command::Delete))];
    (beginning, prop::collection::vec(any_command(), 0..40), deletion)
        .prop_map(|(beginning, commands, deletion)| beginning.into_iter().chain(commands).chain(deletion).collect())
}

/// At least so many histories; `PROPTEST_CASES` asks for more.
const HISTORIES: u32 = 4_000;

proptest! {
    #![proptest_config(Config { cases: Config::default().cases.max(HISTORIES), ..Config::default() })]

    /// LC-INV-01 to 03, LC-INV-05, LC-INV-07, LC-INV-10, LC-STAGE-04, LC-STAGE-06, LC-STAGE-37, LC-CMP-03
    #[test]
    fn whatever_people_and_timers_do_a_review_keeps_its_rules(setup in any_setup(), commands in any_history()) {
        play(&setup, &commands);
    }
}

#[test]
fn the_random_histories_reach_what_they_are_to_prove() {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let histories = (any_setup(), any_history());
    let mut reached = BTreeSet::new();
    for _ in 0..600 {
        let (setup, commands) = histories.new_tree(&mut runner).unwrap().current();
        reached.extend(play(&setup, &commands));
    }

    for situation in [
        "closed late",
        "decided by default",
        "deleted",
        "failed for being handed over late",
        "failed for being late",
        "handed over late",
        "items handed over",
        "left to the fallback",
        "nobody in scope",
        "nothing moved",
        "reviewers changed while running",
        "stage 1",
        "stage 2 of all",
        "stage 2 of listed",
        "stage 2 of the remaining",
        "stage 3 of all",
        "stage 3 of listed",
        "stage 3 of the remaining",
        "stage stopped",
        "started late",
        "withdrawn",
    ] {
        assert!(reached.contains(situation), "no history reached `{situation}`: {reached:?}");
    }
}

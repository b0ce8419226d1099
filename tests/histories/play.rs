//! Plays a history: each command is done by the application and by the model, and both are compared.

mod targets;

use std::{any::Any, collections::BTreeSet, panic::AssertUnwindSafe};

use attestry::{domain::status::Status, store::ClaimedJob};
use chrono::{DateTime, Utc};
use futures_util::FutureExt;

use super::{
    command::{Act, Answer, Command, Work},
    company::{Change, Directory},
    faults::Fault,
    invariants::{self, Statuses, Transition},
    model::{Model, Step},
    observed::{Observed, everybody},
    schedule::{crash, race},
    world::{Place, Told, World},
};

/// Crashes of one job after which it is left to finish: from then on applying takes smaller steps, which the model does not know.
const CRASHES_OF_A_JOB: i32 = 2;

/// A failure, and the script that leads to it.
pub type Outcome = Result<Reached, String>;

/// What a history did, so that a test can tell whether histories reach what they are to prove.
#[derive(Debug, Default)]
pub struct Reached {
    pub steps: usize,
    pub what: BTreeSet<&'static str>,
}

struct Play<'a> {
    world: World<'a>,
    model: Model,
    seen: Observed,
    statuses: Statuses,
    reviews: usize,
    reached: Reached,
    script: Vec<String>,
}

/// Plays a history in a tenant of its own.
pub async fn play(place: &mut Place, directory: &Directory, history: &[Command]) -> Outcome {
    let mut world = World::new(place, directory).await;
    let seen = world.observe().await;
    let mut play = Play {
        model: Model::new(super::beginning(), directory.clone()),
        world,
        seen,
        statuses: Statuses::default(),
        reviews: 0,
        reached: Reached::default(),
        script: Vec::new(),
    };
    let mut outcome = Ok(());
    for (number, command) in history.iter().enumerate() {
        play.script.push(format!("{:>3}. {command}", number + 1));
        // A panic is a failure like any other, with its script.
        let played = AssertUnwindSafe(play.command(command)).catch_unwind().await;
        outcome = played.unwrap_or_else(|panic| Err(panic_text(&*panic)));
        if outcome.is_err() {
            break;
        }
    }
    play.world.leave().await;
    match outcome {
        Ok(()) => Ok(play.reached),
        Err(failure) => {
            let directory = play.directory_as_text(directory);
            Err(format!("{failure}\n\nThe history:\n{directory}\n{}\n", play.script.join("\n")))
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("a panic: {}", text.unwrap_or("without words"))
}

/// An act, and the job it is when it is one.
type Prepared = (Act, Option<ClaimedJob>);

impl Play<'_> {
    fn directory_as_text(&self, directory: &Directory) -> String {
        let mut text = format!(
            "     finance has the members {:?} and the owners {:?}, contractors {:?}",
            directory.members, directory.owners, directory.nested
        );
        for (name, user) in &directory.users {
            text += &format!("\n     {name}: manager {:?}, {:?}", user.manager, user.sign_in);
            if !user.enabled {
                text += ", disabled";
            }
        }
        text
    }

    fn note(&mut self, text: impl std::fmt::Display) {
        self.script.push(format!("       {text}"));
    }

    async fn command(&mut self, command: &Command) -> Result<(), String> {
        match command {
            Command::Do(deed) => {
                let Some(prepared) = self.prepare(deed).await else { return Ok(()) };
                self.plainly(prepared).await
            }
            Command::Crash { deed, polls, at_once } => {
                let Some(prepared) = self.prepare(deed).await else { return Ok(()) };
                match &prepared.1 {
                    Some(job) if job.attempt > CRASHES_OF_A_JOB => self.plainly(prepared).await,
                    _ => self.crashing(prepared, *polls, *at_once).await,
                }
            }
            Command::Fault { deed, fault } => {
                let Some(prepared) = self.prepare(deed).await else { return Ok(()) };
                match &prepared.1 {
                    Some(job) if job.attempt > CRASHES_OF_A_JOB => self.plainly(prepared).await,
                    _ => self.failing(prepared, *fault).await,
                }
            }
            Command::Race { first, second, lead } => {
                let first = self.prepare(first).await;
                let second = self.prepare(second).await;
                match (first, second) {
                    (Some(first), Some(second)) => self.racing(first, second, *lead).await,
                    (Some(one), None) | (None, Some(one)) => self.plainly(one).await,
                    (None, None) => Ok(()),
                }
            }
            Command::Twice { which, lead } => {
                let Some(job) = self.world.take_job(*which).await else { return Ok(()) };
                if job.attempt > CRASHES_OF_A_JOB {
                    let prepared = self.work(job, false);
                    return self.plainly(prepared).await;
                }
                let again = self.world.take_over(&job).await;
                let (first, second) = (self.work(job, true), self.work(again, false));
                self.racing(first, second, *lead).await
            }
            Command::Wait(span) => {
                let to = self.target(*span);
                self.set_clock(to).await
            }
            Command::Live(span) => self.live(self.target(*span)).await,
            Command::Change(change) => self.change(*change).await,
            Command::Server(server) => {
                self.world.server_is(*server);
                self.model.server = *server;
                Ok(())
            }
            Command::Spare(which) => match self.blocked(*which) {
                Some(of) => {
                    self.note(format!("it is {of}"));
                    self.reached.what.insert("spared");
                    self.change(Change::Account { of, enabled: true }).await
                }
                None => Ok(()),
            },
        }
    }

    // --- doing -----------------------------------------------------------------------------------------------------------------

    fn perform(&self, prepared: &Prepared) -> std::pin::Pin<Box<dyn Future<Output = Told>>> {
        match prepared {
            (_, Some(job)) => Box::pin(self.world.run(job.clone())),
            (act, None) => {
                let review = match act {
                    Act::UpdateDefinition { review, .. } => self.model.reviews.get(review),
                    _ => None,
                };
                let created_at = review.map_or(self.model.now, |review| review.created_at);
                Box::pin(self.world.perform(act, created_at))
            }
        }
    }

    async fn plainly(&mut self, prepared: Prepared) -> Result<(), String> {
        let told = self.perform(&prepared).await;
        let told = self.world.sabotaged(&prepared.0, told).await;
        self.as_told(prepared, told).await
    }

    /// The act answered, and did what the rules say.
    async fn as_told(&mut self, prepared: Prepared, told: Told) -> Result<(), String> {
        let expected = self.model.act(&prepared.0);
        self.note(format!("{} -> {told}", prepared.0));
        let answer = told.answer;
        if answer != expected {
            return Err(format!("the answer is {answer:?}, and the rules say {expected:?}"));
        }
        self.reach(&prepared.0, &answer);
        self.compare(&[prepared.0], false).await
    }

    /// After a crash each transaction of the act has happened, or has not: it is as if the act had ended after one of them.
    /// LC-CONC-06
    async fn crashing(&mut self, prepared: Prepared, polls: usize, at_once: bool) -> Result<(), String> {
        let ended = crash(self.perform(&prepared), polls, at_once).await;
        self.world.settle().await?;
        if let Some(job) = &prepared.1 {
            self.world.end_lease(job).await;
        }
        let act = prepared.0.clone();
        let end = ended.as_ref().map_or("dead".to_owned(), |told| format!("{told}, in time"));
        self.note(format!("{act} -> {end}"));
        let ended = ended.map(|told| told.answer);
        let mut possible = vec![self.model.clone()];
        let mut taken = 0;
        loop {
            let mut next = possible.last().unwrap().clone();
            let step = next.step(&act, taken);
            possible.push(next);
            match step {
                Step::More => taken += 1,
                Step::Done(expected) => {
                    if let Some(answer) = &ended {
                        if *answer != expected {
                            return Err(format!("the answer is {answer:?}, and the rules say {expected:?}"));
                        }
                        possible = vec![possible.pop().unwrap()];
                    }
                    break;
                }
            }
        }
        if ended.is_none() {
            self.reached.what.insert("crashed");
        }
        self.compare_with_one_of(possible, &[act]).await
    }

    /// A commit that fails ends the act after one of its transactions, and the process goes on: a job is given back. LC-CONC-06
    async fn failing(&mut self, prepared: Prepared, fault: Fault) -> Result<(), String> {
        self.world.plan(fault);
        let told = self.perform(&prepared).await;
        let failed = self.world.end_of_faults();
        self.world.settle().await?;
        // Who records once more what became of a mail, not knowing that it is recorded, finds that the job is not his any more.
        let recorded = fault.happened && told.answer == Answer::LeaseLost;
        if !failed || told.answer != Answer::Failure && !recorded {
            return self.as_told(prepared, told).await;
        }
        let act = prepared.0;
        self.note(format!("{act} -> {told}"));
        self.reached.what.insert("commit failed");
        let mut possible = vec![self.model.clone()];
        loop {
            let mut next = possible.last().unwrap().clone();
            let step = next.step(&act, possible.len() - 1);
            possible.push(next);
            if step != Step::More {
                break;
            }
        }
        self.compare_with_one_of(possible, &[act]).await
    }

    /// Two at once are as if one had been after the other, transaction by transaction. LC-CONC-01 to 07
    async fn racing(&mut self, first: Prepared, second: Prepared, lead: usize) -> Result<(), String> {
        let (one, other) = (self.perform(&first), self.perform(&second));
        let (one, other) = race(one, other, lead, async || self.world.somebody_waits().await).await;
        self.world.settle().await?;
        let acts = [first.0, second.0];
        self.note(format!("{} -> {one}", acts[0]));
        self.note(format!("and {} -> {other}", acts[1]));
        let answers = [one.answer, other.answer];
        let mut ends = Vec::new();
        interleave(&self.model, &acts, [0, 0], [None, None], &mut ends);
        ends.extend(too_late(&self.model, &acts, 0));
        ends.extend(too_late(&self.model, &acts, 1));
        let possible = ends.iter().filter(|(_, ended)| *ended == answers).map(|(model, _)| model.clone());
        let possible: Vec<_> = possible.collect();
        if possible.is_empty() {
            let told: BTreeSet<_> = ends.iter().map(|(_, ended)| format!("{ended:?}")).collect();
            return Err(format!("the answers are {answers:?}, and the rules say one of {told:?}"));
        }
        self.reached.what.insert("raced");
        for (act, answer) in acts.iter().zip(&answers) {
            self.reach(act, answer);
        }
        self.compare_with_one_of(possible, &acts).await
    }

    async fn set_clock(&mut self, to: DateTime<Utc>) -> Result<(), String> {
        if to <= self.model.now {
            return Ok(());
        }
        self.world.set_clock(to).await;
        self.model.now = to;
        self.compare(&[], false).await
    }

    /// Everything that falls due until then happens, each at its own instant.
    async fn live(&mut self, to: DateTime<Utc>) -> Result<(), String> {
        loop {
            while let Some(job) = self.world.take_job(0).await {
                let prepared = self.work(job, false);
                self.plainly(prepared).await?;
            }
            let due = self.seen.work.values().copied().filter(|due| *due > self.model.now).min();
            match due {
                Some(due) if due <= to => self.set_clock(due).await?,
                _ if to > self.model.now => self.set_clock(to).await?,
                _ => return Ok(()),
            }
        }
    }

    async fn change(&mut self, change: Change) -> Result<(), String> {
        self.world.change(change).await;
        self.model.directory.change(change);
        self.compare(&[], true).await
    }

    // --- comparing -------------------------------------------------------------------------------------------------------------

    async fn compare_with_one_of(&mut self, possible: Vec<Model>, acts: &[Act]) -> Result<(), String> {
        let seen = self.world.observe().await;
        match possible.iter().find(|model| model.facts() == seen.facts) {
            Some(model) => self.model = model.clone(),
            None => {
                let differences: Vec<_> = possible
                    .iter()
                    .map(|model| model.facts().difference(&seen.facts, "the rules", "the database"))
                    .collect();
                return Err(format!("what is there is none of what it could be:\n{}", differences.join("  or\n")));
            }
        }
        self.look(seen, acts, false).await
    }

    async fn compare(&mut self, acts: &[Act], directory_changed: bool) -> Result<(), String> {
        let seen = self.world.observe().await;
        let facts = self.model.facts();
        if facts != seen.facts {
            let difference = facts.difference(&seen.facts, "the rules", "the database");
            return Err(format!("what is there is not what should be:\n{difference}"));
        }
        self.look(seen, acts, directory_changed).await
    }

    /// The invariants, and the same through the eyes of somebody.
    async fn look(&mut self, seen: Observed, acts: &[Act], directory_changed: bool) -> Result<(), String> {
        self.reached.steps += 1;
        let transition = Transition { before: &self.seen, after: &seen, acts, directory_changed };
        invariants::check(&transition, &mut self.statuses, &self.world.known.instances)?;
        for (work, due_at) in self.model.timers() {
            match seen.work.get(&work) {
                Some(planned) if *planned == due_at => {}
                // What is due may have been due before.
                Some(planned) if due_at <= self.model.now && *planned <= self.model.now => {}
                planned => return Err(format!("{work} is to be at {due_at}, and is planned for {planned:?}")),
            }
        }
        // Whose decisions changed is read through an admin's eyes at once; otherwise somebody looks, each in turn. Where nothing changed
        // there is little to be seen: every third time is enough.
        let (changed, same) = (transition.decided_anew(), transition.nothing_changed());
        self.seen = seen;
        let instances = self.seen.instances.len();
        let round = self.reached.steps;
        if instances == 0 || same && !round.is_multiple_of(3) {
            return Ok(());
        }
        if let Some(at) = changed {
            let shown = self.world.effective(at).await;
            let shown = shown.map_err(|answer| format!("LC-INV-05: an admin cannot read {at}: {answer:?}"))?;
            let instance = self.seen.instances.iter().find(|instance| instance.at == at).unwrap();
            return invariants::the_effective_decision_is_the_newest(instance, &shown);
        }
        let instance = &self.seen.instances[round / 2 % instances];
        let person = everybody().nth(round % 9).unwrap();
        let path = (round / 3).is_multiple_of(2).then(|| round / 6 % instance.stages.len() + 1);
        let plan = &self.model.instance(instance.at).unwrap().plan;
        let found = self.world.found_by(person, instance.at, path).await;
        invariants::a_reviewer_reads_what_he_reviews(instance, person, path, plan.multi_stage, plan.histories, &found)
    }

    fn reach(&mut self, act: &Act, answer: &Answer) {
        let what = match (act, answer) {
            (_, Answer::Absent) => "absent",
            (_, Answer::Forbidden) => "forbidden",
            (_, Answer::WrongState) => "wrong state",
            (_, Answer::Invalid) => "invalid",
            (_, Answer::Conflict) => "conflict",
            (_, Answer::TooOften) => "too often",
            (_, Answer::LeaseLost) => "lease lost",
            (_, Answer::Again) => "mail again",
            (_, Answer::Failure) => "failure",
            (Act::Create { .. }, Answer::Done) => "created",
            (Act::Decide { .. }, Answer::Done) => "decided",
            (Act::Batch { .. }, Answer::Done) => "decided in bulk",
            (Act::Accept { .. }, Answer::Done) => "recommendations accepted",
            (Act::Reset { .. }, Answer::Done) => "reset",
            (Act::UpdateStage { .. }, Answer::Done) => "stage updated",
            (Act::UpdateInstance { .. }, Answer::Done) => "instance updated",
            (Act::StopStage { .. }, Answer::Done) => "stage stopped",
            (Act::StopInstance { .. }, Answer::Done) => "instance stopped",
            (Act::UpdateDefinition { .. }, Answer::Done) => "definition updated",
            (Act::Delete { .. }, Answer::Done) => "deleted",
            (Act::Apply { .. }, Answer::Done) => "applied by hand",
            (Act::Remind { .. }, Answer::Done) => "reminded by hand",
            (Act::Work { work, .. }, Answer::Done) => match work {
                Work::Open(_) => "opened",
                Work::Close(..) => "closed by the timer",
                Work::Remind(..) => "reminded",
                Work::Apply(_) => "applied",
                Work::DeleteBlocked(_) => "deleted after thirty days",
                Work::Mail(_) => "mailed",
                Work::Gone => "found nothing",
            },
        };
        self.reached.what.insert(what);
        for (_, _, instance) in self.model.instances() {
            if instance.status == Status::Failed {
                self.reached.what.insert("failed for being late");
            }
            if instance.stages.iter().skip(1).any(|stage| stage.items.is_empty()) {
                self.reached.what.insert("nothing moved");
            }
            if instance.stages.len() == 3 && !instance.stages[2].items.is_empty() {
                self.reached.what.insert("a third stage");
            }
        }
        if self.model.reviews.values().any(|review| review.instances.len() > 2) {
            self.reached.what.insert("a third occurrence");
        }
    }
}

/// Every order in which the transactions of two acts can follow each other, and what comes of it.
fn interleave(
    model: &Model,
    acts: &[Act; 2],
    taken: [usize; 2],
    ended: [Option<Answer>; 2],
    ends: &mut Vec<(Model, [Answer; 2])>,
) {
    if let [Some(first), Some(second)] = &ended {
        ends.push((model.clone(), [first.clone(), second.clone()]));
        return;
    }
    for turn in 0..2 {
        if ended[turn].is_some() {
            continue;
        }
        let mut next = model.clone();
        let (mut taken, mut ended) = (taken, ended.clone());
        match next.step(&acts[turn], taken[turn]) {
            Step::More => taken[turn] += 1,
            Step::Done(answer) => ended[turn] = Some(answer),
        }
        interleave(&next, acts, taken, ended, ends);
    }
}

/// An answer on the instance path that came while its stage was running, and waited while that was closed, is refused, also when
/// another stage runs by then. LC-CONC-02
fn too_late(model: &Model, acts: &[Act; 2], loser: usize) -> Option<(Model, [Answer; 2])> {
    let at = match &acts[loser] {
        Act::Decide { at, stage: None, .. }
        | Act::Batch { at, stage: None, .. }
        | Act::Accept { at, stage: None, .. }
        | Act::Reset { at, .. } => *at,
        _ => return None,
    };
    let running = model.instance(at)?.running()?;
    let mut after = model.clone();
    let winner = after.act(&acts[1 - loser]);
    let closed = after.instance(at)?.stages[running].status != Status::InProgress;
    let mut answers = [Answer::WrongState, Answer::WrongState];
    answers[1 - loser] = winner;
    closed.then_some((after, answers))
}

//! The jobs behind `Applying`: carrying decisions out some items at a time, and deleting accounts that stayed blocked. LC-APPLY
//!
//! Each step is a transaction of its own that removes access, records the results and notes how far it came; a worker that dies
//! is followed by another that goes on behind the last committed step. LC-APPLY-14

use std::collections::HashSet;

use serde_json::json;

use super::{
    Refused, Services,
    run_review::{ReviewRun, about},
};
use crate::{
    domain::{
        apply::{ApplyOutcome, ApplyResult, BLOCKED_FOR, apply_action, plan_apply, settled_by},
        decision::Verdict,
        event::{Activity, Event},
        ids::{InstanceId, ItemSeq, ObjectId},
        instance::Instance,
        status::Status,
    },
    store::{
        Actor, ClaimedJob, Job, NewJob, Outcome, PrincipalKind, StoreError, UnitOfWork,
        apply::{AppliedStep, ApplyRun, BlockedAccount, ItemResult, SettledVerdict, StepSize, StepToApply},
        review_steps::{AskedStage, LockedReview},
    },
};

/// Most items of one step whose access is looked at, and for each of them so many that were decided at all, up to a number that takes
/// about as long: a quarter of a second.
const LARGEST_STEP: i32 = 5_000;
const DECIDED_FOR_EACH: i32 = 10;
const MOST_DECIDED: i32 = 20_000;
/// Most accounts that one step deletes, with everything that names them.
const MOST_DELETED: i32 = 2_000;
/// After so many tries of a job its items are told apart, and one that cannot be applied is given up. LC-APPLY-07
const TRIES_TOGETHER: i32 = 3;

/// What a job does.
#[derive(Clone, Copy)]
pub(super) enum Work {
    Apply,
    DeleteUsers,
}

/// How a step ended.
enum Step {
    /// The next one follows.
    More,
    /// The job is ended or postponed.
    Done,
}

/// Goes on until nothing is left to do now.
///
/// In the end an item that cannot be applied is looked for by halving the step that fails; it is given up, and the steps grow
/// again. So every such item costs a few more steps, and none another try of the whole job.
pub(super) async fn carry_out(
    services: &Services,
    job: &ClaimedJob,
    id: InstanceId,
    work: Work,
) -> Result<(), Refused> {
    let tell_apart = job.attempt > TRIES_TOGETHER;
    let mut size = LARGEST_STEP;
    let mut give_up = false;
    loop {
        match step(services, job, id, work, size, give_up).await {
            Ok(Step::Done) => return Ok(()),
            Ok(Step::More) => {
                give_up = false;
                size = size.saturating_mul(2).min(LARGEST_STEP);
            }
            Err(Refused::Store(StoreError::Refused { .. } | StoreError::Other(_))) if tell_apart && !give_up => {
                match size {
                    1 => give_up = true,
                    _ => size /= 2,
                }
            }
            Err(error) => return Err(error),
        }
    }
}

async fn step(
    services: &Services,
    job: &ClaimedJob,
    id: InstanceId,
    work: Work,
    size: i32,
    give_up: bool,
) -> Result<Step, Refused> {
    let actor = Actor::system();
    let mut uow = services.begin_bulk(job.tenant).await?;
    let found = uow.review_steps().lock(id, AskedStage::None).await?;
    let running = found.filter(|found| found.instance.status == Status::Applying);
    let Some(LockedReview { definition, mut instance, progress_of_others, .. }) = running else {
        uow.jobs().finish(job, Outcome::Obsolete).await?;
        uow.commit().await?;
        return Ok(Step::Done);
    };
    let run = uow.apply().find_run(id).await?.ok_or(StoreError::Corrupt {
        table: "apply_runs",
        column: "instance_id",
        id: id.to_string(),
    })?;
    let nothing_left = match work {
        Work::Apply => apply_next(&mut *uow, &actor, &instance, &run, size, give_up).await?,
        Work::DeleteUsers => delete_due(&mut *uow, &actor, &instance, &run, size, give_up).await?,
    };
    if !nothing_left {
        // The last step makes this one durable, too; until then it is undone or done whole.
        uow.commit_unwaited().await?;
        return Ok(Step::More);
    }
    match (work, uow.apply().next_deletion(id).await?) {
        (Work::DeleteUsers, Some(due_at)) => {
            uow.jobs().postpone(job, due_at).await?;
            uow.commit().await?;
            return Ok(Step::Done);
        }
        // The accounts' own job ends it.
        (Work::Apply, Some(_)) => {}
        // Accounts blocked from here on wait at least as long, and find their job still there: it is enqueued only once.
        (Work::DeleteUsers, None) if run.applied_through < instance.item_count => {
            let due_at = uow.now() + BLOCKED_FOR;
            uow.jobs().postpone(job, due_at).await?;
            uow.commit().await?;
            return Ok(Step::Done);
        }
        (Work::Apply | Work::DeleteUsers, None) => {
            let mut review = ReviewRun::beside(&mut *uow, &actor, progress_of_others);
            review.finish_applying(&mut instance, &run.by).await?;
            review.finish_with(&definition, job).await?;
            uow.commit().await?;
            return Ok(Step::Done);
        }
    }
    uow.jobs().finish(job, Outcome::Done).await?;
    uow.commit().await?;
    Ok(Step::Done)
}

/// Applies the next items; whether they were the last. With `give_up` nothing is removed, and what was to be is a failure.
async fn apply_next(
    uow: &mut dyn UnitOfWork,
    actor: &Actor,
    instance: &Instance,
    run: &ApplyRun,
    size: i32,
    give_up: bool,
) -> Result<bool, StoreError> {
    let action = apply_action(&instance.settings);
    let settled: Vec<_> = Verdict::ALL.into_iter().filter_map(settled_verdict).collect();
    let size = StepSize { decided: size.saturating_mul(DECIDED_FOR_EACH).min(MOST_DECIDED), open: size };
    let StepToApply { through, items } = uow.apply().next_step(instance, run, size, &settled).await?;
    let mut results = Vec::new();
    let mut removals = Vec::new();
    let mut blocks = Vec::new();
    for item in &items {
        let mut conclude = |result, description| results.push(ItemResult { seq: item.seq, result, description });
        match plan_apply(item.decision, action, item.access) {
            ApplyOutcome::Leave => {}
            ApplyOutcome::Result(result, description) => conclude(result, description),
            ApplyOutcome::Remove(_) | ApplyOutcome::BlockAndDelete if give_up => {
                conclude(ApplyResult::AppliedWithUnknownFailure, None);
            }
            ApplyOutcome::Remove(description) => removals.push((item.seq, item.principal.id, description)),
            ApplyOutcome::BlockAndDelete if item.principal.kind == PrincipalKind::User => {
                blocks.push((item.seq, item.principal.id));
            }
            ApplyOutcome::BlockAndDelete => conclude(ApplyResult::ApplyNotSupported, Some(NO_ACCOUNT)),
        }
    }
    if !removals.is_empty() {
        let principals: Vec<_> = removals.iter().map(|(_, principal, _)| *principal).collect();
        let removed: HashSet<_> = uow.apply().remove(instance, &principals).await?.into_iter().collect();
        results.extend(removals.into_iter().map(|(seq, principal, description)| {
            let (result, description) = match removed.contains(&principal) {
                true => (ApplyResult::AppliedSuccessfully, description),
                false => (ApplyResult::AppliedSuccessfullyButObjectNotFound, None),
            };
            ItemResult { seq, result, description }
        }));
    }
    let mut events = Vec::new();
    if !blocks.is_empty() {
        results.extend(block(uow, instance, blocks, &mut events).await?);
    }
    results.sort_by_key(|item| item.seq);
    // Only of denials: the others took nothing away.
    events.extend(results.iter().map(|item| told(instance, run, item)));
    let (results, events) = (results.as_slice(), events.as_slice());
    let step = AppliedStep { instance: instance.id, by: &run.by, results, through: Some(through), actor, events };
    uow.apply().record(&step).await?;
    Ok(through == instance.item_count)
}

/// What is recorded of items with this verdict without looking at them.
fn settled_verdict(verdict: Verdict) -> Option<SettledVerdict> {
    let result = match settled_by(verdict)? {
        ApplyOutcome::Result(result, description) => Some((result, description)),
        ApplyOutcome::Leave => None,
        ApplyOutcome::Remove(_) | ApplyOutcome::BlockAndDelete => return None,
    };
    Some(SettledVerdict { verdict, result })
}

const NO_ACCOUNT: &str = "Only users can be blocked and deleted.";

/// Blocks accounts and remembers to delete them; returns the results of those that are not there. LC-APPLY-09
async fn block(
    uow: &mut dyn UnitOfWork,
    instance: &Instance,
    blocks: Vec<(ItemSeq, ObjectId)>,
    events: &mut Vec<Event>,
) -> Result<Vec<ItemResult>, StoreError> {
    let due_at = uow.now() + BLOCKED_FOR;
    let users: Vec<_> = blocks.iter().map(|(_, user)| *user).collect();
    let blocked: HashSet<_> = uow.apply().block(&users).await?.into_iter().collect();
    let (waiting, gone): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|(_, user)| blocked.contains(user));
    uow.apply().await_deletions(instance.id, &waiting, due_at).await?;
    let job = Job::DeleteBlockedUsers { instance: instance.id };
    uow.jobs().enqueue(&[NewJob { id: super::ids::job(), job, due_at }]).await?;
    events.extend(waiting.into_iter().map(|(seq, user)| Event {
        item_seq: Some(seq),
        after: Some(json!({ "userId": user, "accountEnabled": false, "deletionDateTime": due_at })),
        ..about(Activity::UserBlocked, instance)
    }));
    Ok(gone
        .into_iter()
        .map(|(seq, _)| ItemResult {
            seq,
            result: ApplyResult::AppliedSuccessfullyButObjectNotFound,
            description: None,
        })
        .collect())
}

/// Deletes accounts whose time has come and that are still blocked; whether none is left that is due. LC-APPLY-10
async fn delete_due(
    uow: &mut dyn UnitOfWork,
    actor: &Actor,
    instance: &Instance,
    run: &ApplyRun,
    size: i32,
    give_up: bool,
) -> Result<bool, StoreError> {
    let due = uow.apply().due_deletions(instance.id, i64::from(size.min(MOST_DELETED))).await?;
    if due.is_empty() {
        return Ok(true);
    }
    let mut users = Vec::new();
    let mut results = Vec::new();
    let mut events = Vec::new();
    for (pending, account) in &due {
        let mut conclude = |result| results.push(ItemResult { seq: pending.seq, result, description: None });
        match account {
            BlockedAccount::StillBlocked if give_up => conclude(ApplyResult::AppliedWithUnknownFailure),
            BlockedAccount::StillBlocked => {
                users.push(pending.user);
                conclude(ApplyResult::AppliedSuccessfully);
                events.push(Event {
                    item_seq: Some(pending.seq),
                    before: Some(json!({ "userId": pending.user })),
                    ..about(Activity::UserDeleted, instance)
                });
            }
            BlockedAccount::Gone => conclude(ApplyResult::AppliedSuccessfullyButObjectNotFound),
            // He was spared on purpose: the item is new again. LC-APPLY-10
            BlockedAccount::Unblocked => events.push(Event {
                item_seq: Some(pending.seq),
                before: Some(json!({ "userId": pending.user })),
                after: Some(json!({ "reason": "the account was unblocked" })),
                ..about(Activity::UserDeletionCancelled, instance)
            }),
        }
    }
    if !users.is_empty() {
        // They disappear from what others still review; results of reviews that ended stay. LC-APPLY-15
        events.extend(uow.apply().remove_items_of(&users).await?.into_iter().map(|item| Event {
            definition_id: Some(item.definition),
            instance_id: Some(item.instance),
            item_seq: Some(item.seq),
            before: Some(json!({ "userId": item.user })),
            after: Some(json!({ "reason": "the user was deleted" })),
            ..Event::new(Activity::ItemRemoved)
        }));
        uow.apply().delete_users(&users).await?;
    }
    let settled: Vec<_> = due.iter().map(|(pending, _)| pending.seq).collect();
    uow.apply().settle_deletions(instance.id, &settled).await?;
    events.extend(results.iter().map(|item| told(instance, run, item)));
    let (results, events) = (results.as_slice(), events.as_slice());
    let step = AppliedStep { instance: instance.id, by: &run.by, results, through: None, actor, events };
    uow.apply().record(&step).await?;
    Ok(false)
}

fn told(instance: &Instance, run: &ApplyRun, item: &ItemResult) -> Event {
    Event {
        item_seq: Some(item.seq),
        after: Some(json!({
            "applyResult": item.result.as_str(),
            "applyDescription": item.description,
            "appliedBy": run.by.id,
        })),
        ..about(Activity::ApplyDecision, instance)
    }
}

//! Updating the reviewers of one stage for all who ask at the same time: one transaction, one lock, one resolution, one commit. Each
//! request is judged in the order of its coming by the same rule as alone, against what those before it left (LC-CONC-03), and has its
//! own event and its own answer: a refused one changes nothing and holds nobody up.
//!
//! Who was named and dropped again within one round was never a reviewer for anybody else to see: he is neither resolved nor told.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;

use super::{
    Call, Refused, Services,
    access::{self, StageAccess, StagePath, authorize},
    change_reviewers::{event_of, judge, mail_of, missing_of, resolve_anew, violations_of},
    entity_tags,
    get_stage::StageView,
    reviewer_rules::sizes,
    together::{Round, Rounds, SharedFailure},
};
use crate::{
    domain::{
        authorization::{Caller, Operation, Relation, ReviewKind},
        event::Event,
        ids::{ReviewerListId, TenantId},
        instance::Instance,
        limits::ReviewLimits,
        reviewer_scope::ReviewerLists,
        stage_update::{StageUpdatePlan, StageUpdateRequest, added_forms},
        violation::Violation,
    },
    store::{
        Actor, Lane, Plans, StageEntry, Store, UnitOfWork,
        stage_updates::{SameReviewers, StageChange, StageToUpdate},
    },
};

/// Two would only wait for each other's lock.
pub(super) const ROUNDS: Rounds = Rounds { at_once: 1, most: 128 };

/// One request.
pub(super) struct AskedUpdate {
    call: Call,
    request: StageUpdateRequest,
    /// The same for all of a process.
    limits: ReviewLimits,
}

/// What became of a request.
pub(super) enum Settled {
    /// It was judged; what it changed is committed.
    Judged(Box<Result<StageView, Refused>>),
    /// Nothing of it was written; to be looked at alone.
    Alone,
    /// Nothing of it was written, or nobody knows.
    Failed(SharedFailure),
}

/// One transaction for all of them.
pub(super) struct UpdateRound {
    pub store: Arc<dyn Store>,
    /// Tells the workers that mail may be due.
    pub work: Arc<tokio::sync::Notify>,
}

#[async_trait]
impl Round for UpdateRound {
    type Key = (TenantId, StagePath);
    type Question = AskedUpdate;
    type Answer = Settled;

    async fn answer(&self, (tenant, path): &Self::Key, questions: Vec<AskedUpdate>) -> Vec<Settled> {
        match self.update(*tenant, *path, &questions).await {
            Ok(answers) => answers.into_iter().map(|answer| Settled::Judged(Box::new(answer))).collect(),
            Err(error) => {
                let failure = match &error {
                    Refused::Store(error) => SharedFailure::of(error),
                    _ => None,
                };
                questions.iter().map(|_| failure.map_or(Settled::Alone, Settled::Failed)).collect()
            }
        }
    }
}

impl UpdateRound {
    /// Every request's own answer. An error: nothing was written for anybody, unless the outcome is unknown.
    async fn update(
        &self,
        tenant: TenantId,
        path: StagePath,
        questions: &[AskedUpdate],
    ) -> Result<Vec<Result<StageView, Refused>>, Refused> {
        let Some(limits) = questions.first().map(|question| question.limits) else { return Ok(Vec::new()) };
        let mut uow = self.store.begin_with(tenant, Lane::Interactive, Plans::Kept).await?;
        let list = ReviewerListId::of_stage(path.stage);
        // Nobody locks what he may not change: who manages reviews of every kind may before anything is read.
        let at_once = questions.iter().all(|question| question.call.caller.manages_every_kind());
        let locked = match at_once {
            true => lock_at_once(&mut *uow, path, questions).await?,
            false => lock_after_reading(&mut *uow, path, questions).await?,
        };
        let Locked { instance, mut entry, lists: before, allowed, missing } = locked;

        let mut lists = before.clone();
        let mut answers = Vec::with_capacity(questions.len());
        let mut events: Vec<(Actor, Event)> = Vec::new();
        let mut resolve_now = false;
        for ((question, allowed), missing) in questions.iter().zip(allowed).zip(&missing) {
            let judged = match allowed.and_then(|()| {
                question.call.precondition.check(&entity_tags::of_stage(&entry.stage)).map_err(Refused::from)
            }) {
                Ok(()) => judge(&mut *uow, &instance, &entry.stage, &lists, &question.request, missing).await,
                Err(refused) => Err(refused),
            };
            answers.push(match judged {
                Err(Refused::Store(error)) => return Err(error.into()),
                Err(refused) => Err(refused),
                Ok(StageUpdatePlan { lists: planned, changed, resolve_now: resolve }) => {
                    if changed {
                        events.push((question.call.actor(), event_of(&instance, &entry.stage, &lists, &planned)));
                        entry.stage.version += 1;
                        resolve_now |= resolve;
                        lists = planned;
                    }
                    Ok(StageView { stage: entry.stage.clone(), lists: lists.clone() })
                }
            });
        }
        if events.is_empty() {
            return Ok(answers);
        }

        let reviewers = (resolve_now && lists.name_the_same_for_every_item()).then(|| SameReviewers {
            resource: instance.resource.id,
            most: limits.reviewers_per_item,
            mail: mail_of(&instance),
        });
        let change = StageChange { stage: &entry.stage, lists: &lists, events: &events, reviewers };
        let settled = uow.stage_updates().save(change).await?;
        let resource = Some(instance.resource.id);
        if !sizes(&mut *uow, resource, &[(String::new(), &lists, list)], &limits).await?.is_empty() {
            return Err(together_too_much());
        }
        if resolve_now && !settled {
            // Each hears for himself of what is too large, and a warning takes the instance's lock.
            if resolve_anew(&mut *uow, &instance, &entry, &limits).await? > 0 {
                return Err(together_too_much());
            }
        }
        uow.commit().await?;
        // Workers who are told look for due work at once, which costs as much as the update.
        if resolve_now && mail_of(&instance).is_some() {
            self.work.notify_waiters();
        }
        Ok(answers)
    }
}

/// Ends a round in which something has to be said to one of them.
fn together_too_much() -> Refused {
    Refused::Conflict("each update of this round is to be looked at alone".to_owned())
}

/// A locked stage, what updates of it are judged by, and of each request whether its caller may and which of its scopes name nothing.
struct Locked {
    instance: Instance,
    entry: StageEntry,
    lists: ReviewerLists,
    allowed: Vec<Result<(), Refused>>,
    missing: Vec<Vec<Violation>>,
}

/// In one round trip, for those who may whatever the instance reviews and whatever they are to it.
async fn lock_at_once(uow: &mut dyn UnitOfWork, path: StagePath, questions: &[AskedUpdate]) -> Result<Locked, Refused> {
    let scopes = questions.iter().flat_map(|AskedUpdate { request, .. }| {
        request.reviewers.iter().chain(&request.fallback_reviewers).flatten().map(|scope| &scope.form)
    });
    let named: Vec<_> = scopes.collect::<BTreeSet<_>>().into_iter().cloned().collect();
    let found = uow.stage_updates().lock(path.definition, path.instance, path.stage, &named).await?;
    let StageToUpdate { instance, role_assignable, entry, lists, missing } =
        found.filter(|found| found.instance.multi_stage).ok_or(Refused::NotFound)?;
    let kind = ReviewKind::of_resource(instance.resource.kind, role_assignable);
    let may = |AskedUpdate { call, .. }: &AskedUpdate| {
        authorize(&call.caller, Operation::StageUpdate, kind, &Relation::default()).map(|_| ())
    };
    let faults = |AskedUpdate { request, .. }: &AskedUpdate| violations_of(&added_forms(&lists, request), &missing);
    Ok(Locked {
        allowed: questions.iter().map(may).collect(),
        missing: questions.iter().map(faults).collect(),
        instance,
        entry,
        lists,
    })
}

/// First what each caller may, then the lock. An error also when nobody may anything: each hears it for himself.
async fn lock_after_reading(
    uow: &mut dyn UnitOfWork,
    path: StagePath,
    questions: &[AskedUpdate],
) -> Result<Locked, Refused> {
    let (access, allowed) = let_in(uow, path, questions).await?.ok_or(Refused::NotFound)?;
    let StageAccess { instance, stages, .. } = access;
    let mut entry = stages.into_iter().find(|entry| entry.stage.id == path.stage).ok_or(Refused::NotFound)?;
    entry.stage = uow.stages().lock(path.instance, path.stage).await?.ok_or(Refused::NotFound)?;
    let lists = uow.reviewer_lists().find(ReviewerListId::of_stage(path.stage)).await?;
    let requests: Vec<_> = questions.iter().map(|question| &question.request).collect();
    let missing = missing_of(uow, &lists, &requests).await?;
    Ok(Locked { instance, entry, lists, allowed, missing })
}

/// What each of them may, in their order, and what the stage is; `None` when nobody may anything.
async fn let_in(
    uow: &mut dyn UnitOfWork,
    path: StagePath,
    questions: &[AskedUpdate],
) -> Result<Option<(StageAccess, Vec<Result<(), Refused>>)>, Refused> {
    let mut known: Vec<Arc<Caller>> = Vec::new();
    let mut access = None;
    let mut allowed = Vec::with_capacity(questions.len());
    for AskedUpdate { call, .. } in questions {
        if known.iter().any(|caller| **caller == *call.caller) {
            allowed.push(Ok(()));
            continue;
        }
        allowed.push(match access::stage(uow, call, Operation::StageUpdate, path).await {
            Ok(found) => {
                known.push(Arc::clone(&call.caller));
                access.get_or_insert(found);
                Ok(())
            }
            Err(Refused::Store(error)) => return Err(error.into()),
            Err(refused) => Err(refused),
        });
    }
    Ok(access.map(|access| (access, allowed)))
}

/// Updates the stage together with those who ask at the same time.
pub(super) async fn update_together(
    services: &Services,
    call: &Call,
    path: StagePath,
    request: &StageUpdateRequest,
) -> Settled {
    let asked = AskedUpdate { call: call.clone(), request: request.clone(), limits: services.limits };
    let answer = services.stage_updates.ask(&services.home, (call.tenant(), path), asked).await;
    answer.unwrap_or(Settled::Failed(SharedFailure::Unknown))
}

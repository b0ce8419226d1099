//! Updating the reviewers of one stage for all who ask at the same time: one transaction, one lock, one resolution, one commit. Each
//! request is judged in the order of its coming by the same rule as alone, against what those before it left (LC-CONC-03), and has its
//! own event and its own answer: a refused one changes nothing and holds nobody up.
//!
//! Who was named and dropped again within one round was never a reviewer for anybody else to see: he is neither resolved nor told.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Call, Refused, Services,
    access::{self, StageAccess, StagePath},
    change_reviewers::{event_of, judge, missing_of, resolve_anew},
    entity_tags,
    get_stage::StageView,
    reviewer_rules::sizes,
    together::{Round, Rounds, SharedFailure},
};
use crate::{
    domain::{
        authorization::{Caller, Operation},
        event::Event,
        ids::{ReviewerListId, TenantId},
        limits::ReviewLimits,
        stage_update::{StageUpdatePlan, StageUpdateRequest},
    },
    store::{Actor, Lane, Plans, Store, UnitOfWork},
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
        let Some((access, allowed)) = let_in(&mut *uow, path, questions).await? else {
            // Nobody may; each hears it for himself.
            return Err(Refused::NotFound);
        };
        let StageAccess { instance, stages, .. } = access;
        let mut entry = stages.into_iter().find(|entry| entry.stage.id == path.stage).ok_or(Refused::NotFound)?;
        entry.stage = uow.stages().lock(path.instance, path.stage).await?.ok_or(Refused::NotFound)?;
        let before = uow.reviewer_lists().find(list).await?;

        let mut lists = before.clone();
        let mut answers = Vec::with_capacity(questions.len());
        let mut events: Vec<(Actor, Event)> = Vec::new();
        let mut resolve_now = false;
        let requests: Vec<_> = questions.iter().map(|question| &question.request).collect();
        let missing = missing_of(&mut *uow, &before, &requests).await?;
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

        uow.reviewer_lists().replace(list, &lists).await?;
        let resource = Some(instance.resource.id);
        if !sizes(&mut *uow, resource, &[(String::new(), &lists, list)], &limits).await?.is_empty() {
            return Err(together_too_much());
        }
        uow.definition_updates().keep_lists(instance.id, entry.stage.ordinal).await?;
        uow.stages().count_changes(&entry.stage).await?;
        if resolve_now {
            // Each hears for himself of what is too large, and a warning takes the instance's lock.
            if resolve_anew(&mut *uow, &instance, &entry, &limits).await? > 0 {
                return Err(together_too_much());
            }
        }
        uow.events().append_each(&events).await?;
        uow.commit().await?;
        self.work.notify_waiters();
        Ok(answers)
    }
}

/// Ends a round in which something has to be said to one of them.
fn together_too_much() -> Refused {
    Refused::Conflict("each update of this round is to be looked at alone".to_owned())
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

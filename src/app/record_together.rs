//! Recording the decisions that come at the same time for one instance: one transaction, one lock on the stage, one commit for all of
//! them. Each is judged in the order of its coming by the same rule as alone, against what those before it left, and has its own event
//! and answer.
//!
//! Only what is recorded is settled here. Whatever might be refused, demands an entity tag or meets another process is left to
//! [`record_decision`](super::record_decision), which looks at it alone and says why.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

use super::{
    Call, Refused, Services,
    access::{authorize, kind_of_instance},
    bulk_decisions::addressed,
    record_decision::{DecisionPath, event_of},
    together::{Round, Rounds, SharedFailure},
};
use crate::{
    domain::{
        authorization::{CallerKind, Operation, Relation},
        decision::{self, Answer, Decision, Recorded},
        ids::{DefinitionId, InstanceId, ItemSeq, TenantId},
        stage::{Stage, StageOrdinal},
    },
    store::{AskedAnswer, DecisionRecord, Lane, Plans, Store, StoreError, UnitOfWork},
};

/// While one transaction waits for its commit to become durable, another may run.
pub(super) const ROUNDS: Rounds = Rounds { at_once: 2, most: 128 };

/// One answer of one reviewer.
#[derive(Clone)]
pub(super) struct AskedDecision {
    call: Call,
    path: DecisionPath,
    seq: ItemSeq,
    answer: Answer,
}

/// What became of an answer.
pub(super) enum Settled {
    /// It is recorded and committed.
    Recorded,
    /// Nothing of it was written; to be looked at alone.
    Alone,
    /// Nothing of it was written, or nobody knows.
    Failed(SharedFailure),
}

/// One transaction for all of them.
pub(super) struct DecisionRound(pub Arc<dyn Store>);

#[async_trait]
impl Round for DecisionRound {
    type Key = (TenantId, DefinitionId, InstanceId);
    type Question = AskedDecision;
    type Answer = Settled;

    async fn answer(&self, key: &Self::Key, questions: Vec<AskedDecision>) -> Vec<Settled> {
        match record(&*self.0, *key, &questions).await {
            Ok(recorded) => {
                recorded.into_iter().map(|recorded| if recorded { Settled::Recorded } else { Settled::Alone }).collect()
            }
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

/// Whether each was recorded. An error: none was, unless the outcome is unknown.
async fn record(
    store: &dyn Store,
    (tenant, definition, instance): (TenantId, DefinitionId, InstanceId),
    questions: &[AskedDecision],
) -> Result<Vec<bool>, Refused> {
    let mut uow = store.begin_with(tenant, Lane::Interactive, Plans::Kept).await?;
    let instance = uow.instances().find(definition, instance).await?.ok_or(Refused::NotFound)?;
    let kind = kind_of_instance(&mut *uow, &instance).await?;
    let stages = uow.stages().list(instance.id).await?;

    // Those of one stage together; first to last, as stages are locked.
    let mut by_stage: BTreeMap<StageOrdinal, Vec<usize>> = BTreeMap::new();
    for (position, question) in questions.iter().enumerate() {
        let is_item = instance.item_prefix.seq_of(question.path.item) == Some(question.seq);
        if let (true, Ok(entry)) = (is_item, addressed(&instance, &stages, question.path.stage)) {
            by_stage.entry(entry.stage.ordinal).or_default().push(position);
        }
    }

    let mut recorded = vec![false; questions.len()];
    let mut events = Vec::with_capacity(questions.len());
    let now = uow.now();
    for (ordinal, positions) in by_stage {
        // Before anything is asked of the stage: neither its status nor who reviews what can change from here to the commit.
        let Some(stage) = uow.stages().lock_shared(instance.id, ordinal).await? else { continue };
        let asked: Vec<_> = positions
            .iter()
            .map(|position| &questions[*position])
            .map(|question| AskedAnswer { seq: question.seq, person: question.call.caller.identity.id })
            .collect();
        let found = uow.decisions().lock_many(instance.id, ordinal, &asked).await?;
        let mut judged = Judged::default();
        for (position, found) in positions.into_iter().zip(found) {
            let question = &questions[position];
            let Some(found) = found.filter(|found| found.decides) else { continue };
            let ties = Relation { decides_item: true, reviews_item: true, ..Relation::default() };
            let operation = match question.path.stage {
                Some(_) => Operation::StageDecisionUpdate,
                None => Operation::DecisionUpdate,
            };
            if authorize(&question.call.caller, operation, kind, &ties).is_err() {
                continue;
            }
            let judgement = decision::record(
                &stage,
                instance.settings.justification_required_on_approval,
                found.recommendation,
                question.answer.clone(),
                question.call.caller.identity.clone(),
                now,
            );
            let Ok(judgement) = judgement else { continue };
            let (before, after) = judged.replace(question.seq, found.decision, judgement);
            events.push((
                question.call.actor(),
                event_of(&instance, &stage, question.seq, before.as_ref(), after.as_ref()),
            ));
            recorded[position] = true;
        }
        if !judged.write(&mut *uow, &stage).await? {
            // Somebody in another process was faster: nothing of this round stands.
            return Ok(vec![false; questions.len()]);
        }
    }
    if events.is_empty() {
        return Ok(recorded);
    }
    uow.events().append_each(&events).await?;
    uow.commit().await?;
    Ok(recorded)
}

/// What a round makes of the items of one stage.
#[derive(Default)]
struct Judged {
    records: BTreeMap<ItemSeq, DecisionRecord>,
}

impl Judged {
    /// Puts a judgement in the place of the one before it, or of what is `stored`; returns both.
    fn replace(
        &mut self,
        seq: ItemSeq,
        stored: Option<Decision>,
        judgement: Recorded,
    ) -> (Option<Decision>, Option<Decision>) {
        let record = self.records.entry(seq).or_insert_with(|| DecisionRecord {
            seq,
            is_stored: stored.is_some(),
            decision: stored,
        });
        let after = match judgement {
            Recorded::Stored(decision) => Some(decision),
            Recorded::Withdrawn => None,
        };
        (std::mem::replace(&mut record.decision, after.clone()), after)
    }

    async fn write(self, uow: &mut dyn UnitOfWork, stage: &Stage) -> Result<bool, StoreError> {
        let records: Vec<_> = self.records.into_values().collect();
        match records.is_empty() {
            true => Ok(true),
            false => uow.decisions().record_many(stage.instance_id, stage.ordinal, &records).await,
        }
    }
}

/// Records an answer together with those that come at the same time; `Alone` where that is not for it.
pub(super) async fn record_together(
    services: &Services,
    call: &Call,
    path: DecisionPath,
    seq: ItemSeq,
    answer: &Answer,
) -> Settled {
    if call.caller.kind != CallerKind::User || call.precondition.is_given() {
        return Settled::Alone;
    }
    let asked = AskedDecision { call: call.clone(), path, seq, answer: answer.clone() };
    let key = (call.tenant(), path.definition, path.instance);
    services.decisions.ask(&services.home, key, asked).await.unwrap_or(Settled::Failed(SharedFailure::Unknown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{decision::Verdict, definition::Identity};

    fn decided(verdict: Verdict) -> Decision {
        Decision {
            verdict,
            justification: String::new(),
            decided_by: Identity::nobody(),
            decided_at: chrono::DateTime::UNIX_EPOCH,
            moves_on: true,
        }
    }

    /// LC-CONC-01: whoever comes second replaces what the first one left, and what is stored is known from the first.
    #[test]
    fn answers_to_one_item_follow_each_other_within_a_round() {
        let mut judged = Judged::default();
        let (stored, first) = (decided(Verdict::DontKnow), decided(Verdict::Approve));

        let one = judged.replace(7, Some(stored.clone()), Recorded::Stored(first.clone()));
        let two = judged.replace(7, Some(stored.clone()), Recorded::Withdrawn);
        let three = judged.replace(7, Some(stored.clone()), Recorded::Stored(decided(Verdict::Deny)));

        assert_eq!(one, (Some(stored), Some(first.clone())));
        assert_eq!(two, (Some(first), None));
        assert_eq!(three, (None, Some(decided(Verdict::Deny))));
        let records: Vec<_> = judged.records.into_values().collect();
        assert_eq!(
            records,
            [DecisionRecord { seq: 7, is_stored: true, decision: Some(decided(Verdict::Deny)) }],
            "one row is written"
        );
    }
}

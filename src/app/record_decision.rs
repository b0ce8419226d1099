//! DEC-UPDATE, STAGE-DEC-UPDATE: a reviewer answers for one item. The rule is `domain::decision::record`.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Call, Refused, Services,
    access::{authorize, kind_of_instance, relation},
    bulk_decisions::addressed,
    entity_tags,
    get_decision::shown_item,
    record_together::{Settled, record_together},
    run_review::about,
};
use crate::{
    domain::{
        authorization::{CallerKind, Operation, require_permission},
        decision::{self, Answer, Decision, RecordRefusal, Recorded},
        event::{Activity, Event},
        ids::{DefinitionId, InstanceId, ItemPrefix, ItemSeq, StageId},
        instance::Instance,
        stage::Stage,
        status::Status,
        violation::Violation,
    },
    store::{ItemView, StoreError},
};

impl From<RecordRefusal> for Refused {
    fn from(refusal: RecordRefusal) -> Self {
        match refusal {
            RecordRefusal::WrongState(error) => error.into(),
            RecordRefusal::DeadlinePassed(_) => Self::InvalidState(refusal.to_string()),
            RecordRefusal::JustificationRequired(_) => {
                Self::Invalid(vec![Violation::new("justification", refusal.to_string())])
            }
        }
    }
}

/// Which item, and in which stage.
#[derive(Clone, Copy, Debug)]
pub struct DecisionPath {
    pub definition: DefinitionId,
    pub instance: InstanceId,
    /// `None` on the instance path, which writes to the running stage. LC-STAGE-60
    pub stage: Option<StageId>,
    /// The item's id.
    pub item: Uuid,
}

/// Records a decision; the last writer wins, and the one before stays in the events. LC-DEC-02 to 06, LC-CONC-01, LC-DEC-14
///
/// Decisions that come for the same instance at the same time are recorded together where nothing speaks against it; the rest of
/// this is for one alone.
///
/// The stage is held `for share`, so that it cannot close between the check and the commit (LC-CONC-02). Two tempting
/// ways fail under READ COMMITTED and are kept as mutation tests: a shared advisory lock taken in the statement that
/// checks, and `for key share`.
pub async fn record_decision(
    services: &Services,
    call: &Call,
    path: DecisionPath,
    answer: Answer,
) -> Result<(), Refused> {
    require_permission(&call.caller)?;
    let seq = ItemPrefix::seq_in(path.item).ok_or(Refused::NotFound)?;
    match record_together(services, call, path, seq, &answer).await {
        Settled::Recorded => return Ok(()),
        Settled::Failed(failure) => return Err(StoreError::from(failure).into()),
        Settled::Alone => {}
    }
    let mut uow = services.begin(call.tenant()).await?;
    let instance = uow.instances().find(path.definition, path.instance).await?.ok_or(Refused::NotFound)?;
    let seq = instance.item_prefix.seq_of(path.item).ok_or(Refused::NotFound)?;
    let stages = uow.stages().list(path.instance).await?;
    let operation = match path.stage {
        Some(_) => Operation::StageDecisionUpdate,
        None => Operation::DecisionUpdate,
    };
    let addressed = addressed(&instance, &stages, path.stage)?;
    let ordinal = addressed.stage.ordinal;
    // Before anything is asked of the stage: neither its status nor who reviews it can change from here to the commit.
    let stage = uow.stages().lock_shared(path.instance, ordinal).await?.ok_or(Refused::NotFound)?;
    let me = call.caller.identity.id;
    let is_user = call.caller.kind == CallerKind::User;
    let decides = is_user && uow.reviewers().reviews_item(path.instance, ordinal, seq, me).await?;
    let kind = kind_of_instance(&mut *uow, &instance).await?;
    let mut ties = match decides {
        // Who decides the item sees it; nothing else has to be known of him.
        true => Default::default(),
        false => relation(&mut *uow, &call.caller, kind, path.definition, Some(path.instance)).await?,
    };
    ties.decides_item = decides;
    ties.reviews_item = decides;
    if is_user && !decides && path.stage.is_none() {
        for other in stages.iter().filter(|entry| entry.stage.ordinal != ordinal) {
            ties.reviews_item |= uow.reviewers().reviews_item(path.instance, other.stage.ordinal, seq, me).await?;
        }
        if stage.status != Status::InProgress {
            ties.decides_item = ties.reviews_item;
        }
    }
    authorize(&call.caller, operation, kind, &ties)?;

    let now = uow.now();
    // Before the item is looked up: one that did not come as far as the last stage is refused for the review's state, too.
    decision::check_open(&stage, "recording a decision", now)?;
    let view = ItemView::Stage { ordinal, entry: addressed.entry, reach: None };
    let row = uow.items().find(path.instance, &view, seq).await?.ok_or(Refused::NotFound)?;
    let recorded = decision::record(
        &stage,
        instance.settings.justification_required_on_approval,
        row.recommendation,
        answer,
        call.caller.identity.clone(),
        now,
    )?;

    if call.precondition.is_given() {
        let shown = match path.stage {
            Some(_) => entity_tags::of_item(&row),
            None => {
                let ties = relation(&mut *uow, &call.caller, kind, path.definition, Some(path.instance)).await?;
                let shown = shown_item(&mut *uow, call, &instance, kind, &ties, seq).await?;
                entity_tags::of_item(&shown.ok_or(Refused::NotFound)?)
            }
        };
        call.precondition.check(&shown)?;
    }
    let (before, after) = match recorded {
        Recorded::Stored(decision) => {
            (uow.decisions().record(path.instance, ordinal, seq, &decision).await?, Some(decision))
        }
        Recorded::Withdrawn => (uow.decisions().withdraw(path.instance, ordinal, seq).await?, None),
    };
    // Only now is the decision locked. One that was recorded since the comparison above is compared, too; a refusal rolls back.
    if before != row.decision {
        call.precondition.check(&entity_tags::of_decision(before.as_ref()))?;
    }
    let event = event_of(&instance, &stage, seq, before.as_ref(), after.as_ref());
    uow.events().append(&call.actor(), &[event]).await?;
    uow.commit().await?;
    Ok(())
}

/// What the record says of a decision that was made or withdrawn. LC-DEC-14
pub(super) fn event_of(
    instance: &Instance,
    stage: &Stage,
    seq: ItemSeq,
    before: Option<&Decision>,
    after: Option<&Decision>,
) -> Event {
    let verdict = after.map_or(decision::Verdict::NotReviewed, |decision| decision.verdict);
    Event {
        stage_id: Some(stage.id),
        item_seq: Some(seq),
        before: before.map(told),
        after: after.map(told),
        ..about(Activity::of_verdict(verdict), instance)
    }
}

fn told(decision: &Decision) -> Value {
    json!({
        "decision": decision.verdict.as_str(),
        "justification": decision.justification,
        "reviewedBy": decision.decided_by.id,
        "reviewedDateTime": decision.decided_at,
    })
}

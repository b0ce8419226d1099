//! INST-BATCH, STAGE-BATCH: one answer for everything the caller reviews. The rule is `domain::bulk_decision::record_all`.

use serde_json::json;

use super::{
    Call, Refused, Services,
    bulk_decisions::{BulkPath, answering},
};
use crate::{
    domain::{
        authorization::Operation,
        bulk_decision::{self, RecordedAll},
        decision::Answer,
        event::{Activity, Event},
        ids::ObjectId,
    },
    store::bulk::BulkAnswer,
};

/// One answer and the items it is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchAnswer {
    pub answer: Answer,
    /// Only this principal's items.
    pub principal: Option<ObjectId>,
    /// Only items of this resource.
    pub resource: Option<ObjectId>,
}

/// Records one answer for every item the caller reviews, and for an application for every item, in one transaction.
///
/// Decisions that stood there are overwritten and kept in events. That nothing matches is no error. LC-DEC-09, LC-DEC-10,
/// LC-DEC-14, LC-CONC-02
pub async fn batch_record_decisions(
    services: &Services,
    call: &Call,
    path: BulkPath,
    request: BatchAnswer,
) -> Result<(), Refused> {
    let operation = match path.stage {
        Some(_) => Operation::StageBatchRecord,
        None => Operation::InstanceBatchRecord,
    };
    let mut uow = services.begin_bulk(call.tenant()).await?;
    let answering = answering(&mut *uow, call, path, operation, request.principal).await?;
    let verdict = request.answer.verdict;
    let required = answering.instance.settings.justification_required_on_approval;
    let recorded = bulk_decision::record_all(&answering.stage, required, request.answer, uow.now())?;
    if request.resource.is_some_and(|resource| resource != answering.instance.resource.id) {
        return Ok(());
    }

    let actor = call.actor();
    let author = &call.caller.identity;
    let overwritten = Event {
        after: Some(json!({ "decision": verdict.as_str(), "reviewedBy": author.id })),
        ..answering.event(Activity::DecisionOverwritten)
    };
    let (items, justification) = match recorded {
        RecordedAll::Stored { verdict, justification, moves_on } => {
            let answer = BulkAnswer { verdict, justification, moves_on };
            let bulk = uow.bulk_decisions();
            (bulk.record_all(&answering.selection, &answer, author, &actor, &overwritten).await?, answer.justification)
        }
        RecordedAll::Withdrawn => {
            let bulk = uow.bulk_decisions();
            (bulk.withdraw_all(&answering.selection, &actor, &overwritten).await?, String::new())
        }
    };
    if items > 0 {
        let event = Event {
            after: Some(json!({
                "decision": verdict.as_str(),
                "justification": justification,
                "reviewedBy": author.id,
                "principalId": request.principal,
                "resourceId": request.resource,
                "items": items,
            })),
            ..answering.event(Activity::of_bulk_verdict(verdict))
        };
        uow.events().append(&actor, &[event]).await?;
    }
    uow.commit().await?;
    Ok(())
}

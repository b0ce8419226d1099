//! DEC-GET, STAGE-DEC-GET

use uuid::Uuid;

use super::{
    Call, Refused, Services,
    access::{StagePath, authorize, kind_of_found, kind_of_instance, relation},
    list_decisions::{effective_view, reach_in_stage, reviewer_view},
};
use crate::{
    domain::{
        authorization::{CallerKind, Operation, Relation, ReviewKind, require_permission},
        ids::{DefinitionId, InstanceId, ItemPrefix, ItemSeq},
        instance::{Instance, ReviewedInstance},
    },
    store::{
        ItemRow, ItemView, StageReach, UnitOfWork,
        frequent_reads::{AskedItem, ShownItem},
    },
};

/// One item of an instance, as the caller may see it.
pub async fn get_decision(
    services: &Services,
    call: &Call,
    definition: DefinitionId,
    instance: InstanceId,
    item: Uuid,
) -> Result<(ReviewedInstance, ItemRow), Refused> {
    require_permission(&call.caller)?;
    let kinds = call.caller.readable_kinds();
    if !kinds.is_empty()
        && let Some(shown) = read_together(services, call, instance, item).await?
        && kinds.contains(&kind_of_found(&shown.instance))
    {
        let reviewed = shown.instance.reviewed;
        let is_of = reviewed.definition_id == definition && reviewed.item_prefix.seq_of(item).is_some();
        return Ok((reviewed, shown.row.filter(|_| is_of).ok_or(Refused::NotFound)?));
    }
    let mut uow = services.begin(call.tenant()).await?;
    let found = uow.instances().find(definition, instance).await?.ok_or(Refused::NotFound)?;
    let seq = found.item_prefix.seq_of(item).ok_or(Refused::NotFound)?;
    let kind = kind_of_instance(&mut *uow, &found).await?;
    let mut ties = relation(&mut *uow, &call.caller, kind, definition, Some(instance)).await?;
    let row = shown_item(&mut *uow, call, &found, kind, &ties, seq).await?;
    if reads_everything(call, kind, &ties) {
        return Ok((found.reviewed(), row.ok_or(Refused::NotFound)?));
    }
    ties.reviews_item = row.is_some();
    authorize(&call.caller, Operation::DecisionGet, kind, &ties)?;
    Ok((found.reviewed(), row.ok_or(Refused::NotFound)?))
}

/// The item as whoever reads everything sees it, in the round trip of all who ask now; `None` when it has to be read alone.
async fn read_together(
    services: &Services,
    call: &Call,
    instance: InstanceId,
    item: Uuid,
) -> Result<Option<ShownItem>, Refused> {
    let seq = ItemPrefix::seq_in(item).ok_or(Refused::NotFound)?;
    match services.shown_item(AskedItem { tenant: call.tenant(), instance, seq }).await {
        Some(found) => Ok(Some(found.ok_or(Refused::NotFound)?)),
        None => Ok(None),
    }
}

/// One item of a stage, with that stage's decision.
pub async fn get_stage_decision(
    services: &Services,
    call: &Call,
    path: StagePath,
    item: Uuid,
) -> Result<(ReviewedInstance, ItemRow), Refused> {
    require_permission(&call.caller)?;
    let mut uow = services.begin(call.tenant()).await?;
    let found = uow.instances().find(path.definition, path.instance).await?.ok_or(Refused::NotFound)?;
    if !found.multi_stage {
        return Err(Refused::NotFound);
    }
    let seq = found.item_prefix.seq_of(item).ok_or(Refused::NotFound)?;
    let stages = uow.stages().list(path.instance).await?;
    let entry = stages.iter().find(|entry| entry.stage.id == path.stage).ok_or(Refused::NotFound)?;
    let ordinal = entry.stage.ordinal;
    let kind = kind_of_instance(&mut *uow, &found).await?;
    let mut ties = relation(&mut *uow, &call.caller, kind, path.definition, Some(path.instance)).await?;
    let reach = match reads_everything(call, kind, &ties) {
        true => None,
        false => {
            let reaches = own_reaches(&mut *uow, call, path.instance).await?;
            Some(reach_in_stage(&found, reaches, ordinal))
        }
    };
    let restricted = reach.is_some();
    let view = ItemView::Stage { ordinal, entry: entry.entry, reach };
    let row = uow.items().find(path.instance, &view, seq).await?;
    ties.reviews_item = restricted && row.is_some();
    authorize(&call.caller, Operation::StageDecisionGet, kind, &ties)?;
    Ok((found.reviewed(), row.ok_or(Refused::NotFound)?))
}

/// The item with the decision that the instance shows this caller; `None` when it shows him no such item.
pub(super) async fn shown_item(
    uow: &mut dyn UnitOfWork,
    call: &Call,
    instance: &Instance,
    kind: ReviewKind,
    ties: &Relation,
    seq: ItemSeq,
) -> Result<Option<ItemRow>, Refused> {
    if reads_everything(call, kind, ties) {
        let view = effective_view(uow, instance.id).await?;
        return Ok(uow.items().find(instance.id, &view, seq).await?);
    }
    let reaches = own_reaches(uow, call, instance.id).await?;
    match reaches.is_empty() {
        true => Ok(None),
        false => Ok(uow.items().find(instance.id, &reviewer_view(instance, reaches), seq).await?),
    }
}

fn reads_everything(call: &Call, kind: ReviewKind, ties: &Relation) -> bool {
    call.caller.readable_kinds().contains(&kind) || ties.reads_all()
}

async fn own_reaches(uow: &mut dyn UnitOfWork, call: &Call, instance: InstanceId) -> Result<Vec<StageReach>, Refused> {
    Ok(match call.caller.kind {
        CallerKind::User => uow.reviewers().reaches(instance, call.caller.identity.id).await?,
        CallerKind::Application => Vec::new(),
    })
}

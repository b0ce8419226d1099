//! HIST-GET, HIST-INST-LIST, HIST-INST-GET

use super::{HistoryView, find, find_instance, shown_instances};
use crate::{
    app::{
        Call, Refused, Services,
        listing::{ListRequest, Listed, Position, list_in_memory},
    },
    domain::{
        authorization::Operation,
        history::HistoryInstance,
        ids::{HistoryDefinitionId, HistoryInstanceId},
    },
    store::filter::{FilterValue, HistoryInstanceProperty},
};

/// One report definition; with its runs when asked for. 404 once its time is over.
pub async fn get_history_definition(
    services: &Services,
    call: &Call,
    id: HistoryDefinitionId,
    with_instances: bool,
) -> Result<HistoryView, Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    let definition = find(&mut *uow, call, Operation::HistoryGet, id).await?;
    let instances = if with_instances { Some(shown_instances(&mut *uow, &[id]).await?) } else { None };
    Ok(HistoryView { definition, instances })
}

/// The runs of a report definition that are still there, and the one to come: few, for a run is kept for 30 days only.
pub async fn list_history_instances(
    services: &Services,
    call: &Call,
    id: HistoryDefinitionId,
    request: &ListRequest<HistoryInstanceProperty, Position>,
) -> Result<Listed<HistoryInstance, Position>, Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    find(&mut *uow, call, Operation::HistoryGet, id).await?;
    let instances = shown_instances(&mut *uow, &[id]).await?;
    Ok(list_in_memory(instances, request, |instance, property| match property {
        HistoryInstanceProperty::Id => FilterValue::Id(instance.id.as_uuid()),
        HistoryInstanceProperty::Status => FilterValue::Member(instance.status.as_str()),
        HistoryInstanceProperty::RunDateTime => FilterValue::Instant(instance.run_at),
    }))
}

/// One run.
pub async fn get_history_instance(
    services: &Services,
    call: &Call,
    definition: HistoryDefinitionId,
    id: HistoryInstanceId,
) -> Result<HistoryInstance, Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    find(&mut *uow, call, Operation::HistoryGet, definition).await?;
    find_instance(&mut *uow, definition, id).await
}

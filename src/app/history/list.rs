//! HIST-LIST

use std::collections::HashMap;

use super::{HistoryView, authorize_report, shown_instances};
use crate::{
    app::{
        Call, Refused, Services,
        access::Sight,
        listing::{ListRequest, Listed},
    },
    domain::{
        authorization::{Operation, require_permission},
        history::HistoryInstance,
        ids::HistoryDefinitionId,
    },
    store::{
        Slice,
        filter::HistoryDefinitionProperty,
        history::{HistoryCursor, HistoryFilter},
    },
};

/// A page of the report definitions that are still there: the caller's own, or everybody's for those who read everything. A-38
pub async fn list_history_definitions(
    services: &Services,
    call: &Call,
    request: &ListRequest<HistoryDefinitionProperty, HistoryCursor>,
    with_instances: bool,
) -> Result<Listed<HistoryView, HistoryCursor>, Refused> {
    require_permission(&call.caller)?;
    let sight = authorize_report(call, Operation::HistoryList, false)?;
    let mut uow = services.begin(call.tenant()).await?;
    let filter = HistoryFilter {
        there_at: uow.now(),
        created_by: match sight {
            Sight::Everything => None,
            Sight::OwnOnly => Some(call.caller.identity.id),
        },
        expression: request.expression.clone(),
        order: request.order.clone(),
    };
    let slice = match &request.page {
        Some(page) => uow.history().page(&filter, page).await?,
        None => Slice::empty(),
    };
    let count = if request.count { Some(uow.history().count(&filter).await?) } else { None };
    let listed = Listed { slice, count };
    if !with_instances {
        return Ok(listed.map(|definition| HistoryView { definition, instances: None }));
    }
    let ids: Vec<_> = listed.slice.rows.iter().map(|definition| definition.id).collect();
    let mut instances_of: HashMap<HistoryDefinitionId, Vec<HistoryInstance>> = HashMap::new();
    for instance in shown_instances(&mut *uow, &ids).await? {
        instances_of.entry(instance.definition_id).or_default().push(instance);
    }
    Ok(listed.map(|definition| {
        let instances = Some(instances_of.remove(&definition.id).unwrap_or_default());
        HistoryView { definition, instances }
    }))
}

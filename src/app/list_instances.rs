//! INST-LIST, INST-MINE

use std::collections::HashMap;

use super::{
    Call, Refused, Services, access,
    get_instance::{InstanceView, with_lists},
    get_stage::StageView,
    list_stages::stage_views,
    listing::{ListRequest, Listed},
};
use crate::{
    domain::{
        authorization::{CallerKind, Operation},
        ids::{DefinitionId, InstanceId},
        instance::Instance,
    },
    store::{InstanceCursor, InstanceFilter, Slice, UnitOfWork, filter::InstanceProperty},
};

/// Which list of instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceList {
    /// INST-LIST
    All,
    /// Those in which the caller reviews at least one item. INST-MINE
    Mine,
}

/// An instance with what was asked for along with it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpandedInstance {
    pub view: InstanceView,
    /// `None` when they were not asked for.
    pub stages: Option<Vec<StageView>>,
}

/// A page of a definition's instances, on demand with their stages.
pub async fn list_instances(
    services: &Services,
    call: &Call,
    definition: DefinitionId,
    list: InstanceList,
    request: &ListRequest<InstanceProperty, InstanceCursor>,
    with_stages: bool,
) -> Result<Listed<ExpandedInstance, InstanceCursor>, Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    instances_of(&mut *uow, call, definition, list, request, with_stages).await
}

/// The same within a unit of work. Stages are sent along for those who read everything: with [`InstanceList::All`].
pub(super) async fn instances_of(
    uow: &mut dyn UnitOfWork,
    call: &Call,
    definition: DefinitionId,
    list: InstanceList,
    request: &ListRequest<InstanceProperty, InstanceCursor>,
    with_stages: bool,
) -> Result<Listed<ExpandedInstance, InstanceCursor>, Refused> {
    let operation = match list {
        InstanceList::All => Operation::InstanceList,
        InstanceList::Mine => Operation::InstanceMine,
    };
    access::definition(uow, call, operation, definition).await?;
    let reviewed_by = match (list, call.caller.kind) {
        (InstanceList::All, _) => None,
        (InstanceList::Mine, CallerKind::User) => Some(call.caller.identity.id),
        (InstanceList::Mine, CallerKind::Application) => return Ok(Listed::empty(request.count)),
    };
    let filter = InstanceFilter { reviewed_by, expression: request.expression.clone(), order: request.order.clone() };
    let slice = match &request.page {
        Some(page) => uow.instances().page(definition, &filter, page).await?,
        None => Slice::empty(),
    };
    let count = if request.count { Some(uow.instances().count(definition, &filter).await?) } else { None };
    let mut stages = match with_stages && list == InstanceList::All {
        true => Some(stages_of(uow, &slice.rows).await?),
        false => None,
    };
    let rows = with_lists(uow, slice.rows).await?;
    let expanded = rows.into_iter().map(|view| {
        let stages = stages.as_mut().map(|stages| stages.remove(&view.instance.id).unwrap_or_default());
        ExpandedInstance { view, stages }
    });
    Ok(Listed { slice: Slice { rows: expanded.collect(), next: slice.next }, count })
}

/// The stages that several instances show: two statements, whatever their number. None for single-stage reviews (LC-STAGE-02).
async fn stages_of(
    uow: &mut dyn UnitOfWork,
    instances: &[Instance],
) -> Result<HashMap<InstanceId, Vec<StageView>>, Refused> {
    let shown: Vec<_> = instances.iter().filter(|instance| instance.multi_stage).map(|instance| instance.id).collect();
    let entries = uow.stages().list_of(&shown).await?;
    let mut stages: HashMap<InstanceId, Vec<StageView>> = HashMap::new();
    for view in stage_views(uow, entries).await? {
        stages.entry(view.stage.instance_id).or_default().push(view);
    }
    Ok(stages)
}

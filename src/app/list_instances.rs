//! INST-LIST, INST-MINE

use super::{
    Call, Refused, Services, access,
    get_instance::{InstanceView, with_lists},
    list_definitions::{ListRequest, Listed},
};
use crate::{
    domain::{
        authorization::{CallerKind, Operation},
        ids::DefinitionId,
    },
    store::{InstanceCursor, InstanceFilter, Slice, filter::InstanceProperty},
};

/// Which list of instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceList {
    /// INST-LIST
    All,
    /// Those in which the caller reviews at least one item. INST-MINE
    Mine,
}

/// A page of a definition's instances.
pub async fn list_instances(
    services: &Services,
    call: &Call,
    definition: DefinitionId,
    list: InstanceList,
    request: &ListRequest<InstanceProperty, InstanceCursor>,
) -> Result<Listed<InstanceView, InstanceCursor>, Refused> {
    let operation = match list {
        InstanceList::All => Operation::InstanceList,
        InstanceList::Mine => Operation::InstanceMine,
    };
    let mut uow = services.begin(call.tenant()).await?;
    access::definition(&mut *uow, call, operation, definition).await?;
    let reviewed_by = match (list, call.caller.kind) {
        (InstanceList::All, _) => None,
        (InstanceList::Mine, CallerKind::User) => Some(call.caller.identity.id),
        (InstanceList::Mine, CallerKind::Application) => return Ok(Listed::empty(request.count)),
    };
    let filter = InstanceFilter { reviewed_by, expression: request.expression.clone(), order: request.order };
    let slice = uow.instances().page(definition, &filter, &request.page).await?;
    let count = if request.count { Some(uow.instances().count(definition, &filter).await?) } else { None };
    let rows = with_lists(&mut *uow, slice.rows).await?;
    Ok(Listed { slice: Slice { rows, next: slice.next }, count })
}

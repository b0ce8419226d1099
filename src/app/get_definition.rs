//! DEF-GET

use super::{
    Call, Refused, Services, access,
    list_instances::{ExpandedInstance, InstanceList, instances_of},
    listing::ListRequest,
};
use crate::{
    domain::{authorization::Operation, definition::Definition, ids::DefinitionId},
    store::{InstanceCursor, Slice},
};

/// One definition, for whoever may read it: a read role, its creator, a reviewer.
pub async fn get_definition(services: &Services, call: &Call, id: DefinitionId) -> Result<Definition, Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    let (definition, _) = access::definition(&mut *uow, call, Operation::DefinitionGet, id).await?;
    Ok(definition)
}

/// The same with its first instances, for whoever may list them. A-12
pub async fn get_definition_with_instances(
    services: &Services,
    call: &Call,
    id: DefinitionId,
    limit: u32,
    with_stages: bool,
) -> Result<(Definition, Slice<ExpandedInstance, InstanceCursor>), Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    let (definition, _) = access::definition(&mut *uow, call, Operation::DefinitionGet, id).await?;
    let first = ListRequest::first(i64::from(limit));
    let listed = instances_of(&mut *uow, call, id, InstanceList::All, &first, with_stages).await?;
    Ok((definition, listed.slice))
}

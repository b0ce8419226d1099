//! DEF-GET

use super::{Call, Refused, Services, access};
use crate::domain::{authorization::Operation, definition::Definition, ids::DefinitionId};

/// One definition, for whoever may read it: a read role, its creator, a reviewer.
pub async fn get_definition(services: &Services, call: &Call, id: DefinitionId) -> Result<Definition, Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    let (definition, _) = access::definition(&mut *uow, call, Operation::DefinitionGet, id).await?;
    Ok(definition)
}

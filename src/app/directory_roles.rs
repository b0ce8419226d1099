//! Directory roles a caller holds by assignment, beside those his token carries.

use uuid::Uuid;

use super::{Refused, Services};
use crate::domain::authorization::{Caller, CallerKind};

/// Role template ids assigned to the caller in the directory; none for an application. LC-AUTH-01
pub async fn directory_roles(services: &Services, caller: &Caller) -> Result<Vec<Uuid>, Refused> {
    match caller.kind {
        CallerKind::Application => Ok(Vec::new()),
        CallerKind::User => {
            let mut uow = services.begin(caller.tenant_id).await?;
            Ok(uow.directory().role_templates_of(caller.identity.id).await?)
        }
    }
}

//! The secret that seals a tenant's continuation tokens.

use super::{Refused, Services};
use crate::domain::ids::TenantId;

/// The key; it never changes while the tenant lives.
pub async fn page_key(services: &Services, tenant: TenantId) -> Result<Vec<u8>, Refused> {
    services.store.page_key(tenant).await?.ok_or(Refused::NotFound)
}

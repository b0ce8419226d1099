//! Which token issuers speak for which tenant.

use super::PgStore;
use crate::{
    domain::ids::TenantId,
    store::{StoreError, StoredIssuer},
};

impl PgStore {
    pub(super) async fn find_issuer(&self, issuer: &str) -> Result<Option<StoredIssuer>, StoreError> {
        let row = sqlx::query!(
            "select tenant_id, issuer, audience, development, jwks, algorithms from tenant_issuers where issuer = $1",
            issuer,
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(|row| StoredIssuer {
            tenant: TenantId::new(row.tenant_id),
            issuer: row.issuer,
            audience: row.audience,
            development: row.development,
            jwks: row.jwks,
            algorithms: row.algorithms,
        }))
    }
}

//! The token issuers of a tenant.

use super::{Call, Refused, Services};
use crate::domain::{
    authorization::{IdentityProviderPermission, may_administer_issuers},
    ids::{IssuerId, TenantId},
    token_issuer::TokenIssuer,
};

/// Every issuer that the caller's tenant has registered, the oldest first.
pub async fn list_issuers(services: &Services, call: &Call) -> Result<Vec<TokenIssuer>, Refused> {
    may_administer_issuers(&call.caller, IdentityProviderPermission::Read)?;
    issuers_of(services, call.tenant()).await
}

/// One of them.
pub async fn get_issuer(services: &Services, call: &Call, id: IssuerId) -> Result<TokenIssuer, Refused> {
    may_administer_issuers(&call.caller, IdentityProviderPermission::Read)?;
    services.begin(call.tenant()).await?.issuers().find(id).await?.ok_or(Refused::NotFound)
}

/// The same for whoever runs the service.
pub async fn issuers_of(services: &Services, tenant: TenantId) -> Result<Vec<TokenIssuer>, Refused> {
    Ok(services.begin(tenant).await?.issuers().list().await?)
}

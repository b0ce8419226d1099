//! Removing a registered token issuer: its tokens stop counting.

use super::{Call, Refused, Services, update_issuer::record};
use crate::{
    domain::{
        authorization::{IdentityProviderPermission, may_administer_issuers},
        event::{Activity, Event},
        ids::{IssuerId, TenantId},
        token_issuer::TokenIssuer,
    },
    store::Actor,
};

/// Removes an issuer of the caller's tenant; returns what it was.
pub async fn remove_own_issuer(services: &Services, call: &Call, id: IssuerId) -> Result<TokenIssuer, Refused> {
    may_administer_issuers(&call.caller, IdentityProviderPermission::ReadWrite)?;
    call.precondition.check_untagged()?;
    remove_issuer(services, call.tenant(), &call.actor(), id).await
}

/// Removes an issuer; returns what it was.
pub async fn remove_issuer(
    services: &Services,
    tenant: TenantId,
    actor: &Actor,
    id: IssuerId,
) -> Result<TokenIssuer, Refused> {
    let mut uow = services.begin(tenant).await?;
    let issuer = uow.issuers().lock(id).await?.ok_or(Refused::NotFound)?;
    uow.issuers().delete(id).await?;
    let event = Event { before: Some(record(&issuer)), ..Event::new(Activity::IssuerRemoved) };
    uow.events().append(actor, &[event]).await?;
    uow.commit().await?;
    Ok(issuer)
}

//! Changing a registered token issuer.

use serde_json::{Value, json};

use super::{Call, Refused, Services};
use crate::{
    domain::{
        authorization::{IdentityProviderPermission, may_administer_issuers},
        event::{Activity, Event},
        ids::IssuerId,
        token_issuer::{AddressPolicy, IssuerSettings, TokenIssuer, may_share_the_name},
    },
    store::Actor,
};

/// Changes an issuer of the caller's tenant; `change` gets the settings as stored and answers those to store.
///
/// The name never changes: whatever `change` makes of it is passed over.
pub async fn update_own_issuer(
    services: &Services,
    call: &Call,
    id: IssuerId,
    change: impl FnOnce(IssuerSettings) -> Result<IssuerSettings, Refused> + Send,
    policy: AddressPolicy,
) -> Result<TokenIssuer, Refused> {
    may_administer_issuers(&call.caller, IdentityProviderPermission::ReadWrite)?;
    let actor: Actor = call.actor();
    let mut uow = services.begin(call.tenant()).await?;
    let before = uow.issuers().find(id).await?.ok_or(Refused::NotFound)?;
    // The name before the row, as where it is registered.
    let registrants = uow.issuers().lock_name(&before.settings.issuer).await?;
    let before = uow.issuers().lock(id).await?.ok_or(Refused::NotFound)?;
    call.precondition.check_untagged()?;
    let settings = IssuerSettings { issuer: before.settings.issuer.clone(), ..change(before.settings.clone())? };
    let faults = settings.violations(policy);
    if !faults.is_empty() {
        return Err(Refused::Invalid(faults));
    }
    let alone = registrants
        .iter()
        .filter(|other| other.tenant != before.tenant_id)
        .all(|other| may_share_the_name(settings.tenant_claim.as_ref(), other.tenant_claim.as_ref()));
    if !alone {
        return Err(Refused::Conflict(
            "the issuer speaks for other tenants of this service too; the tenantClaim must keep apart whose a token is"
                .to_owned(),
        ));
    }
    let after = TokenIssuer { revision: before.revision + 1, modified_at: uow.now(), settings, ..before.clone() };
    uow.issuers().update(&after).await?;
    let event =
        Event { before: Some(record(&before)), after: Some(record(&after)), ..Event::new(Activity::IssuerChanged) };
    uow.events().append(&actor, &[event]).await?;
    uow.commit().await?;
    Ok(after)
}

/// What an event keeps of an issuer.
pub(super) fn record(issuer: &TokenIssuer) -> Value {
    let settings = &issuer.settings;
    json!({
        "id": issuer.id,
        "issuer": settings.issuer,
        "displayName": settings.display_name,
        "audiences": settings.audiences,
        "discoveryUrl": settings.discovery_url,
        "algorithms": settings.algorithms,
        "tenantClaim": settings.tenant_claim.as_ref().map(|claim| json!({ "name": claim.name, "value": claim.value })),
        "claims": settings.claims,
        "grants": settings.grants,
    })
}

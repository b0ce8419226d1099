//! Registering a token issuer.

use super::{Call, Refused, Services, ids, update_issuer::record};
use crate::{
    domain::{
        authorization::{IdentityProviderPermission, may_administer_issuers},
        event::{Activity, Event},
        ids::TenantId,
        token_issuer::{AddressPolicy, IssuerSettings, MOST_ISSUERS_PER_TENANT, TokenIssuer, may_share_the_name},
        violation::Violation,
    },
    store::{Actor, UnitOfWork},
};

/// Registers an issuer for the caller's tenant.
pub async fn add_own_issuer(
    services: &Services,
    call: &Call,
    settings: IssuerSettings,
    policy: AddressPolicy,
) -> Result<TokenIssuer, Refused> {
    may_administer_issuers(&call.caller, IdentityProviderPermission::ReadWrite)?;
    add_issuer(services, call.tenant(), &call.actor(), settings, policy).await
}

/// Registers an issuer.
///
/// [`Refused::Conflict`] when the tenant has registered it, or another tenant has and no claim says whose a token is.
pub async fn add_issuer(
    services: &Services,
    tenant: TenantId,
    actor: &Actor,
    settings: IssuerSettings,
    policy: AddressPolicy,
) -> Result<TokenIssuer, Refused> {
    let faults = settings.violations(policy);
    if !faults.is_empty() {
        return Err(Refused::Invalid(faults));
    }
    let mut uow = services.begin(tenant).await?;
    name_must_be_free(uow.as_mut(), &settings).await?;
    if uow.issuers().list().await?.len() >= MOST_ISSUERS_PER_TENANT {
        let reason = format!("a tenant has at most {MOST_ISSUERS_PER_TENANT} issuers");
        return Err(Refused::Invalid(vec![Violation::new("", reason)]));
    }
    let now = uow.now();
    let issuer =
        TokenIssuer { id: ids::issuer(), tenant_id: tenant, revision: 1, created_at: now, modified_at: now, settings };
    uow.issuers().insert(&issuer).await?;
    let event = Event { after: Some(record(&issuer)), ..Event::new(Activity::IssuerAdded) };
    uow.events().append(actor, &[event]).await?;
    uow.commit().await?;
    Ok(issuer)
}

/// Holds the issuer's name until the unit ends, and refuses one that speaks for somebody already.
pub(super) async fn name_must_be_free(uow: &mut dyn UnitOfWork, settings: &IssuerSettings) -> Result<(), Refused> {
    let tenant = uow.tenant();
    let others = uow.issuers().lock_name(&settings.issuer).await?;
    for other in others {
        if other.tenant == tenant {
            return Err(Refused::Conflict("this tenant has registered the issuer already; change that one".to_owned()));
        }
        if !may_share_the_name(settings.tenant_claim.as_ref(), other.tenant_claim.as_ref()) {
            return Err(Refused::Conflict(
                "the issuer speaks for another tenant of this service; one that serves several is registered by each of them \
                 with a tenantClaim of the same name and a value of its own"
                    .to_owned(),
            ));
        }
    }
    Ok(())
}

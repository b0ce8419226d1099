//! A tenant goes back to a built-in mail.

use super::{Call, Refused, Services, list_mail_templates::may_administer, set_mail_template::record};
use crate::{
    domain::{
        event::{Activity, Event},
        ids::TenantId,
        mail::MailKind,
    },
    store::Actor,
};

/// Removes a template of the caller's tenant.
pub async fn remove_own_mail_template(services: &Services, call: &Call, kind: MailKind) -> Result<(), Refused> {
    may_administer(call)?;
    remove_mail_template(services, call.tenant(), &call.actor(), kind).await
}

/// Removes a tenant's template; [`Refused::NotFound`] when it has none of this kind.
pub async fn remove_mail_template(
    services: &Services,
    tenant: TenantId,
    actor: &Actor,
    kind: MailKind,
) -> Result<(), Refused> {
    let mut uow = services.begin(tenant).await?;
    let before = uow.mail().lock_template(kind).await?.ok_or(Refused::NotFound)?;
    uow.mail().remove_template(kind).await?;
    let event = Event { before: Some(record(&before)), ..Event::new(Activity::MailTemplateRemoved) };
    uow.events().append(actor, &[event]).await?;
    Ok(uow.commit().await?)
}

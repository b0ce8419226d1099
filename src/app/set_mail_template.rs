//! A tenant writes a mail itself.

use serde_json::{Value, json};

use super::{
    Call, Refused, Services,
    list_mail_templates::{EffectiveTemplate, may_administer},
};
use crate::{
    domain::{
        event::{Activity, Event},
        ids::TenantId,
        mail::{MailKind, OwnTemplate, StoredTemplate},
    },
    mail::check,
    store::Actor,
};

/// Sets a template of the caller's tenant.
pub async fn set_own_mail_template(
    services: &Services,
    call: &Call,
    kind: MailKind,
    own: OwnTemplate,
) -> Result<EffectiveTemplate, Refused> {
    may_administer(call)?;
    set_mail_template(services, call.tenant(), &call.actor(), kind, own).await
}

/// Sets a tenant's template in place of the one there may be; parts that are left out are the built-in ones. Returns what
/// the next mail will be written with.
///
/// [`Refused::Invalid`] names the member and the line of what is wrong with it.
pub async fn set_mail_template(
    services: &Services,
    tenant: TenantId,
    actor: &Actor,
    kind: MailKind,
    own: OwnTemplate,
) -> Result<EffectiveTemplate, Refused> {
    let faults = check(kind, &own);
    if !faults.is_empty() {
        return Err(Refused::Invalid(faults));
    }
    let mut uow = services.begin(tenant).await?;
    let before = uow.mail().lock_template(kind).await?;
    let template = StoredTemplate { kind, own, modified_at: uow.now() };
    uow.mail().set_template(&template).await?;
    let event = Event {
        before: before.as_ref().map(record),
        after: Some(record(&template)),
        ..Event::new(Activity::MailTemplateChanged)
    };
    uow.events().append(actor, &[event]).await?;
    uow.commit().await?;
    Ok(EffectiveTemplate::new(kind, Some(template)))
}

/// What an event keeps of a template.
pub(super) fn record(template: &StoredTemplate) -> Value {
    let own = &template.own;
    json!({ "kind": template.kind.name(), "subject": own.subject, "text": own.text, "html": own.html })
}

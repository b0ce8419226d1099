//! What a tenant's mails say.

use super::{Call, Refused, Services, access::authorize};
use crate::{
    domain::{
        authorization::{Operation, Relation, ReviewKind, require_permission},
        ids::TenantId,
        mail::{MailKind, StoredTemplate},
    },
    mail::{MailParts, Variable, built_in, variables},
};

/// A mail as the tenant's next one will be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveTemplate {
    pub kind: MailKind,
    pub parts: MailParts,
    /// The names that it may use.
    pub variables: &'static [Variable],
    /// The tenant's own, where there is one.
    pub own: Option<StoredTemplate>,
}

impl EffectiveTemplate {
    pub(super) fn new(kind: MailKind, own: Option<StoredTemplate>) -> Self {
        let mut parts = built_in(kind);
        if let Some(stored) = &own {
            let replace = |part: &mut String, own: &Option<String>| {
                if let Some(own) = own {
                    part.clone_from(own);
                }
            };
            replace(&mut parts.subject, &stored.own.subject);
            replace(&mut parts.text, &stored.own.text);
            replace(&mut parts.html, &stored.own.html);
        }
        Self { kind, parts, variables: variables(kind), own }
    }
}

/// Whether the caller may look at the tenant's mail and change it.
pub(super) fn may_administer(call: &Call) -> Result<(), Refused> {
    require_permission(&call.caller)?;
    authorize(&call.caller, Operation::MailAdminister, ReviewKind::GroupOrApplication, &Relation::default())?;
    Ok(())
}

/// The templates of all mails of the caller's tenant, N-1 to N-7.
pub async fn list_own_mail_templates(services: &Services, call: &Call) -> Result<Vec<EffectiveTemplate>, Refused> {
    may_administer(call)?;
    list_mail_templates(services, call.tenant()).await
}

/// One of them.
pub async fn get_own_mail_template(
    services: &Services,
    call: &Call,
    kind: MailKind,
) -> Result<EffectiveTemplate, Refused> {
    may_administer(call)?;
    get_mail_template(services, call.tenant(), kind).await
}

/// The same for whoever runs the service.
pub async fn list_mail_templates(services: &Services, tenant: TenantId) -> Result<Vec<EffectiveTemplate>, Refused> {
    let stored = services.begin(tenant).await?.mail().templates().await?;
    let own = |kind| stored.iter().find(|template| template.kind == kind).cloned();
    Ok(MailKind::ALL.into_iter().map(|kind| EffectiveTemplate::new(kind, own(kind))).collect())
}

/// The same for whoever runs the service.
pub async fn get_mail_template(
    services: &Services,
    tenant: TenantId,
    kind: MailKind,
) -> Result<EffectiveTemplate, Refused> {
    let own = services.begin(tenant).await?.mail().template(kind).await?;
    Ok(EffectiveTemplate::new(kind, own))
}

//! How a tenant wants its mail sent. LC-NOTE-02

use serde_json::{Value, json};

use super::{Call, Refused, Services, list_mail_templates::may_administer};
use crate::domain::{
    event::{Activity, Event},
    mail::MailSettings,
};

/// The settings of the caller's tenant.
pub async fn get_own_mail_settings(services: &Services, call: &Call) -> Result<MailSettings, Refused> {
    may_administer(call)?;
    Ok(services.begin(call.tenant()).await?.mail().settings().await?)
}

/// Changes them: `change` gets what is stored and answers what is to be. Mails that are sent from now on follow them.
pub async fn change_own_mail_settings(
    services: &Services,
    call: &Call,
    change: impl FnOnce(MailSettings) -> MailSettings + Send,
) -> Result<MailSettings, Refused> {
    may_administer(call)?;
    let mut uow = services.begin(call.tenant()).await?;
    let before = uow.mail().settings().await?;
    let after = change(before);
    uow.mail().set_settings(after).await?;
    let event =
        Event { before: Some(record(before)), after: Some(record(after)), ..Event::new(Activity::MailSettingsChanged) };
    uow.events().append(&call.actor(), &[event]).await?;
    uow.commit().await?;
    Ok(after)
}

fn record(settings: MailSettings) -> Value {
    json!({ "remindEveryone": settings.remind_everyone })
}

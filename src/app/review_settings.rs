//! How the tenant handles reviews, where it may choose: reading and changing it. LC-AUTH-02

use serde_json::{Value, json};

use super::{Call, Refused, Services};
use crate::{
    domain::{
        authorization::{may_change_review_settings, may_read_review_settings},
        event::{Activity, Event},
        ids::TenantId,
        precondition::Precondition,
        review_settings::ReviewSettings,
    },
    store::Actor,
};

/// The settings of the caller's tenant.
pub async fn own_review_settings(services: &Services, call: &Call) -> Result<ReviewSettings, Refused> {
    may_read_review_settings(&call.caller)?;
    review_settings_of(services, call.tenant()).await
}

/// The same for whoever runs the service.
pub async fn review_settings_of(services: &Services, tenant: TenantId) -> Result<ReviewSettings, Refused> {
    Ok(services.begin(tenant).await?.review_settings().find().await?)
}

/// Makes of the settings as stored what they are to become.
pub type WantedSettings = Box<dyn FnOnce(ReviewSettings) -> ReviewSettings + Send>;

/// Changes the settings of the caller's tenant; answers them as stored.
pub async fn change_own_review_settings(
    services: &Services,
    call: &Call,
    wanted: WantedSettings,
) -> Result<ReviewSettings, Refused> {
    may_change_review_settings(&call.caller)?;
    change(services, call.tenant(), &call.actor(), wanted, &call.precondition).await
}

/// The same for whoever runs the service.
pub async fn change_review_settings(
    services: &Services,
    tenant: TenantId,
    actor: &Actor,
    wanted: WantedSettings,
) -> Result<ReviewSettings, Refused> {
    change(services, tenant, actor, wanted, &Precondition::default()).await
}

/// Nothing is written, and no event tells of it, when nothing changes.
async fn change(
    services: &Services,
    tenant: TenantId,
    actor: &Actor,
    wanted: WantedSettings,
    precondition: &Precondition,
) -> Result<ReviewSettings, Refused> {
    let mut uow = services.begin(tenant).await?;
    let before = uow.review_settings().lock().await?;
    precondition.check_untagged()?;
    let after = wanted(before);
    if after == before {
        return Ok(before);
    }
    uow.review_settings().store(&after).await?;
    let event = Event {
        before: Some(record(&before)),
        after: Some(record(&after)),
        ..Event::new(Activity::ReviewSettingsChanged)
    };
    uow.events().append(actor, &[event]).await?;
    uow.commit().await?;
    Ok(after)
}

/// What an event keeps of the settings.
fn record(settings: &ReviewSettings) -> Value {
    json!({ "groupOwnersMayReview": settings.group_owners_may_review })
}

//! One mail to somebody about all the groups he reviews in an occurrence. LC-NOTE-06

use serde_json::json;

use super::{
    Refused, Services,
    deliver_mail::{Letter, Mark, Sent, deliver, nothing_to_send},
    send_mail::{link_to_instances, request},
};
use crate::{
    domain::{
        event::{Activity, Event},
        ids::{DefinitionId, ObjectId},
        mail::MailKind,
    },
    mail::{MOST_RESOURCES, MailFacts, Matter},
    store::ClaimedJob,
};

/// Sends one mail and ends its job. Takes no lock.
pub(super) async fn send_combined_mail(
    services: &Services,
    job: &ClaimedJob,
    id: DefinitionId,
    occurrence: i32,
    recipient: ObjectId,
    public_url: &str,
) -> Result<Sent, Refused> {
    let mut uow = services.begin(job.tenant).await?;
    let Some(definition) = uow.definitions().find(id).await? else { return nothing_to_send(uow, job).await };
    let limit = i64::try_from(MOST_RESOURCES).unwrap_or(i64::MAX);
    let reviewed = uow.mail().reviewed_together(id, occurrence, recipient, limit).await?;
    let Some(first) = reviewed.instances.first() else { return nothing_to_send(uow, job).await };
    // The instances of an occurrence start with the same settings. LC-DEF-22
    let Some(instance) = uow.instances().find(id, first.id).await? else { return nothing_to_send(uow, job).await };
    let instances = link_to_instances(public_url, &definition);
    let link = match reviewed.total {
        1 => format!("{instances}/{}", first.id),
        _ => format!("{instances}/filterByCurrentUser(on='reviewer')"),
    };
    let ends_at = first.ends_at;
    let kind = match instance.multi_stage {
        true => MailKind::StageStarted,
        false => MailKind::ReviewStarted,
    };
    let stage_count = uow.stages().list(instance.id).await?.first().map_or(1, |entry| entry.stage.stage_count);
    let listed = i64::try_from(reviewed.instances.len()).unwrap_or(i64::MAX);
    let letter = Letter {
        kind,
        recipient,
        address: uow.directory().mail_addresses(&[recipient]).await?.pop(),
        own: uow.mail().template(kind).await?.map(|template| template.own),
        about: Event {
            definition_id: Some(id),
            after: Some(json!({ "occurrence": occurrence, "instances": reviewed.total })),
            ..Event::new(Activity::MailSent)
        },
        mark: Mark::Occurrence(id, occurrence),
        facts: MailFacts {
            recipient: String::new(),
            review: definition.draft.display_name.clone(),
            more_resources: reviewed.total - listed,
            resources: reviewed.instances.into_iter().map(|instance| instance.resource).collect(),
            ends_at,
            link,
            applied_automatically: instance.settings.auto_apply_decisions_enabled,
            matter: Matter::Request(request(&definition, &instance, None, 1, stage_count)),
        },
    };
    drop(uow);
    deliver(services, job, letter).await
}

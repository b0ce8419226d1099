//! The mail of one job: facts read when it is sent (LC-NOTE-07), sent at most once (LC-NOTE-08), best effort (LC-NOTE-09).

use serde_json::json;

use super::{Refused, Services, run_review::about};
use crate::{
    domain::{
        decision::Verdict,
        event::{Activity, Event},
        ids::{InstanceId, ObjectId},
        stage::StageOrdinal,
        status::Status,
    },
    mail::{Mail, MailError, MailFacts, MailText, compose},
    store::{
        Actor, ClaimedJob, ItemFilter, ItemView, MailKind, Outcome, Page, StageEntry, StoreError, UnitOfWork,
        filter::{DecisionProperty, FilterExpression, FilterOperator, FilterValue},
    },
};

/// A mail that a job asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct MailOrder {
    pub mail: MailKind,
    pub instance: InstanceId,
    pub ordinal: StageOrdinal,
    pub recipient: ObjectId,
}

/// How often a mail is tried before it is given up; the backoff doubles from 30 s.
const ATTEMPTS: i32 = 8;

/// What became of a job's mail.
pub(super) enum Sent {
    /// The job is finished.
    Finished,
    /// To be tried again.
    Again(MailError),
}

/// Sends one mail and ends its job.
pub(super) async fn send_mail(
    services: &Services,
    job: &ClaimedJob,
    order: MailOrder,
    public_url: &str,
) -> Result<Sent, Refused> {
    let MailOrder { mail, instance: id, ordinal, recipient } = order;
    let mut uow = services.begin(job.tenant).await?;
    let Some(instance) = uow.instances().lock(id).await? else {
        uow.jobs().finish(job, Outcome::Obsolete).await?;
        return Ok(uow.commit().await.map(|()| Sent::Finished)?);
    };
    let definition = uow.definitions().find(instance.definition_id).await?.ok_or(Refused::NotFound)?;
    let stages = uow.stages().list(id).await?;
    let wanted = match mail {
        MailKind::Started => is_still_asked(&mut *uow, &stages, order).await?,
        MailKind::Reminder => has_open_items(&mut *uow, &stages, order).await?,
        MailKind::Completed | MailKind::CompletedAdditional => true,
    };
    if !wanted {
        uow.jobs().finish(job, Outcome::Obsolete).await?;
        return Ok(uow.commit().await.map(|()| Sent::Finished)?);
    }
    let address = uow.directory().mail_addresses(&[recipient]).await?.pop();
    // Not across the network with a transaction open.
    drop(uow);

    let told = json!({ "mail": mail.key(), "recipient": recipient });
    let result = match (&address, job.interrupted) {
        // The try before may have got through; twice is worse than never.
        (_, true) => Err((Activity::MailFailed, Outcome::GivenUp, "an earlier try was interrupted")),
        (None, false) => Err((Activity::MailFailed, Outcome::Obsolete, "there is no mail address")),
        (Some(address), false) => {
            let stage_ends_at = || {
                let stage = stages.iter().find(|entry| entry.stage.ordinal == ordinal);
                stage.map_or(instance.end_at, |entry| entry.stage.end_at)
            };
            let (text, ends_at) = match mail {
                MailKind::Started => (MailText::Started, stage_ends_at()),
                MailKind::Reminder => (MailText::Reminder, stage_ends_at()),
                MailKind::Completed | MailKind::CompletedAdditional => (MailText::Completed, instance.end_at),
            };
            let link = format!(
                "{public_url}/v1.0/identityGovernance/accessReviews/definitions/{}/instances/{id}",
                definition.id,
            );
            let (subject, body) = compose(
                text,
                &MailFacts {
                    recipient: &address.display_name,
                    review: &definition.draft.display_name,
                    resource: &instance.resource.display_name,
                    description: definition.draft.description_for_reviewers.as_deref(),
                    ends_at,
                    link: &link,
                },
            );
            let mail = Mail {
                message_id: format!("<{}@attestry>", job.id),
                to_name: address.display_name.clone(),
                to_address: address.address.clone(),
                subject,
                body,
            };
            match services.mailer.send(&mail).await {
                Ok(()) => Ok(()),
                Err(error @ MailError::Temporary(_)) if job.attempt < ATTEMPTS => return Ok(Sent::Again(error)),
                Err(_) => Err((Activity::MailFailed, Outcome::GivenUp, "the mail server refused it")),
            }
        }
    };

    let mut uow = services.begin(job.tenant).await?;
    let (activity, outcome, reason) = match result {
        Ok(()) => (Activity::MailSent, Outcome::Done, None),
        Err((activity, outcome, reason)) => (activity, outcome, Some(reason)),
    };
    let mut after = told;
    if let Some(reason) = reason {
        after["reason"] = json!(reason);
    }
    uow.events().append(&Actor::system(), &[Event { after: Some(after), ..about(activity, &instance) }]).await?;
    if mail == MailKind::Started && outcome == Outcome::Done {
        uow.reviewers().mark_mailed(id, ordinal, recipient).await?;
    }
    uow.jobs().finish(job, outcome).await?;
    uow.commit().await?;
    Ok(Sent::Finished)
}

/// Whether the stage still takes answers and an item that the recipient reviews in it has none. LC-NOTE-02, LC-NOTE-07
async fn has_open_items(uow: &mut dyn UnitOfWork, stages: &[StageEntry], order: MailOrder) -> Result<bool, StoreError> {
    let open =
        stages.iter().any(|entry| entry.stage.ordinal == order.ordinal && entry.stage.status == Status::InProgress);
    if !open {
        return Ok(false);
    }
    let mut reaches = uow.reviewers().reaches(order.instance, order.recipient).await?;
    reaches.retain(|part| part.ordinal == order.ordinal);
    let Some(entry) = reaches.first().map(|part| part.entry) else { return Ok(false) };
    let view = ItemView::Stage { ordinal: order.ordinal, entry, reach: Some(reaches) };
    let unanswered = FilterExpression::Compare {
        property: DecisionProperty::Decision,
        operator: FilterOperator::Equal,
        value: FilterValue::Member(Verdict::NotReviewed.as_str()),
    };
    let filter = ItemFilter { expression: Some(unanswered), order: Vec::new() };
    let first = Page { limit: 1, skip: 0, after: None };
    Ok(!uow.items().page(order.instance, &view, &filter, &first).await?.rows.is_empty())
}

/// Whether the stage still takes answers and the recipient still has some to give. LC-NOTE-07
async fn is_still_asked(uow: &mut dyn UnitOfWork, stages: &[StageEntry], order: MailOrder) -> Result<bool, StoreError> {
    let open =
        stages.iter().any(|entry| entry.stage.ordinal == order.ordinal && entry.stage.status == Status::InProgress);
    Ok(open && uow.reviewers().reviews_in_stage(order.instance, order.ordinal, order.recipient).await?)
}

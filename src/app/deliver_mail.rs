//! Handing a mail over and recording what became of it: at most once (LC-NOTE-08), best effort (LC-NOTE-09).

use std::{error::Error, time::Duration};

use serde_json::json;

use super::{Refused, Services};
use crate::{
    domain::{
        event::{Activity, Event},
        ids::{DefinitionId, InstanceId, ObjectId},
        mail::{MailKind, OwnTemplate},
        stage::StageOrdinal,
    },
    mail::{Mail, MailError, MailFacts, render},
    store::{Actor, ClaimedJob, MailAddress, Outcome, StoreError, UnitOfWork},
};

/// How often a mail is tried before it is given up; the backoff doubles from 30 s.
const ATTEMPTS: i32 = 8;

/// Pauses between the tries to record what became of a mail: it is not sent again, so this is worth more than one.
const RECORD_AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

/// What became of a job's mail.
pub(super) enum Sent {
    /// The job is finished.
    Finished,
    /// To be tried again.
    Again(MailError),
    /// Not tried: the server rests for so long.
    NotTried(Duration),
}

/// A mail to be written and sent, as read from the store.
pub(super) struct Letter {
    pub kind: MailKind,
    pub recipient: ObjectId,
    /// `None` when mail cannot or may not reach the recipient. LC-NOTE-05
    pub address: Option<MailAddress>,
    /// What it tells; the recipient's name is put in here.
    pub facts: MailFacts,
    /// The tenant's own template.
    pub own: Option<OwnTemplate>,
    /// What it is about, for the event.
    pub about: Event,
    pub mark: Mark,
}

/// Whose record says that the mail got through. M-32
pub(super) enum Mark {
    Nobody,
    Stage(InstanceId, StageOrdinal),
    Occurrence(DefinitionId, i32),
}

/// How a try ended that is the last one.
enum End {
    /// With what was wrong with the tenant's own template, if it was passed over.
    Sent(Option<String>),
    Failed(Outcome, &'static str),
}

/// Sends a letter and ends its job. To be called with no unit of work open: nothing holds a transaction across the network.
pub(super) async fn deliver(services: &Services, job: &ClaimedJob, mut letter: Letter) -> Result<Sent, Refused> {
    let end = match (letter.address.take(), job.interrupted) {
        // The try before may have got through; twice is worse than never.
        (_, true) => End::Failed(Outcome::GivenUp, "an earlier try was interrupted"),
        (None, false) => End::Failed(Outcome::Obsolete, "there is no mail address"),
        (Some(address), false) => match hand_over(services, job, &mut letter, address).await? {
            Ok(passed_over) => End::Sent(passed_over),
            // Nothing to warn of: whoever runs the service has chosen so.
            Err(MailError::NotConfigured) => End::Failed(Outcome::GivenUp, "no mail server is configured"),
            Err(MailError::Resting(rest)) => return Ok(Sent::NotTried(rest)),
            Err(error @ MailError::Temporary(_)) if job.attempt < ATTEMPTS => return Ok(Sent::Again(error)),
            Err(error) => {
                tracing::warn!(
                    tenant.id = %job.tenant,
                    job.id = %job.id,
                    cause = error.source().map(ToString::to_string),
                    "a mail was given up",
                );
                End::Failed(
                    Outcome::GivenUp,
                    match error {
                        MailError::Temporary(_) | MailError::Resting(_) => {
                            "the mail server could not be reached or was busy"
                        }
                        MailError::Permanent(_) => "the mail server refused it",
                        MailError::NotConfigured => "no mail server is configured",
                        MailError::Uncertain(_) => "the mail server did not say whether it took it",
                    },
                )
            }
        },
    };
    let mut pauses = RECORD_AGAIN_AFTER.iter();
    loop {
        match (record(services, job, &letter, &end).await, pauses.next()) {
            (Ok(()), _) => return Ok(Sent::Finished),
            (Err(Refused::Store(error)), Some(pause)) if !matches!(error, StoreError::LeaseLost) => {
                tokio::time::sleep(*pause).await;
            }
            (Err(error), _) => return Err(error),
        }
    }
}

/// What was wrong with the tenant's own template, if it was passed over.
async fn hand_over(
    services: &Services,
    job: &ClaimedJob,
    letter: &mut Letter,
    address: MailAddress,
) -> Result<Result<Option<String>, MailError>, Refused> {
    letter.facts.recipient.clone_from(&address.display_name);
    let (parts, passed_over) = match render(letter.kind, &letter.facts, letter.own.as_ref()) {
        Ok(rendered) => rendered,
        Err(fault) => return Ok(Err(MailError::Permanent(Box::new(fault)))),
    };
    let mail = Mail {
        message_id: format!("<{}@attestry>", job.id),
        to_name: address.display_name,
        to_address: address.address,
        subject: parts.subject,
        text: parts.text,
        html: parts.html,
    };
    let prepared = match services.mailer.prepare(&mail).await {
        Ok(prepared) => prepared,
        Err(error) => return Ok(Err(error)),
    };
    // Under the lease: whoever was too slow for it finds that somebody else has the mail, and nothing was sent yet.
    if !services.queue.hand_over(job).await? {
        return Err(StoreError::LeaseLost.into());
    }
    let handed = prepared.hand_over().await;
    if let Err(MailError::Temporary(_)) = handed {
        services.queue.take_back(job).await?;
    }
    Ok(handed.map(|()| passed_over.map(|fault| fault.to_string())))
}

async fn record(services: &Services, job: &ClaimedJob, letter: &Letter, end: &End) -> Result<(), Refused> {
    let mut uow = services.begin(job.tenant).await?;
    let mut after = letter.about.after.clone().unwrap_or_else(|| json!({}));
    after["mail"] = json!(letter.kind.name());
    after["recipient"] = json!(letter.recipient);
    let (activity, outcome) = match end {
        End::Sent(passed_over) => {
            mark(&mut *uow, letter).await?;
            if let Some(fault) = passed_over {
                after["template"] = json!("built-in");
                after["templateFault"] = json!(fault);
            }
            (Activity::MailSent, Outcome::Done)
        }
        End::Failed(outcome, reason) => {
            after["reason"] = json!(reason);
            (Activity::MailFailed, *outcome)
        }
    };
    let event = Event { activity, after: Some(after), ..letter.about.clone() };
    uow.events().append(&Actor::system(), &[event]).await?;
    uow.jobs().finish(job, outcome).await?;
    Ok(uow.commit().await?)
}

async fn mark(uow: &mut dyn UnitOfWork, letter: &Letter) -> Result<(), StoreError> {
    match letter.mark {
        Mark::Nobody => Ok(()),
        Mark::Stage(instance, ordinal) => uow.reviewers().mark_mailed(instance, ordinal, letter.recipient).await,
        Mark::Occurrence(definition, occurrence) => {
            uow.mail().mark_mailed_together(definition, occurrence, letter.recipient).await
        }
    }
}

/// Ends a job whose mail nobody needs any more.
pub(super) async fn nothing_to_send(mut uow: Box<dyn UnitOfWork>, job: &ClaimedJob) -> Result<Sent, Refused> {
    uow.jobs().finish(job, Outcome::Obsolete).await?;
    uow.commit().await?;
    Ok(Sent::Finished)
}

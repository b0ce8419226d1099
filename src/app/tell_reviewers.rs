//! An occurrence over many groups has been opened: each reviewer gets one mail about all his groups. LC-NOTE-06

use chrono::TimeDelta;

use super::{Refused, Services};
use crate::{
    domain::ids::DefinitionId,
    store::{ClaimedJob, Outcome},
};

/// How long to wait for instances that are still gathering.
const PAUSE: TimeDelta = TimeDelta::seconds(2);
/// How long the mail may wait for them. Whatever opens later mails its reviewers by itself.
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(10);

/// Enqueues the mails, in the transaction that records that it was done; waits while groups are still being opened.
///
/// The definition is locked as by those who open its instances, so that each of them is either seen here or sees that the mails are
/// on their way.
pub(super) async fn tell_reviewers(
    services: &Services,
    job: &ClaimedJob,
    id: DefinitionId,
    occurrence: i32,
) -> Result<(), Refused> {
    let mut uow = services.begin(job.tenant).await?;
    if uow.definitions().lock(id).await?.is_none() {
        uow.jobs().finish(job, Outcome::Obsolete).await?;
        return Ok(uow.commit().await?);
    }
    let opens = uow.mail().occurrence_opens(id, occurrence).await?;
    let waits_until = uow.mail().occurrence_opened_at(id, occurrence).await?.map(|opened_at| opened_at + LONGEST_WAIT);
    let now = uow.now();
    if opens && waits_until.is_some_and(|until| now < until) {
        uow.jobs().postpone(job, now + PAUSE).await?;
        return Ok(uow.commit().await?);
    }
    uow.mail().tell_occurrence(id, occurrence).await?;
    uow.jobs().finish(job, Outcome::Done).await?;
    Ok(uow.commit().await?)
}

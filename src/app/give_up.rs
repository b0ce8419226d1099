//! A step of a review that fails whenever it is tried: in the end the review fails, so that what comes after it goes on. IN-15

use super::{Refused, Services, open_occurrence::fail_occurrence, run_review::ReviewRun};
use crate::{
    domain::{ids::InstanceId, status::Status},
    store::{
        Actor, ClaimedJob, Job, Outcome, StoreError,
        review_steps::{AskedStage, LockedReview},
    },
};

/// After so many tries, which take about a day, a step that fails at no fault of its surroundings is given up. A failed review
/// stays failed, so a mistake in a new version must have been found and corrected before.
pub const TRIES: i32 = 300;

/// Whether a job that failed so would fail again however often it is tried; an outage is over some day.
pub const fn is_fault(error: &Refused) -> bool {
    match error {
        Refused::Store(StoreError::Busy(_) | StoreError::Unavailable(_) | StoreError::Unknown(_) | StoreError::LeaseLost) => false,
        Refused::Store(StoreError::Refused { .. } | StoreError::Corrupt { .. } | StoreError::Other(_))
        // Nobody asks on behalf of a job.
        | Refused::NotFound
        | Refused::Forbidden(_)
        | Refused::InvalidState(_)
        | Refused::Invalid(_)
        | Refused::Unsupported { .. }
        | Refused::Conflict(_)
        | Refused::Gone(_)
        | Refused::TooOften(_)
        | Refused::PreconditionFailed(_) => true,
    }
}

/// Gives up a job that met a fault once more: fails the review or the occurrence that it was to move along, and ends the job.
/// `false` when it is to be tried again, because it was not tried `tries` times yet or moves no review.
///
/// # Errors
/// When storage fails here, too; then nothing was changed.
pub async fn give_up(services: &Services, job: &ClaimedJob, tries: i32) -> Result<bool, Refused> {
    if job.attempt < tries {
        return Ok(false);
    }
    match &job.job {
        Job::OpenInstance { instance } => {
            fail_instance(services, job, *instance, &[Status::NotStarted, Status::Initializing]).await
        }
        Job::CloseStage { instance, stage: _ } => fail_instance(services, job, *instance, &[Status::InProgress]).await,
        Job::ApplyDecisions { instance } | Job::DeleteBlockedUsers { instance } => {
            fail_instance(services, job, *instance, &[Status::Applying]).await
        }
        Job::OpenOccurrence { definition, occurrence, start_at } => {
            fail_occurrence(services, job, *definition, *occurrence, *start_at).await
        }
        Job::RemindStage { .. }
        | Job::TellReviewers { .. }
        | Job::SendCombinedMail { .. }
        | Job::SendMail { .. }
        | Job::RunReport { .. }
        | Job::ExpireReport { .. } => Ok(false),
    }
}

/// IN-15, unless the instance is in none of the statuses that the job moves it on from: then the job is pointless.
async fn fail_instance(
    services: &Services,
    job: &ClaimedJob,
    id: InstanceId,
    moved_from: &[Status],
) -> Result<bool, Refused> {
    let actor = Actor::system();
    let mut uow = services.begin(job.tenant).await?;
    let outcome = match uow.review_steps().lock(id, AskedStage::None).await? {
        Some(LockedReview { definition, mut instance, .. }) if moved_from.contains(&instance.status) => {
            let mut run = ReviewRun::new(&mut *uow, &actor);
            run.give_up(&definition, &mut instance).await?;
            run.finish(&definition).await?;
            Outcome::GivenUp
        }
        Some(_) | None => Outcome::Obsolete,
    };
    uow.jobs().finish(job, outcome).await?;
    uow.commit().await?;
    services.work.notify_waiters();
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// IN-15
    #[test]
    fn an_outage_is_no_fault_and_what_no_try_can_change_is_one() {
        let cause = || "for a reason".into();
        for outage in [
            StoreError::Busy(cause()),
            StoreError::Unavailable(cause()),
            StoreError::Unknown(cause()),
            StoreError::LeaseLost,
        ] {
            assert!(!is_fault(&Refused::Store(outage)));
        }
        for fault in [
            StoreError::Corrupt { table: "stages", column: "status", id: String::new() },
            StoreError::Refused { constraint: String::new() },
            StoreError::Other(cause()),
        ] {
            assert!(is_fault(&Refused::Store(fault)));
        }
        assert!(is_fault(&Refused::NotFound));
    }
}

//! What a worker does with a claimed job. Each transition happens once, whoever runs it and whoever dies in it. LC-CONC-06

use std::time::Duration;

use tokio::{
    task::JoinError,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{
    Refused, Services,
    carry_out_decisions::{Work, carry_out},
    deliver_mail::Sent,
    history,
    open_occurrence::open_occurrence,
    run_review::ReviewRun,
    send_combined_mail::send_combined_mail,
    send_mail::{MailOrder, send_mail},
    send_reminder::remind_stage,
    tell_reviewers::tell_reviewers,
};
use crate::{
    domain::{
        ids::{InstanceId, StageId},
        lifecycle::{self, Cause},
        status::Status,
    },
    mail::MailError,
    store::{
        Actor, ClaimedJob, Job, Lane, Outcome, Plans,
        review_steps::{AskedStage, LockedReview},
    },
};

/// How a run of a job ended.
#[derive(Debug)]
pub enum Ran {
    /// Finished, or found that there is nothing left to do.
    Finished,
    /// A mail that is to be tried again.
    MailAgain(MailError),
    /// A mail that was not tried, for its server was silent a moment ago and rests for so long: to be put back.
    MailNotTried(Duration),
}

impl From<Sent> for Ran {
    fn from(sent: Sent) -> Self {
        match sent {
            Sent::Finished => Self::Finished,
            Sent::Again(error) => Self::MailAgain(error),
            Sent::NotTried(rest) => Self::MailNotTried(rest),
        }
    }
}

/// Runs a claimed job and ends it, in the scheduler's lane whoever asks. On an error nothing was changed and the job is to be
/// released.
pub async fn run_job(services: &Services, job: &ClaimedJob, public_url: &str) -> Result<Ran, Refused> {
    // Before anything is read for it.
    if job.job.is_mail()
        && let Some(rest) = services.mailer.rests_for()
    {
        return Ok(Ran::MailNotTried(rest));
    }
    let services = &services.in_lane(Lane::Scheduler);
    match &job.job {
        Job::OpenInstance { instance } => open_instance(services, job, *instance).await?,
        Job::OpenOccurrence { definition, occurrence, start_at } => {
            open_occurrence(services, job, *definition, *occurrence, *start_at).await?;
        }
        Job::CloseStage { instance, stage } => close_stage(services, job, *instance, *stage).await?,
        Job::ApplyDecisions { instance } => carry_out(services, job, *instance, Work::Apply).await?,
        Job::DeleteBlockedUsers { instance } => carry_out(services, job, *instance, Work::DeleteUsers).await?,
        Job::RunReport { instance } => history::run::run_report(services, job, *instance).await?,
        Job::ExpireReport { instance } => history::expire::expire_report(services, job, *instance).await?,
        Job::RemindStage { instance, stage } => remind_stage(services, job, *instance, *stage).await?,
        Job::SendMail { mail, instance, ordinal, recipient, sequence: _ } => {
            let order = MailOrder { mail: *mail, instance: *instance, ordinal: *ordinal, recipient: *recipient };
            return Ok(send_mail(services, job, order, public_url).await?.into());
        }
        Job::SendCombinedMail { definition, occurrence, recipient } => {
            let sent = send_combined_mail(services, job, *definition, *occurrence, *recipient, public_url).await?;
            return Ok(sent.into());
        }
        Job::TellReviewers { definition, occurrence } => {
            tell_reviewers(services, job, *definition, *occurrence).await?;
        }
    }
    services.work.notify_waiters();
    Ok(Ran::Finished)
}

/// Runs a claimed job as [`run_job`] does, in a task of its own, and keeps its lease meanwhile. An error when it panicked.
pub async fn run_under_lease(
    services: &Services,
    job: &ClaimedJob,
    public_url: &str,
    lease_seconds: i32,
) -> Result<Result<Ran, Refused>, JoinError> {
    let mut run = {
        let (services, job, public_url) = (services.clone(), job.clone(), public_url.to_owned());
        tokio::spawn(async move { run_job(&services, &job, &public_url).await })
    };
    let third = Duration::from_secs(u64::try_from(lease_seconds).unwrap_or_default()) / 3;
    let third = third.max(Duration::from_millis(100));
    let mut renewal = interval_at(Instant::now() + third, third);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut held = true;
    loop {
        tokio::select! {
            ended = &mut run => return ended,
            _ = renewal.tick(), if held => match services.queue.renew(job, lease_seconds).await {
                // The unit of work refuses by itself to end a job under a lease that is lost.
                Ok(renewed) => held = renewed,
                Err(error) => tracing::warn!(job.id = %job.id, %error, "a lease could not be renewed"),
            },
        }
    }
}

/// Where a job's instance stands when its turn has come.
enum Turn {
    Gather,
    Begin,
    Over,
}

/// IN-02 to IN-05. The status says `Initializing` while principals are gathered, so this takes two transactions; a worker
/// that dies between them is followed by another that goes on with the second.
async fn open_instance(services: &Services, job: &ClaimedJob, id: InstanceId) -> Result<(), Refused> {
    let actor = Actor::system();
    loop {
        let mut uow = services.begin(job.tenant).await?;
        let found = uow.review_steps().lock(id, AskedStage::First).await?;
        let Some(LockedReview { definition, mut instance, stage: Some(mut first), .. }) = found else {
            uow.jobs().finish(job, Outcome::Obsolete).await?;
            return Ok(uow.commit().await?);
        };
        let turn = match instance.status {
            Status::NotStarted if uow.now() < instance.start_at => {
                uow.jobs().postpone(job, instance.start_at).await?;
                return Ok(uow.commit().await?);
            }
            Status::NotStarted => Turn::Begin,
            Status::Initializing => Turn::Gather,
            Status::Starting
            | Status::InProgress
            | Status::Completing
            | Status::Completed
            | Status::AutoReviewing
            | Status::AutoReviewed
            | Status::Applying
            | Status::Applied
            | Status::Failed => Turn::Over,
        };
        let mut run = ReviewRun::new(&mut *uow, &actor);
        match turn {
            Turn::Begin => {
                let gathers = run.begin_gathering(&definition, &mut instance, &mut first).await?;
                if !gathers {
                    run.finish_with(&definition, job).await?;
                    return Ok(uow.commit().await?);
                }
                run.finish(&definition).await?;
                uow.commit().await?;
            }
            Turn::Gather => {
                run.open(&definition, &mut instance, first, &services.limits).await?;
                run.finish_with(&definition, job).await?;
                return Ok(uow.commit().await?);
            }
            Turn::Over => {
                uow.jobs().finish(job, Outcome::Obsolete).await?;
                return Ok(uow.commit().await?);
            }
        }
    }
}

/// ST-06: the stage's time is up. Whoever came first, an admin or the timer, closes it; the other finds nothing to do.
/// LC-CONC-04
async fn close_stage(services: &Services, job: &ClaimedJob, id: InstanceId, stage: StageId) -> Result<(), Refused> {
    let actor = Actor::system();
    let mut uow = services.begin_with(job.tenant, Plans::Kept).await?;
    let found = uow.review_steps().lock(id, AskedStage::Of(stage)).await?;
    let Some(LockedReview { definition, mut instance, stage: Some(entry), progress_of_others }) = found else {
        uow.jobs().finish(job, Outcome::Obsolete).await?;
        return Ok(uow.commit().await?);
    };
    match lifecycle::close_stage(&entry.stage, Cause::Timer, uow.now()) {
        Err(_) => uow.jobs().finish(job, Outcome::Obsolete).await?,
        Ok(None) => uow.jobs().postpone(job, entry.stage.end_at).await?,
        Ok(Some(next)) => {
            let mut run = ReviewRun::beside(&mut *uow, &actor, progress_of_others);
            run.close_stage(&definition, &mut instance, entry, next, &services.limits).await?;
            run.finish_with(&definition, job).await?;
        }
    }
    Ok(uow.commit().await?)
}

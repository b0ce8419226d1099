//! The worker: claims due work of all tenants, runs it through the use cases, and gives back what failed.
//!
//! Any number of processes work on one database; a job is done once however many try and whoever dies in it, because it ends
//! in the transaction that does its work and only under a lease that still holds. LC-CONC-06

use std::{error::Error, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app::{
        Refused, Services,
        give_up::{TRIES, give_up, is_fault},
        run_job::{Ran, run_under_lease},
    },
    domain::ids::TenantId,
    store::{ClaimedJob, JobKinds, StoreError},
    telemetry::{self, JobResult},
};

/// How long a failed job rests after its first failure, in seconds; doubles with each further one.
const FIRST_BACKOFF_SECONDS: i32 = 1;
/// The same for mail. LC-NOTE-09
const FIRST_MAIL_BACKOFF_SECONDS: i32 = 30;
/// The longest rest between two tries, in seconds.
const LONGEST_BACKOFF_SECONDS: i32 = 300;
/// The longest rest between two tries of a mail, in seconds.
const LONGEST_MAIL_BACKOFF_SECONDS: i32 = 3_600;
/// Mails are looked for at most this often: every job that ends may have left some, and a thousand end in a second.
const LOOK_FOR_MAIL_EVERY: Duration = Duration::from_millis(50);
/// How often the backlog is measured.
const MEASURE_EVERY: Duration = Duration::from_secs(15);

/// How a worker works.
#[derive(Clone, Copy, Debug)]
pub struct WorkerSettings {
    /// Jobs at the same time, mail aside.
    pub concurrency: usize,
    /// Mails at the same time, in places of their own: they wait for their server, and nothing else waits for them. LC-NOTE-09
    pub mail_concurrency: usize,
    /// For how long a job is claimed; renewed every third of it while the job runs.
    pub lease_seconds: i32,
    /// How long to wait when nothing was due and nobody called; up to half as much again, at random.
    pub poll: Duration,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self { concurrency: 4, mail_concurrency: 4, lease_seconds: 9, poll: Duration::from_millis(500) }
    }
}

/// A worker of this process.
#[derive(Debug)]
pub struct Worker;

/// A running worker.
#[derive(Debug)]
pub struct WorkerHandle {
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl WorkerHandle {
    /// Takes no more work and returns when what it holds is finished.
    pub async fn shutdown(self) {
        self.stop.cancel();
        if let Err(error) = self.running.await {
            tracing::error!(%error, "the worker ended by itself");
        }
    }
}

impl Worker {
    /// Starts a worker on the current runtime. Links in mails begin with `public_url`.
    pub fn spawn(services: Services, public_url: String, settings: WorkerSettings) -> WorkerHandle {
        let stop = CancellationToken::new();
        let running = tokio::spawn(work(services, public_url.into(), settings, stop.clone()));
        WorkerHandle { stop, running }
    }
}

async fn work(services: Services, public_url: Arc<str>, settings: WorkerSettings, stop: CancellationToken) {
    let begin = |kinds, places| {
        let public_url = Arc::clone(&public_url);
        tokio::spawn(keep_working(services.clone(), public_url, kinds, places, settings, stop.clone()))
    };
    let parts = [
        begin(JobKinds::ButMail, settings.concurrency),
        begin(JobKinds::Mail, settings.mail_concurrency),
        tokio::spawn(measure_backlog(services.clone(), stop.clone())),
    ];
    for part in parts {
        if let Err(error) = part.await {
            tracing::error!(%error, "a part of the worker ended by itself");
        }
    }
}

/// Claims and runs jobs of these kinds, so many at a time.
async fn keep_working(
    services: Services,
    public_url: Arc<str>,
    kinds: JobKinds,
    places: usize,
    settings: WorkerSettings,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(places));
    let running = TaskTracker::new();
    let mut failures = 0;
    loop {
        // One place first: what is claimed must be run at once, or its lease ends before its turn.
        let place = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let Ok(first) = place else { break };
        let mut free = vec![first];
        while let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            free.push(place);
        }
        // Asked for before looking, so that no call between looking and waiting is missed.
        let called = services.work.notified();
        let limit = i64::try_from(free.len()).unwrap_or(i64::MAX);
        // Mail that cannot be tried is left where it is.
        let rests = kinds == JobKinds::Mail && services.mailer.rests_for().is_some();
        let claimed = match rests {
            true => Ok(Vec::new()),
            false => services.queue.claim_kinds(kinds, None, limit, settings.lease_seconds).await,
        };
        let pause = match claimed {
            Ok(jobs) if !jobs.is_empty() => {
                failures = 0;
                for (job, place) in jobs.into_iter().zip(free) {
                    running.spawn(run_in_place(
                        services.clone(),
                        job,
                        Arc::clone(&public_url),
                        settings.lease_seconds,
                        place,
                    ));
                }
                continue;
            }
            Ok(_) => {
                failures = 0;
                settings.poll
            }
            Err(error) => {
                failures += 1;
                if failures == 1 {
                    tracing::warn!(cause = chain(&error), "due work cannot be asked for; trying again until it can");
                }
                Duration::from_secs(u64::try_from(backoff(1, 30, failures)).unwrap_or_default())
            }
        };
        drop(free);
        tokio::select! {
            () = called => {}
            () = sleep(jittered(pause)) => {}
            () = stop.cancelled() => break,
        }
        if kinds == JobKinds::Mail {
            sleep(LOOK_FOR_MAIL_EVERY).await;
        }
    }
    running.close();
    running.wait().await;
}

/// Between `pause` and half as much again: workers that began together do not ask together for ever.
fn jittered(pause: Duration) -> Duration {
    pause + pause.mul_f64(rand::random_range(0.0..0.5))
}

async fn measure_backlog(services: Services, stop: CancellationToken) {
    loop {
        // What cannot be asked for is reported where work is claimed.
        if let Ok(backlog) = services.queue.backlog().await {
            telemetry::backlog(backlog.due, backlog.lateness_seconds);
        }
        tokio::select! {
            () = sleep(MEASURE_EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn run_in_place(
    services: Services,
    job: ClaimedJob,
    public_url: Arc<str>,
    lease_seconds: i32,
    place: OwnedSemaphorePermit,
) {
    attend(&services, job, &public_url, lease_seconds).await;
    drop(place);
}

/// Runs a job, keeps its lease meanwhile, and gives it back when it failed. A panic of the job is a failure like any other.
async fn attend(services: &Services, job: ClaimedJob, public_url: &str, lease_seconds: i32) -> JobResult {
    telemetry::job_started(job.job.kind(), job.late_by);
    let began = Instant::now();
    let ended = run_under_lease(services, &job, public_url, lease_seconds).await;
    let fault = match &ended {
        Ok(Ok(_)) => false,
        Ok(Err(error)) => is_fault(error),
        Err(_) => true,
    };
    let (result, rest) = match ended {
        Ok(Ok(Ran::Finished)) => (JobResult::Finished, None),
        Ok(Ok(Ran::MailAgain(error))) => (JobResult::Failed, Some((rest_of(&job), chain(&error)))),
        Ok(Ok(Ran::MailNotTried(rest))) => {
            telemetry::job_ran(job.job.kind(), JobResult::NotTried, began.elapsed());
            put_back(services, &job, rest).await;
            return JobResult::NotTried;
        }
        Ok(Err(Refused::Store(StoreError::LeaseLost))) => (JobResult::LeaseLost, None),
        Ok(Err(error)) => (JobResult::Failed, Some((rest_of(&job), chain(&error)))),
        Err(panic) => (JobResult::Failed, Some((rest_of(&job), format!("the job panicked: {panic}")))),
    };
    telemetry::job_ran(job.job.kind(), result, began.elapsed());
    if let Some((rest, cause)) = rest {
        if fault && given_up(services, &job, &cause).await {
            return result;
        }
        tracing::warn!(
            tenant.id = %job.tenant,
            job.id = %job.id,
            job.kind = job.job.kind(),
            job.attempt = job.attempt,
            retry_seconds = rest,
            cause,
            "a job failed and will be tried again",
        );
        if let Err(error) = services.queue.release(&job, rest, &cause).await {
            tracing::warn!(job.id = %job.id, cause = chain(&error), "a failed job could not be given back; its lease will end");
        }
    }
    result
}

/// Gives a mail back that was not tried, for its server rests.
async fn put_back(services: &Services, job: &ClaimedJob, rest: Duration) {
    let seconds = i32::try_from(rest.as_secs()).unwrap_or(i32::MAX).saturating_add(1);
    if let Err(error) = services.queue.put_back(job, seconds, "the mail server does not answer").await {
        tracing::warn!(job.id = %job.id, cause = chain(&error), "a mail could not be put back; its lease will end");
    }
}

/// Whether a job that met a fault has been given up instead of being tried again, and its review failed. What goes wrong here,
/// too, is one more failure of the job. IN-15
async fn given_up(services: &Services, job: &ClaimedJob, cause: &str) -> bool {
    let giving_up = {
        let (services, job) = (services.clone(), job.clone());
        tokio::spawn(async move { give_up(&services, &job, TRIES).await })
    };
    let why_not = match giving_up.await {
        Ok(Ok(true)) => {
            tracing::error!(
                tenant.id = %job.tenant,
                job.id = %job.id,
                job.kind = job.job.kind(),
                job.attempt = job.attempt,
                job.payload = ?job.job,
                cause,
                "a job failed at every try and was given up; the review it was to move along has failed",
            );
            return true;
        }
        Ok(Ok(false)) => return false,
        Ok(Err(error)) => chain(&error),
        Err(panic) => format!("giving up panicked: {panic}"),
    };
    tracing::warn!(tenant.id = %job.tenant, job.id = %job.id, cause = why_not, "a job could not even be given up");
    false
}

fn rest_of(job: &ClaimedJob) -> i32 {
    match job.job.is_mail() {
        true => backoff(FIRST_MAIL_BACKOFF_SECONDS, LONGEST_MAIL_BACKOFF_SECONDS, job.attempt),
        false => backoff(FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS, job.attempt),
    }
}

/// Seconds to rest after the try number `attempt`, from 1.
fn backoff(first: i32, longest: i32, attempt: i32) -> i32 {
    let doublings = u32::try_from(attempt - 1).unwrap_or_default().min(16);
    first.saturating_mul(2_i32.saturating_pow(doublings)).min(longest)
}

/// Runs what is due, of one tenant or of all, one job after the other, until nothing is; returns how many jobs were run. A job
/// that fails is given back and counts.
///
/// # Errors
/// When work cannot be claimed.
pub async fn run_due_jobs(
    services: &Services,
    tenant: Option<TenantId>,
    public_url: &str,
) -> Result<usize, StoreError> {
    let settings = WorkerSettings::default();
    let mut ran = 0;
    loop {
        let jobs = services.queue.claim(tenant, 1, settings.lease_seconds).await?;
        if jobs.is_empty() {
            return Ok(ran);
        }
        for job in jobs {
            attend(services, job, public_url, settings.lease_seconds).await;
            ran += 1;
        }
    }
}

/// The error and what caused it, outermost first.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests;

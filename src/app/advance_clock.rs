//! Moving a sandbox tenant's clock: everything that falls due on the way happens in order, each at its own instant.
//! Section 6 of the design

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{
    Call, Refused, Services,
    access::authorize,
    give_up::{give_up, is_fault},
    run_job::{Ran, run_under_lease},
};
use crate::{
    domain::{
        authorization::{Operation, Relation, ReviewKind, require_permission},
        duration::IsoDuration,
        event::{Activity, Event},
        ids::TenantId,
        violation::Violation,
    },
    store::{Actor, ClaimedJob, JobKinds, StoreError},
};

/// Longest step of one call.
const LONGEST_STEP: TimeDelta = TimeDelta::days(3_660);

/// For how long a job is claimed; renewed while it runs.
const LEASE_SECONDS: i32 = 9;

/// How long one step waits in all for mail that another worker is sending.
const MAIL_PATIENCE: Duration = Duration::from_secs(15);

/// How long mail rests that could not be sent, in real time.
const MAIL_REST_SECONDS: i32 = 30;

/// Between two looks at what others hold.
const PAUSE: Duration = Duration::from_millis(20);

/// After so many tries of a job, more than those after which an item is given up (LC-APPLY-07), its review fails when that is no
/// outage: nobody waits for a day here. In an outage, and when the job moves no review, the step ends with what is wrong. IN-15
const TRIES: i32 = 12;

/// Advances the caller's tenant's clock, for an administrator of a sandbox tenant; returns its new now.
pub async fn advance_own_clock(
    services: &Services,
    call: &Call,
    advance: IsoDuration,
    public_url: &str,
) -> Result<DateTime<Utc>, Refused> {
    require_permission(&call.caller)?;
    authorize(&call.caller, Operation::SandboxClockAdvance, ReviewKind::GroupOrApplication, &Relation::default())?;
    advance_clock(services, call.tenant(), &call.actor(), advance, public_url).await
}

/// Advances a sandbox tenant's clock and returns once all work due by then is done.
///
/// [`Refused::Invalid`] when the tenant is no sandbox or the step is too long.
pub async fn advance_clock(
    services: &Services,
    tenant: TenantId,
    actor: &Actor,
    advance: IsoDuration,
    public_url: &str,
) -> Result<DateTime<Utc>, Refused> {
    let mut uow = services.begin(tenant).await?;
    if !uow.tenants().current().await?.sandbox {
        return Err(Refused::Invalid(vec![Violation::new(
            "advance",
            "only the clock of a sandbox tenant can be advanced",
        )]));
    }
    let start = uow.now();
    let target = advance.after(start);
    if target - start > LONGEST_STEP {
        return Err(Refused::Invalid(vec![Violation::new("advance", "one step is at most P3660D")]));
    }
    let event = Event {
        before: Some(json!({ "now": start })),
        after: Some(json!({ "now": target })),
        ..Event::new(Activity::ClockAdvanced)
    };
    uow.events().append(actor, &[event]).await?;
    uow.commit().await?;

    let mut step = Step { services, tenant, public_url, leaves_mail: false, waited_for_mail: Duration::ZERO };
    loop {
        step.run_due().await?;
        match services.queue.next_due(tenant).await? {
            Some(due) if due <= target => set_clock(services, tenant, due).await?,
            Some(_) | None => break,
        };
    }
    let now = set_clock(services, tenant, target).await?;
    step.run_due().await?;
    Ok(now)
}

async fn set_clock(services: &Services, tenant: TenantId, instant: DateTime<Utc>) -> Result<DateTime<Utc>, Refused> {
    let mut uow = services.begin(tenant).await?;
    let now = uow.tenants().advance_clock_to(instant).await?;
    uow.commit().await?;
    Ok(now)
}

/// One step of the clock under way.
struct Step<'a> {
    services: &'a Services,
    tenant: TenantId,
    public_url: &'a str,
    /// The mail server does not answer: mail is left to be tried in real time. LC-NOTE-09
    leaves_mail: bool,
    /// For mail that others are sending.
    waited_for_mail: Duration,
}

impl Step<'_> {
    /// Runs what is due now, until nothing is: also what another worker holds is waited for, and what failed does not rest.
    async fn run_due(&mut self) -> Result<(), Refused> {
        let (queue, tenant) = (&self.services.queue, self.tenant);
        loop {
            // One at a time: what is claimed is run at once, or its lease ends before its turn.
            let job = match queue.claim(Some(tenant), 1, LEASE_SECONDS).await?.pop() {
                Some(due) => Some(due),
                None => queue.claim_resting(tenant, LEASE_SECONDS).await?,
            };
            let Some(job) = job else {
                let others = queue.due_elsewhere(JobKinds::ButMail, tenant).await?;
                if !others && (self.is_mail_left() || !queue.due_elsewhere(JobKinds::Mail, tenant).await?) {
                    return Ok(());
                }
                tokio::time::sleep(PAUSE).await;
                if !others {
                    self.waited_for_mail += PAUSE;
                }
                continue;
            };
            self.run(&job).await?;
        }
    }

    async fn run(&mut self, job: &ClaimedJob) -> Result<(), Refused> {
        let queue = &self.services.queue;
        if job.job.is_mail() && self.is_mail_left() {
            return Ok(queue.put_back(job, MAIL_REST_SECONDS, "the mail server does not answer").await?);
        }
        let ended = run_under_lease(self.services, job, self.public_url, LEASE_SECONDS).await;
        let ended = ended.unwrap_or_else(|error| match error.is_panic() {
            true => Err(StoreError::Other(error.into()).into()),
            // The program ends.
            false => Err(StoreError::Unavailable(error.into()).into()),
        });
        match ended {
            Ok(Ran::Finished) | Err(Refused::Store(StoreError::LeaseLost)) => Ok(()),
            // A mail server that is down does not stop the clock.
            Ok(Ran::MailAgain(error)) => Ok(queue.release(job, MAIL_REST_SECONDS, &error.to_string()).await?),
            Ok(Ran::MailNotTried(_)) => {
                Ok(queue.put_back(job, MAIL_REST_SECONDS, "the mail server does not answer").await?)
            }
            Err(error) => {
                if is_fault(&error) && self.is_given_up(job, &error).await {
                    return Ok(());
                }
                queue.release(job, 1, &error.to_string()).await?;
                if job.attempt >= TRIES { Err(error) } else { Ok(()) }
            }
        }
    }

    /// Whether a job that met a fault has been given up instead of being tried again. What goes wrong here, too, is one more failure.
    async fn is_given_up(&self, job: &ClaimedJob, cause: &Refused) -> bool {
        let (tenant, id, kind) = (job.tenant, job.id, job.job.kind());
        match give_up(self.services, job, TRIES).await {
            Ok(true) => {
                tracing::error!(tenant.id = %tenant, job.id = %id, job.kind = kind, %cause, "a job was given up, and its review has failed");
                true
            }
            Ok(false) => false,
            Err(error) => {
                tracing::warn!(tenant.id = %tenant, job.id = %id, job.kind = kind, %error, "a job could not even be given up");
                false
            }
        }
    }

    /// Once is enough: a server that did not answer during a step has no other mail of this step wait for it.
    fn is_mail_left(&mut self) -> bool {
        self.leaves_mail |= self.services.mailer.rests_for().is_some() || self.waited_for_mail >= MAIL_PATIENCE;
        self.leaves_mail
    }
}

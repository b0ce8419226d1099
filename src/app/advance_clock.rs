//! Moving a sandbox tenant's clock: everything that falls due on the way happens in order, each at its own instant.
//! Section 6 of the design

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{
    Call, Refused, Services,
    access::authorize,
    run_job::{Ran, run_job},
};
use crate::{
    domain::{
        authorization::{Operation, Relation, ReviewKind, require_permission},
        duration::IsoDuration,
        event::{Activity, Event},
        ids::TenantId,
        violation::Violation,
    },
    store::{Actor, StoreError},
};

/// Longest step of one call.
const LONGEST_STEP: TimeDelta = TimeDelta::days(3_660);

/// How long the jobs of one call may hold off others.
const LEASE_SECONDS: i32 = 60;

/// Jobs taken at a time.
const BATCH: i64 = 100;

/// After so many tries of a job the step ends with what is wrong: more than those after which an item is given up. LC-APPLY-07
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

    loop {
        run_due(services, tenant, public_url).await?;
        match services.queue.next_due(tenant).await? {
            Some(due) if due <= target => set_clock(services, tenant, due).await?,
            Some(_) | None => break,
        };
    }
    let now = set_clock(services, tenant, target).await?;
    run_due(services, tenant, public_url).await?;
    Ok(now)
}

async fn set_clock(services: &Services, tenant: TenantId, instant: DateTime<Utc>) -> Result<DateTime<Utc>, Refused> {
    let mut uow = services.begin(tenant).await?;
    let now = uow.tenants().advance_clock_to(instant).await?;
    uow.commit().await?;
    Ok(now)
}

/// Runs what is due now, until nothing is: also what another worker holds is waited for, and what failed does not rest.
async fn run_due(services: &Services, tenant: TenantId, public_url: &str) -> Result<(), Refused> {
    loop {
        let mut jobs = services.queue.claim(Some(tenant), BATCH, LEASE_SECONDS).await?;
        if jobs.is_empty() {
            jobs.extend(services.queue.claim_resting(tenant, LEASE_SECONDS).await?);
        }
        if jobs.is_empty() {
            if !services.queue.due_elsewhere(tenant).await? {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            continue;
        }
        for job in jobs {
            match run_job(services, &job, public_url).await {
                Ok(Ran::Finished) => {}
                // A mail server that is down does not stop the clock (LC-NOTE-09).
                Ok(Ran::MailAgain(error)) => services.queue.release(&job, 30, &error.to_string()).await?,
                Err(Refused::Store(StoreError::LeaseLost)) => {}
                Err(error) => {
                    services.queue.release(&job, 1, &error.to_string()).await?;
                    if job.attempt >= TRIES {
                        return Err(error);
                    }
                }
            }
        }
    }
}

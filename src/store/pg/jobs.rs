//! Jobs: enqueued by the unit that causes them, claimed for all tenants at once.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{PgStore, PgUnitOfWork, unit_of_work::OpenTransaction};
use crate::{
    domain::ids::{JobId, TenantId},
    store::{Backlog, ClaimedJob, Job, JobKinds, JobQueue, JobRepository, Lane, NewJob, Outcome, StoreError},
};

#[async_trait]
impl JobRepository for PgUnitOfWork {
    async fn enqueue(&mut self, jobs: &[NewJob]) -> Result<(), StoreError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant.as_uuid();
        let ids: Vec<_> = jobs.iter().map(|new| new.id.as_uuid()).collect();
        let kinds: Vec<_> = jobs.iter().map(|new| new.job.kind().to_owned()).collect();
        let keys: Vec<_> = jobs.iter().map(|new| new.job.key()).collect();
        let due: Vec<_> = jobs.iter().map(|new| new.due_at).collect();
        let payloads: Vec<_> = jobs.iter().map(|new| Json(&new.job)).collect();
        sqlx::query!(
            r#"
            insert into jobs (tenant_id, job_id, kind, key, payload, due_at, run_at)
            select $1, job_id, kind, key, payload, due_at, due_at - clock_offset
              from tenants,
                   unnest($2::uuid[], $3::text[], $4::text[], $5::jsonb[], $6::timestamptz[])
                   as new (job_id, kind, key, payload, due_at)
             where tenant_id = $1
            on conflict (tenant_id, kind, key) do nothing
            "#,
            tenant,
            &ids,
            &kinds,
            &keys,
            &payloads as _,
            &due,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn reschedule(&mut self, jobs: &[NewJob]) -> Result<(), StoreError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let tenant = self.tenant.as_uuid();
        let ids: Vec<_> = jobs.iter().map(|new| new.id.as_uuid()).collect();
        let kinds: Vec<_> = jobs.iter().map(|new| new.job.kind().to_owned()).collect();
        let keys: Vec<_> = jobs.iter().map(|new| new.job.key()).collect();
        let due: Vec<_> = jobs.iter().map(|new| new.due_at).collect();
        let payloads: Vec<_> = jobs.iter().map(|new| Json(&new.job)).collect();
        sqlx::query!(
            r#"
            insert into jobs (tenant_id, job_id, kind, key, payload, due_at, run_at)
            select $1, job_id, kind, key, payload, due_at, due_at - clock_offset
              from tenants,
                   unnest($2::uuid[], $3::text[], $4::text[], $5::jsonb[], $6::timestamptz[])
                   as new (job_id, kind, key, payload, due_at)
             where tenant_id = $1
            on conflict (tenant_id, kind, key)
            do update set due_at = excluded.due_at,
                          run_at = excluded.run_at,
                          attempts = 0,
                          last_error = null,
                          finished_at = null,
                          outcome = null
            "#,
            tenant,
            &ids,
            &kinds,
            &keys,
            &payloads as _,
            &due,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn cancel(&mut self, jobs: &[Job]) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let kinds: Vec<_> = jobs.iter().map(|job| job.kind().to_owned()).collect();
        let keys: Vec<_> = jobs.iter().map(Job::key).collect();
        sqlx::query!(
            r#"
            update jobs
               set finished_at = now(),
                   outcome = $4
              from unnest($2::text[], $3::text[]) as gone (kind, key)
             where jobs.tenant_id = $1
               and jobs.kind = gone.kind
               and jobs.key = gone.key
               and jobs.finished_at is null
               and (jobs.leased_until is null or jobs.leased_until < statement_timestamp())
            "#,
            tenant,
            &kinds,
            &keys,
            Outcome::Obsolete.as_str(),
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn finish(&mut self, job: &ClaimedJob, outcome: Outcome) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let done = sqlx::query!(
            r#"
            update jobs
               set finished_at = now(),
                   outcome = $4,
                   leased_until = null,
                   lease_id = null
             where tenant_id = $1
               and job_id = $2
               and lease_id = $3
               and finished_at is null
            "#,
            tenant,
            job.id.as_uuid(),
            job.lease,
            outcome.as_str(),
        )
        .execute(self.connection()?)
        .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::LeaseLost) }
    }

    async fn postpone(&mut self, job: &ClaimedJob, due_at: DateTime<Utc>) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let done = sqlx::query!(
            r#"
            update jobs
               set due_at = $4,
                   run_at = $4::timestamptz - (select clock_offset from tenants where tenant_id = $1),
                   attempts = 0,
                   leased_until = null,
                   lease_id = null
             where tenant_id = $1
               and job_id = $2
               and lease_id = $3
               and finished_at is null
            "#,
            tenant,
            job.id.as_uuid(),
            job.lease,
            due_at,
        )
        .execute(self.connection()?)
        .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::LeaseLost) }
    }
}

impl PgStore {
    /// A transaction as the role that sees every tenant's jobs, and nothing else.
    async fn begin_as_worker(&self) -> Result<OpenTransaction, StoreError> {
        self.begin_scheduling("begin; set local role attestry_worker").await
    }

    /// The same for claiming. Nobody waits until the disk has a claim: one that the database loses when it fails was not made, what
    /// was begun under it cannot end, and what ends is made durable with every claim before it.
    async fn begin_claiming(&self) -> Result<OpenTransaction, StoreError> {
        self.begin_scheduling("begin; set local role attestry_worker; set local synchronous_commit = off").await
    }

    /// The same for looking for work of everybody, which is done all the time: with a plan that is kept.
    async fn begin_claiming_of_all(&self) -> Result<OpenTransaction, StoreError> {
        const BEGIN: &str = "begin; set local role attestry_worker; set local synchronous_commit = off; \
                             set local plan_cache_mode = force_generic_plan";
        self.begin_scheduling(BEGIN).await
    }

    async fn begin_scheduling(&self, begin: &'static str) -> Result<OpenTransaction, StoreError> {
        self.at_home(async { OpenTransaction::begin(self.lend(Lane::Scheduler, None).await?, begin).await }).await
    }
}

/// What a claim returns.
struct ClaimedRow {
    tenant_id: Uuid,
    job_id: Uuid,
    payload: Json<Job>,
    due_at: DateTime<Utc>,
    attempts: i32,
    lease_id: Uuid,
    handed_over: bool,
    late_by: f64,
}

impl From<ClaimedRow> for ClaimedJob {
    fn from(row: ClaimedRow) -> Self {
        Self {
            tenant: TenantId::new(row.tenant_id),
            id: JobId::new(row.job_id),
            job: row.payload.0,
            due_at: row.due_at,
            attempt: row.attempts,
            interrupted: row.handed_over,
            late_by: row.late_by,
            lease: row.lease_id,
        }
    }
}

/// Takes due jobs that meet a condition on their kinds.
macro_rules! claim {
    ($connection:expr, $condition:literal, $limit:expr, $lease_seconds:expr, $tenant:expr) => {
        sqlx::query_as!(
            ClaimedRow,
            "with due as (
                select tenant_id, job_id, run_at
                  from jobs
                 where finished_at is null
                   and run_at <= statement_timestamp()
                   and (leased_until is null or leased_until < statement_timestamp())
                   and ($3::uuid is null or tenant_id = $3)
                   " + $condition + "
                 order by run_at, tenant_id, job_id
                 limit $1
                   for no key update skip locked
            )
            update jobs j
               set leased_until = clock_timestamp() + make_interval(secs => $2),
                   lease_id = gen_random_uuid(),
                   attempts = j.attempts + 1,
                   last_error = null
              from due
             where j.tenant_id = due.tenant_id
               and j.job_id = due.job_id
            returning j.tenant_id, j.job_id, j.payload as \"payload: Json<Job>\", j.due_at, j.attempts, j.lease_id as \"lease_id!\",
                      j.handed_over_at is not null as \"handed_over!\",
                      extract(epoch from clock_timestamp() - due.run_at)::double precision as \"late_by!\"",
            $limit,
            f64::from($lease_seconds),
            $tenant,
        )
        .fetch_all($connection)
        .await?
    };
}

async fn tenants_of_jobs(connection: &mut PgConnection) -> Result<Backlog, StoreError> {
    let row = sqlx::query!(
        r#"
        select count(*) as "due!", coalesce(extract(epoch from now() - min(run_at)), 0)::double precision as "lateness!"
          from jobs
         where finished_at is null
           and run_at <= now()
        "#,
    )
    .fetch_one(connection)
    .await?;
    Ok(Backlog { due: row.due, lateness_seconds: row.lateness })
}

#[async_trait]
impl JobQueue for PgStore {
    async fn claim_kinds(
        &self,
        kinds: JobKinds,
        tenant: Option<TenantId>,
        limit: i64,
        lease_seconds: i32,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        let mut transaction = match tenant {
            Some(_) => self.begin_claiming().await?,
            None => self.begin_claiming_of_all().await?,
        };
        let (connection, tenant) = (transaction.connection()?, tenant.map(TenantId::as_uuid));
        // The kinds are literals: only so the index that leaves mail out can be chosen.
        let rows = match kinds {
            JobKinds::All => claim!(connection, "", limit, lease_seconds, tenant),
            JobKinds::Mail => {
                claim!(connection, "and kind in ('send_mail', 'send_combined_mail')", limit, lease_seconds, tenant)
            }
            JobKinds::ButMail => {
                claim!(connection, "and kind not in ('send_mail', 'send_combined_mail')", limit, lease_seconds, tenant)
            }
        };
        transaction.commit().await?;
        let mut jobs: Vec<ClaimedJob> = rows.into_iter().map(ClaimedJob::from).collect();
        jobs.sort_by_key(|job| (job.due_at, job.id));
        Ok(jobs)
    }

    async fn claim_resting(&self, tenant: TenantId, lease_seconds: i32) -> Result<Option<ClaimedJob>, StoreError> {
        let mut transaction = self.begin_claiming().await?;
        let row = sqlx::query_as!(
            ClaimedRow,
            r#"
            with resting as (
                select tenant_id, job_id
                  from jobs
                 where finished_at is null
                   and last_error is not null
                   and tenant_id = $1
                   and kind not in ('send_mail', 'send_combined_mail')
                   and (leased_until is null or leased_until < statement_timestamp())
                 order by due_at, job_id
                 limit 1
                   for no key update skip locked
            )
            update jobs j
               set leased_until = clock_timestamp() + make_interval(secs => $2),
                   lease_id = gen_random_uuid(),
                   attempts = j.attempts + 1,
                   last_error = null
              from resting
             where j.tenant_id = resting.tenant_id
               and j.job_id = resting.job_id
            returning j.tenant_id, j.job_id, j.payload as "payload: Json<Job>", j.due_at, j.attempts, j.lease_id as "lease_id!",
                      j.handed_over_at is not null as "handed_over!",
                      0::double precision as "late_by!"
            "#,
            tenant.as_uuid(),
            f64::from(lease_seconds),
        )
        .fetch_optional(transaction.connection()?)
        .await?;
        transaction.commit().await?;
        Ok(row.map(ClaimedJob::from))
    }

    async fn renew(&self, job: &ClaimedJob, lease_seconds: i32) -> Result<bool, StoreError> {
        let mut transaction = self.begin_as_worker().await?;
        let done = sqlx::query!(
            r#"
            update jobs
               set leased_until = clock_timestamp() + make_interval(secs => $4)
             where tenant_id = $1
               and job_id = $2
               and lease_id = $3
               and finished_at is null
            "#,
            job.tenant.as_uuid(),
            job.id.as_uuid(),
            job.lease,
            f64::from(lease_seconds),
        )
        .execute(transaction.connection()?)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    async fn hand_over(&self, job: &ClaimedJob) -> Result<bool, StoreError> {
        let mut transaction = self.begin_as_worker().await?;
        let done = sqlx::query!(
            r#"
            update jobs
               set handed_over_at = clock_timestamp()
             where tenant_id = $1
               and job_id = $2
               and lease_id = $3
               and finished_at is null
            "#,
            job.tenant.as_uuid(),
            job.id.as_uuid(),
            job.lease,
        )
        .execute(transaction.connection()?)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    async fn take_back(&self, job: &ClaimedJob) -> Result<(), StoreError> {
        let mut transaction = self.begin_as_worker().await?;
        sqlx::query!(
            r#"
            update jobs
               set handed_over_at = null
             where tenant_id = $1
               and job_id = $2
               and lease_id = $3
               and finished_at is null
            "#,
            job.tenant.as_uuid(),
            job.id.as_uuid(),
            job.lease,
        )
        .execute(transaction.connection()?)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn release(&self, job: &ClaimedJob, delay_seconds: i32, error: &str) -> Result<(), StoreError> {
        let mut transaction = self.begin_as_worker().await?;
        sqlx::query!(
            r#"
            update jobs
               set leased_until = null,
                   lease_id = null,
                   last_error = $4,
                   run_at = clock_timestamp() + make_interval(secs => $5)
             where tenant_id = $1
               and job_id = $2
               and lease_id = $3
               and finished_at is null
            "#,
            job.tenant.as_uuid(),
            job.id.as_uuid(),
            job.lease,
            error,
            f64::from(delay_seconds),
        )
        .execute(transaction.connection()?)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn put_back(&self, job: &ClaimedJob, delay_seconds: i32, reason: &str) -> Result<(), StoreError> {
        let mut transaction = self.begin_as_worker().await?;
        sqlx::query!(
            r#"
            update jobs
               set leased_until = null,
                   lease_id = null,
                   attempts = attempts - 1,
                   last_error = $4,
                   run_at = clock_timestamp() + make_interval(secs => $5)
             where tenant_id = $1
               and job_id = $2
               and lease_id = $3
               and finished_at is null
            "#,
            job.tenant.as_uuid(),
            job.id.as_uuid(),
            job.lease,
            reason,
            f64::from(delay_seconds),
        )
        .execute(transaction.connection()?)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn next_due(&self, tenant: TenantId) -> Result<Option<DateTime<Utc>>, StoreError> {
        let mut transaction = self.begin_as_worker().await?;
        let due = sqlx::query_scalar!(
            r#"
            select min(due_at)
              from jobs
             where tenant_id = $1
               and finished_at is null
               and last_error is null
            "#,
            tenant.as_uuid(),
        )
        .fetch_one(transaction.connection()?)
        .await?;
        transaction.commit().await?;
        Ok(due)
    }

    async fn due_elsewhere(&self, kinds: JobKinds, tenant: TenantId) -> Result<bool, StoreError> {
        let mut transaction = self.begin_as_worker().await?;
        let held = sqlx::query_scalar!(
            r#"
            select exists (
                select
                  from jobs
                 where tenant_id = $1
                   and finished_at is null
                   and run_at <= statement_timestamp()
                   and leased_until >= statement_timestamp()
                   and case when kind in ('send_mail', 'send_combined_mail') then $2::boolean else $3::boolean end) as "held!"
            "#,
            tenant.as_uuid(),
            kinds != JobKinds::ButMail,
            kinds != JobKinds::Mail,
        )
        .fetch_one(transaction.connection()?)
        .await?;
        transaction.commit().await?;
        Ok(held)
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        let mut transaction = self.begin_as_worker().await?;
        let backlog = tenants_of_jobs(transaction.connection()?).await?;
        transaction.commit().await?;
        Ok(backlog)
    }
}

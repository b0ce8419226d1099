//! Reminders.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::PgUnitOfWork;
use crate::{
    domain::{ids::InstanceId, mail::MailKind, stage::StageOrdinal},
    store::{ReminderRepository, StoreError},
};

#[async_trait]
impl ReminderRepository for PgUnitOfWork {
    async fn last_manual(&mut self, instance: InstanceId) -> Result<Option<DateTime<Utc>>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let at = sqlx::query_scalar!(
            "select reminded_at from instances where tenant_id = $1 and instance_id = $2",
            tenant,
            instance.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(at.flatten())
    }

    async fn count_manual(&mut self, instance: InstanceId) -> Result<i32, StoreError> {
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let count = sqlx::query_scalar!(
            r#"
            update instances
               set reminded_at = $3,
                   reminders = reminders + 1
             where tenant_id = $1
               and instance_id = $2
            returning reminders
            "#,
            tenant,
            instance.as_uuid(),
            now,
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(count)
    }

    async fn enqueue(&mut self, instance: InstanceId, ordinal: StageOrdinal, sequence: i32) -> Result<i64, StoreError> {
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let kind = if sequence == 0 { MailKind::Reminder } else { MailKind::ManualReminder };
        let enqueued = sqlx::query!(
            r#"
            insert into jobs (tenant_id, job_id, kind, key, payload, due_at, run_at)
            select $1, gen_random_uuid(), 'send_mail',
                   concat_ws('/', $5::text, $2::uuid, $3::smallint, reviewer_id, nullif($6::integer, 0)),
                   jsonb_build_object('kind', 'send_mail', 'mail', $5::text, 'instance', $2::uuid, 'ordinal', $3::smallint,
                                      'recipient', reviewer_id, 'sequence', $6::integer),
                   $4, now()
              from contacted_reviewers
             where tenant_id = $1
               and instance_id = $2
               and ordinal = $3
            on conflict do nothing
            "#,
            tenant,
            instance.as_uuid(),
            ordinal,
            now,
            kind.key(),
            sequence,
        )
        .execute(self.connection()?)
        .await?;
        Ok(i64::try_from(enqueued.rows_affected()).unwrap_or(i64::MAX))
    }
}

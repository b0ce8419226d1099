//! First answers to creates that carried a key.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{PgUnitOfWork, error::corrupt};
use crate::{
    domain::repeat::FirstAnswer,
    store::{
        StoreError,
        first_answers::{FirstAnswerRepository, KeyOf},
    },
};

#[async_trait]
impl FirstAnswerRepository for PgUnitOfWork {
    async fn find(&mut self, key: KeyOf<'_>, since: DateTime<Utc>) -> Result<Option<FirstAnswer>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query!(
            r#"
            select body_digest, answer
              from first_answers
             where tenant_id = $1
               and caller_id = $2
               and creates = $3
               and key = $4
               and kept_at > $5
            "#,
            tenant,
            key.caller.as_uuid(),
            key.creates.as_str(),
            key.text,
            since,
        )
        .fetch_optional(self.connection()?)
        .await?;
        row.map(|row| {
            let body_digest =
                row.body_digest.try_into().map_err(|_| corrupt("first_answers", "body_digest", key.caller))?;
            Ok(FirstAnswer { body_digest, answer: row.answer })
        })
        .transpose()
    }

    async fn keep(&mut self, key: KeyOf<'_>, first: &FirstAnswer, since: DateTime<Utc>) -> Result<bool, StoreError> {
        let (tenant, now) = (self.tenant.as_uuid(), self.now);
        let kept = sqlx::query!(
            r#"
            insert into first_answers as kept
                (tenant_id, caller_id, creates, key, body_digest, answer, kept_at)
            values ($1, $2, $3, $4, $5, $6, $7)
            on conflict (tenant_id, caller_id, creates, key) do update
               set body_digest = excluded.body_digest,
                   answer = excluded.answer,
                   kept_at = excluded.kept_at
             where kept.kept_at <= $8
            "#,
            tenant,
            key.caller.as_uuid(),
            key.creates.as_str(),
            key.text,
            &first.body_digest,
            first.answer,
            now,
            since,
        )
        .execute(self.connection()?)
        .await?;
        Ok(kept.rows_affected() == 1)
    }

    async fn forget(&mut self, since: DateTime<Utc>) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            r#"
            delete from first_answers
             where tenant_id = $1
               and (caller_id, creates, key) in (
                       select caller_id, creates, key
                         from first_answers
                        where tenant_id = $1
                          and kept_at <= $2
                        order by kept_at
                        limit 100
                          for update skip locked)
            "#,
            tenant,
            since,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }
}

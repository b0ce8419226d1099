//! A tenant's review settings: one row, or none.

use async_trait::async_trait;

use super::PgUnitOfWork;
use crate::{
    domain::{ids::ObjectId, review_settings::ReviewSettings},
    store::{StoreError, review_settings::ReviewSettingsRepository},
};

#[async_trait]
impl ReviewSettingsRepository for PgUnitOfWork {
    async fn find(&mut self) -> Result<ReviewSettings, StoreError> {
        let tenant = self.tenant.as_uuid();
        let stored = sqlx::query_as!(
            ReviewSettings,
            "select group_owners_may_review from review_settings where tenant_id = $1",
            tenant,
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(stored.unwrap_or_default())
    }

    async fn lock(&mut self) -> Result<ReviewSettings, StoreError> {
        let (tenant, now) = (self.tenant.as_uuid(), self.now);
        // A row that is not there cannot be locked.
        sqlx::query!(
            "insert into review_settings (tenant_id, modified_at) values ($1, $2) on conflict do nothing",
            tenant,
            now,
        )
        .execute(self.connection()?)
        .await?;
        let stored = sqlx::query_as!(
            ReviewSettings,
            "select group_owners_may_review from review_settings where tenant_id = $1 for update",
            tenant,
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(stored)
    }

    async fn store(&mut self, settings: &ReviewSettings) -> Result<(), StoreError> {
        let (tenant, now) = (self.tenant.as_uuid(), self.now);
        sqlx::query!(
            r#"
            insert into review_settings (tenant_id, group_owners_may_review, modified_at)
            values ($1, $2, $3)
                on conflict (tenant_id) do update
               set group_owners_may_review = excluded.group_owners_may_review,
                   modified_at = excluded.modified_at
            "#,
            tenant,
            settings.group_owners_may_review,
            now,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn lets_review(&mut self, person: ObjectId, group: Option<ObjectId>) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_uuid();
        let lets = sqlx::query_scalar!(
            r#"
            select exists (
                       select
                         from review_settings s
                         join users u on u.tenant_id = $1 and u.user_id = $2 and u.account_enabled
                         join group_owners o on o.tenant_id = $1 and o.owner_id = u.user_id
                        where s.tenant_id = $1
                          and s.group_owners_may_review
                          and ($3::uuid is null or o.group_id = $3)) as "lets!"
            "#,
            tenant,
            person.as_uuid(),
            group.map(ObjectId::as_uuid),
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(lets)
    }
}

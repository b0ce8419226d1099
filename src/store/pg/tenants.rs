//! Tenants: their clock within a unit of work, and what the command line does to them as the owner of the tables.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::PgUnitOfWork;
use crate::{
    domain::ids::TenantId,
    store::{StoreError, Tenant, TenantRepository},
};

#[async_trait]
impl TenantRepository for PgUnitOfWork {
    async fn current(&mut self) -> Result<Tenant, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query!("select slug, display_name, sandbox from tenants where tenant_id = $1", tenant)
            .fetch_one(self.connection()?)
            .await?;
        Ok(Tenant { id: TenantId::new(tenant), slug: row.slug, display_name: row.display_name, sandbox: row.sandbox })
    }

    async fn advance_clock_to(&mut self, instant: DateTime<Utc>) -> Result<DateTime<Utc>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let now = sqlx::query_scalar!(
            r#"
            update tenants
               set clock_offset = greatest(clock_offset, $2::timestamptz - clock_timestamp())
             where tenant_id = $1
               and sandbox
            returning clock_timestamp() + clock_offset as "now!"
            "#,
            tenant,
            instant,
        )
        .fetch_one(self.connection()?)
        .await?;
        // Jobs are claimed by the database's time. A job waiting for another try keeps its backoff.
        sqlx::query!(
            r#"
            update jobs
               set run_at = due_at - (select clock_offset from tenants where tenant_id = $1)
             where tenant_id = $1
               and finished_at is null
               and last_error is null
            "#,
            tenant,
        )
        .execute(self.connection()?)
        .await?;
        Ok(now)
    }
}

/// What the owner of the tables does: the command line and the demo, never a request.
pub struct Administration {
    connection: PgConnection,
}

/// The private half of a tenant's development issuer, as stored.
pub struct StoredDevelopmentKey {
    pub key_id: String,
    pub private_key: String,
}

impl Administration {
    /// Connects as whoever `url` names.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Ok(Self { connection: PgConnection::connect(url).await? })
    }

    /// Stores a new tenant. [`StoreError::Refused`] by `tenants_slug_key` when the slug is taken, by `tenants_slug_form` when
    /// it is none.
    pub async fn create_tenant(&mut self, tenant: &Tenant, page_key: &[u8]) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into tenants (tenant_id, slug, display_name, sandbox, page_key) values ($1, $2, $3, $4, $5)",
            tenant.id.as_uuid(),
            tenant.slug,
            tenant.display_name,
            tenant.sandbox,
            page_key,
        )
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// The tenant of a slug or an id.
    pub async fn find_tenant(&mut self, slug_or_id: &str) -> Result<Option<Tenant>, StoreError> {
        let id = Uuid::parse_str(slug_or_id).ok();
        let row = sqlx::query!(
            "select tenant_id, slug, display_name, sandbox from tenants where slug = $1 or tenant_id = $2",
            slug_or_id,
            id,
        )
        .fetch_optional(&mut self.connection)
        .await?;
        Ok(row.map(|row| Tenant {
            id: TenantId::new(row.tenant_id),
            slug: row.slug,
            display_name: row.display_name,
            sandbox: row.sandbox,
        }))
    }

    /// The tenant's development key, if it has one.
    pub async fn development_key(&mut self, tenant: TenantId) -> Result<Option<StoredDevelopmentKey>, StoreError> {
        let key = sqlx::query_as!(
            StoredDevelopmentKey,
            "select key_id, private_key from development_keys where tenant_id = $1",
            tenant.as_uuid(),
        )
        .fetch_optional(&mut self.connection)
        .await?;
        Ok(key)
    }

    /// Stores a development key and its issuer; does nothing when the tenant has one by now.
    pub async fn add_development_issuer(
        &mut self,
        tenant: TenantId,
        key: &StoredDevelopmentKey,
        issuer: &str,
        audience: &str,
        algorithm: &str,
        jwks: &Value,
    ) -> Result<(), StoreError> {
        let mut transaction = self.connection.begin().await?;
        let added = sqlx::query!(
            "insert into development_keys (tenant_id, key_id, private_key) values ($1, $2, $3) on conflict do nothing",
            tenant.as_uuid(),
            key.key_id,
            key.private_key,
        )
        .execute(&mut *transaction)
        .await?;
        if added.rows_affected() == 1 {
            sqlx::query!(
                r#"
                insert into tenant_issuers
                    (tenant_id, issuer_id, issuer, audiences, development, jwks, algorithms, tenant_claim, tenant_value)
                values ($1, $1, $2, array[$3], true, $4, array[$5], 'tid', $1::uuid::text)
                "#,
                tenant.as_uuid(),
                issuer,
                audience,
                jwks,
                algorithm,
            )
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

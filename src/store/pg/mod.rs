//! The repositories over sqlx and PostgreSQL: SQL, rows to domain values and back, the migration runner.
//!
//! Nothing else knows SQL. Every statement runs inside a [`PgUnitOfWork`] with the tenant set, as a role that owns nothing.

mod decisions;
mod definitions;
mod directory;
pub mod directory_import;
mod error;
mod events;
mod filters;
mod instances;
mod issuers;
mod items;
mod jobs;
pub mod migrate;
mod reviewer_lists;
mod reviewers;
mod stages;
pub mod tenants;
mod unit_of_work;

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{
    Executor, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    domain::ids::TenantId,
    store::{Readiness, Store, StoreError, StoredIssuer, UnitOfWork},
};

pub use unit_of_work::PgUnitOfWork;

/// The role the service works as: it owns nothing and row-level security binds it.
pub const SERVICE_ROLE: &str = "attestry_service";

/// How long an interactive statement waits for a lock before the caller is told to come back. Section 5 of the design
const LOCK_TIMEOUT: &str = "4s";

/// PostgreSQL behind the repository traits.
#[derive(Clone)]
pub struct PgStore {
    pool: PgPool,
}

impl PgStore {
    /// Opens a pool on `url`; no connection is made before one is needed.
    pub fn connect(url: &str, max_connections: u32) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.parse()?;
        let options = options.application_name("attestry").options([
            ("lock_timeout", LOCK_TIMEOUT),
            ("idle_in_transaction_session_timeout", "60s"),
            ("jit", "off"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(Duration::from_secs(10))
            .idle_timeout(Duration::from_secs(600))
            .test_before_acquire(false)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    connection.execute("set role attestry_service").await?;
                    Ok(())
                })
            })
            .connect_lazy_with(options);
        Ok(Self { pool })
    }

    /// The pool, for adapters of this room only.
    pub(in crate::store) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Closes every connection; waits for those in use.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[async_trait]
impl Store for PgStore {
    async fn begin(&self, tenant: TenantId) -> Result<Box<dyn UnitOfWork>, StoreError> {
        Ok(Box::new(PgUnitOfWork::begin(&self.pool, tenant).await?))
    }

    async fn page_key(&self, tenant: TenantId) -> Result<Option<Vec<u8>>, StoreError> {
        let key = sqlx::query_scalar!("select page_key from tenants where tenant_id = $1", tenant.as_uuid())
            .fetch_optional(&self.pool)
            .await?;
        Ok(key)
    }

    async fn issuer(&self, issuer: &str) -> Result<Option<StoredIssuer>, StoreError> {
        self.find_issuer(issuer).await
    }

    async fn ready(&self) -> Result<Readiness, StoreError> {
        migrate::readiness(&self.pool).await
    }
}

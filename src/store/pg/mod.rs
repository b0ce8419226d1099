//! The repositories over sqlx and PostgreSQL: SQL, rows to domain values and back, the migration runner.
//!
//! Nothing else knows SQL. Every statement runs inside a [`PgUnitOfWork`] with the tenant set, as a role that owns nothing.

mod apply;
mod bulk;
mod callers;
mod contacted_reviewers;
mod decisions;
mod definition_updates;
mod definitions;
mod directory;
pub mod directory_import;
mod error;
mod events;
mod filters;
mod first_answers;
mod frequent_reads;
mod gathering;
mod history;
mod history_report;
mod instances;
mod issuers;
mod items;
mod jobs;
mod mail;
pub mod migrate;
mod occurrences;
mod reminders;
mod review_settings;
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

use tokio::runtime::Handle;
use tokio_util::context::TokioContext;

use crate::{
    domain::ids::TenantId,
    store::{Readiness, Store, StoreError, UnitOfWork, issuers::StoredIssuer},
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
    home: Handle,
}

impl PgStore {
    /// Opens a pool on `url`; no connection is made before one is needed. To be called on the runtime that outlives all use.
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
        Ok(Self { pool, home: Handle::current() })
    }

    /// The pool, for adapters of this room only.
    pub(in crate::store) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Runs work that may open a connection so that the connection belongs to the runtime of [`PgStore::connect`], whichever
    /// thread asks: those of the HTTP server end, each with its own runtime, while others still use the pool.
    pub(in crate::store) fn at_home<F: Future>(&self, work: F) -> TokioContext<F> {
        TokioContext::new(work, self.home.clone())
    }

    /// Connections that are open, and how many of them are in use.
    pub fn connections(&self) -> (u32, u32) {
        let open = self.pool.size();
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX);
        (open, open.saturating_sub(idle))
    }

    /// Closes every connection; waits for those in use.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[async_trait]
impl Store for PgStore {
    async fn begin(&self, tenant: TenantId) -> Result<Box<dyn UnitOfWork>, StoreError> {
        Ok(Box::new(self.at_home(PgUnitOfWork::begin(&self.pool, tenant)).await?))
    }

    async fn page_key(&self, tenant: TenantId) -> Result<Option<Vec<u8>>, StoreError> {
        let key = sqlx::query_scalar!("select page_key from tenants where tenant_id = $1", tenant.as_uuid())
            .fetch_optional(&self.pool);
        Ok(self.at_home(key).await?)
    }

    async fn issuers(&self, issuer: &str) -> Result<Vec<StoredIssuer>, StoreError> {
        self.at_home(self.find_issuers(issuer)).await
    }

    async fn ready(&self) -> Result<Readiness, StoreError> {
        self.at_home(migrate::readiness(&self.pool)).await
    }
}

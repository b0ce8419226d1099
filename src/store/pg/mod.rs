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
mod lanes;
mod mail;
pub mod migrate;
mod occurrences;
mod page_columns;
mod reminders;
mod review_settings;
mod review_steps;
mod reviewer_lists;
mod reviewers;
mod stage_updates;
mod stages;
pub mod tenants;
mod unit_of_work;

use async_trait::async_trait;
use sqlx::postgres::PgConnectOptions;
use tokio::runtime::Handle;
use tokio_util::context::TokioContext;

use crate::{
    domain::ids::TenantId,
    store::{Lane, LaneSizes, Plans, Readiness, Store, StoreError, UnitOfWork, issuers::StoredIssuer},
};

use self::lanes::{Lanes, LentConnection};
pub use self::{lanes::LaneLoad, unit_of_work::PgUnitOfWork};

/// The role the service works as: it owns nothing and row-level security binds it.
pub const SERVICE_ROLE: &str = "attestry_service";

/// PostgreSQL behind the repository traits.
#[derive(Clone)]
pub struct PgStore {
    lanes: Lanes,
    home: Handle,
}

impl PgStore {
    /// Opens lanes of these sizes on `url`; no connection is made before one is needed. To be called on the runtime that
    /// outlives all use.
    pub fn connect(url: &str, sizes: LaneSizes) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.parse()?;
        Ok(Self { lanes: Lanes::new(&options, sizes), home: Handle::current() })
    }

    /// A connection of a lane for a tenant, or for what belongs to none.
    ///
    /// To be called within [`PgStore::at_home`].
    pub(in crate::store::pg) async fn lend(
        &self,
        lane: Lane,
        tenant: Option<TenantId>,
    ) -> Result<LentConnection, StoreError> {
        self.lanes.lane(lane).acquire(tenant).await
    }

    /// Runs work that may open a connection so that the connection belongs to the runtime of [`PgStore::connect`], whichever
    /// thread asks: those of the HTTP server end, each with its own runtime, while others still use the pool.
    pub(in crate::store) fn at_home<F: Future>(&self, work: F) -> TokioContext<F> {
        TokioContext::new(work, self.home.clone())
    }

    /// What a lane's connections are doing.
    pub fn load(&self, lane: Lane) -> LaneLoad {
        self.lanes.lane(lane).load()
    }

    /// Closes every connection; waits for those in use.
    pub async fn close(&self) {
        self.lanes.close().await;
    }
}

#[async_trait]
impl Store for PgStore {
    async fn begin_with(&self, tenant: TenantId, lane: Lane, plans: Plans) -> Result<Box<dyn UnitOfWork>, StoreError> {
        let begun = self
            .at_home(async { PgUnitOfWork::begin(self.lend(lane, Some(tenant)).await?, tenant, plans).await })
            .await?;
        Ok(Box::new(begun))
    }

    async fn page_key(&self, tenant: TenantId) -> Result<Option<Vec<u8>>, StoreError> {
        self.at_home(async {
            let mut connection = self.lend(Lane::Interactive, Some(tenant)).await?;
            let key = sqlx::query_scalar!("select page_key from tenants where tenant_id = $1", tenant.as_uuid())
                .fetch_optional(&mut *connection)
                .await?;
            connection.is_sound();
            Ok(key)
        })
        .await
    }

    async fn issuers(&self, issuer: &str) -> Result<Vec<StoredIssuer>, StoreError> {
        self.at_home(self.find_issuers(issuer)).await
    }

    async fn ready(&self) -> Result<Readiness, StoreError> {
        self.at_home(async {
            let mut connection = match self.lend(Lane::Interactive, None).await {
                Ok(connection) => connection,
                Err(error) => return migrate::readiness_without_connection(error),
            };
            let readiness = migrate::readiness(&mut connection).await?;
            connection.is_sound();
            Ok(readiness)
        })
        .await
    }
}

//! One transaction of one tenant over a pooled connection.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::lanes::LentConnection;
use crate::{
    domain::{history::report::ReportedReview, ids::TenantId},
    store::{
        ContactedReviewerRepository, DecisionRepository, DefinitionRepository, DefinitionUpdateRepository,
        DirectoryRepository, EventRepository, InstanceRepository, ItemRepository, JobRepository, MailRepository, Plans,
        ReminderRepository, ReviewerListRepository, ReviewerRepository, StageRepository, StoreError, TenantRepository,
        UnitOfWork,
        apply::ApplyRepository,
        bulk::BulkDecisionRepository,
        first_answers::FirstAnswerRepository,
        history::HistoryRepository,
        issuers::{CallerRepository, IssuerRepository},
        occurrences::OccurrenceRepository,
        review_settings::ReviewSettingsRepository,
        review_steps::ReviewStepRepository,
        stage_updates::StageUpdateRepository,
    },
};

/// A transaction with the tenant set. Implements every repository trait.
pub struct PgUnitOfWork {
    transaction: OpenTransaction,
    pub(super) tenant: TenantId,
    pub(super) now: DateTime<Utc>,
    pub(super) plans: Plans,
    /// The review whose items are read for a report.
    pub(super) reported: Option<Arc<ReportedReview>>,
}

impl PgUnitOfWork {
    /// Begins, sets the tenant for row-level security and reads its clock, in one round trip.
    ///
    /// The tenant is a literal because `set_config()` does not reach the workers of a distributed engine; a UUID prints no
    /// quote. A tenant that does not exist is an error, so a unit without a tenant cannot come to be.
    pub(super) async fn begin(connection: LentConnection, tenant: TenantId, plans: Plans) -> Result<Self, StoreError> {
        let mut transaction = OpenTransaction { connection: Some(connection) };
        // The clock's own plan is kept in any case.
        let (keep, make) = match plans {
            Plans::Anew => ("", ""),
            Plans::Kept => ("set local plan_cache_mode = force_generic_plan; ", ""),
            Plans::AnewForPage => ("", "; set local plan_cache_mode = force_custom_plan"),
        };
        let begin = format!(
            "begin; set local attestry.tenant = '{tenant}'; {keep}\
             select tenant_clock('{tenant}'){make}"
        );
        let row = sqlx::raw_sql(AssertSqlSafe(begin)).fetch_one(transaction.connection()?).await?;
        let now = row.try_get::<Option<DateTime<Utc>>, _>(0)?.ok_or(sqlx::Error::RowNotFound)?;
        Ok(Self { transaction, tenant, now, plans, reported: None })
    }

    /// Has plans kept from here on: for statements of which PostgreSQL thinks too badly when it knows how many keys they name.
    pub(super) async fn keep_plans(&mut self) -> Result<(), StoreError> {
        if self.plans != Plans::Kept {
            sqlx::raw_sql("set local plan_cache_mode = force_generic_plan").execute(self.connection()?).await?;
            self.plans = Plans::Kept;
        }
        Ok(())
    }

    /// The connection, inside the transaction.
    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        self.transaction.connection()
    }
}

/// Makes sure that a connection with an open transaction never reaches its next borrower: whatever way the unit ends, also by a
/// cancelled `begin`, it is rolled back first, or closed where that is not possible.
pub(super) struct OpenTransaction {
    connection: Option<LentConnection>,
}

impl OpenTransaction {
    /// Begins with these statements, in one round trip.
    pub(super) async fn begin(connection: LentConnection, begin: &'static str) -> Result<Self, StoreError> {
        let mut transaction = Self { connection: Some(connection) };
        sqlx::raw_sql(begin).execute(transaction.connection()?).await?;
        Ok(transaction)
    }

    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        match &mut self.connection {
            Some(connection) => Ok(connection),
            None => Err(StoreError::Other("the unit of work has ended".into())),
        }
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        self.end("commit").await
    }

    /// The same without waiting for the disk.
    async fn commit_unwaited(self) -> Result<(), StoreError> {
        self.end("set local synchronous_commit = off; commit").await
    }

    async fn end(mut self, commit: &'static str) -> Result<(), StoreError> {
        sqlx::raw_sql(commit).execute(self.connection()?).await.map_err(|error| match error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => StoreError::Unknown(error.into()),
            error => error.into(),
        })?;
        // Nothing is open any more: back without a rollback.
        if let Some(mut connection) = self.connection.take() {
            connection.is_sound();
        }
        Ok(())
    }
}

impl Drop for OpenTransaction {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(async move {
                    match sqlx::raw_sql("rollback").execute(&mut *connection).await {
                        Ok(_) => connection.is_sound(),
                        Err(_) => connection.close_on_drop(),
                    }
                });
            }
            Err(_) => connection.close_on_drop(),
        }
    }
}

#[async_trait]
impl UnitOfWork for PgUnitOfWork {
    fn tenant(&self) -> TenantId {
        self.tenant
    }

    fn now(&self) -> DateTime<Utc> {
        self.now
    }

    async fn plan_anew(&mut self) -> Result<(), StoreError> {
        if self.plans == Plans::Kept {
            sqlx::raw_sql("set local plan_cache_mode = auto").execute(self.connection()?).await?;
            self.plans = Plans::Anew;
        }
        Ok(())
    }

    fn definitions(&mut self) -> &mut dyn DefinitionRepository {
        self
    }

    fn instances(&mut self) -> &mut dyn InstanceRepository {
        self
    }

    fn stages(&mut self) -> &mut dyn StageRepository {
        self
    }

    fn stage_updates(&mut self) -> &mut dyn StageUpdateRepository {
        self
    }

    fn reviewer_lists(&mut self) -> &mut dyn ReviewerListRepository {
        self
    }

    fn reviewers(&mut self) -> &mut dyn ReviewerRepository {
        self
    }

    fn items(&mut self) -> &mut dyn ItemRepository {
        self
    }

    fn decisions(&mut self) -> &mut dyn DecisionRepository {
        self
    }

    fn apply(&mut self) -> &mut dyn ApplyRepository {
        self
    }

    fn bulk_decisions(&mut self) -> &mut dyn BulkDecisionRepository {
        self
    }

    fn directory(&mut self) -> &mut dyn DirectoryRepository {
        self
    }

    fn events(&mut self) -> &mut dyn EventRepository {
        self
    }

    fn jobs(&mut self) -> &mut dyn JobRepository {
        self
    }

    fn first_answers(&mut self) -> &mut dyn FirstAnswerRepository {
        self
    }

    fn tenants(&mut self) -> &mut dyn TenantRepository {
        self
    }

    fn history(&mut self) -> &mut dyn HistoryRepository {
        self
    }

    fn issuers(&mut self) -> &mut dyn IssuerRepository {
        self
    }

    fn callers(&mut self) -> &mut dyn CallerRepository {
        self
    }

    fn occurrences(&mut self) -> &mut dyn OccurrenceRepository {
        self
    }

    fn definition_updates(&mut self) -> &mut dyn DefinitionUpdateRepository {
        self
    }

    fn reminders(&mut self) -> &mut dyn ReminderRepository {
        self
    }

    fn contacted_reviewers(&mut self) -> &mut dyn ContactedReviewerRepository {
        self
    }

    fn review_steps(&mut self) -> &mut dyn ReviewStepRepository {
        self
    }

    fn review_settings(&mut self) -> &mut dyn ReviewSettingsRepository {
        self
    }

    fn mail(&mut self) -> &mut dyn MailRepository {
        self
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.transaction.commit().await
    }

    async fn commit_unwaited(self: Box<Self>) -> Result<(), StoreError> {
        self.transaction.commit_unwaited().await
    }
}

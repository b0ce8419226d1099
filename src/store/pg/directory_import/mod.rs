//! The import on PostgreSQL: binary copy into temporary tables, then a fixed number of set-wise statements.
//!
//! `copy` into a table under row-level security is refused, and a temporary table has none. What it costs is a right of the
//! service's role that databases give to everybody unless it was taken away: `temporary`.

mod copy_buffer;
mod lists;
mod staging;
mod statements;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Row, Transaction, postgres::PgRow};
use uuid::Uuid;

use self::{lists::ListStatements, staging::Staging};
use crate::{
    domain::{
        directory::ObjectKind,
        ids::{ObjectId, TenantId},
    },
    store::{
        StoreError,
        directory_import::{
            Conflict, DirectoryImport, DirectoryImportStore, ImportReport, ListCounts, NumberedRecord, ObjectCounts,
        },
    },
};

/// From so many staged rows on, looking up each by itself is never the best plan, whatever the planner believes.
const MANY_ROWS: u64 = 20_000;

/// Imports into PostgreSQL.
#[derive(Clone, Debug)]
pub struct PgDirectoryImport {
    /// Where connections come from. Whoever they belong to must be allowed to become `attestry_service`.
    pub pool: PgPool,
}

#[async_trait]
impl DirectoryImportStore for PgDirectoryImport {
    async fn begin_import(&self, tenant: TenantId) -> Result<Option<Box<dyn DirectoryImport>>, StoreError> {
        begin(&self.pool, tenant).await.map_err(StoreError::from)
    }
}

async fn begin(pool: &PgPool, tenant: TenantId) -> Result<Option<Box<dyn DirectoryImport>>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    // an import takes as long as its source and its size ask for
    let settings = format!(
        "set local role attestry_service;
         set local attestry.tenant = '{tenant}';
         set local statement_timeout = 0;
         set local lock_timeout = 0;
         set local idle_in_transaction_session_timeout = 0;
         set local work_mem = '64MB';
         set local jit = off;"
    );
    sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut *transaction).await?;
    let known = sqlx::query("select from tenants where tenant_id = $1").bind(tenant.as_uuid());
    if known.fetch_optional(&mut *transaction).await?.is_none() {
        return Ok(None);
    }
    sqlx::raw_sql(statements::CREATE_STAGING).execute(&mut *transaction).await?;
    let tenant = tenant.as_uuid();
    Ok(Some(Box::new(Import { pool: pool.clone(), transaction, tenant, staging: Staging::new(), is_large: false })))
}

/// Tells the planner what the directory looks like now; by itself that would come minutes later.
async fn refresh_statistics(pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::raw_sql("set local role attestry_service; set local statement_timeout = 0; set local lock_timeout = '10s'")
        .execute(&mut *transaction)
        .await?;
    sqlx::raw_sql("select analyze_directory()").execute(&mut *transaction).await?;
    transaction.commit().await
}

struct Import {
    pool: PgPool,
    transaction: Transaction<'static, Postgres>,
    tenant: Uuid,
    staging: Staging,
    /// [`MANY_ROWS`] or more were staged.
    is_large: bool,
}

#[async_trait]
impl DirectoryImport for Import {
    async fn stage(&mut self, records: &[NumberedRecord]) -> Result<(), StoreError> {
        let connection = &mut *self.transaction;
        for NumberedRecord { line, record } in records {
            self.staging.record(connection, *line, record).await.map_err(StoreError::from)?;
        }
        Ok(())
    }

    async fn close_staging(&mut self) -> Result<(), StoreError> {
        self.close().await.map_err(StoreError::from)
    }

    async fn id_conflicts(&mut self, limit: u32) -> Result<Vec<Conflict>, StoreError> {
        self.find_id_conflicts(limit).await.map_err(StoreError::from)
    }

    async fn conflicts(&mut self, limit: u32) -> Result<Vec<Conflict>, StoreError> {
        self.find_conflicts(limit).await.map_err(StoreError::from)
    }

    async fn manager_edges(&mut self) -> Result<Vec<(ObjectId, ObjectId)>, StoreError> {
        self.find_manager_edges().await.map_err(StoreError::from)
    }

    async fn apply(&mut self) -> Result<ImportReport, StoreError> {
        self.write().await.map_err(StoreError::from)
    }

    async fn commit(mut self: Box<Self>, report: &ImportReport) -> Result<(), StoreError> {
        let event = sqlx::query(statements::APPEND_EVENT)
            .bind(self.tenant)
            .bind(ObjectId::NOBODY.as_uuid())
            .bind(sqlx::types::Json(report));
        event.execute(&mut *self.transaction).await.map_err(StoreError::from)?;
        self.transaction.commit().await.map_err(StoreError::from)?;
        if self.is_large {
            // The import is done whatever becomes of this.
            let _refreshed = refresh_statistics(&self.pool).await;
        }
        Ok(())
    }
}

impl Import {
    async fn close(&mut self) -> Result<(), sqlx::Error> {
        let connection = &mut *self.transaction;
        let rows = self.staging.send_all(connection).await?;
        self.is_large = rows >= MANY_ROWS;
        if self.is_large {
            sqlx::raw_sql("set local enable_nestloop = off").execute(&mut *connection).await?;
        }
        sqlx::raw_sql(statements::INDEX_STAGING).execute(&mut *connection).await?;
        // a statement of its own: what other imports committed meanwhile is visible only to statements after the wait
        sqlx::query(statements::LOCK_TENANT).bind(self.tenant).execute(&mut *connection).await?;
        Ok(())
    }

    async fn find_id_conflicts(&mut self, limit: u32) -> Result<Vec<Conflict>, sqlx::Error> {
        let limit = i64::from(limit);
        let same = sqlx::query(statements::SAME_ID).bind(limit);
        let mut conflicts = self
            .collect(same, |row| {
                Ok(Conflict::SameId {
                    line: line(row, "line")?,
                    earlier: line(row, "earlier")?,
                    id: object_id(row, "id")?,
                })
            })
            .await?;
        let other = sqlx::query(statements::OTHER_KIND).bind(self.tenant).bind(limit);
        conflicts.extend(
            self.collect(other, |row| {
                Ok(Conflict::OtherKind {
                    line: line(row, "line")?,
                    id: object_id(row, "id")?,
                    told: kind(row.try_get("kind")?)?,
                    stored: kind(row.try_get("stored_kind")?)?,
                })
            })
            .await?,
        );
        Ok(first(conflicts, limit))
    }

    async fn find_conflicts(&mut self, limit: u32) -> Result<Vec<Conflict>, sqlx::Error> {
        let limit = i64::from(limit);
        sqlx::query(statements::FIND_REFERENCES).bind(self.tenant).execute(&mut *self.transaction).await?;
        sqlx::raw_sql(statements::INDEX_REFERENCES).execute(&mut *self.transaction).await?;

        let required = sqlx::query(statements::REQUIRED).bind(self.tenant).bind(limit);
        let mut conflicts = self
            .collect(required, |row| {
                Ok(Conflict::Required {
                    line: line(row, "line")?,
                    id: object_id(row, "id")?,
                    property: row.try_get("property")?,
                })
            })
            .await?;
        let references = sqlx::query(statements::BAD_REFERENCES).bind(limit);
        conflicts.extend(
            self.collect(references, |row| {
                let (line, property, id) = (line(row, "line")?, row.try_get("property")?, object_id(row, "id")?);
                Ok(match row.try_get::<Option<&str>, _>("kind")? {
                    None => Conflict::UnknownReference { line, property, id },
                    Some(found) => Conflict::WrongKind { line, property, id, found: kind(found)? },
                })
            })
            .await?,
        );
        let policies = sqlx::query(statements::UNKNOWN_POLICY).bind(self.tenant).bind(limit);
        conflicts.extend(
            self.collect(policies, |row| {
                Ok(Conflict::UnknownPolicy { line: line(row, "line")?, policy: object_id(row, "policy_id")? })
            })
            .await?,
        );
        let same_name = sqlx::query(statements::SAME_USER_PRINCIPAL_NAME).bind(limit);
        conflicts.extend(
            self.collect(same_name, |row| {
                Ok(Conflict::SameUserPrincipalName {
                    line: line(row, "line")?,
                    earlier: line(row, "earlier")?,
                    name: row.try_get("user_principal_name")?,
                })
            })
            .await?,
        );
        let taken = sqlx::query(statements::USER_PRINCIPAL_NAME_TAKEN).bind(self.tenant).bind(limit);
        conflicts.extend(
            self.collect(taken, |row| {
                Ok(Conflict::UserPrincipalNameTaken {
                    line: line(row, "line")?,
                    name: row.try_get("user_principal_name")?,
                    holder: object_id(row, "user_id")?,
                })
            })
            .await?,
        );
        Ok(first(conflicts, limit))
    }

    async fn collect(
        &mut self,
        query: sqlx::query::Query<'_, Postgres, sqlx::postgres::PgArguments>,
        conflict: fn(&PgRow) -> Result<Conflict, sqlx::Error>,
    ) -> Result<Vec<Conflict>, sqlx::Error> {
        query.fetch_all(&mut *self.transaction).await?.iter().map(conflict).collect()
    }

    async fn find_manager_edges(&mut self) -> Result<Vec<(ObjectId, ObjectId)>, sqlx::Error> {
        let mut edges = Vec::new();
        let mut rows = sqlx::query(statements::MANAGER_EDGES).bind(self.tenant).fetch(&mut *self.transaction);
        while let Some(row) = rows.try_next().await? {
            edges.push((object_id(&row, "user_id")?, object_id(&row, "manager_id")?));
        }
        Ok(edges)
    }

    async fn write(&mut self) -> Result<ImportReport, sqlx::Error> {
        let told = sqlx::query(statements::COUNT_STAGED).fetch_one(&mut *self.transaction).await?;
        let objects = async |this: &mut Self, name: &str, update, insert| {
            let updated = this.run(update).await?;
            let inserted = this.run(insert).await?;
            Ok::<_, sqlx::Error>(ObjectCounts { told: line(&told, name)?, inserted, updated })
        };
        let list = async |this: &mut Self, name: &str, list: ListStatements| {
            let removed = this.run(list.remove).await?;
            let added = this.run(list.add).await?;
            Ok::<_, sqlx::Error>(ListCounts { told: line(&told, name)?, added, removed })
        };

        self.run(statements::PARK_USER_PRINCIPAL_NAMES).await?;
        Ok(ImportReport {
            users: objects(self, "users", statements::UPDATE_USERS, statements::INSERT_USERS).await?,
            groups: objects(self, "groups", statements::UPDATE_GROUPS, statements::INSERT_GROUPS).await?,
            service_principals: objects(
                self,
                "service_principals",
                statements::UPDATE_SERVICE_PRINCIPALS,
                statements::INSERT_SERVICE_PRINCIPALS,
            )
            .await?,
            directory_roles: objects(
                self,
                "directory_roles",
                statements::UPDATE_DIRECTORY_ROLES,
                statements::INSERT_DIRECTORY_ROLES,
            )
            .await?,
            access_packages: objects(
                self,
                "access_packages",
                statements::UPDATE_ACCESS_PACKAGES,
                statements::INSERT_ACCESS_PACKAGES,
            )
            .await?,
            user_sponsors: list(self, "user_sponsors", lists::USER_SPONSORS).await?,
            group_members: list(self, "group_members", lists::GROUP_MEMBERS).await?,
            group_owners: list(self, "group_owners", lists::GROUP_OWNERS).await?,
            group_eligible_owners: list(self, "group_eligible_owners", lists::GROUP_ELIGIBLE_OWNERS).await?,
            service_principal_owners: list(self, "service_principal_owners", lists::SERVICE_PRINCIPAL_OWNERS).await?,
            app_role_assignments: list(self, "app_role_assignments", lists::ASSIGNMENTS).await?,
            application_sign_ins: list(self, "application_sign_ins", lists::APPLICATION_SIGN_INS).await?,
            role_members: list(self, "role_members", lists::ROLE_MEMBERS).await?,
            role_eligible_members: list(self, "role_eligible_members", lists::ELIGIBLE_MEMBERS).await?,
            app_roles: list(self, "app_roles", lists::APP_ROLES).await?,
            shared_channels: list(self, "shared_channels", lists::SHARED_CHANNELS).await?,
            shared_channel_members: list(self, "shared_channel_members", lists::CHANNEL_MEMBERS).await?,
            access_package_policies: list(self, "access_package_policies", lists::POLICIES).await?,
            access_package_assignments: list(self, "access_package_assignments", lists::PACKAGE_ASSIGNMENTS).await?,
        })
    }

    /// Runs a statement whose only parameter is the tenant; answers how many rows it touched.
    async fn run(&mut self, statement: &'static str) -> Result<u64, sqlx::Error> {
        Ok(sqlx::query(statement).bind(self.tenant).execute(&mut *self.transaction).await?.rows_affected())
    }
}

fn first(mut conflicts: Vec<Conflict>, limit: i64) -> Vec<Conflict> {
    // stable: conflicts of one line stay in the order of the checks
    conflicts.sort_by_key(Conflict::line);
    conflicts.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    conflicts
}

/// A line number or a count: never negative.
fn line(row: &PgRow, column: &str) -> Result<u64, sqlx::Error> {
    row.try_get::<i64, _>(column).map(i64::unsigned_abs)
}

fn object_id(row: &PgRow, column: &str) -> Result<ObjectId, sqlx::Error> {
    row.try_get(column).map(ObjectId::new)
}

fn kind(name: &str) -> Result<ObjectKind, sqlx::Error> {
    ObjectKind::from_name(name).ok_or_else(|| sqlx::Error::Decode(format!("{name} is no kind of object").into()))
}

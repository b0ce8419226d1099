//! The import on PostgreSQL: binary copy into temporary tables, then a fixed number of set-wise statements.
//!
//! `copy` into a table under row-level security is refused, and a temporary table has none. What it costs is a right of the
//! service's role that databases give to everybody unless it was taken away: `temporary`.

mod copy_buffer;
mod statements;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Row, Transaction, postgres::PgRow};
use uuid::Uuid;

use self::copy_buffer::CopyBuffer;
use crate::{
    domain::{
        directory::{
            AppRoleAssignment, DirectoryRecord, DirectoryRoleRecord, GroupRecord, ObjectKind, ServicePrincipalRecord,
            SignIn, UserRecord,
        },
        ids::{ObjectId, TenantId},
    },
    store::{
        StoreError,
        directory_import::{
            Conflict, DirectoryImport, DirectoryImportStore, ImportReport, ListCounts, NumberedRecord, ObjectCounts,
        },
    },
};

/// So many entries of a list are buffered between two looks at how full the buffer is.
const ENTRIES_AT_ONCE: usize = 10_000;
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
    Ok(Some(Box::new(Import { transaction, tenant: tenant.as_uuid(), staging: Staging::new() })))
}

struct Import {
    transaction: Transaction<'static, Postgres>,
    tenant: Uuid,
    staging: Staging,
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
        self.transaction.commit().await.map_err(StoreError::from)
    }
}

impl Import {
    async fn close(&mut self) -> Result<(), sqlx::Error> {
        let connection = &mut *self.transaction;
        let rows = self.staging.send_all(connection).await?;
        if rows >= MANY_ROWS {
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
        let list = async |this: &mut Self, name: &str, list: statements::ListStatements| {
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
            group_members: list(self, "group_members", statements::GROUP_MEMBERS).await?,
            group_owners: list(self, "group_owners", statements::GROUP_OWNERS).await?,
            service_principal_owners: list(self, "service_principal_owners", statements::SERVICE_PRINCIPAL_OWNERS)
                .await?,
            app_role_assignments: list(self, "app_role_assignments", statements::ASSIGNMENTS).await?,
            role_members: list(self, "role_members", statements::ROLE_MEMBERS).await?,
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

/// One buffer per staging table.
struct Staging {
    objects: CopyBuffer,
    users: CopyBuffer,
    groups: CopyBuffer,
    service_principals: CopyBuffer,
    directory_roles: CopyBuffer,
    group_members: CopyBuffer,
    group_owners: CopyBuffer,
    service_principal_owners: CopyBuffer,
    role_members: CopyBuffer,
    assignments: CopyBuffer,
}

impl Staging {
    const fn new() -> Self {
        Self {
            objects: CopyBuffer::new(statements::COPY_OBJECTS, 3),
            users: CopyBuffer::new(statements::COPY_USERS, 20),
            groups: CopyBuffer::new(statements::COPY_GROUPS, 9),
            service_principals: CopyBuffer::new(statements::COPY_SERVICE_PRINCIPALS, 7),
            directory_roles: CopyBuffer::new(statements::COPY_DIRECTORY_ROLES, 6),
            group_members: CopyBuffer::new(statements::COPY_GROUP_MEMBERS, 2),
            group_owners: CopyBuffer::new(statements::COPY_GROUP_OWNERS, 2),
            service_principal_owners: CopyBuffer::new(statements::COPY_SERVICE_PRINCIPAL_OWNERS, 2),
            role_members: CopyBuffer::new(statements::COPY_ROLE_MEMBERS, 2),
            assignments: CopyBuffer::new(statements::COPY_ASSIGNMENTS, 4),
        }
    }

    /// Sends what is left; answers how many rows were staged altogether.
    async fn send_all(&mut self, connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
        let mut rows = 0;
        for buffer in [
            &mut self.objects,
            &mut self.users,
            &mut self.groups,
            &mut self.service_principals,
            &mut self.directory_roles,
            &mut self.group_members,
            &mut self.group_owners,
            &mut self.service_principal_owners,
            &mut self.role_members,
            &mut self.assignments,
        ] {
            buffer.send(connection).await?;
            rows += buffer.rows();
        }
        Ok(rows)
    }

    async fn record(
        &mut self,
        connection: &mut PgConnection,
        line: u64,
        record: &DirectoryRecord,
    ) -> Result<(), sqlx::Error> {
        self.objects.row().number(line).uuid(record.id().as_uuid()).text(record.kind().name());
        self.objects.send_if_full(connection).await?;
        match record {
            DirectoryRecord::User(user) => self.user(connection, line, user).await,
            DirectoryRecord::Group(group) => self.group(connection, line, group).await,
            DirectoryRecord::ServicePrincipal(service_principal) => {
                self.service_principal(connection, line, service_principal).await
            }
            DirectoryRecord::DirectoryRole(role) => self.directory_role(connection, line, role).await,
        }
    }

    async fn user(&mut self, connection: &mut PgConnection, line: u64, user: &UserRecord) -> Result<(), sqlx::Error> {
        let (sign_in_known, last_sign_in_at) = match user.sign_in {
            None => (None, None),
            Some(SignIn::Unknown) => (Some(false), None),
            Some(SignIn::Never) => (Some(true), None),
            Some(SignIn::At(at)) => (Some(true), Some(at)),
        };
        self.users
            .row()
            .number(line)
            .uuid(user.id.as_uuid())
            .text_or_null(user.user_principal_name.as_deref())
            .text_or_null(user.display_name.as_deref())
            .flag(user.mail.is_told())
            .text_or_null(user.mail.value().map(String::as_str))
            .text_or_null(user.user_type.map(|user_type| user_type.name()))
            .flag_or_null(user.account_enabled)
            .flag(user.department.is_told())
            .text_or_null(user.department.value().map(String::as_str))
            .flag(user.job_title.is_told())
            .text_or_null(user.job_title.value().map(String::as_str))
            .flag(user.country.is_told())
            .text_or_null(user.country.value().map(String::as_str))
            .flag(user.manager.is_told())
            .uuid_or_null(user.manager.value().map(|manager| manager.as_uuid()))
            .flag(user.created_at.is_told())
            .moment_or_null(user.created_at.value().copied())
            .flag_or_null(sign_in_known)
            .moment_or_null(last_sign_in_at);
        self.users.send_if_full(connection).await
    }

    async fn group(
        &mut self,
        connection: &mut PgConnection,
        line: u64,
        group: &GroupRecord,
    ) -> Result<(), sqlx::Error> {
        self.groups
            .row()
            .number(line)
            .uuid(group.id.as_uuid())
            .text_or_null(group.display_name.as_deref())
            .texts_or_null(group.group_types.as_deref())
            .texts_or_null(group.resource_provisioning_options.as_deref())
            .flag_or_null(group.is_assignable_to_role)
            .flag_or_null(group.on_premises_sync_enabled)
            .flag(group.members.is_some())
            .flag(group.owners.is_some());
        self.groups.send_if_full(connection).await?;
        entries(&mut self.group_members, connection, group.id, group.members.as_deref()).await?;
        entries(&mut self.group_owners, connection, group.id, group.owners.as_deref()).await
    }

    async fn service_principal(
        &mut self,
        connection: &mut PgConnection,
        line: u64,
        told: &ServicePrincipalRecord,
    ) -> Result<(), sqlx::Error> {
        self.service_principals
            .row()
            .number(line)
            .uuid(told.id.as_uuid())
            .flag(told.app_id.is_told())
            .uuid_or_null(told.app_id.value().map(|app_id| app_id.as_uuid()))
            .text_or_null(told.display_name.as_deref())
            .flag(told.owners.is_some())
            .flag(told.app_role_assigned_to.is_some());
        self.service_principals.send_if_full(connection).await?;
        entries(&mut self.service_principal_owners, connection, told.id, told.owners.as_deref()).await?;
        for assignments in told.app_role_assigned_to.as_deref().unwrap_or_default().chunks(ENTRIES_AT_ONCE) {
            for AppRoleAssignment { id, principal_id, app_role_id } in assignments {
                self.assignments
                    .row()
                    .uuid(told.id.as_uuid())
                    .text(id)
                    .uuid(principal_id.as_uuid())
                    .uuid(app_role_id.as_uuid());
            }
            self.assignments.send_if_full(connection).await?;
        }
        Ok(())
    }

    async fn directory_role(
        &mut self,
        connection: &mut PgConnection,
        line: u64,
        role: &DirectoryRoleRecord,
    ) -> Result<(), sqlx::Error> {
        self.directory_roles
            .row()
            .number(line)
            .uuid(role.id.as_uuid())
            .flag(role.role_template_id.is_told())
            .uuid_or_null(role.role_template_id.value().map(|role_template_id| role_template_id.as_uuid()))
            .text_or_null(role.display_name.as_deref())
            .flag(role.members.is_some());
        self.directory_roles.send_if_full(connection).await?;
        entries(&mut self.role_members, connection, role.id, role.members.as_deref()).await
    }
}

async fn entries(
    buffer: &mut CopyBuffer,
    connection: &mut PgConnection,
    object: ObjectId,
    entries: Option<&[ObjectId]>,
) -> Result<(), sqlx::Error> {
    for some in entries.unwrap_or_default().chunks(ENTRIES_AT_ONCE) {
        for entry in some {
            buffer.row().uuid(object.as_uuid()).uuid(entry.as_uuid());
        }
        buffer.send_if_full(connection).await?;
    }
    Ok(())
}

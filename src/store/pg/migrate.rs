//! Migrations: refinery's files over a sqlx connection, one runner at a time.

use std::time::Duration;

use refinery_core::{
    Migration, Runner,
    traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::store::{Readiness, StoreError};

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Any number; every runner takes this lock, so two never work at once.
const LOCK: i64 = 0x6174_7465_7374;

/// The newest migration compiled in.
pub fn wanted_version() -> u32 {
    embedded::migrations::runner()
        .get_migrations()
        .iter()
        .filter_map(|migration| u32::try_from(migration.version()).ok())
        .max()
        .unwrap_or_default()
}

/// Why migrating failed.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("the database could not be reached")]
    Database(#[from] sqlx::Error),
    #[error("a migration failed")]
    Migration(#[from] refinery_core::Error),
    #[error("the database has schema version {found}, this program knows only up to {wanted}; use a newer program")]
    Newer { found: u32, wanted: u32 },
}

/// Applies what is missing and returns how many migrations that were. Runs as whoever `url` names: the owner of the tables.
pub async fn apply(url: &str) -> Result<usize, MigrateError> {
    let mut connection = PgConnection::connect(url).await?;
    // A lock that waits would hold a snapshot open against `create index concurrently`; so ask again and again instead.
    while !sqlx::query_scalar::<_, bool>("select pg_try_advisory_lock($1)")
        .bind(LOCK)
        .fetch_one(&mut connection)
        .await?
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if let Some(found) = applied_version(&mut connection).await?
        && found > wanted_version()
    {
        return Err(MigrateError::Newer { found, wanted: wanted_version() });
    }
    let runner: Runner = embedded::migrations::runner();
    let report = runner.run_async(&mut Session(&mut connection)).await?;
    // refinery makes this table by itself; readiness asks it as the service.
    sqlx::raw_sql("grant select on public.refinery_schema_history to attestry_service")
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(report.applied_migrations().len())
}

/// Whether the schema is the one compiled in.
pub(super) async fn readiness(connection: &mut PgConnection) -> Result<Readiness, StoreError> {
    let wanted = wanted_version();
    let found = applied_version(connection).await?.unwrap_or_default();
    Ok(if found == wanted { Readiness::Ready } else { Readiness::SchemaMismatch { found, wanted } })
}

/// What to make of an error of connecting: where nothing was ever migrated there is no role that the service could work as, which
/// the first migration makes.
///
/// # Errors
/// Any other error, as it is.
pub(super) fn readiness_without_connection(error: StoreError) -> Result<Readiness, StoreError> {
    let is_missing = |error: &sqlx::Error| {
        // invalid_parameter_value, of `set role`
        error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "22023")
    };
    match &error {
        StoreError::Other(cause) if cause.downcast_ref().is_some_and(is_missing) => {
            Ok(Readiness::SchemaMismatch { found: 0, wanted: wanted_version() })
        }
        _ => Err(error),
    }
}

async fn applied_version(connection: &mut PgConnection) -> Result<Option<u32>, sqlx::Error> {
    let exists = sqlx::query_scalar::<_, bool>("select to_regclass('public.refinery_schema_history') is not null")
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        return Ok(None);
    }
    let version =
        sqlx::query_scalar::<_, Option<i32>>("select max(version)::integer from public.refinery_schema_history")
            .fetch_one(connection)
            .await?;
    Ok(version.and_then(|version| u32::try_from(version).ok()))
}

/// refinery's idea of a database, over one sqlx connection.
struct Session<'a>(&'a mut PgConnection);

impl AsyncTransaction for Session<'_> {
    type Error = sqlx::Error;

    async fn execute<'a, T: Iterator<Item = &'a str> + Send + 'a>(
        &'a mut self,
        queries: T,
    ) -> Result<usize, Self::Error> {
        let mut transaction = self.0.begin().await?;
        let mut count = 0;
        for query in queries {
            sqlx::raw_sql(AssertSqlSafe(query.to_owned())).execute(&mut *transaction).await?;
            count += 1;
        }
        transaction.commit().await?;
        Ok(count)
    }
}

impl AsyncQuery<Vec<Migration>> for Session<'_> {
    async fn query<'a>(&'a mut self, query: &'a str) -> Result<Vec<Migration>, Self::Error> {
        let rows = sqlx::raw_sql(AssertSqlSafe(query.to_owned())).fetch_all(&mut *self.0).await?;
        rows.into_iter()
            .map(|row| {
                let applied_on = OffsetDateTime::parse(row.try_get("applied_on")?, &Rfc3339)
                    .map_err(|error| sqlx::Error::Decode(error.into()))?;
                let checksum = row
                    .try_get::<String, _>("checksum")?
                    .parse()
                    .map_err(|error: std::num::ParseIntError| sqlx::Error::Decode(error.into()))?;
                Ok(Migration::applied(row.try_get("version")?, row.try_get("name")?, applied_on, checksum))
            })
            .collect()
    }
}

impl AsyncMigrate for Session<'_> {}

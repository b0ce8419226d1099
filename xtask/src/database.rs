//! A database with the schema of `migrations/`, on a private cluster that is thrown away.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::local_postgres::{LocalPostgres, Options, join_or_start};
use crate::repository;

/// A cluster with one migrated database.
pub struct Migrated {
    cluster: LocalPostgres,
    /// Removed when the value is dropped, after the cluster has been released.
    _temporary: Option<TempDir>,
    url: String,
}

impl Migrated {
    /// Starts a cluster in `directory`, or in a temporary one, and applies every migration to a new database in it.
    pub async fn start(directory: Option<PathBuf>) -> anyhow::Result<Self> {
        let temporary = if directory.is_none() { Some(passable_temporary_directory()?) } else { None };
        let directory = directory.or_else(|| temporary.as_ref().map(|temporary| temporary.path().to_owned()));
        let directory = directory.context("neither a directory nor a temporary one")?;
        let options = Options { linger: Duration::ZERO, ..Options::throwaway(directory) };
        let cluster = tokio::task::spawn_blocking(move || join_or_start(&options)).await??;

        let mut connection = PgConnection::connect(&cluster.url("postgres")).await?;
        connection.execute("create database attestry").await.context("is this cluster in use already?")?;
        connection.close().await?;
        let url = cluster.url("attestry");
        migrate(&url).await?;
        Ok(Self { cluster, _temporary: temporary, url })
    }

    /// The address of the database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops the cluster and removes what was temporary.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Self { cluster, _temporary, .. } = self;
        tokio::task::spawn_blocking(move || cluster.release()).await??;
        Ok(())
    }
}

/// `cargo xtask database`
pub async fn keep(directory: Option<PathBuf>) -> anyhow::Result<()> {
    let database = Migrated::start(directory).await?;
    println!("DATABASE_URL={}", database.url());
    eprintln!("Stops with Ctrl-C.");
    tokio::signal::ctrl_c().await?;
    database.stop().await
}

/// Applies the files of `migrations/` in the order of their numbers, each in a transaction.
async fn migrate(url: &str) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    for (_, file) in migrations()? {
        let text = std::fs::read_to_string(&file)?;
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(AssertSqlSafe(text))
            .execute(&mut *transaction)
            .await
            .with_context(|| format!("applying {}", file.display()))?;
        transaction.commit().await?;
    }
    connection.close().await?;
    Ok(())
}

fn migrations() -> anyhow::Result<Vec<(u32, PathBuf)>> {
    let mut migrations = Vec::new();
    for entry in std::fs::read_dir(repository().join("migrations"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name.strip_prefix('V').and_then(|rest| rest.split_once("__")).map(|(number, _)| number.parse());
        let Some(Ok(number)) = number else {
            bail!("{} is not named like a migration: V0001__name.sql", path.display())
        };
        migrations.push((number, path));
    }
    migrations.sort();
    Ok(migrations)
}

/// The account that runs PostgreSQL may be another than ours and must get through.
fn passable_temporary_directory() -> anyhow::Result<TempDir> {
    let directory = tempfile::Builder::new().prefix("attestry-").tempdir()?;
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o711))?;
    Ok(directory)
}

//! The private PostgreSQL cluster that everything is measured on: durable, as in production.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, ensure};
use attestry::local_postgres::{self, LocalPostgres, Options};
use sqlx::{Connection, PgConnection};

/// What is not PostgreSQL's default. Everything that makes a commit durable is said, although it is the default.
const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "30min"),
    ("max_connections", "300"),
    ("maintenance_work_mem", "256MB"),
    ("track_io_timing", "off"),
];

/// All that is not default: [`SETTINGS`], and as much of this machine's memory for pages as PostgreSQL's documentation begins with.
fn settings() -> Vec<(String, String)> {
    let settings = SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    settings.chain([("shared_buffers".to_owned(), format!("{}MB", quarter_of_memory()))]).collect()
}

/// In MB; 1 GB where the kernel does not tell.
fn quarter_of_memory() -> u64 {
    let told = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes =
        told.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().trim_end_matches(" kB").parse().ok());
    kilobytes.map_or(1024, |kilobytes: u64| kilobytes / 4 / 1024)
}

/// A running cluster.
pub struct Cluster {
    postgres: Option<LocalPostgres>,
    /// The process that all server processes are children of.
    pub postmaster: u32,
    /// Where `postgres` was started from, with `pgbench` beside it.
    programs: PathBuf,
    /// Removed when the cluster has stopped; `None` when it is to be kept.
    temporary: Option<tempfile::TempDir>,
}

impl Cluster {
    /// Starts a cluster in `directory`, to be kept, or in a fresh one that goes with the cluster.
    pub fn start(directory: Option<&Path>) -> anyhow::Result<Self> {
        let temporary = match directory {
            Some(_) => None,
            None => {
                use std::os::unix::fs::PermissionsExt;
                // The account that runs PostgreSQL may be another than ours.
                let mode = std::fs::Permissions::from_mode(0o755);
                Some(tempfile::Builder::new().prefix("attestry-bench-").permissions(mode).tempdir()?)
            }
        };
        let place = temporary.as_ref().map(tempfile::TempDir::path).or(directory).context("a directory")?;
        let mut options = Options::durable(place.join("cluster"));
        options.settings = settings();
        let postgres = local_postgres::join_or_start(&options)?;
        let pid = postgres.directory().join("data/postmaster.pid");
        let text = std::fs::read_to_string(&pid).with_context(|| format!("reading {}", pid.display()))?;
        let postmaster = text.lines().next().unwrap_or_default().trim().parse().context("the postmaster's number")?;
        let program = std::fs::read_link(format!("/proc/{postmaster}/exe")).context("the server's program")?;
        let programs = program.parent().context("the directory of the server's program")?.to_owned();
        Ok(Self { postgres: Some(postgres), postmaster, programs, temporary })
    }

    /// The settings in one line, for the report.
    pub fn settings(&self) -> String {
        settings().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    /// A program of the server's version, such as `pgbench`.
    pub fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let program = self.programs.join(name);
        ensure!(program.is_file(), "there is no {name} beside the server in {}", self.programs.display());
        Ok(program)
    }

    fn running(&self) -> &LocalPostgres {
        self.postgres.as_ref().expect("the cluster runs until it is dropped")
    }

    /// The address of a database, as the superuser.
    pub fn url(&self, database: &str) -> String {
        self.running().url(database)
    }

    /// Where libpq finds the server.
    pub fn socket_directory(&self) -> &Path {
        self.running().socket_directory()
    }

    /// The server's files.
    pub fn data_directory(&self) -> PathBuf {
        self.running().directory().join("data")
    }

    /// Connects as the superuser, whom row-level security does not bind.
    pub async fn connect(&self, database: &str) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(&self.url(database)).await?)
    }

    /// Makes a database with the current schema; answers whether it was not there yet. A kept one is brought up to date.
    pub async fn make_database(&self, name: &str) -> anyhow::Result<bool> {
        let mut connection = self.connect("postgres").await?;
        let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await?;
        if !exists {
            let statement = format!("create database {name}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
        }
        let migrated = tokio::process::Command::new(env!("CARGO_BIN_EXE_attestry"))
            .arg("migrate")
            .env("ATTESTRY_DATABASE_URL", self.url(name))
            .stdin(Stdio::null())
            .output()
            .await?;
        ensure!(migrated.status.success(), "attestry migrate: {}", String::from_utf8_lossy(&migrated.stderr));
        Ok(!exists)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(postgres) = self.postgres.take()
            && let Err(error) = postgres.release()
        {
            eprintln!("the private PostgreSQL did not stop: {error}");
            // The directory of a server that may still run is left alone.
            if let Some(directory) = self.temporary.take() {
                let _kept = directory.keep();
            }
        }
    }
}

/// How long a server process may take to begin or to end.
pub const PATIENCE: Duration = Duration::from_secs(60);

//! One throw-away cluster for all test processes, and in it one migrated database per set of migrations.

use std::{path::PathBuf, sync::OnceLock};

use attestry::{
    local_postgres::{LocalPostgres, Options, join_or_start},
    store::pg::migrate,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

/// A migrated database.
#[derive(Clone)]
pub struct Database {
    /// As the owner of the tables.
    pub url: String,
}

/// Held until the process ends; the last one to go stops the server.
static CLUSTER: OnceLock<LocalPostgres> = OnceLock::new();

impl Database {
    /// The database that all tests share, each with a tenant of its own.
    pub async fn shared() -> Self {
        Self::named(&format!("attestry_{}", fingerprint())).await
    }

    /// A database nobody else uses, for tests that touch global state.
    pub async fn own() -> Self {
        let name = format!("attestry_own_{}", attestry::app::ids::tenant().as_uuid().simple());
        Self::named(&name).await
    }

    /// A database nobody else uses, in which the server's clock stands still for good: only tenants' own clocks move.
    ///
    /// Who connects with its address has names looked up in `standing` first, also those of the server's own functions.
    #[allow(dead_code, reason = "the histories use it")]
    pub async fn with_a_standing_clock(at: &str) -> Self {
        let database = Self::own().await;
        let functions: String = ["now", "clock_timestamp", "statement_timestamp", "transaction_timestamp"]
            .iter()
            .map(|function| {
                format!(
                    "create function standing.{function}() returns timestamptz language sql stable parallel safe
                     return timestamptz '{at}';"
                )
            })
            .collect();
        database
            .execute(&format!(
                "create schema standing;
                 grant usage on schema standing to attestry_service, attestry_worker;
                 {functions}"
            ))
            .await;
        Self { url: format!("{}?options=-c%20search_path%3Dstanding%2Cpublic%2Cpg_catalog", database.url) }
    }

    /// An empty database without migrations.
    pub async fn empty() -> Self {
        let name = format!("attestry_empty_{}", attestry::app::ids::tenant().as_uuid().simple());
        let cluster = cluster().await;
        create(&name).await;
        Self { url: cluster.url(&name) }
    }

    async fn named(name: &str) -> Self {
        let cluster = cluster().await;
        create(name).await;
        let url = cluster.url(name);
        migrate::apply(&url).await.unwrap();
        Self { url }
    }

    /// A pool as the owner, without the service's role.
    pub async fn pool(&self) -> PgPool {
        sqlx::postgres::PgPoolOptions::new().max_connections(4).connect(&self.url).await.unwrap()
    }

    /// One connection as the owner.
    pub async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// Runs a statement as the owner of the cluster, whom row-level security does not bind.
    pub async fn execute(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.connection().await).await.unwrap();
    }

    /// The JSON values of the column `row`.
    pub async fn rows(&self, sql: &str) -> Vec<Value> {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_all(&mut self.connection().await).await.unwrap()
    }
}

async fn cluster() -> &'static LocalPostgres {
    if let Some(cluster) = CLUSTER.get() {
        return cluster;
    }
    tokio::task::spawn_blocking(|| {
        CLUSTER.get_or_init(|| {
            let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("postgres");
            join_or_start(&Options::throwaway(directory)).unwrap()
        })
    })
    .await
    .unwrap()
}

/// Creates the database unless it is there; processes that come at once take turns.
async fn create(name: &str) {
    let mut connection = PgConnection::connect(&cluster().await.url("postgres")).await.unwrap();
    sqlx::raw_sql("select pg_advisory_lock(20260101)").execute(&mut connection).await.unwrap();
    let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    if !exists {
        sqlx::raw_sql(AssertSqlSafe(format!("create database {name} strategy file_copy")))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    sqlx::raw_sql("select pg_advisory_unlock(20260101)").execute(&mut connection).await.unwrap();
}

/// Other migrations, another database.
fn fingerprint() -> String {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        digest.update(file.file_name().unwrap().as_encoded_bytes());
        digest.update(std::fs::read(&file).unwrap());
    }
    digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

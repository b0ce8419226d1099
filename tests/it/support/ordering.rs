//! Races in an order that the test says, never by sleeping: a transaction of the test holds a lock, the service is seen to wait
//! for it, and only then the test lets go.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::Database;

/// Longer than anything here takes, shorter than anybody's patience.
const PATIENCE: Duration = Duration::from_secs(120);

/// A transaction of the test, as the owner of the tables, that stands in the way of others.
pub struct Blocker {
    connection: PgConnection,
    observer: PgConnection,
    pid: i32,
}

impl Blocker {
    /// Begins a transaction and runs `sql` in it, which is to take the lock.
    pub async fn hold(database: &Database, sql: &str) -> Self {
        let mut connection = database.connection().await;
        let pid = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut connection).await.unwrap();
        let mut blocker = Self { connection, observer: database.connection().await, pid };
        blocker.execute("begin").await;
        blocker.execute(sql).await;
        blocker
    }

    /// Writes a row of `decisions` without committing: whoever decides the same item waits.
    pub async fn hold_decision(database: &Database, tenant: &str, instance: &str, seq: i32) -> Self {
        Self::hold(
            database,
            &format!(
                "insert into decisions
                     (tenant_id, instance_id, ordinal, seq, decision, justification, decided_by_id, decided_by_name,
                      decided_by_user_principal_name, decided_at, moves_on)
                 values ('{tenant}', '{instance}', 1, {seq}, 'Deny', '', gen_random_uuid(), '', '', now(), false)"
            ),
        )
        .await
    }

    /// Runs a statement inside the transaction.
    pub async fn execute(&mut self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.connection).await.unwrap();
    }

    /// Returns once `count` other sessions wait for this transaction, directly or behind one another.
    #[track_caller]
    pub fn wait_until_blocked(&mut self, count: i64) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let began = Instant::now();
            loop {
                let waiting = self.waiting().await;
                if waiting == count {
                    return;
                }
                assert!(began.elapsed() < PATIENCE, "{waiting} instead of {count} wait for the lock, at {caller}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    async fn waiting(&mut self) -> i64 {
        sqlx::query_scalar(
            "with recursive waiting (pid) as (
                 select pid from pg_stat_activity where datname = current_database() and $1 = any(pg_blocking_pids(pid))
                  union
                 select behind.pid
                   from pg_stat_activity behind
                   join waiting on waiting.pid = any(pg_blocking_pids(behind.pid))
                  where behind.datname = current_database())
             select count(*) from waiting",
        )
        .bind(self.pid)
        .fetch_one(&mut self.observer)
        .await
        .unwrap()
    }

    /// Lets go without having changed anything.
    pub async fn rollback(mut self) {
        self.execute("rollback").await;
        self.connection.close().await.unwrap();
    }

    /// Lets go and keeps what it did.
    pub async fn commit(mut self) {
        self.execute("commit").await;
        self.connection.close().await.unwrap();
    }
}

/// Returns once `condition` holds.
#[track_caller]
pub fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let began = Instant::now();
        while !condition().await {
            assert!(began.elapsed() < PATIENCE, "it never came true that {what}, at {caller}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

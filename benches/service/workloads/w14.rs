//! W14: a thousand stages end in one second out of a hundred thousand that are to end some time, with three processes; and what those
//! processes take when nothing is due.

use std::time::{Duration, Instant};

use anyhow::ensure;
use async_trait::async_trait;

use super::{Bench, Workload};
use crate::{
    cluster::Cluster,
    ground::{Ground, Stages, review_body},
    processor::{Meter, of_process},
    report::{Figure, Outcome, at_most},
    service::Service,
};

const PROCESSES: usize = 3;
const TENANTS: u64 = 10_000;
const REVIEWS: u64 = 10;
const DUE: i64 = 1_000;
const MEMBERS: u64 = 12;
/// How long nothing is due.
const IDLE: Duration = Duration::from_secs(15);
/// The last transition must have been made by then.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct EndStages;

/// Many tenants with a few running reviews each: one tenant that the service filled, and copies of it.
async fn lay(cluster: &Cluster) -> anyhow::Result<Ground<'_>> {
    let mut ground = Ground::lay_tenant(cluster, "transitions".to_owned(), "timed", MEMBERS).await?;
    ground
        .once("reviews", async |ground| {
            for number in 1..=REVIEWS {
                ground.post_review(&review_body(&format!("review {number}"), Stages::One)).await?;
            }
            Ok(())
        })
        .await?;
    ground
        .once("copies", async |ground| {
            sqlx::raw_sql(include_str!("../ground/copy_tenant.function.sql")).execute(&mut ground.sql).await?;
            sqlx::query("select benchmark.copy_tenant($1, 'timed', $2)")
                .bind(ground.tenant)
                .bind(TENANTS as i64 - 1)
                .execute(&mut ground.sql)
                .await?;
            ground.settle().await
        })
        .await?;
    Ok(ground)
}

/// Milliseconds of processor time a second that the processes take when nothing is due, and the database for them.
struct IdleTime {
    each_process: f64,
    database: f64,
}

impl IdleTime {
    async fn take(ground: &Ground<'_>, processes: &[Service]) -> Self {
        let postgres = Meter { service: None, postmaster: ground.cluster.postmaster };
        let used = || processes.iter().map(|service| of_process(service.process())).sum::<Duration>();
        let (before, database, begun) = (used(), postgres.read(), Instant::now());
        tokio::time::sleep(IDLE).await;
        let (after, database) = (used(), postgres.read().since(database).postgres);
        let a_second = |time: Duration| time.as_secs_f64() * 1e3 / begun.elapsed().as_secs_f64();
        Self { each_process: a_second(after - before) / processes.len() as f64, database: a_second(database) }
    }

    /// What one process costs, with its share of the database's time.
    fn of_each(&self, processes: &[Service]) -> f64 {
        self.each_process + self.database / processes.len() as f64
    }
}

/// By how many seconds the transitions were late, from the least to the most.
async fn transitions(ground: &mut Ground<'_>) -> anyhow::Result<Vec<f64>> {
    sqlx::query(include_str!("../ground/due_soon.sql")).bind(DUE).execute(&mut ground.sql).await?;
    let deadline = Instant::now() + PATIENCE;
    // Asked of the few jobs that are due, so that looking takes nothing from those that are watched.
    while sqlx::query_scalar(include_str!("../ground/still_due.sql")).fetch_one(&mut ground.sql).await? {
        ensure!(Instant::now() < deadline, "the transitions are not made");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let lateness: Vec<f64> =
        sqlx::query_scalar(include_str!("../ground/lateness.sql")).fetch_all(&mut ground.sql).await?;
    ensure!(lateness.len() as i64 == DUE, "{} of {DUE} transitions were made", lateness.len());
    Ok(lateness)
}

#[async_trait(?Send)]
impl Workload for EndStages {
    fn number(&self) -> &'static str {
        "W14"
    }

    fn about(&self) -> &'static str {
        "1 000 stages end in one second out of 100 000 pending, three processes; and nothing is due"
    }

    fn is_sized(&self) -> bool {
        false
    }

    async fn load_apart(&self, cluster: &Cluster) -> anyhow::Result<()> {
        lay(cluster).await.map(|_| ())
    }

    async fn measure_apart(&self, bench: &Bench<'_>) -> anyhow::Result<Vec<Outcome>> {
        let mut ground = lay(bench.cluster).await?;
        let mut processes = Vec::new();
        for _ in 0..PROCESSES {
            processes.push(ground.service(&[]).await?);
        }
        let pending: i64 = sqlx::query_scalar("select count(*) from jobs where finished_at is null")
            .fetch_one(&mut ground.sql)
            .await?;
        let idle = IdleTime::take(&ground, &processes).await;
        let mut late = Vec::new();
        for _ in 0..bench.pace.pairs {
            ground.checkpoint().await?;
            late.extend(transitions(&mut ground).await?);
        }
        late.sort_by(f64::total_cmp);
        let at = |part: f64| late.get((late.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN);
        let size = u64::try_from(pending)?;
        Ok(vec![
            Outcome { service_seconds: Some(at(0.99)), ..Outcome::of(self.number(), size) }
                .variant("due")
                .bars(&[at_most(Figure::Seconds, 2.0)])
                .note(format!(
                    "late by {:.3} s at the median, {:.3} s at the 99th percentile, {:.3} s at most",
                    at(0.5),
                    at(0.99),
                    late.last().copied().unwrap_or(f64::NAN)
                )),
            Outcome { idle_ms: Some(idle.of_each(&processes)), ..Outcome::of(self.number(), size) }
                .variant("idle")
                .bars(&[at_most(Figure::Idle, 10.0)])
                .note(format!(
                    "{:.1} ms a second in each process, {:.1} in the database for all three",
                    idle.each_process, idle.database
                )),
        ])
    }
}

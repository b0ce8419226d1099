//! W2: reviewers decide items of their own, one by one, durably.

use anyhow::ensure;
use async_trait::async_trait;

use super::{Bench, Workload, reviewers::Reviewers};
use crate::{
    contest::Contest,
    floor::Floor,
    ground::{Ground, Stages},
    report::{Figure, Outcome, at_least, at_most},
};

const CONNECTIONS: usize = 32;

pub struct RecordDecision;

#[async_trait(?Send)]
impl Workload for RecordDecision {
    fn number(&self) -> &'static str {
        "W2"
    }

    fn about(&self) -> &'static str {
        "PATCH one decision of one's own, durable, 32 connections"
    }

    fn growth(&self) -> Option<f64> {
        Some(1.3)
    }

    async fn load(&self, ground: &mut Ground<'_>) -> anyhow::Result<()> {
        ground.review(Stages::One).await.map(|_| ())
    }

    async fn measure(&self, bench: &Bench<'_>, ground: &mut Ground<'_>) -> anyhow::Result<Vec<Outcome>> {
        let review = ground.review(Stages::One).await?;
        let reviewers = Reviewers::of(ground, review)?;
        let floor = Floor {
            database: ground.database.clone(),
            scripts: vec![("w02.sql", 1)],
            variables: reviewers.variables(ground),
            connections: CONNECTIONS,
            threads: 1,
        };
        let service = ground.service(&[]).await?;
        reviewers.introduce(&service).await?;
        let contest = Contest {
            service: &service,
            requests: &reviewers,
            floor: &floor,
            connections: CONNECTIONS,
            latencies: true,
            writes: true,
        };
        let events = count_events(ground).await?;
        let seen = contest.run(ground, bench.pace).await?;
        // Each request, and each transaction, leaves an event.
        let added = count_events(ground).await? - events;
        let done: u64 = seen.service.iter().chain(&seen.floor).map(|slice| slice.all_requests).sum();
        ensure!(added as u64 >= done, "{done} decisions left {added} events");
        let bars = [
            at_least(Figure::Throughput, 0.85),
            at_most(Figure::Processor, 0.4),
            at_most(Figure::P99, 2.0),
            at_most(Figure::Log, 600.0),
        ];
        Ok(vec![seen.outcome(self.number(), ground.size).bars(&bars)])
    }
}

async fn count_events(ground: &mut Ground<'_>) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar("select count(*) from events").fetch_one(&mut ground.sql).await?)
}

//! W1: one decision by its id, as somebody who reads everything.

use anyhow::ensure;
use async_trait::async_trait;

use super::{Bench, Workload, w11};
use crate::{
    cluster::Cluster,
    contest::Contest,
    floor::Floor,
    ground::{Ground, Review, Stages},
    load::{Requests, push_get},
    random::Random,
    report::{Bar, Figure, Outcome, at_least, at_most},
};

const CONNECTIONS: usize = 32;

pub struct GetDecision;

struct RandomItem {
    review: Review,
    token: String,
}

impl Requests for RandomItem {
    fn next(&self, random: &mut Random, request: &mut Vec<u8>) -> u64 {
        let seq = random.between(1, self.review.items);
        push_get(request, &self.review.item_path(seq), &self.token);
        seq
    }

    fn check(&self, seq: u64, status: u16, body: Option<&[u8]>) -> anyhow::Result<()> {
        ensure!(status == 200, "not the item");
        if let Some(body) = body {
            let item: serde_json::Value = serde_json::from_slice(body)?;
            ensure!(item["id"] == self.review.item(seq).to_string(), "another item");
            let decided = matches!(seq % 10, 0 | 3 | 6);
            ensure!(!decided || item["decision"] != "NotReviewed", "no decision");
        }
        Ok(())
    }
}

fn bars() -> [Bar; 3] {
    [at_least(Figure::Throughput, 0.5), at_most(Figure::Processor, 0.9), at_most(Figure::Database, 1.3)]
}

#[async_trait(?Send)]
impl Workload for GetDecision {
    fn number(&self) -> &'static str {
        "W1"
    }

    fn about(&self) -> &'static str {
        "GET one decision, random of all, 32 connections; the same in 1 and in 10 000 tenants"
    }

    fn growth(&self) -> Option<f64> {
        Some(1.3)
    }

    async fn load(&self, ground: &mut Ground<'_>) -> anyhow::Result<()> {
        ground.review(Stages::One).await.map(|_| ())
    }

    async fn measure(&self, bench: &Bench<'_>, ground: &mut Ground<'_>) -> anyhow::Result<Vec<Outcome>> {
        let review = ground.review(Stages::One).await?;
        let floor = Floor {
            database: ground.database.clone(),
            scripts: vec![("w01.sql", 1)],
            variables: vec![
                ("tenant", ground.tenant.to_string()),
                ("definition", review.definition.to_string()),
                ("instance", review.instance.to_string()),
                ("items", review.items.to_string()),
            ],
            connections: CONNECTIONS,
            threads: 1,
        };
        let requests = RandomItem { review, token: ground.administrator()? };
        let service = ground.service(&[]).await?;
        let contest = Contest {
            service: &service,
            requests: &requests,
            floor: &floor,
            connections: CONNECTIONS,
            latencies: true,
            writes: false,
        };
        let seen = contest.run(ground, bench.pace).await?;
        Ok(vec![seen.outcome(self.number(), ground.size).bars(&bars())])
    }

    async fn load_apart(&self, cluster: &Cluster) -> anyhow::Result<()> {
        w11::lay(cluster).await.map(|_| ())
    }

    async fn measure_apart(&self, bench: &Bench<'_>) -> anyhow::Result<Vec<Outcome>> {
        let outcomes = w11::decisions_of_tenants(bench).await?;
        Ok(outcomes.into_iter().map(|outcome| outcome.bars(&bars())).collect())
    }
}

//! W13: from the start of the program to the first answer that needed the database, with ten thousand tenants.

use std::time::{Duration, Instant};

use anyhow::ensure;
use async_trait::async_trait;
use serde_json::json;

use super::{Bench, Workload};
use crate::{
    cluster::Cluster,
    contest::median_of,
    ground::Ground,
    load::{ROOT, call},
    report::{Figure, Outcome, at_most},
    service::Service,
};

const TENANTS: i64 = 10_000;
const STARTS: usize = 9;
const DATABASE: &str = "started_with_many";

pub struct Start;

#[async_trait(?Send)]
impl Workload for Start {
    fn number(&self) -> &'static str {
        "W13"
    }

    fn about(&self) -> &'static str {
        "start to the first answer from the database, 10 000 tenants"
    }

    fn is_sized(&self) -> bool {
        false
    }

    async fn load_apart(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let mut ground = Ground::lay_tenant(cluster, DATABASE.to_owned(), "first", 20).await?;
        ground
            .once("tenants", async |ground| {
                sqlx::query(
                    "insert into tenants \
                     select (jsonb_populate_record(t, jsonb_build_object( \
                         'tenant_id', gen_random_uuid(), 'slug', 'tenant-' || n))).* \
                     from tenants t, generate_series(1, $2) n where t.tenant_id = $1",
                )
                .bind(ground.tenant)
                .bind(TENANTS)
                .execute(&mut ground.sql)
                .await?;
                ground.settle().await
            })
            .await
    }

    async fn measure_apart(&self, bench: &Bench<'_>) -> anyhow::Result<Vec<Outcome>> {
        let ground = Ground::lay_tenant(bench.cluster, DATABASE.to_owned(), "first", 20).await?;
        let token = ground.administrator()?;
        let mut taken = Vec::new();
        for _ in 0..STARTS {
            let begun = Instant::now();
            let service = Service::spawn(&bench.cluster.url(DATABASE), &[])?;
            let path = format!("{ROOT}/definitions?$top=1");
            loop {
                // It does not listen yet.
                if let Ok(answer) = call(service.port, "GET", &path, Some(&token), None).await {
                    ensure!(answer.json(200)?["value"] == json!([]), "another answer");
                    break;
                }
                ensure!(begun.elapsed() < Duration::from_secs(30), "no answer:\n{}", service.log_text());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            taken.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        let outcome = Outcome { service_p99_ms: Some(median_of(taken)), ..Outcome::of(self.number(), TENANTS as u64) };
        let outcome = outcome.bars(&[at_most(Figure::Milliseconds, 300.0)]);
        Ok(vec![outcome.note(format!("the median of {STARTS} starts; the size is the number of tenants"))])
    }
}

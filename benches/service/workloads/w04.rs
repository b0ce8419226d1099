//! W4: all items of a review decided in one call, and what other reviewers feel of it.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use async_trait::async_trait;
use serde_json::json;

use super::{Bench, Workload, reviewers::Reviewers};
use crate::{
    contest::median_of,
    floor::filled,
    ground::{ADMINISTRATOR, Ground, Review, Stages, review_body, run},
    load::{Load, Requests, Slice, call, p99},
    processor::Meter,
    random::Random,
    report::{Figure, Outcome, at_least, at_most},
    service::Service,
};

/// So many decisions of others come in a second, on so many connections.
const OTHERS: f64 = 200.0;
const CONNECTIONS: usize = 32;
const NAME: &str = "review decided at once";

pub struct DecideAtOnce;

#[async_trait(?Send)]
impl Workload for DecideAtOnce {
    fn number(&self) -> &'static str {
        "W4"
    }

    fn about(&self) -> &'static str {
        "batchRecordDecisions over all items in one call, and beside it decisions of others"
    }

    async fn load(&self, ground: &mut Ground<'_>) -> anyhow::Result<()> {
        ground.review(Stages::One).await?;
        ground
            .once(NAME, async |ground| {
                ground.post_review(&review_body(NAME, Stages::One)).await?;
                ground.settle().await
            })
            .await
    }

    async fn measure(&self, bench: &Bench<'_>, ground: &mut Ground<'_>) -> anyhow::Result<Vec<Outcome>> {
        let review = ground.find_review(NAME).await?;
        let service = ground.service(&[]).await?;
        let floor = filled(
            "w04.sql",
            &[
                ("tenant", ground.tenant.to_string()),
                ("definition", review.definition.to_string()),
                ("instance", review.instance.to_string()),
                ("stage", review.stages.first().context("a stage")?.to_string()),
                ("actor", ADMINISTRATOR.to_string()),
            ],
        )?;
        let token = ground.application()?;
        let mut worker = ground.cluster.connect(&ground.database).await?;
        run(&mut worker, "set role attestry_service; set jit = off").await?;
        let (mut by_service, mut by_floor) = (Vec::new(), Vec::new());
        // The first pair is the warm-up: on a connection that is new to it PostgreSQL reads its catalogs first, which takes as long
        // whatever the number of items, and the longer the more statements there are.
        for _ in 0..=bench.pace.pairs {
            undecide(ground, &review).await?;
            by_service.push(decide_all(&service, &review, &token).await?.as_secs_f64());
            ensure!(decided(ground, &review).await? == ground.size, "not every item was decided");
            undecide(ground, &review).await?;
            let begun = Instant::now();
            run(&mut worker, &floor).await?;
            by_floor.push(begun.elapsed().as_secs_f64());
            ensure!(decided(ground, &review).await? == ground.size, "the floor did not decide every item");
        }
        let (first, floor_first) = (by_service.remove(0), by_floor.remove(0));
        undecide(ground, &review).await?;
        let (seconds, floor_seconds) = (median_of(by_service), median_of(by_floor));
        let whole = Outcome {
            time_ratio: Some(seconds / floor_seconds),
            service_seconds: Some(seconds),
            floor_seconds: Some(floor_seconds),
            service_per_second: Some(ground.size as f64 / seconds),
            floor_per_second: Some(ground.size as f64 / floor_seconds),
            ..Outcome::of(self.number(), ground.size)
        };
        let whole = whole
            .bars(&[at_most(Figure::Time, 1.15), at_least(Figure::PerSecond, 100_000.0)])
            .note(format!("{seconds:.3} s, the floor's {floor_seconds:.3} s; a second are items"))
            .note(format!("on new connections {first:.3} s, the floor's {floor_first:.3} s"));
        Ok(vec![whole, self.beside(bench, ground, &service).await?])
    }
}

impl DecideAtOnce {
    /// Decisions of those with few items, alone and while the one with the most decides all of his again and again.
    async fn beside(&self, bench: &Bench<'_>, ground: &mut Ground<'_>, service: &Service) -> anyhow::Result<Outcome> {
        let review = ground.review(Stages::One).await?;
        let others = Others(Reviewers::of(ground, review.clone())?);
        others.0.introduce(service).await?;
        let meter = Meter { service: Some(service.process()), postmaster: ground.cluster.postmaster };
        let load = Load {
            port: service.port,
            connections: CONNECTIONS,
            warm_up: bench.pace.warm_up,
            duration: bench.pace.slice,
            meter,
        };
        let (mut alone, mut beside, mut batches) = (Vec::new(), Vec::new(), 0_u32);
        for pair in 0..bench.pace.pairs {
            ground.settle().await?;
            alone.push(tail(&load.open(&others, OTHERS, pair as u64 + 1).await?)?);
            let stopped = Cell::new(false);
            let (_, token) = others.0.largest();
            let deciding = async {
                let mut done = 0_u32;
                while !stopped.get() {
                    decide_all(service, &review, token).await?;
                    done += 1;
                }
                anyhow::Ok(done)
            };
            let watching = async {
                let slice = load.open(&others, OTHERS, pair as u64 + 1).await;
                stopped.set(true);
                slice
            };
            let (done, slice) = tokio::try_join!(deciding, watching)?;
            batches += done;
            beside.push(tail(&slice)?);
        }
        let (alone, beside) = (median_of(alone), median_of(beside));
        let outcome = Outcome {
            p99_ratio: Some(beside / alone),
            service_p99_ms: Some(beside),
            ..Outcome::of(self.number(), ground.size)
        };
        let note = format!(
            "{OTHERS} decisions of others a second: p99 {alone:.1} ms alone, {beside:.1} ms beside {batches} batches of {} items",
            others.0.managers.items(others.0.managers.largest()).1
                - others.0.managers.items(others.0.managers.largest()).0
                + 1
        );
        Ok(outcome.variant("others meanwhile").bars(&[at_most(Figure::P99, 3.0)]).note(note))
    }
}

/// Reviewers with few items, one decision at a time.
struct Others(Reviewers);

impl Requests for Others {
    fn next(&self, random: &mut Random, request: &mut Vec<u8>) -> u64 {
        self.0.decide_as_small(random, request)
    }

    fn check(&self, ticket: u64, status: u16, body: Option<&[u8]>) -> anyhow::Result<()> {
        self.0.check(ticket, status, body)
    }
}

/// The 99th percentile in milliseconds.
fn tail(slice: &Slice) -> anyhow::Result<f64> {
    Ok(p99(&slice.latencies).context("nothing was answered")?.as_secs_f64() * 1e3)
}

async fn decide_all(service: &Service, review: &Review, token: &str) -> anyhow::Result<Duration> {
    let path = format!("{}/batchRecordDecisions", review.instance_path());
    let body = json!({ "decision": "Approve", "justification": "All of them still work on it" });
    let begun = Instant::now();
    let answer = call(service.port, "POST", &path, Some(token), Some(&body)).await?;
    let elapsed = begun.elapsed();
    ensure!(answer.status == 204, "answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
    Ok(elapsed)
}

async fn decided(ground: &mut Ground<'_>, review: &Review) -> anyhow::Result<u64> {
    let count: i64 = sqlx::query_scalar("select count(*) from decisions where tenant_id = $1 and instance_id = $2")
        .bind(ground.tenant)
        .bind(review.instance)
        .fetch_one(&mut ground.sql)
        .await?;
    Ok(count as u64)
}

/// As nobody had decided, with nothing left to clean up.
async fn undecide(ground: &mut Ground<'_>, review: &Review) -> anyhow::Result<()> {
    sqlx::query("delete from decisions where tenant_id = $1 and instance_id = $2")
        .bind(ground.tenant)
        .bind(review.instance)
        .execute(&mut ground.sql)
        .await?;
    run(&mut ground.sql, "vacuum analyze decisions").await?;
    ground.checkpoint().await
}

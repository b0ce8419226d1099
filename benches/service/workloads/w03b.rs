//! W3b: the reviewers of random stages change while decisions are recorded in another review.
//!
//! Decisions come at a steady rate, so that what they lose is what they wait, not the processor time that others use.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use async_trait::async_trait;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Bench, Workload,
    reviewer_lists::{NewReviewers, two_stages},
    reviewers::Reviewers,
};
use crate::{
    contest::{Pace, Seen, median_of},
    floor::Floor,
    ground::{ADMINISTRATOR, FALLBACK, Ground, Review, Stages},
    load::{Load, ROOT, Slice, call, p99},
    processor::Meter,
    report::{Figure, Outcome, at_least, at_most},
    service::Service,
};

const STAGES: u64 = 1_000;
/// Connections that change reviewers, and as many more that decide.
const CONNECTIONS: usize = 16;
/// Decisions a second.
const DECISIONS: f64 = 100.0;
const GROUP: Uuid = Uuid::from_u128(0xb000_0000_0000_4000_8000_0000_0000_0002);

pub struct ChangeManyStages;

/// A group of a dozen, and a thousand reviews of it with two stages each.
async fn load(ground: &mut Ground<'_>) -> anyhow::Result<()> {
    ground
        .once("a thousand small reviews", async |ground| {
            sqlx::query(include_str!("../ground/group.sql"))
                .bind(ground.tenant)
                .bind(GROUP)
                .bind(12_i64)
                .execute(&mut ground.sql)
                .await?;
            make_reviews(ground).await?;
            sqlx::query(include_str!("../ground/small_stages.sql"))
                .bind(ground.tenant)
                .execute(&mut ground.sql)
                .await?;
            ground.settle().await
        })
        .await
}

async fn make_reviews(ground: &mut Ground<'_>) -> anyhow::Result<()> {
    let service = ground.service(&[]).await?;
    let token = ground.administrator()?;
    let path = format!("{ROOT}/definitions");
    for number in 1..=STAGES {
        let mut body: Value = two_stages(&format!("small review {number}"), ground.managers());
        body["scope"]["query"] = json!(format!("/groups/{GROUP}/transitiveMembers"));
        call(service.port, "POST", &path, Some(&token), Some(&body)).await?.json(201)?;
    }
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        let running: i64 = sqlx::query_scalar(
            "select count(*) from definitions d join instances i using (tenant_id, definition_id) \
             where d.tenant_id = $1 and d.display_name like 'small review %' and i.status = 'InProgress'",
        )
        .bind(ground.tenant)
        .fetch_one(&mut ground.sql)
        .await?;
        if running as u64 == STAGES {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{running} of {STAGES} small reviews run:\n{}", service.log_text());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn small_reviews(ground: &mut Ground<'_>) -> anyhow::Result<Vec<Review>> {
    let rows: Vec<(Uuid, Uuid, Uuid, Uuid)> = sqlx::query_as(
        "select s.definition_id, s.instance_id, s.stage_id, i.item_prefix from benchmark.small_stages s \
         join instances i on i.tenant_id = $1 and i.instance_id = s.instance_id order by s.number",
    )
    .bind(ground.tenant)
    .fetch_all(&mut ground.sql)
    .await?;
    let review = |(definition, instance, stage, prefix)| Review {
        definition,
        instance,
        stages: vec![stage],
        item_prefix: attestry::domain::ids::ItemPrefix::from_uuid(prefix),
        items: 12,
    };
    Ok(rows.into_iter().map(review).collect())
}

struct Mixed<'a> {
    service: &'a Service,
    decisions: &'a Reviewers,
    changes: &'a NewReviewers,
    floor_of_decisions: Floor,
    floor_of_changes: Floor,
}

impl Mixed<'_> {
    fn load(&self, ground: &Ground<'_>, pace: Pace) -> Load {
        let meter = Meter { service: Some(self.service.process()), postmaster: ground.cluster.postmaster };
        Load { port: self.service.port, connections: CONNECTIONS, warm_up: pace.warm_up, duration: pace.slice, meter }
    }

    /// Decisions alone.
    async fn alone(&self, ground: &Ground<'_>, pace: Pace) -> anyhow::Result<Slice> {
        self.load(ground, pace).open(self.decisions, DECISIONS, 1).await
    }

    /// Changes, and the decisions beside them.
    async fn together(&self, ground: &Ground<'_>, pace: Pace, seed: u64) -> anyhow::Result<(Slice, Slice)> {
        let load = self.load(ground, pace);
        tokio::try_join!(load.closed(self.changes, seed), load.open(self.decisions, DECISIONS, seed))
    }

    /// The same of the floor; of its decisions nothing is told.
    async fn floor(&self, ground: &Ground<'_>, pace: Pace, seed: u64) -> anyhow::Result<Slice> {
        let meter = self.load(ground, pace).meter;
        let (warm_up, slice) = (pace.warm_up, pace.slice);
        let changes = self.floor_of_changes.run(ground.cluster, meter, warm_up, slice, seed);
        let decisions = self.floor_of_decisions.run_at(ground.cluster, DECISIONS, warm_up, slice, seed);
        Ok(tokio::try_join!(changes, decisions)?.0)
    }
}

#[async_trait(?Send)]
impl Workload for ChangeManyStages {
    fn number(&self) -> &'static str {
        "W3b"
    }

    fn about(&self) -> &'static str {
        "PATCH the reviewers of random ones of 1 000 stages while decisions run elsewhere, 16 connections each"
    }

    fn growth(&self) -> Option<f64> {
        Some(1.3)
    }

    async fn load(&self, ground: &mut Ground<'_>) -> anyhow::Result<()> {
        ground.review(Stages::One).await?;
        load(ground).await
    }

    async fn measure(&self, bench: &Bench<'_>, ground: &mut Ground<'_>) -> anyhow::Result<Vec<Outcome>> {
        let review = ground.review(Stages::One).await?;
        let decisions = Reviewers::of(ground, review)?;
        let small = small_reviews(ground).await?;
        let changes = NewReviewers::of(ground, &small, None)?;
        let floor = |script, variables| Floor {
            database: ground.database.clone(),
            scripts: vec![(script, 1)],
            variables,
            connections: CONNECTIONS,
            threads: 1,
        };
        let variables = vec![
            ("tenant", ground.tenant.to_string()),
            ("stages", STAGES.to_string()),
            ("step", ground.managers().step().to_string()),
            ("fallback", FALLBACK.to_string()),
            ("actor", ADMINISTRATOR.to_string()),
        ];
        let service = ground.service(&[]).await?;
        decisions.introduce(&service).await?;
        let mixed = Mixed {
            service: &service,
            decisions: &decisions,
            changes: &changes,
            floor_of_decisions: floor("w02.sql", decisions.variables(ground)),
            floor_of_changes: floor("w03b.sql", variables),
        };
        let (mut seen, mut losses, mut slower) = (Seen::default(), Vec::new(), Vec::new());
        ground.checkpoint().await?;
        for pair in 0..bench.pace.pairs {
            let seed = pair as u64 * 2 + 1;
            let alone = mixed.alone(ground, bench.pace).await?;
            let (changed, decided) = mixed.together(ground, bench.pace, seed).await?;
            losses.push(decided.per_second() / alone.per_second());
            let tail = |slice: &Slice| p99(&slice.latencies).map(|latency| latency.as_secs_f64() * 1e3);
            slower.push((tail(&alone).context("no decisions")?, tail(&decided).context("no decisions")?));
            seen.service.push(changed);
            seen.floor.push(mixed.floor(ground, bench.pace, seed + 1).await?);
        }
        let (before, beside): (Vec<f64>, Vec<f64>) = slower.into_iter().unzip();
        let kept = median_of(losses);
        let changes = seen.outcome(self.number(), ground.size).bars(&[at_least(Figure::Throughput, 0.8)]);
        let changes = changes.variant("changes").note("processor times include those of the decisions beside");
        let decisions = Outcome {
            // Time for as many decisions beside the changes ÷ without them.
            time_ratio: Some(1.0 / kept),
            ..Outcome::of(self.number(), ground.size)
        };
        let decisions = decisions.variant("decisions").bars(&[at_most(Figure::Time, 1.0 / 0.95)]).note(format!(
            "{DECISIONS} decisions a second came, {:.1} % were answered; p99 {:.1} ms alone, {:.1} ms beside the changes",
            kept * 100.0,
            median_of(before),
            median_of(beside)
        ));
        Ok(vec![changes, decisions])
    }
}

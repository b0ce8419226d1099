//! W7: opening an instance over all members of a large group, with their managers as reviewers and a fallback reviewer.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use async_trait::async_trait;
use serde_json::Value;
use uuid::Uuid;

use super::{Bench, Workload};
use crate::{
    contest::median_of,
    floor::Floor,
    ground::{ADMINISTRATOR, FALLBACK, GROUP, Ground, Stages, now, review_body},
    load::{ROOT, call},
    processor::Memory,
    report::{Figure, Outcome, at_most},
    service::Service,
    steps::{Side, Times},
};

const NAME: &str = "review to be opened";

pub struct OpenInstance;

/// Has the service make a review that begins at once; how long it takes until it takes decisions.
async fn open(ground: &mut Ground<'_>, service: &Service, body: &Value) -> anyhow::Result<(Uuid, Duration)> {
    let token = ground.administrator()?;
    let begun = Instant::now();
    let path = format!("{ROOT}/definitions");
    let created = call(service.port, "POST", &path, Some(&token), Some(body)).await?.json(201)?;
    let definition: Uuid = created["id"].as_str().unwrap_or_default().parse()?;
    ground.wait_until(definition, "InProgress", service).await?;
    Ok((definition, begun.elapsed()))
}

/// The floor on a copy of the service's instance that was not opened yet.
async fn open_copy(ground: &mut Ground<'_>, definition: Uuid) -> anyhow::Result<Duration> {
    let original = ground.find_review(NAME).await?;
    let copy = Uuid::from_u128(original.instance.as_u128() ^ 1);
    sqlx::query(include_str!("../ground/copy_instance.sql"))
        .bind(ground.tenant)
        .bind(original.instance)
        .bind(copy)
        .execute(&mut ground.sql)
        .await?;
    let floor = Floor {
        database: ground.database.clone(),
        scripts: vec![("w07.sql", 1)],
        variables: vec![
            ("tenant", ground.tenant.to_string()),
            ("definition", definition.to_string()),
            ("instance", copy.to_string()),
            ("group", GROUP.to_string()),
            ("fallback", FALLBACK.to_string()),
            ("cutoff", (now() - chrono::TimeDelta::days(30)).to_rfc3339()),
        ],
        connections: 1,
        threads: 1,
    };
    let taken = floor.once(ground.cluster).await?;
    let differences: i64 = sqlx::query_scalar(include_str!("../ground/instance_differences.sql"))
        .bind(ground.tenant)
        .bind(original.instance)
        .bind(copy)
        .fetch_one(&mut ground.sql)
        .await?;
    ensure!(differences == 0, "{differences} rows of the service's instance differ from the floor's");
    Ok(taken)
}

/// Away with a review and its copy, so that each finds the same database.
async fn remove(ground: &mut Ground<'_>, definition: Uuid) -> anyhow::Result<()> {
    for statement in [
        "delete from jobs j using instances i where j.tenant_id = $1 and i.tenant_id = $1 and i.definition_id = $2 \
         and j.finished_at is null and (j.payload ->> 'instance')::uuid = i.instance_id",
        // no foreign key leads from these
        "with gone as (select instance_id from instances where tenant_id = $1 and definition_id = $2), \
         items as (delete from decision_items where tenant_id = $1 and instance_id in (select * from gone)), \
         cohorts as (delete from item_cohorts where tenant_id = $1 and instance_id in (select * from gone)), \
         principals as (delete from item_principals where tenant_id = $1 and instance_id in (select * from gone)), \
         overrides as (delete from item_overrides where tenant_id = $1 and instance_id in (select * from gone)) \
         delete from stage_reviewers where tenant_id = $1 and instance_id in (select * from gone)",
        "delete from instances where tenant_id = $1 and definition_id = $2",
        "delete from definitions where tenant_id = $1 and definition_id = $2",
    ] {
        sqlx::query(statement).bind(ground.tenant).bind(definition).execute(&mut ground.sql).await?;
    }
    ground.settle().await
}

#[async_trait(?Send)]
impl Workload for OpenInstance {
    fn number(&self) -> &'static str {
        "W7"
    }

    fn about(&self) -> &'static str {
        "opening an instance over all members of the group, with managers and a fallback"
    }

    async fn measure(&self, bench: &Bench<'_>, ground: &mut Ground<'_>) -> anyhow::Result<Vec<Outcome>> {
        let service = ground.service(&[]).await?;
        // What every request and job needs once is there.
        let token = ground.token(ADMINISTRATOR, &["Global Administrator"])?;
        call(service.port, "GET", &format!("{ROOT}/definitions"), Some(&token), None).await?.json(200)?;
        let body = review_body(NAME, Stages::One);
        let mut opened = None;
        let mut growths = Vec::new();
        let times = Times::take(bench.pace.pairs, async |side| match side {
            Side::Service => {
                ground.checkpoint().await?;
                let memory = Memory::mark(service.process())?;
                let (definition, taken) = open(ground, &service, &body).await?;
                growths.push(memory.growth()?);
                opened = Some(definition);
                Ok(taken)
            }
            Side::Floor => {
                let definition = opened.take().context("the service comes first")?;
                ground.checkpoint().await?;
                let taken = open_copy(ground, definition).await?;
                remove(ground, definition).await?;
                Ok(taken)
            }
        })
        .await?;
        let outcome = Outcome { memory_mb: Some(median_of(growths)), ..times.outcome(self.number(), ground.size) };
        Ok(vec![outcome.bars(&[at_most(Figure::Time, 1.25), at_most(Figure::Memory, 16.0)])])
    }
}

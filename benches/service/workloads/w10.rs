//! W10: definitions, filtered and ordered, in one tenant and in ten thousand.

use anyhow::{Context, ensure};
use async_trait::async_trait;
use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

use super::{Bench, Workload};
use crate::{
    cluster::Cluster,
    contest::Contest,
    floor::Floor,
    ground::{ADMINISTRATOR, Ground, Stages, now, review_body, run},
    load::{ROOT, Requests, call, push_get},
    random::Random,
    report::{Figure, Outcome, at_least},
};

const CONNECTIONS: usize = 32;
/// Definitions of a large tenant, and of a small one.
const MANY: u64 = 1_000;
const FEW: u64 = 10;
/// Tenants with many definitions: those that are asked.
const LARGE_TENANTS: u64 = 100;
const TENANTS: [u64; 2] = [1, 10_000];
/// Members of each tenant's group.
const MEMBERS: u64 = 20;

pub struct ListDefinitions;

struct Definitions {
    path: String,
    tokens: Vec<String>,
}

impl Requests for Definitions {
    fn next(&self, random: &mut Random, request: &mut Vec<u8>) -> u64 {
        let number = random.between(0, self.tokens.len() as u64 - 1);
        push_get(request, &self.path, &self.tokens[number as usize]);
        number
    }

    fn check(&self, _: u64, status: u16, body: Option<&[u8]>) -> anyhow::Result<()> {
        ensure!(status == 200, "no definitions");
        if let Some(body) = body {
            let page: serde_json::Value = serde_json::from_slice(body)?;
            let rows = page["value"].as_array().context("no rows")?;
            ensure!(rows.len() == 100, "{} rows", rows.len());
            let names: Vec<_> = rows.iter().filter_map(|row| row["displayName"].as_str()).collect();
            ensure!(names.is_sorted() && names.iter().all(|name| name.contains('5')), "other definitions");
        }
        Ok(())
    }
}

/// Has the service make definitions that start in a year.
pub async fn make_definitions(ground: &mut Ground<'_>, count: u64) -> anyhow::Result<()> {
    ground
        .once(&format!("{count} definitions"), async |ground| {
            let service = ground.service(&[]).await?;
            let token = ground.administrator()?;
            let start = (now() + TimeDelta::days(365)).date_naive();
            for number in 1..=count {
                let mut body = review_body(&format!("Review {number:04} of everybody"), Stages::One);
                body["settings"]["instanceDurationInDays"] = json!(3);
                body["settings"]["recurrence"] = json!({
                    "pattern": { "type": "weekly", "interval": 1 },
                    "range": { "type": "noEnd", "startDate": start },
                });
                let path = format!("{ROOT}/definitions");
                call(service.port, "POST", &path, Some(&token), Some(&body)).await?.json(201)?;
            }
            Ok(())
        })
        .await
}

/// The database with so many tenants. The original with many definitions has copies; with it go others with few.
async fn lay(cluster: &Cluster, tenants: u64) -> anyhow::Result<Ground<'_>> {
    let database = format!("tenants_{tenants}");
    let large = LARGE_TENANTS.min(tenants);
    if tenants > large {
        let mut few = Ground::lay_tenant(cluster, database.clone(), "few", MEMBERS).await?;
        make_definitions(&mut few, FEW).await?;
        copy(&mut few, tenants - large).await?;
    }
    let mut many = Ground::lay_tenant(cluster, database, "many", MEMBERS).await?;
    make_definitions(&mut many, MANY).await?;
    copy(&mut many, large).await?;
    Ok(many)
}

/// Copies a tenant, all of it.
async fn copy(ground: &mut Ground<'_>, copies: u64) -> anyhow::Result<()> {
    ground
        .once(&format!("{copies} copies"), async |ground| {
            run(&mut ground.sql, include_str!("../ground/copy_tenant.function.sql")).await?;
            sqlx::query("select benchmark.copy_tenant($1, $2, $3)")
                .bind(ground.tenant)
                .bind(ground.slug)
                .bind(copies as i64)
                .execute(&mut ground.sql)
                .await?;
            ground.settle().await
        })
        .await
}

/// The id of a copy, from 1.
async fn copies(ground: &mut Ground<'_>, count: u64) -> anyhow::Result<Vec<Uuid>> {
    Ok(sqlx::query_scalar("select md5($1 || n)::uuid from generate_series(1, $2) as n order by n")
        .bind(ground.slug)
        .bind(count as i64)
        .fetch_all(&mut ground.sql)
        .await?)
}

#[async_trait(?Send)]
impl Workload for ListDefinitions {
    fn number(&self) -> &'static str {
        "W10"
    }

    fn about(&self) -> &'static str {
        "a page of 100 definitions with $filter and $orderby, in 1 and in 10 000 tenants, 32 connections"
    }

    fn is_sized(&self) -> bool {
        false
    }

    fn growth(&self) -> Option<f64> {
        Some(1.3)
    }

    async fn load_apart(&self, cluster: &Cluster) -> anyhow::Result<()> {
        for tenants in TENANTS {
            lay(cluster, tenants).await?;
        }
        Ok(())
    }

    async fn measure_apart(&self, bench: &Bench<'_>) -> anyhow::Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for tenants in TENANTS {
            let mut ground = lay(bench.cluster, tenants).await?;
            let large = LARGE_TENANTS.min(tenants);
            let ids = copies(&mut ground, large).await?;
            let tokens = ids.iter().map(|id| ground.token_in(*id, ADMINISTRATOR, &["Global Administrator"]));
            let requests = Definitions {
                path: format!(
                    "{ROOT}/definitions?$filter=status%20eq%20'NotStarted'%20and%20contains(displayName,'5')&$orderby=displayName"
                ),
                tokens: tokens.collect::<anyhow::Result<_>>()?,
            };
            let floor = Floor {
                database: ground.database.clone(),
                scripts: vec![("w10.sql", 1)],
                variables: vec![("tenants", large.to_string()), ("prefix", ground.slug.to_owned())],
                connections: CONNECTIONS,
                threads: 1,
            };
            let service = ground.service(&[]).await?;
            let contest = Contest {
                service: &service,
                requests: &requests,
                floor: &floor,
                connections: CONNECTIONS,
                latencies: false,
                writes: false,
            };
            let seen = contest.run(&mut ground, bench.pace).await?;
            let outcome = seen.outcome(self.number(), tenants).bars(&[at_least(Figure::Throughput, 0.5)]);
            outcomes.push(outcome.note(format!(
                "{large} tenants with {MANY} definitions, which are asked, and {} with {FEW}",
                tenants - large
            )));
        }
        Ok(outcomes)
    }
}

//! W6: what the caller reviews: a manager with a dozen items, and the one with fifty thousand.

use anyhow::{Context, ensure};
use async_trait::async_trait;

use super::{Bench, Workload, reviewers::Reviewers};
use crate::{
    contest::Contest,
    floor::Floor,
    ground::{Ground, Stages},
    load::{Requests, push_get},
    random::Random,
    report::{Figure, Outcome, at_least},
};

const CONNECTIONS: usize = 32;
const PAGE: u64 = 100;

pub struct ListMyDecisions;

/// The first page of somebody's own items.
struct OwnItems<'a> {
    reviewers: &'a Reviewers,
    path: String,
    /// Whether the one with the most items asks, or any of the others.
    largest: bool,
}

impl Requests for OwnItems<'_> {
    fn next(&self, random: &mut Random, request: &mut Vec<u8>) -> u64 {
        let (number, token) = match self.largest {
            true => self.reviewers.largest(),
            false => self.reviewers.small(random),
        };
        push_get(request, &self.path, token);
        number
    }

    fn check(&self, number: u64, status: u16, body: Option<&[u8]>) -> anyhow::Result<()> {
        ensure!(status == 200, "not the items");
        if let Some(body) = body {
            let page: serde_json::Value = serde_json::from_slice(body)?;
            let rows = page["value"].as_array().context("no rows")?;
            let (first, last) = self.reviewers.managers.items(number);
            ensure!(rows.len() as u64 == PAGE.min(last - first + 1), "{} rows", rows.len());
            ensure!(rows[0]["id"] == self.reviewers.review.item(first).to_string(), "other items");
        }
        Ok(())
    }
}

#[async_trait(?Send)]
impl Workload for ListMyDecisions {
    fn number(&self) -> &'static str {
        "W6"
    }

    fn about(&self) -> &'static str {
        "decisions/filterByCurrentUser of a manager with 12 items, and of one with 50 000, 32 connections"
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
        let service = ground.service(&[]).await?;
        reviewers.introduce(&service).await?;
        let mut outcomes = Vec::new();
        for (variant, largest, script) in [("few", false, "w06_few.sql"), ("many", true, "w06_many.sql")] {
            let path = format!("{}/decisions/filterByCurrentUser(on='reviewer')", reviewers.review.instance_path());
            let requests = OwnItems { reviewers: &reviewers, path, largest };
            let floor = Floor {
                database: ground.database.clone(),
                scripts: vec![(script, 1)],
                variables: reviewers.variables(ground),
                connections: CONNECTIONS,
                threads: 1,
            };
            let contest = Contest {
                service: &service,
                requests: &requests,
                floor: &floor,
                connections: CONNECTIONS,
                latencies: false,
                writes: false,
            };
            let (first, last) = reviewers.managers.items(if largest { reviewers.managers.largest() } else { 1 });
            let seen = contest.run(ground, bench.pace).await?;
            let outcome = seen.outcome(self.number(), ground.size).variant(variant);
            let outcome = outcome.bars(&[at_least(Figure::Throughput, 0.5)]);
            outcomes.push(outcome.note(format!("{} items each", last - first + 1)));
        }
        Ok(outcomes)
    }
}

//! W5: pages of 100 items: the first one, one far behind by the link that leads to it, and the same one by its place.

use anyhow::{Context, ensure};
use async_trait::async_trait;

use super::{Bench, Workload};
use crate::{
    contest::{Contest, Pace, Seen},
    floor::Floor,
    ground::{Ground, Review, Stages},
    load::{Requests, call, push_get},
    random::Random,
    report::{Bar, Figure, Outcome, at_least, at_most},
    service::Service,
};

const CONNECTIONS: usize = 32;
const PAGE: u64 = 100;

pub struct ListDecisions;

/// The same page again and again.
struct OnePage {
    path: String,
    token: String,
    /// The first item on the page.
    first: String,
}

impl Requests for OnePage {
    fn next(&self, _: &mut Random, request: &mut Vec<u8>) -> u64 {
        push_get(request, &self.path, &self.token);
        0
    }

    fn check(&self, _: u64, status: u16, body: Option<&[u8]>) -> anyhow::Result<()> {
        ensure!(status == 200, "not the page");
        if let Some(body) = body {
            let page: serde_json::Value = serde_json::from_slice(body)?;
            let rows = page["value"].as_array().context("no rows")?;
            ensure!(rows.len() as u64 == PAGE && rows[0]["id"] == self.first, "another page");
        }
        Ok(())
    }
}

struct Pages<'a> {
    service: &'a Service,
    review: &'a Review,
    token: String,
}

impl Pages<'_> {
    async fn measure(&self, ground: &mut Ground<'_>, pace: Pace, path: String, after: u64) -> anyhow::Result<Seen> {
        let floor = Floor {
            database: ground.database.clone(),
            scripts: vec![("w05.sql", 1)],
            variables: vec![
                ("tenant", ground.tenant.to_string()),
                ("definition", self.review.definition.to_string()),
                ("instance", self.review.instance.to_string()),
                ("after", after.to_string()),
            ],
            connections: CONNECTIONS,
            threads: 1,
        };
        let requests = OnePage { path, token: self.token.clone(), first: self.review.item(after + 1).to_string() };
        let contest = Contest {
            service: self.service,
            requests: &requests,
            floor: &floor,
            connections: CONNECTIONS,
            latencies: false,
            writes: false,
        };
        contest.run(ground, pace).await
    }
}

#[async_trait(?Send)]
impl Workload for ListDecisions {
    fn number(&self) -> &'static str {
        "W5"
    }

    fn about(&self) -> &'static str {
        "a page of 100 decisions: first, deep by link, deep by $skip, 32 connections"
    }

    fn growth(&self) -> Option<f64> {
        Some(1.3)
    }

    async fn load(&self, ground: &mut Ground<'_>) -> anyhow::Result<()> {
        ground.review(Stages::One).await.map(|_| ())
    }

    async fn measure(&self, bench: &Bench<'_>, ground: &mut Ground<'_>) -> anyhow::Result<Vec<Outcome>> {
        let review = ground.review(Stages::One).await?;
        let service = ground.service(&[]).await?;
        let token = ground.administrator()?;
        let list = format!("{}/decisions", review.instance_path());
        let depth = review.items / 100 * 99;
        let before = format!("{list}?$skip={}", depth - PAGE);
        let page = call(service.port, "GET", &before, Some(&token), None).await?.json(200)?;
        let link = page["@odata.nextLink"].as_str().context("no link to the next page")?;
        let link = link.find("/v1.0/").map(|begin| link[begin..].to_owned()).context("an odd link")?;

        let pages = Pages { service: &service, review: &review, token };
        let pace = bench.pace;
        let first = pages.measure(ground, pace, list.clone(), 0).await?.outcome(self.number(), ground.size);
        let deep = pages.measure(ground, pace, link, depth).await?.outcome(self.number(), ground.size);
        let skip = pages.measure(ground, pace, format!("{list}?$skip={depth}"), depth).await?;
        let skip = skip.outcome(self.number(), ground.size);
        let slower = |other: &Outcome| Some(other.seconds()? / first.seconds()?);
        let (deep_ratio, skip_ratio) = (slower(&deep), slower(&skip));
        let bars = |most: f64| [at_least(Figure::Throughput, 0.55), at_most(Figure::Time, most)];
        let told = |outcome: Outcome, name: &str, ratio: Option<f64>, bars: &[Bar]| {
            Outcome { time_ratio: ratio, ..outcome }.variant(name).bars(bars)
        };
        Ok(vec![
            first.clone().variant("first").bars(&[at_least(Figure::Throughput, 0.55)]),
            told(deep, "deep", deep_ratio, &bars(1.2)),
            told(skip, "skip", skip_ratio, &bars(1.5)),
        ])
    }
}

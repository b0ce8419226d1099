//! W12: memory of the service: at rest, at work, with ten thousand who only listen, and with readers of a report.

use std::time::Duration;

use anyhow::{Context, ensure};
use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use super::{Bench, Workload, reviewers::Reviewers, w09};
use crate::{
    ground::{Ground, Stages},
    load::{Connection, Load, Requests, push_get},
    processor::{Meter, peak_megabytes, resident_megabytes},
    random::Random,
    report::{Figure, Outcome, at_most},
};

const CONNECTIONS: usize = 32;
const LISTENERS: usize = 10_000;
const READERS: usize = 8;

pub struct Memory;

/// Of a hundred requests seventy read an item, twenty-five decide one and five list what is to be decided.
struct Mixed(Reviewers);

impl Requests for Mixed {
    fn next(&self, random: &mut Random, request: &mut Vec<u8>) -> u64 {
        match random.between(1, 100) {
            1..=70 => {
                let (seq, token) = self.0.pick(random);
                push_get(request, &self.0.review.item_path(seq), token);
                200
            }
            71..=95 => {
                self.0.next(random, request);
                204
            }
            _ => {
                let (_, token) = self.0.pick(random);
                let path = format!("{}/decisions/filterByCurrentUser(on='reviewer')", self.0.review.instance_path());
                push_get(request, &path, token);
                200
            }
        }
    }

    fn check(&self, expected: u64, status: u16, _: Option<&[u8]>) -> anyhow::Result<()> {
        ensure!(u64::from(status) == expected, "{expected} was expected");
        Ok(())
    }
}

#[async_trait(?Send)]
impl Workload for Memory {
    fn number(&self) -> &'static str {
        "W12"
    }

    fn about(&self) -> &'static str {
        "memory at rest, at work, with 10 000 idle connections and with eight readers of a report"
    }

    async fn load(&self, ground: &mut Ground<'_>) -> anyhow::Result<()> {
        ground.review(Stages::One).await.map(|_| ())
    }

    async fn measure(&self, bench: &Bench<'_>, ground: &mut Ground<'_>) -> anyhow::Result<Vec<Outcome>> {
        let review = ground.review(Stages::One).await?;
        let (mut outcomes, size) = (Vec::new(), ground.size);
        let mut tell = |variant: &str, megabytes: f64, most: f64| {
            let outcome = Outcome { memory_mb: Some(megabytes), ..Outcome::of(self.number(), size) };
            outcomes.push(outcome.variant(variant).bars(&[at_most(Figure::Memory, most)]));
        };

        let service = ground.service(&[]).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        tell("at rest", resident_megabytes(service.process())?, 40.0);

        let listeners: Vec<Connection> = stream::iter(0..LISTENERS)
            .map(|_| async {
                let mut connection = Connection::open(service.port).await?;
                let mut request = Vec::new();
                push_get(&mut request, "/healthz", "");
                ensure!(connection.status_of(&request).await? == 200, "the service does not live");
                anyhow::Ok(connection)
            })
            .buffer_unordered(64)
            .collect::<Vec<_>>()
            .await
            .into_iter()
            .collect::<anyhow::Result<_>>()
            .context("ten thousand connections: is the limit of open files high enough?")?;
        tell("10 000 idle connections", resident_megabytes(service.process())?, 160.0);
        drop(listeners);
        drop(service);

        let service = ground.service(&[]).await?;
        let mixed = Mixed(Reviewers::of(ground, review.clone())?);
        mixed.0.introduce(&service).await?;
        let load = Load {
            port: service.port,
            connections: CONNECTIONS,
            warm_up: bench.pace.warm_up,
            duration: bench.pace.slice * 2,
            meter: Meter { service: Some(service.process()), postmaster: ground.cluster.postmaster },
        };
        load.closed(&mixed, 5).await?;
        tell("at work", peak_megabytes(service.process())?, 96.0);
        drop(service);

        let service = ground.service(&[]).await?;
        w09::read_slowly(&service, ground, review.instance, READERS).await?;
        tell("eight readers of a report", peak_megabytes(service.process())?, 128.0);
        Ok(outcomes)
    }
}

//! W12: memory of the service: at rest, under W11, with ten thousand who only listen, and with readers of a report.

use std::time::Duration;

use anyhow::{Context, ensure};
use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use super::{Bench, Workload, w09, w11};
use crate::{
    cluster::Cluster,
    ground::{Ground, Stages},
    load::{Connection, Load, push_get},
    processor::{Meter, peak_megabytes, resident_megabytes},
    report::{Figure, Outcome, at_most},
};

const CONNECTIONS: usize = 32;
const LISTENERS: usize = 10_000;
const READERS: usize = 8;

pub struct Memory;

#[async_trait(?Send)]
impl Workload for Memory {
    fn number(&self) -> &'static str {
        "W12"
    }

    fn about(&self) -> &'static str {
        "memory at rest, under W11, with 10 000 idle connections and with eight readers of a report"
    }

    async fn load(&self, ground: &mut Ground<'_>) -> anyhow::Result<()> {
        ground.review(Stages::One).await.map(|_| ())
    }

    async fn measure(&self, _: &Bench<'_>, ground: &mut Ground<'_>) -> anyhow::Result<Vec<Outcome>> {
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
        w09::read_slowly(&service, ground, review.instance, READERS).await?;
        tell("eight readers of a report", peak_megabytes(service.process())?, 128.0);
        Ok(outcomes)
    }

    async fn load_apart(&self, cluster: &Cluster) -> anyhow::Result<()> {
        w11::lay(cluster).await.map(|_| ())
    }

    async fn measure_apart(&self, bench: &Bench<'_>) -> anyhow::Result<Vec<Outcome>> {
        let mut grounds = w11::lay(bench.cluster).await?;
        let mix = w11::mix(&mut grounds).await?;
        let service = grounds[0].service(&[("ATTESTRY_QUOTAS", "on")]).await?;
        mix.introduce(&service).await?;
        let load = Load {
            port: service.port,
            connections: CONNECTIONS,
            warm_up: bench.pace.warm_up,
            duration: bench.pace.slice * 2,
            meter: Meter { service: Some(service.process()), postmaster: bench.cluster.postmaster },
        };
        load.closed(&mix, 5).await?;
        let megabytes = peak_megabytes(service.process())?;
        let outcome = Outcome { memory_mb: Some(megabytes), ..Outcome::of(self.number(), w11::TENANTS) };
        Ok(vec![outcome.variant("under W11").bars(&[at_most(Figure::Memory, 96.0)])])
    }
}

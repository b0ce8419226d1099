//! W9: a report of a whole review as CSV, made and downloaded, and readers who take their time.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, future::try_join_all};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

use super::{Bench, Workload};
use crate::{
    contest::median_of,
    floor::filled,
    ground::{Ground, Stages, run},
    load::{ROOT, call, head_end, parse, push_get},
    processor::Memory,
    report::{Figure, Outcome, at_least, at_most},
    service::Service,
};

const SLOW_READERS: usize = 8;
/// After each 64 KiB.
const PAUSE: Duration = Duration::from_millis(20);

pub struct Report;

#[async_trait(?Send)]
impl Workload for Report {
    fn number(&self) -> &'static str {
        "W9"
    }

    fn about(&self) -> &'static str {
        "a report of all items: made, downloaded, and read slowly by eight"
    }

    async fn load(&self, ground: &mut Ground<'_>) -> anyhow::Result<()> {
        ground.review(Stages::One).await.map(|_| ())
    }

    async fn measure(&self, bench: &Bench<'_>, ground: &mut Ground<'_>) -> anyhow::Result<Vec<Outcome>> {
        let review = ground.review(Stages::One).await?;
        let service = ground.service(&[]).await?;
        let token = ground.administrator()?;
        let floor =
            filled("w09.sql", &[("tenant", ground.tenant.to_string()), ("instance", review.instance.to_string())])?;
        let (mut made, mut read, mut copied, mut first, mut grown) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut path = String::new();
        for _ in 0..bench.pace.pairs {
            ground.checkpoint().await?;
            let memory = Memory::mark(service.process())?;
            let begun = Instant::now();
            let report = make(&service, ground, &token, review.instance).await?;
            made.push(begun.elapsed().as_secs_f64());
            path = link(&service, &token, report).await?;
            let download = download(&service, &path, None).await?;
            ensure!(download.lines == ground.size + 1, "{} lines instead of {}", download.lines, ground.size + 1);
            read.push(download.whole.as_secs_f64());
            first.push(download.first.as_secs_f64());
            grown.push(memory.growth()?);
            copied.push(copy(ground, &floor).await?);
        }
        let (seconds, floor_seconds) = (median_of(made.clone()) + median_of(read.clone()), median_of(copied));
        let whole = Outcome {
            throughput: Some(floor_seconds / seconds),
            service_seconds: Some(seconds),
            floor_seconds: Some(floor_seconds),
            service_per_second: Some(ground.size as f64 / seconds),
            floor_per_second: Some(ground.size as f64 / floor_seconds),
            memory_mb: Some(median_of(grown)),
            ..Outcome::of(self.number(), ground.size)
        };
        let whole = whole.bars(&[at_least(Figure::Throughput, 0.75), at_most(Figure::Memory, 16.0)]).note(format!(
            "made in {:.2} s, read in {:.2} s, the floor's {floor_seconds:.2} s; a second are rows",
            median_of(made),
            median_of(read)
        ));
        let first = Outcome {
            service_p99_ms: Some(first.iter().copied().fold(0.0, f64::max) * 1e3),
            ..Outcome::of(self.number(), ground.size)
        };
        let first = first.variant("first byte").bars(&[at_most(Figure::Milliseconds, 50.0)]);
        Ok(vec![whole, first, self.slowly(ground, &service, &path).await?])
    }
}

impl Report {
    /// Memory while eight read slowly, and whether a transaction is open meanwhile.
    async fn slowly(&self, ground: &mut Ground<'_>, service: &Service, path: &str) -> anyhow::Result<Outcome> {
        let memory = Memory::mark(service.process())?;
        let readers = try_join_all((0..SLOW_READERS).map(|_| download(service, path, Some(PAUSE))));
        let watching = async {
            let mut open = 0_i64;
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let seen: i64 = sqlx::query_scalar(
                    "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() \
                     and xact_start < now() - interval '50 milliseconds' and backend_type = 'client backend'",
                )
                .fetch_one(&mut ground.sql)
                .await?;
                open = open.max(seen);
            }
            anyhow::Ok(open)
        };
        let (_, open) = tokio::try_join!(readers, watching)?;
        ensure!(open == 0, "{open} transactions were open while clients read");
        let grown = memory.growth()?;
        let outcome = Outcome { memory_mb: Some(grown), ..Outcome::of(self.number(), ground.size) };
        Ok(outcome.variant("eight slow readers").bars(&[at_most(Figure::Memory, 16.0)]))
    }
}

/// Has a report made of an instance, and so many read it slowly at the same time.
pub async fn read_slowly(
    service: &Service,
    ground: &mut Ground<'_>,
    instance: Uuid,
    readers: usize,
) -> anyhow::Result<()> {
    let token = ground.administrator()?;
    let report = make(service, ground, &token, instance).await?;
    let path = link(service, &token, report).await?;
    try_join_all((0..readers).map(|_| download(service, &path, Some(PAUSE)))).await?;
    Ok(())
}

/// Asks for a report of the one review that began at this moment, and waits until it is done.
async fn make(service: &Service, ground: &mut Ground<'_>, token: &str, instance: Uuid) -> anyhow::Result<Uuid> {
    let begun: DateTime<Utc> =
        sqlx::query_scalar("select start_at from instances where tenant_id = $1 and instance_id = $2")
            .bind(ground.tenant)
            .bind(instance)
            .fetch_one(&mut ground.sql)
            .await?;
    let body = json!({
        "displayName": "Everything",
        "scopes": [{
            "@odata.type": "#microsoft.graph.accessReviewQueryScope",
            "queryType": "MicrosoftGraph",
            "query": "/identityGovernance/accessReviews/definitions?$filter=contains(scope/query, '/groups')",
            "queryRoot": null,
        }],
        "reviewHistoryPeriodStartDateTime": begun - TimeDelta::milliseconds(1),
        "reviewHistoryPeriodEndDateTime": begun + TimeDelta::milliseconds(1),
    });
    let path = format!("{ROOT}/historyDefinitions");
    let created = call(service.port, "POST", &path, Some(token), Some(&body)).await?.json(201)?;
    let id: Uuid = created["id"].as_str().context("an id")?.parse()?;
    loop {
        let status: String = sqlx::query_scalar(
            "select status from history_instances where tenant_id = $1 and history_definition_id = $2",
        )
        .bind(ground.tenant)
        .bind(id)
        .fetch_one(&mut ground.sql)
        .await?;
        match status.as_str() {
            "done" => return Ok(id),
            "error" => bail!("the report failed:\n{}", service.log_text()),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Path and query of a link to the text.
async fn link(service: &Service, token: &str, report: Uuid) -> anyhow::Result<String> {
    let path = format!("{ROOT}/historyDefinitions/{report}/instances/{report}/generateDownloadUri");
    let answer = call(service.port, "POST", &path, Some(token), Some(&Value::Null)).await?.json(200)?;
    let link = answer["downloadUri"].as_str().context("a link")?;
    let link = url::Url::parse(link)?;
    Ok(link[url::Position::BeforePath..].to_owned())
}

/// What a download saw.
struct Downloaded {
    first: Duration,
    whole: Duration,
    lines: u64,
}

/// Reads all of it, with a pause after each piece of 64 KiB for somebody who is slow.
async fn download(service: &Service, path: &str, pause: Option<Duration>) -> anyhow::Result<Downloaded> {
    let mut stream = TcpStream::connect(("127.0.0.1", service.port)).await?;
    let mut request = Vec::new();
    push_get(&mut request, path, "");
    let begun = Instant::now();
    stream.write_all(&request).await?;
    let mut buffer = vec![0; 64 * 1024];
    let mut filled = 0;
    let (head, size) = loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        ensure!(read > 0, "the download broke off");
        filled += read;
        if let Some(end) = head_end(&buffer[..filled]) {
            let head = parse(&buffer[..end])?;
            ensure!(head.status == 200, "answered {}", head.status);
            break (end, head.content_length.context("how long the report is")?);
        }
    };
    let mut lines = newlines(&buffer[head..filled]);
    let mut taken = (filled - head) as u64;
    let first = begun.elapsed();
    while taken < size {
        let read = stream.read(&mut buffer).await?;
        ensure!(read > 0, "the download broke off");
        lines += newlines(&buffer[..read]);
        taken += read as u64;
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
    Ok(Downloaded { first, whole: begun.elapsed(), lines })
}

fn newlines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

async fn copy(ground: &Ground<'_>, floor: &str) -> anyhow::Result<f64> {
    let mut worker = ground.cluster.connect(&ground.database).await?;
    run(
        &mut worker,
        &format!(
            "set role attestry_service; set jit = off; set work_mem = '32MB'; \
        select set_config('attestry.tenant', '{}', false)",
            ground.tenant
        ),
    )
    .await?;
    let begun = Instant::now();
    let mut text = worker.copy_out_raw(floor).await?;
    while let Some(piece) = text.next().await {
        piece?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

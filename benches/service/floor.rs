//! The floor: the best SQL known for the same operation, run by `pgbench` on prepared statements in pipelines, as the role the
//! service works as.

use std::{
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
};

use crate::{cluster::Cluster, load::Slice, processor::Meter};

/// What `pgbench` runs.
#[derive(Clone, Debug)]
pub struct Floor {
    pub database: String,
    /// File names in `benches/service/floor`, each with its weight.
    pub scripts: Vec<(&'static str, u32)>,
    /// Variables of the scripts.
    pub variables: Vec<(&'static str, String)>,
    pub connections: usize,
    /// Threads of `pgbench`.
    pub threads: usize,
}

/// Where the floor's SQL lives.
pub fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/service/floor").join(name)
}

/// A script for one run, with what stands in braces put in.
///
/// # Errors
/// When it cannot be read.
pub fn filled(name: &str, values: &[(&str, String)]) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(script(name)).with_context(|| name.to_owned())?;
    Ok(values.iter().fold(text, |text, (key, value)| text.replace(&format!("{{{key}}}"), value)))
}

impl Floor {
    /// `extent` is `-T` and how many seconds, or `-t` and how many transactions.
    fn command(&self, cluster: &Cluster, extent: [&str; 2], seed: u64) -> anyhow::Result<Command> {
        let mut command = Command::new(cluster.program("pgbench")?);
        command
            .env_remove("PGDATABASE")
            .env("PGHOST", cluster.socket_directory())
            .env("PGUSER", "postgres")
            .env("PGOPTIONS", "-c role=attestry_service -c jit=off -c lock_timeout=4s")
            .args(["-n", "-M", "prepared", "-P", "1"])
            .args(extent)
            .args(["-c", &self.connections.to_string()])
            .args(["-j", &self.threads.to_string()])
            .arg(format!("--random-seed={seed}"));
        for (name, value) in &self.variables {
            command.args(["-D", &format!("{name}={value}")]);
        }
        for (name, weight) in &self.scripts {
            command.arg("-f").arg(format!("{}@{weight}", script(name).display()));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(command)
    }

    /// As fast as it goes. The warm-up and the duration are whole seconds: `pgbench` tells its progress every second, and what it
    /// tells of the time in between is what counts.
    pub async fn run(
        &self,
        cluster: &Cluster,
        meter: Meter,
        warm_up: Duration,
        duration: Duration,
        seed: u64,
    ) -> anyhow::Result<Slice> {
        let (warm_up, duration) = (warm_up.as_secs().max(1) as usize, duration.as_secs().max(1) as usize);
        // One second more, so that the last line that counts is not the last one.
        let seconds = (warm_up + duration + 1).to_string();
        let mut command = self.command(cluster, ["-T", &seconds], seed)?;
        command.arg(&self.database);
        let mut process = command.spawn().context("starting pgbench")?;
        let mut lines = BufReader::new(process.stderr.take().context("the progress of pgbench")?).lines();
        let (mut told, mut rates, mut began) = (String::new(), Vec::new(), None);
        let mut slice = Slice::default();
        while let Some(line) = lines.next_line().await? {
            match progress(&line) {
                None => told.extend([line.as_str(), "\n"]),
                Some(per_second) => rates.push(per_second),
            }
            // Lines are a second apart: what is told in one was done since the one before.
            match began {
                None if rates.len() == warm_up => began = Some((meter.read(), Instant::now())),
                Some((before, from)) if rates.len() == warm_up + duration && slice.seconds == 0.0 => {
                    slice.usage = meter.read().since(before);
                    slice.seconds = from.elapsed().as_secs_f64();
                }
                _ => {}
            }
        }
        let mut summary = String::new();
        if let Some(mut output) = process.stdout.take() {
            output.read_to_string(&mut summary).await?;
        }
        let ended = process.wait().await?;
        ensure!(ended.success() && slice.seconds > 0.0, "pgbench: {told}\n{summary}");
        let counted = rates.get(warm_up..warm_up + duration).context("the progress of pgbench")?;
        slice.all_requests = summary
            .lines()
            .find_map(|line| line.strip_prefix("number of transactions actually processed: ")?.split('/').next())
            .and_then(|number| number.trim().parse().ok())
            .context("the summary of pgbench")?;
        slice.requests = (counted.iter().sum::<f64>() / duration as f64 * slice.seconds).round() as u64;
        Ok(slice)
    }

    /// One transaction alone; how long it took, without the connecting.
    pub async fn once(&self, cluster: &Cluster) -> anyhow::Result<Duration> {
        let mut command = self.command(cluster, ["-t", "1"], 1)?;
        let output = command.arg(&self.database).output().await?;
        let summary = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "pgbench: {}\n{summary}", String::from_utf8_lossy(&output.stderr));
        let milliseconds: f64 = summary
            .lines()
            .find_map(|line| line.strip_prefix("latency average = ")?.strip_suffix(" ms"))
            .context("the summary of pgbench")?
            .parse()?;
        Ok(Duration::from_secs_f64(milliseconds / 1e3))
    }

    /// At a rate, as an open loop: latencies count from when a transaction was due.
    pub async fn run_at(
        &self,
        cluster: &Cluster,
        rate: f64,
        warm_up: Duration,
        duration: Duration,
        seed: u64,
    ) -> anyhow::Result<Vec<Duration>> {
        let directory = tempfile::tempdir()?;
        let seconds = (warm_up.as_secs() + duration.as_secs()).to_string();
        let mut command = self.command(cluster, ["-T", &seconds], seed)?;
        command.arg(format!("--rate={rate:.1}")).arg("--log").arg("--log-prefix=transactions").arg(&self.database);
        let output = command.current_dir(directory.path()).output().await?;
        ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
        let mut transactions = Vec::new();
        for entry in std::fs::read_dir(directory.path())? {
            for line in std::fs::read_to_string(entry?.path())?.lines() {
                // client, number, latency in µs, script, epoch, µs of the second, lag
                let fields: Vec<u64> = line.split(' ').map_while(|field| field.parse().ok()).collect();
                let [_, _, latency, _, epoch, microseconds, ..] = fields[..] else { bail!("pgbench's log: {line}") };
                transactions.push((epoch * 1_000_000 + microseconds, Duration::from_micros(latency)));
            }
        }
        let first = transactions.iter().map(|(at, _)| *at).min().unwrap_or_default();
        let from = first + warm_up.as_micros() as u64;
        Ok(transactions.into_iter().filter(|(at, _)| *at >= from).map(|(_, latency)| latency).collect())
    }
}

/// `progress: 2.0 s, 12345.6 tps, lat …`: how many a second.
fn progress(line: &str) -> Option<f64> {
    line.strip_prefix("progress: ")?.split(", ").nth(1)?.trim_end_matches(" tps").parse().ok()
}

//! The service and the floor by turns, A B A B A B, on the same rows in the same minutes.

use std::time::Duration;

use anyhow::Context;

use crate::{
    floor::Floor,
    ground::Ground,
    load::{Load, Requests, Slice, p99},
    processor::Meter,
    report::Outcome,
    service::Service,
    wal,
};

/// So much, in parts of their median, the slices of the floor may differ before the run says nothing.
const STEADY: f64 = 0.25;
/// So many runs are thrown away before one that is not steady is told, with a note.
const MOST_REPEATS: usize = 3;
/// The part of the peak at which latencies are taken.
pub const PART_OF_PEAK: f64 = 0.6;
/// Slices of each side in which latencies are taken, at least: a disk that stalls once decides one of them.
const LEAST_TAILS: usize = 3;

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub warm_up: Duration,
    pub slice: Duration,
    pub pairs: usize,
}

/// What is compared.
pub struct Contest<'a> {
    pub service: &'a Service,
    pub requests: &'a dyn Requests,
    pub floor: &'a Floor,
    /// Of clients with the service, and of `pgbench` with the database.
    pub connections: usize,
    /// Whether latencies are taken at a part of the peak, too.
    pub latencies: bool,
    /// Whether what is written to the log is counted.
    pub writes: bool,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub service: Vec<Slice>,
    pub floor: Vec<Slice>,
    pub service_p99: Option<Duration>,
    pub floor_p99: Option<Duration>,
    pub service_wal: Option<wal::Written>,
    pub floor_wal: Option<wal::Written>,
    /// What was thrown away, or should have been.
    pub notes: Vec<String>,
}

impl Contest<'_> {
    /// Runs the contest; again when the floor was not steady.
    ///
    /// # Errors
    /// For a wrong answer of the service or a failed transaction of the floor.
    pub async fn run(&self, ground: &mut Ground<'_>, pace: Pace) -> anyhow::Result<Seen> {
        let mut notes = Vec::new();
        let differed = |seen: &Seen| spread(&seen.floor);
        let mut seen = steadily(async || self.slices(ground, pace).await, differed, "the floor", &mut notes).await?;
        if self.latencies {
            self.tails(ground, pace, &mut seen, &mut notes).await?;
        }
        seen.notes.extend(notes);
        Ok(seen)
    }

    /// Latencies by turns, each side at a part of its own peak: of the 99th percentiles of the slices the median.
    async fn tails(
        &self,
        ground: &mut Ground<'_>,
        pace: Pace,
        seen: &mut Seen,
        notes: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let load = self.load(ground, pace);
        let (rate, floor_rate) = (median(&seen.service) * PART_OF_PEAK, median(&seen.floor) * PART_OF_PEAK);
        let (mut service, mut floor) = (Vec::new(), Vec::new());
        for turn in 0..pace.pairs.max(LEAST_TAILS) {
            let seed = 99 + turn as u64;
            let slice = load.open(self.requests, rate, seed).await?;
            if slice.per_second() < rate * 0.9 {
                notes.push(format!("at {rate:.0} requests a second only {:.0} were answered", slice.per_second()));
            }
            service.extend(p99(&slice.latencies));
            let latencies = self.floor.run_at(ground.cluster, floor_rate, pace.warm_up, pace.slice, seed).await?;
            floor.extend(p99(&latencies));
        }
        let median = |tails: Vec<Duration>| {
            (!tails.is_empty())
                .then(|| Duration::from_secs_f64(median_of(tails.iter().map(Duration::as_secs_f64).collect())))
        };
        notes.push(format!("99th percentiles of the slices: {}; the floor's {}", told(&service), told(&floor)));
        (seen.service_p99, seen.floor_p99) = (median(service), median(floor));
        Ok(())
    }

    /// The load that the service gets.
    pub fn load(&self, ground: &Ground<'_>, pace: Pace) -> Load {
        Load {
            port: self.service.port,
            connections: self.connections,
            warm_up: pace.warm_up,
            duration: pace.slice,
            meter: self.meter(ground),
        }
    }

    fn meter(&self, ground: &Ground<'_>) -> Meter {
        Meter { service: Some(self.service.process()), postmaster: ground.cluster.postmaster }
    }

    async fn slices(&self, ground: &mut Ground<'_>, pace: Pace) -> anyhow::Result<Seen> {
        ground.checkpoint().await?;
        let mut seen = Seen::default();
        for pair in 0..pace.pairs {
            let seed = pair as u64 * 2 + 1;
            let from = wal::position(ground).await?;
            let slice = self.load(ground, pace).closed(self.requests, seed).await;
            let slice = slice.with_context(|| format!("the service's log ends with:\n{}", tail(self.service)))?;
            if self.writes {
                let written = wal::written(ground, &from, slice.all_requests).await?;
                seen.service_wal = Some(written);
            }
            seen.service.push(slice);
            let from = wal::position(ground).await?;
            let meter = self.meter(ground);
            let slice = self.floor.run(ground.cluster, meter, pace.warm_up, pace.slice, seed + 1).await?;
            if self.writes {
                seen.floor_wal = Some(wal::written(ground, &from, slice.all_requests).await?);
            }
            seen.floor.push(slice);
        }
        Ok(seen)
    }
}

/// `1.2, 3.4 ms`
fn told(tails: &[Duration]) -> String {
    let milliseconds: Vec<_> = tails.iter().map(|tail| format!("{:.1}", tail.as_secs_f64() * 1e3)).collect();
    format!("{} ms", milliseconds.join(", "))
}

/// Runs, and again while the slices of what is compared with differ too much: such a run is thrown away, and the notes say so. The
/// last one is told however it was.
///
/// # Errors
/// Those of a run.
pub async fn steadily<T>(
    mut run: impl AsyncFnMut() -> anyhow::Result<T>,
    differed: impl Fn(&T) -> f64,
    whose: &str,
    notes: &mut Vec<String>,
) -> anyhow::Result<T> {
    for _ in 0..MOST_REPEATS {
        let seen = run().await?;
        if differed(&seen) <= STEADY {
            return Ok(seen);
        }
        notes.push(format!("a run was thrown away: slices of {whose} differed by {:.0} %", differed(&seen) * 100.0));
    }
    let seen = run().await?;
    if differed(&seen) > STEADY {
        notes.push(format!("not steady: slices of {whose} differed by {:.0} % again", differed(&seen) * 100.0));
    }
    Ok(seen)
}

fn tail(service: &Service) -> String {
    let log = service.log_text();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

impl Seen {
    /// The figures of a workload at a size.
    pub fn outcome(&self, workload: &'static str, size: u64) -> Outcome {
        let service_cpu = per_request(&self.service, |slice| slice.usage.service);
        let database_cpu = per_request(&self.service, |slice| slice.usage.postgres);
        let generator_cpu = per_request(&self.service, |slice| slice.usage.generator);
        let floor_cpu = per_request(&self.floor, |slice| slice.usage.postgres);
        let (service, floor) = (median(&self.service), median(&self.floor));
        let milliseconds = |latency: Option<Duration>| latency.map(|latency| latency.as_secs_f64() * 1e3);
        let (service_p99, floor_p99) = (milliseconds(self.service_p99), milliseconds(self.floor_p99));
        Outcome {
            throughput: Some(service / floor),
            processor: Some(service_cpu / floor_cpu),
            database: Some(database_cpu / floor_cpu),
            p99_ratio: service_p99.zip(floor_p99).map(|(service, floor)| service / floor),
            service_per_second: Some(service),
            floor_per_second: Some(floor),
            service_cpu_us: Some(service_cpu),
            database_cpu_us: Some(database_cpu),
            floor_cpu_us: Some(floor_cpu),
            generator_cpu_us: Some(generator_cpu),
            service_p99_ms: service_p99,
            floor_p99_ms: floor_p99,
            wal_bytes: self.service_wal.map(|written| written.records),
            wal_bytes_with_images: self.service_wal.map(|written| written.all),
            floor_wal_bytes: self.floor_wal.map(|written| written.records),
            notes: self.notes.clone(),
            ..Outcome::of(workload, size)
        }
    }
}

/// Requests a second: the median of the slices.
pub fn median(slices: &[Slice]) -> f64 {
    median_of(slices.iter().map(Slice::per_second).collect())
}

/// The middle one; of an even number the mean of the two in the middle.
pub fn median_of(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// How far the slowest slice is from the fastest, in parts of the median.
pub fn spread(slices: &[Slice]) -> f64 {
    let rates = || slices.iter().map(Slice::per_second);
    (rates().fold(0.0, f64::max) - rates().fold(f64::INFINITY, f64::min)) / median(slices)
}

/// Microseconds of processor time per request: the median of the slices.
pub fn per_request(slices: &[Slice], used: impl Fn(&Slice) -> Duration) -> f64 {
    median_of(slices.iter().map(|slice| used(slice).as_secs_f64() * 1e6 / slice.requests as f64).collect())
}

//! Logs and metrics: set up once at start. Logs go to standard error, metrics are kept for `GET /metrics`.
//!
//! Labels come from small fixed sets (route patterns, status classes, kinds of jobs): no ids, no tenant, nothing of people.

use std::{io, time::Duration};

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, util::TryInitError};

/// Seconds; from a job that was waited for to one that an outage held up.
const LATENESSES: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 600.0, 3_600.0];

/// Seconds; from a cached answer to the slowest bulk operation.
const DURATIONS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

const REQUESTS: &str = "attestry_http_requests_total";
const REQUEST_DURATION: &str = "attestry_http_request_duration_seconds";
const JOBS: &str = "attestry_jobs_total";
const JOB_DURATION: &str = "attestry_job_duration_seconds";
const JOBS_DUE: &str = "attestry_jobs_due";
const JOB_LATENESS: &str = "attestry_job_lateness_seconds";
const JOB_STARTED_LATE: &str = "attestry_job_started_late_seconds";
const ISSUER_KEYS_FETCHED: &str = "attestry_issuer_key_fetches_total";
const ISSUER_KEYS_AGE: &str = "attestry_issuer_keys_age_seconds";
const CONNECTIONS_OPEN: &str = "attestry_database_connections_open";
const CONNECTIONS_IN_USE: &str = "attestry_database_connections_in_use";
const UNITS_WAITING: &str = "attestry_database_units_waiting";
const REQUESTS_WAITING: &str = "attestry_requests_waiting_together";

/// Why logs or metrics could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter has a form of its own.
    #[error("ATTESTRY_LOG is no filter such as `info` or `attestry=debug,warn`")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// Somebody else logs in this process.
    #[error("logging is set up already")]
    Logs(#[source] TryInitError),
    /// Somebody else measures in this process.
    #[error("metrics are set up already")]
    Metrics(#[source] BuildError),
}

/// Writes events that pass `filter` to standard error: for people, or with `json` one JSON object a line.
///
/// # Errors
/// For a malformed filter, and when called twice.
pub fn log_to_stderr(filter: &str, json: bool) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt;

    let filter = EnvFilter::try_new(filter).map_err(TelemetryError::Filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let result = if json {
        builder.json().flatten_event(true).finish().try_init()
    } else {
        let colours = io::IsTerminal::is_terminal(&io::stderr());
        builder.with_target(false).with_ansi(colours).finish().try_init()
    };
    result.map_err(TelemetryError::Logs)
}

/// Starts measuring; the handle renders what was measured.
///
/// # Errors
/// When called twice.
pub fn measure() -> Result<PrometheusHandle, TelemetryError> {
    let handle = PrometheusBuilder::new()
        .set_buckets(&DURATIONS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Full(JOB_STARTED_LATE.to_owned()), &LATENESSES))
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(TelemetryError::Metrics)?;
    describe_counter!(
        REQUESTS,
        "Requests answered, by route pattern, method and class of status; 429 and 503 by themselves."
    );
    describe_histogram!(REQUEST_DURATION, Unit::Seconds, "Time from a request's head to its answer's.");
    describe_counter!(JOBS, "Jobs run, by kind and outcome.");
    describe_histogram!(JOB_DURATION, Unit::Seconds, "Time a job took.");
    describe_gauge!(JOBS_DUE, "Jobs that are due and not finished.");
    describe_gauge!(JOB_LATENESS, Unit::Seconds, "How late the most overdue job is.");
    describe_counter!(ISSUER_KEYS_FETCHED, "Fetches of the keys of token issuers, by outcome.");
    describe_histogram!(JOB_STARTED_LATE, Unit::Seconds, "How late jobs were begun, by kind.");
    describe_gauge!(ISSUER_KEYS_AGE, Unit::Seconds, "Age of the oldest keys of a token issuer in use.");
    describe_gauge!(CONNECTIONS_OPEN, "Open database connections, by lane.");
    describe_gauge!(CONNECTIONS_IN_USE, "Database connections in use, by lane.");
    describe_gauge!(UNITS_WAITING, "Units of work that wait for a database connection, by lane.");
    describe_gauge!(REQUESTS_WAITING, "Requests that wait to be answered together with others.");
    Ok(handle)
}

/// Records an answer. `route` is the pattern of the route, never the path.
pub fn request_answered(method: &'static str, route: String, status: u16, took: Duration) {
    let class = match status {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        // What an operator looks for: somebody is throttled, or the database is away.
        429 => "429",
        503 => "503",
        400..=499 => "4xx",
        _ => "5xx",
    };
    counter!(REQUESTS, "method" => method, "route" => route.clone(), "status" => class).increment(1);
    histogram!(REQUEST_DURATION, "method" => method, "route" => route).record(took.as_secs_f64());
}

/// How a worker's run of a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobResult {
    /// Finished, or nothing was left to do.
    Finished,
    /// To be tried again.
    Failed,
    /// Somebody else has it.
    LeaseLost,
    /// Put back as it was: what it needs does not answer.
    NotTried,
}

impl JobResult {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::LeaseLost => "lease_lost",
            Self::NotTried => "not_tried",
        }
    }
}

/// Records that a job was begun so many seconds after it was due, or had rested enough for another try.
pub fn job_started(kind: &'static str, late_by_seconds: f64) {
    histogram!(JOB_STARTED_LATE, "kind" => kind).record(late_by_seconds.max(0.0));
}

/// Records a run of a job.
pub fn job_ran(kind: &'static str, result: JobResult, took: Duration) {
    counter!(JOBS, "kind" => kind, "outcome" => result.as_str()).increment(1);
    histogram!(JOB_DURATION, "kind" => kind).record(took.as_secs_f64());
}

/// Records how many jobs are due and undone, and how late the latest is, in seconds.
pub fn backlog(due: i64, lateness_seconds: f64) {
    #[expect(clippy::cast_precision_loss, reason = "a gauge of 2^53 jobs is exact enough")]
    gauge!(JOBS_DUE).set(due as f64);
    gauge!(JOB_LATENESS).set(lateness_seconds);
}

/// Records a fetch of a token issuer's keys.
pub fn issuer_keys_fetched(succeeded: bool) {
    counter!(ISSUER_KEYS_FETCHED, "outcome" => if succeeded { "fetched" } else { "failed" }).increment(1);
}

/// Records the age of the oldest keys of a token issuer in use; zero when there are none.
pub fn issuer_keys_age(oldest: Option<Duration>) {
    gauge!(ISSUER_KEYS_AGE).set(oldest.unwrap_or_default().as_secs_f64());
}

/// Records how many requests wait to be answered together with others.
pub fn requests_waiting(count: usize) {
    gauge!(REQUESTS_WAITING).set(u32::try_from(count).unwrap_or(u32::MAX));
}

/// Records the database connections of a lane, and how many units of work wait for one.
pub fn connections(lane: &'static str, open: u32, in_use: u32, waiting: u32) {
    gauge!(CONNECTIONS_OPEN, "lane" => lane).set(open);
    gauge!(CONNECTIONS_IN_USE, "lane" => lane).set(in_use);
    gauge!(UNITS_WAITING, "lane" => lane).set(waiting);
}

//! What is written to the write-ahead log.

use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::ground::Ground;

/// Bytes per request.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// What the request itself writes.
    pub records: f64,
    /// With images of pages that were not touched since the last checkpoint: how many those are depends on the time since.
    pub all: f64,
}

/// Where the log ends now.
pub async fn position(ground: &mut Ground<'_>) -> anyhow::Result<String> {
    Ok(sqlx::query_scalar("select pg_current_wal_insert_lsn()::text").fetch_one(&mut ground.sql).await?)
}

/// What so many requests have written since `from`.
pub async fn written(ground: &mut Ground<'_>, from: &str, requests: u64) -> anyhow::Result<Written> {
    // Only what is on disk can be read.
    let to: String = sqlx::query_scalar("select pg_current_wal_flush_lsn()::text").fetch_one(&mut ground.sql).await?;
    let output = Command::new(ground.cluster.program("pg_waldump")?)
        .arg("--path")
        .arg(ground.cluster.data_directory().join("pg_wal"))
        .args(["--start", from, "--end", &to, "--stats"])
        .stdin(Stdio::null())
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "pg_waldump: {}", String::from_utf8_lossy(&output.stderr));
    // Total  <records>  <bytes> [..%]  <image bytes> [..%]  <together> [..%]
    let total = text.lines().find(|line| line.starts_with("Total")).context("pg_waldump told no total")?;
    let numbers: Vec<f64> = total.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [_, records, _, all] = numbers[..] else { anyhow::bail!("pg_waldump told {total}") };
    Ok(Written { records: records / requests as f64, all: all / requests as f64 })
}

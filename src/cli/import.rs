//! `attestry import`

use std::{io::IsTerminal, os::fd::AsFd, path::Path, time::Duration};

use anyhow::Context;
use attestry::{
    app::import_directory::{ImportPhase, ImportProgress, ImportReport, NoProgress, import_directory},
    domain::ids::TenantId,
    store::pg::directory_import::PgDirectoryImport,
};
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::postgres::PgPoolOptions;
use tokio::io::{AsyncBufRead, BufReader};

use super::{ImportArguments, database::Database, print};

/// What is read at a time.
const BUFFER_BYTES: usize = 256 * 1024;

pub async fn run(database: &Database, ImportArguments { tenant, file }: ImportArguments) -> anyhow::Result<()> {
    // A file that is not there is told before anything else is done.
    let (source, bytes) = open(&file).await?;
    database.prepare(false).await?;
    let tenant = database.tenant(&tenant).await?;
    let report = match std::io::stderr().is_terminal() {
        true => import(database, tenant.id, source, &Bar::new(bytes)).await?,
        false => import(database, tenant.id, source, &NoProgress).await?,
    };
    print(&serde_json::to_string(&report).context("the report cannot be written as JSON")?)
}

/// Imports from any source.
pub async fn import(
    database: &Database,
    tenant: TenantId,
    source: impl AsyncBufRead + Unpin + Send,
    progress: &dyn ImportProgress,
) -> anyhow::Result<ImportReport> {
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .connect(database.url())
        .await
        .context("the database is not reachable")?;
    let report = import_directory(&PgDirectoryImport { pool: pool.clone() }, tenant, source, progress).await;
    pool.close().await;
    Ok(report?)
}

type Source = Box<dyn AsyncBufRead + Unpin + Send>;

/// The source and, when it is a file, how long it is.
async fn open(file: &Path) -> anyhow::Result<(Source, Option<u64>)> {
    if file == Path::new("-") {
        let input = std::io::stdin().as_fd().try_clone_to_owned().context("standard input cannot be read")?;
        let input = tokio::fs::File::from_std(std::fs::File::from(input));
        return Ok((Box::new(BufReader::with_capacity(BUFFER_BYTES, input)), None));
    }
    let opened = tokio::fs::File::open(file).await.with_context(|| format!("{} cannot be read", file.display()))?;
    let bytes = opened.metadata().await.ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
    Ok((Box::new(BufReader::with_capacity(BUFFER_BYTES, opened)), bytes))
}

/// How far the import is, on a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new(bytes: Option<u64>) -> Self {
        let (bar, template) = match bytes {
            Some(bytes) => (ProgressBar::new(bytes), "{msg:9} [{bar:40}] {bytes}/{total_bytes} {eta}"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg:9} {bytes} {elapsed}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }
}

impl ImportProgress for Bar {
    fn phase(&self, phase: ImportPhase) {
        self.0.set_message(match phase {
            ImportPhase::Reading => "reading",
            ImportPhase::Checking => "checking",
            ImportPhase::Writing => "writing",
        });
    }

    fn read(&self, bytes: u64, _: u64) {
        self.0.set_position(bytes);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

//! `attestry demo`

use attestry::config::Config;

use super::{database::Database, serve, service};

pub async fn run(config: &Config, database: &Database) -> anyhow::Result<()> {
    database.prepare(true).await?;
    let wired = service::wire(config, database)?;
    serve::serve(config, wired, async |_| Ok(())).await
}

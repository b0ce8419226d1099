//! `attestry tenant clock`

use attestry::{app::advance_clock::advance_clock, http::definitions::view::render_date_time, store::Actor};
use serde_json::json;

use super::{TenantClockArguments, database::Database, print, service};

use attestry::config::Config;

pub async fn advance(config: &Config, database: &Database, arguments: TenantClockArguments) -> anyhow::Result<()> {
    database.prepare(false).await?;
    let tenant = database.tenant(&arguments.tenant).await?;
    if !tenant.sandbox {
        anyhow::bail!("`{}` is no sandbox tenant; only the clock of a sandbox tenant can be advanced", tenant.slug);
    }
    if config.mail.is_none() {
        tracing::warn!("no mail server is configured (ATTESTRY_SMTP_URL): mail that falls due on the way is not sent");
    }
    let wired = service::wire(config, database)?;
    let public_url = config.expected_public_url();
    let now = advance_clock(&wired.services, tenant.id, &Actor::system(), arguments.advance, &public_url).await;
    wired.store.close().await;
    print(&json!({ "now": render_date_time(now.map_err(service::told)?) }).to_string())
}

//! The one place where traits meet what implements them.

use std::sync::Arc;

use anyhow::Context;
use attestry::{
    app::{Refused, Services},
    config::Config,
    domain::{limits::ReviewLimits, token_issuer::AddressPolicy, violation::Violation},
    mail::{Mailer, NoMailer, SmtpMailer},
    store::{LaneSizes, pg::PgStore},
};
use secrecy::ExposeSecret;
use tokio::sync::Notify;

use super::database::Database;

/// The services of a process, and the store behind them, to be closed at the end.
pub struct Wired {
    pub services: Services,
    pub store: PgStore,
}

/// Wires the services. Makes no connection yet.
pub fn wire(config: &Config, database: &Database) -> anyhow::Result<Wired> {
    let store = PgStore::connect(database.url(), lane_sizes(config))?;
    let mailer: Arc<dyn Mailer> = match &config.mail {
        Some(mail) => {
            let authority = mail.authority.as_ref().map(|file| {
                std::fs::read(file).with_context(|| format!("ATTESTRY_SMTP_CA: {} cannot be read", file.display()))
            });
            let authority = authority.transpose()?;
            let mailer = SmtpMailer::trusting(mail.url.expose_secret(), &mail.from, authority.as_deref())?;
            if mailer.exposes_password() {
                tracing::warn!(
                    "the password for the mail server may be sent unencrypted: let ATTESTRY_SMTP_URL begin with smtps:// \
                     or end with ?tls=required"
                );
            }
            Arc::new(mailer)
        }
        None => Arc::new(NoMailer),
    };
    let shared = Arc::new(store.clone());
    let work = Arc::new(Notify::new());
    let services = Services::new(shared.clone(), shared, mailer, work, limits(config));
    Ok(Wired { services, store })
}

/// How the connections are divided.
fn lane_sizes(config: &Config) -> LaneSizes {
    let workers = u32::try_from(config.workers).unwrap_or(u32::MAX);
    LaneSizes::divide(config.max_connections, workers, config.bulk_connections, config.scheduler_connections)
}

/// How large a review may become: as the operator says, else as usual. LC-REV-13
fn limits(config: &Config) -> ReviewLimits {
    let usual = ReviewLimits::default();
    ReviewLimits {
        items_per_instance: config.most_items_per_instance.unwrap_or(usual.items_per_instance),
        reviewers_per_item: config.most_reviewers_per_item.map_or(usual.reviewers_per_item, i64::from),
        instances_per_occurrence: config.most_instances_per_occurrence.unwrap_or(usual.instances_per_occurrence),
    }
}

/// Which addresses of token issuers the operator allows.
pub fn address_policy(config: &Config) -> AddressPolicy {
    AddressPolicy { allow_http: config.allow_http_issuers, allow_private: config.allow_private_issuers }
}

/// A refusal in words for a terminal: the faults themselves instead of "the request is not valid".
pub fn told(refused: Refused) -> anyhow::Error {
    match refused {
        Refused::Invalid(violations) => told_faults(&violations),
        other => other.into(),
    }
}

/// What is wrong with something that was described, on one line.
pub fn told_faults(violations: &[Violation]) -> anyhow::Error {
    let faults: Vec<_> = violations
        .iter()
        .map(|violation| match violation.path.as_str() {
            "" => violation.reason.clone(),
            path => format!("{path}: {}", violation.reason),
        })
        .collect();
    anyhow::anyhow!(faults.join("; "))
}

//! The database of a command: the one it was given, or a share in the private cluster of the data directory.

use anyhow::{Context, bail};
use attestry::{
    config::Config,
    local_postgres::{LocalPostgres, Options, join_or_start},
    store::{
        LaneSizes, Readiness, Store, Tenant,
        pg::{PgStore, migrate, tenants::Administration},
    },
};
use secrecy::{ExposeSecret, SecretString};

/// A database that answers, or will.
pub struct Database {
    url: SecretString,
    cluster: Option<LocalPostgres>,
}

impl Database {
    /// The database of this configuration. Starts the private cluster if need be, so it must be called before there are
    /// other threads.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        Ok(match &config.database_url {
            Some(url) => Self { url: url.clone(), cluster: None },
            None => {
                let cluster = join_or_start(&Options::durable(&config.data_dir))?;
                Self { url: cluster.url("postgres").into(), cluster: Some(cluster) }
            }
        })
    }

    /// The address to connect to. May hold a password.
    pub fn url(&self) -> &str {
        self.url.expose_secret()
    }

    /// Whether it is ours, so that nobody else decides about its schema.
    pub fn is_private(&self) -> bool {
        self.cluster.is_some()
    }

    /// Makes sure the schema is the one compiled in: a private database is migrated, one that was given is only looked at,
    /// unless `migrate`.
    pub async fn prepare(&self, migrate: bool) -> anyhow::Result<()> {
        if migrate || self.is_private() {
            self.migrate().await?;
            return Ok(());
        }
        let store = PgStore::connect(self.url(), LaneSizes::each(1))?;
        let readiness = store.ready().await;
        store.close().await;
        match readiness? {
            Readiness::Ready => Ok(()),
            Readiness::SchemaMismatch { found: 0, .. } => {
                bail!("the database has no attestry schema; run `attestry migrate`, or `attestry serve --migrate`")
            }
            Readiness::SchemaMismatch { found, wanted } if found < wanted => bail!(
                "the database has schema version {found}, this program needs {wanted}; run `attestry migrate`, or \
                 `attestry serve --migrate`"
            ),
            Readiness::SchemaMismatch { found, wanted } => bail!(
                "the database has schema version {found}, this program knows only up to {wanted}; use a newer program"
            ),
        }
    }

    /// Applies what is missing; returns how many migrations that were.
    pub async fn migrate(&self) -> anyhow::Result<usize> {
        migrate::apply(self.url()).await.context("the database could not be migrated")
    }

    /// Connects as the owner of the tables.
    pub async fn administration(&self) -> anyhow::Result<Administration> {
        Ok(Administration::connect(self.url()).await?)
    }

    /// The tenant of a slug or an id.
    pub async fn tenant(&self, slug_or_id: &str) -> anyhow::Result<Tenant> {
        let found = self.administration().await?.find_tenant(slug_or_id).await?;
        found.with_context(|| {
            format!("there is no tenant `{slug_or_id}`; make it with `attestry tenant create --slug … --name …`")
        })
    }

    /// Gives a private cluster back; it stops when nobody else uses it.
    pub fn release(self) -> anyhow::Result<()> {
        match self.cluster {
            Some(cluster) => Ok(cluster.release()?),
            None => Ok(()),
        }
    }
}

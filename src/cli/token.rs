//! `attestry token`

use anyhow::{Context, bail};
use attestry::{
    app::development_tokens::{
        ALGORITHM, AUDIENCE, DevelopmentKey, Subject, TokenRequest, application_id, generate, issuer, parse_lifetime,
        sign,
    },
    config::Config,
    domain::ids::TenantId,
    store::{
        Lane, LaneSizes, Store,
        pg::{
            PgStore,
            tenants::{Administration, StoredDevelopmentKey},
        },
    },
};
use secrecy::ExposeSecret;

use super::{TokenArguments, database::Database, print};

/// Refuses where tokens of the built-in issuer would not be accepted anyway.
pub fn require_development_issuer(config: &Config) -> anyhow::Result<()> {
    if !config.dev_issuer {
        bail!(
            "the built-in token issuer is for development and tests and is switched off; set ATTESTRY_DEV_ISSUER=1, for the \
             service too"
        );
    }
    Ok(())
}

pub async fn run(config: &Config, database: &Database, arguments: TokenArguments) -> anyhow::Result<()> {
    require_development_issuer(config)?;
    let lifetime = parse_lifetime(&arguments.ttl)?;
    database.prepare(false).await?;
    let tenant = database.tenant(&arguments.tenant).await?.id;
    let store = PgStore::connect(database.url(), LaneSizes::each(1))?;
    let subject = match (&arguments.subject.user, &arguments.subject.app) {
        (Some(user), _) => find_user(&store, tenant, user).await,
        (None, Some(application)) => find_application(&store, tenant, application).await,
        (None, None) => bail!("a token is for a user (--user) or an application (--app)"),
    };
    store.close().await;
    let request = TokenRequest::new(subject?, &arguments.roles, &arguments.scopes, lifetime)?;
    let key = development_key(&mut database.administration().await?, tenant).await?;
    print(&sign(&key, &request, real_time())?)
}

/// Tokens expire by real time, whatever a sandbox tenant's clock says.
#[expect(clippy::disallowed_methods, reason = "tokens are no business of a tenant's clock")]
pub fn real_time() -> chrono::DateTime<chrono::Utc> {
    chrono::Utc::now()
}

/// The subject of a user's token, by user principal name or id.
pub async fn find_user(store: &PgStore, tenant: TenantId, name_or_id: &str) -> anyhow::Result<Subject> {
    let user = store.begin(tenant, Lane::Interactive).await?.directory().find_user(name_or_id).await?;
    let user = user.with_context(|| format!("the tenant's directory has no user `{name_or_id}`"))?;
    Ok(Subject::User { id: user.id, user_principal_name: user.user_principal_name, display_name: user.display_name })
}

async fn find_application(store: &PgStore, tenant: TenantId, name_or_id: &str) -> anyhow::Result<Subject> {
    let mut found = store.begin(tenant, Lane::Interactive).await?.directory().find_applications(name_or_id).await?;
    Ok(match (found.pop(), found.is_empty()) {
        (Some(application), true) => {
            Subject::Application { id: application.id, display_name: application.display_name }
        }
        (Some(_), false) => bail!("the directory has several applications called `{name_or_id}`; give an id instead"),
        (None, _) => {
            Subject::Application { id: application_id(tenant, name_or_id), display_name: name_or_id.to_owned() }
        }
    })
}

/// The key of the tenant's built-in issuer, which is made when there is none yet.
pub async fn development_key(administration: &mut Administration, tenant: TenantId) -> anyhow::Result<DevelopmentKey> {
    if administration.development_key(tenant).await?.is_none() {
        let made = generate(tenant)?;
        let key = StoredDevelopmentKey {
            key_id: made.key.key_id,
            private_key: made.key.private_key.expose_secret().to_owned(),
        };
        // Of two that make one at the same time the first wins, so what counts is what is stored.
        administration.add_development_issuer(tenant, &key, &issuer(tenant), AUDIENCE, ALGORITHM, &made.jwks).await?;
    }
    let stored = administration.development_key(tenant).await?.context("the development key was not stored")?;
    Ok(DevelopmentKey { tenant_id: tenant, key_id: stored.key_id, private_key: stored.private_key.into() })
}

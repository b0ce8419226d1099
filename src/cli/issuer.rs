//! `attestry issuer`: whose tokens a tenant trusts.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use attestry::{
    app::{
        Services, add_issuer::add_issuer, list_issuers::issuers_of, remove_issuer::remove_issuer,
        resolve_caller::resolve_caller,
    },
    config::Config,
    domain::{ids::TenantId, token_issuer::TokenIssuer},
    http::{
        StoredIssuers,
        authentication::{AuthenticationError, TokenVerifier},
        issuers::{parse_new, render},
    },
    openid::{KeyAddress, KeySource, ProviderClient},
    store::Actor,
};
use serde_json::{Map, Value, json};

use super::{
    IssuerAddArguments, IssuerArguments, IssuerCommand, IssuerTestArguments,
    database::Database,
    print, read,
    service::{self, Wired},
    token::real_time,
};

pub async fn run(config: &Config, database: &Database, command: IssuerCommand) -> anyhow::Result<()> {
    database.prepare(false).await?;
    let Wired { services, store } = service::wire(config, database)?;
    let outcome = answer(config, database, &services, command).await;
    store.close().await;
    print(&outcome?.to_string())
}

async fn answer(
    config: &Config,
    database: &Database,
    services: &Services,
    command: IssuerCommand,
) -> anyhow::Result<Value> {
    match command {
        IssuerCommand::Add(arguments) => {
            let tenant = database.tenant(&arguments.tenant.tenant).await?.id;
            let settings = parse_new(&described(arguments)?).map_err(|faults| service::told_faults(&faults))?;
            let policy = service::address_policy(config);
            let added = add_issuer(services, tenant, &Actor::system(), settings, policy).await;
            Ok(render(&added.map_err(service::told)?))
        }
        IssuerCommand::List(arguments) => {
            let tenant = database.tenant(&arguments.tenant).await?.id;
            let issuers = issuers_of(services, tenant).await.map_err(service::told)?;
            Ok(issuers.iter().map(render).collect())
        }
        IssuerCommand::Show(arguments) => Ok(render(&find(database, services, &arguments).await?)),
        IssuerCommand::Remove(arguments) => {
            let issuer = find(database, services, &arguments).await?;
            let removed = remove_issuer(services, issuer.tenant_id, &Actor::system(), issuer.id).await;
            Ok(render(&removed.map_err(service::told)?))
        }
        IssuerCommand::Test(IssuerTestArguments { issuer, token }) => {
            let issuer = find(database, services, &issuer).await?;
            test(config, services, &issuer, token.as_deref()).await
        }
    }
}

/// The issuer of this address or id.
async fn find(database: &Database, services: &Services, arguments: &IssuerArguments) -> anyhow::Result<TokenIssuer> {
    let tenant = database.tenant(&arguments.tenant.tenant).await?;
    let issuers = issuers_of(services, tenant.id).await.map_err(service::told)?;
    let named = issuers
        .into_iter()
        .find(|issuer| issuer.settings.issuer == arguments.issuer || issuer.id.to_string() == arguments.issuer);
    named.with_context(|| {
        format!("`{}` has no issuer `{}`; `attestry issuer list` shows all", tenant.slug, arguments.issuer)
    })
}

/// What the arguments say, in the form of the API.
fn described(arguments: IssuerAddArguments) -> anyhow::Result<Value> {
    if let Some(file) = &arguments.file {
        let text = read(file)?;
        return serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()));
    }
    let mut body = Map::new();
    body.insert("issuer".to_owned(), json!(arguments.issuer));
    body.insert("audiences".to_owned(), json!(arguments.audiences));
    body.insert("displayName".to_owned(), json!(arguments.name));
    body.insert("discoveryUrl".to_owned(), json!(arguments.discovery_url));
    if !arguments.algorithms.is_empty() {
        body.insert("algorithms".to_owned(), json!(arguments.algorithms));
    }
    if let Some([claim, matches]) = arguments.user.as_deref() {
        body.insert("claims".to_owned(), json!({ "user": { "claim": claim, "matches": matches } }));
    }
    let grants: Vec<_> = arguments
        .grants
        .chunks(3)
        .filter_map(|grant| match grant {
            [claim, value, gives] => {
                let (member, given) = match gives.split_once(':') {
                    Some(("delegated", permission)) => ("delegatedPermission", permission),
                    Some(("application", permission)) => ("applicationPermission", permission),
                    Some(_) | None => ("directoryRole", gives.as_str()),
                };
                Some(json!({ "claim": claim, "value": value, member: given }))
            }
            _ => None,
        })
        .collect();
    body.insert("grants".to_owned(), Value::Array(grants));
    Ok(Value::Object(body))
}

/// Fetches the keys, and says whom a token names.
async fn test(
    config: &Config,
    services: &Services,
    issuer: &TokenIssuer,
    token: Option<&Path>,
) -> anyhow::Result<Value> {
    let provider = Arc::new(ProviderClient::new(service::address_policy(config)));
    let address =
        KeyAddress { issuer: issuer.settings.issuer.clone(), discovery_url: issuer.settings.discovery_address() };
    let fetched = provider.keys(&address).await?;
    let keys: Vec<_> = fetched.jwks["keys"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|key| json!({ "kid": key["kid"], "kty": key["kty"], "alg": key["alg"], "use": key["use"] }))
        .collect();
    let mut report = json!({
        "issuer": address.issuer,
        "discoveryUrl": address.discovery_url,
        "jwksUri": fetched.jwks_uri,
        "keys": keys,
    });
    if let Some(file) = token {
        report["caller"] = caller(services, issuer.tenant_id, provider, &read(&PathBuf::from(file))?).await?;
    }
    Ok(report)
}

async fn caller(
    services: &Services,
    tenant: TenantId,
    provider: Arc<ProviderClient>,
    token: &str,
) -> anyhow::Result<Value> {
    let verifier = TokenVerifier::new(StoredIssuers(Arc::clone(&services.store)), provider, false);
    let header = format!("Bearer {}", token.trim());
    let asserted = verifier.authenticate(Some(&header), real_time()).await.map_err(|error| match error {
        AuthenticationError::Refused(refusal) => anyhow::anyhow!("{refusal}"),
        error @ (AuthenticationError::Unavailable(_) | AuthenticationError::ProviderUnavailable { .. }) => error.into(),
    })?;
    if asserted.tenant_id != tenant {
        bail!("the token speaks for another tenant");
    }
    let caller = resolve_caller(services, &asserted).await.map_err(service::told)?;
    Ok(json!({
        "id": caller.identity.id,
        "displayName": caller.identity.display_name,
        "userPrincipalName": caller.identity.user_principal_name,
        "kind": format!("{:?}", caller.kind).to_lowercase(),
        "permission": caller.permission.map(|permission| permission.as_str()),
        "identityProviderPermission": caller.identity_provider_permission.map(|permission| permission.as_str()),
        "directoryRoles": caller.roles.iter().map(|role| role.name()).collect::<Vec<_>>(),
    }))
}

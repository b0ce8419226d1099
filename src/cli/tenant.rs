//! `attestry tenant create`

use anyhow::{Context, bail};
use attestry::{
    app::ids,
    store::{StoreError, Tenant},
};
use serde_json::json;

use super::{TenantCreateArguments, database::Database, print};

pub async fn create(database: &Database, arguments: TenantCreateArguments) -> anyhow::Result<()> {
    database.prepare(false).await?;
    let TenantCreateArguments { slug, name, sandbox } = arguments;
    let tenant = make(database, slug, name, sandbox).await?;
    print(
        &json!({
            "id": tenant.id,
            "slug": tenant.slug,
            "displayName": tenant.display_name,
            "sandbox": tenant.sandbox,
        })
        .to_string(),
    )
}

/// Stores a new tenant.
pub async fn make(database: &Database, slug: String, display_name: String, sandbox: bool) -> anyhow::Result<Tenant> {
    if display_name.trim().is_empty() {
        bail!("a tenant needs a name");
    }
    let tenant = Tenant { id: ids::tenant(), slug, display_name, sandbox };
    let made = database.administration().await?.create_tenant(&tenant, &ids::page_key()).await;
    match made {
        Ok(()) => Ok(tenant),
        Err(StoreError::Refused { constraint }) if constraint == "tenants_slug_key" => {
            bail!("there is a tenant `{}` already", tenant.slug)
        }
        Err(StoreError::Refused { constraint }) if constraint == "tenants_slug_form" => bail!(
            "`{}` is no slug: 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends",
            tenant.slug
        ),
        Err(error) => Err(error).context("the tenant could not be made"),
    }
}

//! The edge: parse a request, call one use case, render its answer. Every quirk of the protocol lives here and nowhere below.

pub mod api;
pub mod authentication;
pub mod batch;
pub mod conventions;
pub mod costs;
pub mod definitions;
pub mod documents;
pub mod echo;
pub mod error;
pub mod in_process;
pub mod issuers;
pub mod json_reader;
pub mod mail;
pub mod metadata;
mod object;
pub mod odata;
pub mod origins;
pub mod quotas;
pub mod request_body;
pub mod request_ids;
pub mod review_settings;
pub mod server;
pub mod tls;

use std::sync::{Arc, OnceLock};

use actix_web::web::Bytes;
use async_trait::async_trait;

use crate::{
    app::Services,
    domain::token_issuer::{
        AddressPolicy, ClaimMapping, ClaimName, IssuerSettings, SigningAlgorithm, TenantClaim, TokenIssuer,
    },
    http::authentication::{FixedKeys, IssuerSource, SourceUnavailable, TokenVerifier, TrustedIssuer},
    openid::ProviderClient,
    store::{
        Store, StoreError,
        issuers::{DevelopmentIssuer, StoredIssuer},
    },
};

/// What every handler works with.
pub struct Edge {
    pub services: Services,
    pub tokens: TokenVerifier<StoredIssuers>,
    /// Scheme and host of links in answers, without a trailing slash. CL-02
    pub public_url: String,
    /// Recent callers as the directory knows them.
    pub callers: api::Callers,
    /// What seals continuation tokens.
    pub page_keys: api::PageKeys,
    /// How much callers and tenants may ask for; `None` counts nothing.
    pub quotas: Option<quotas::Quotas>,
    /// Origins whose pages may call from a browser.
    pub allowed_origins: Vec<String>,
    /// Which addresses tenants may give.
    pub address_policy: AddressPolicy,
    /// The API document as it is sent.
    served_document: OnceLock<Bytes>,
    accept_development_issuers: bool,
}

impl Edge {
    /// An edge over these services that calls OpenID providers on the public internet only.
    pub fn new(services: Services, accept_development_issuers: bool, public_url: &str) -> Self {
        let address_policy = AddressPolicy::default();
        Self {
            tokens: verifier(&services, accept_development_issuers, address_policy),
            services,
            public_url: public_url.trim_end_matches('/').to_owned(),
            callers: api::Callers::default(),
            page_keys: api::PageKeys::default(),
            address_policy,
            served_document: OnceLock::new(),
            accept_development_issuers,
            quotas: None,
            allowed_origins: Vec::new(),
        }
    }

    /// The same, with requests throttled.
    #[must_use]
    pub fn with_quotas(mut self, settings: Option<quotas::QuotaSettings>) -> Self {
        self.quotas = settings.map(quotas::Quotas::new);
        self
    }

    /// The same, open to pages of these origins: scheme, host and port, without a slash at the end.
    #[must_use]
    pub fn with_allowed_origins(mut self, origins: Vec<String>) -> Self {
        self.allowed_origins = origins;
        self
    }

    /// The edge, calling OpenID providers wherever the operator allows.
    #[must_use]
    pub fn allowing(self, address_policy: AddressPolicy) -> Self {
        let tokens = verifier(&self.services, self.accept_development_issuers, address_policy);
        Self { tokens, address_policy, ..self }
    }
}

fn verifier(
    services: &Services,
    accept_development_issuers: bool,
    address_policy: AddressPolicy,
) -> TokenVerifier<StoredIssuers> {
    let keys = Arc::new(ProviderClient::new(address_policy));
    TokenVerifier::new(StoredIssuers(Arc::clone(&services.store)), keys, accept_development_issuers)
}

/// Issuers as the store knows them.
pub struct StoredIssuers(pub Arc<dyn Store>);

#[async_trait]
impl IssuerSource for StoredIssuers {
    async fn issuers(&self, issuer: &str) -> Result<Vec<TrustedIssuer>, SourceUnavailable> {
        let stored = self.0.issuers(issuer).await.map_err(unavailable)?;
        stored.into_iter().map(trusted).collect()
    }
}

fn unavailable(error: StoreError) -> SourceUnavailable {
    SourceUnavailable(Box::new(error))
}

fn trusted(stored: StoredIssuer) -> Result<TrustedIssuer, SourceUnavailable> {
    match stored {
        StoredIssuer::Registered(registered) => {
            let TokenIssuer { id, tenant_id, revision, settings, .. } = *registered;
            Ok(TrustedIssuer { id, revision, tenant_id, settings, fixed_keys: None })
        }
        StoredIssuer::Development(DevelopmentIssuer { id, tenant, issuer, audiences, jwks, algorithms }) => {
            let unreadable =
                || StoreError::Corrupt { table: "tenant_issuers", column: "algorithms", id: id.to_string() };
            let algorithms = algorithms
                .iter()
                .map(|name| SigningAlgorithm::from_name(name).ok_or_else(unreadable))
                .collect::<Result<_, _>>()
                .map_err(unavailable)?;
            // It makes tokens of Entra's shape.
            let settings = IssuerSettings {
                issuer,
                display_name: String::new(),
                audiences,
                discovery_url: None,
                algorithms,
                tenant_claim: Some(TenantClaim { name: ClaimName::known("tid"), value: tenant.to_string() }),
                claims: ClaimMapping::entra(),
                grants: Vec::new(),
            };
            let fixed_keys = Some(FixedKeys { jwks, development: true });
            Ok(TrustedIssuer { id, revision: 1, tenant_id: tenant, settings, fixed_keys })
        }
    }
}

//! The edge: parse a request, call one use case, render its answer. Every quirk of the protocol lives here and nowhere below.

pub mod api;
pub mod authentication;
pub mod conventions;
pub mod definitions;
pub mod echo;
pub mod error;
pub mod in_process;
pub mod json_reader;
pub mod odata;
pub mod request_ids;
pub mod server;
pub mod tls;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    app::Services,
    http::authentication::{IssuerSource, SourceUnavailable, TokenVerifier, TrustedIssuer},
    store::Store,
};

/// What every handler works with.
pub struct Edge {
    pub services: Services,
    pub tokens: TokenVerifier<StoredIssuers>,
    /// Scheme and host of links in answers, without a trailing slash. CL-02
    pub public_url: String,
    /// Directory roles of recent callers.
    pub roles: api::DirectoryRoles,
    /// What seals continuation tokens.
    pub page_keys: api::PageKeys,
}

impl Edge {
    /// An edge over these services.
    pub fn new(services: Services, accept_development_issuers: bool, public_url: &str) -> Self {
        Self {
            tokens: TokenVerifier::new(StoredIssuers(Arc::clone(&services.store)), accept_development_issuers),
            services,
            public_url: public_url.trim_end_matches('/').to_owned(),
            roles: api::DirectoryRoles::default(),
            page_keys: api::PageKeys::default(),
        }
    }
}

/// Issuers as the store knows them.
pub struct StoredIssuers(pub Arc<dyn Store>);

#[async_trait]
impl IssuerSource for StoredIssuers {
    async fn issuer(&self, issuer: &str) -> Result<Option<TrustedIssuer>, SourceUnavailable> {
        let stored = self.0.issuer(issuer).await.map_err(|error| SourceUnavailable(Box::new(error)))?;
        stored
            .map(|found| {
                TrustedIssuer::from_stored(
                    found.tenant,
                    found.issuer,
                    found.audience,
                    found.development,
                    found.jwks,
                    &found.algorithms,
                )
            })
            .transpose()
            .map_err(|error| SourceUnavailable(Box::new(error)))
    }
}

//! Calls providers over HTTP, carefully: their addresses come from tenants.

use std::{error::Error, net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    header::ACCEPT,
    redirect,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde_json::Value;
use url::{Host, Url};

use super::{FetchError, FetchedKeys, KeyAddress, KeySource, is_public};
use crate::domain::token_issuer::AddressPolicy;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long an answer may take, from the connection to its last byte.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest document that is read. Entra's is about 20 000 bytes long.
const LARGEST_DOCUMENT_BYTES: usize = 256 * 1024;

const DISCOVERY: &str = "discovery document";
const KEY_SET: &str = "key set";

/// Fetches keys over HTTP.
pub struct ProviderClient {
    http: Client,
    policy: AddressPolicy,
}

impl ProviderClient {
    /// A client that calls what the policy allows: no redirects, no proxy of the environment, nothing kept between calls.
    ///
    /// Certificates are checked against the public authorities compiled in and those of the system, which is where a company
    /// puts its own.
    pub fn new(policy: AddressPolicy) -> Self {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the protocol versions that rustls holds for safe")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(AllowedAddresses { allow_private: policy.allow_private }))
            .redirect(redirect::Policy::none())
            .no_proxy()
            // An answer is awaited by the runtime that asks; a kept connection would belong to one that may be gone.
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .user_agent(concat!("attestry/", env!("CARGO_PKG_VERSION")))
            .build()
            .expect("nothing of the client's settings is from outside");
        Self { http, policy }
    }

    async fn document(&self, what: &'static str, address: &str) -> Result<Value, FetchError> {
        let url = self.policy.check(address).map_err(|reason| FetchError::Address { what, reason })?;
        if !self.policy.allow_private && literal(&url).is_some_and(|address| !is_public(address)) {
            return Err(FetchError::PrivateAddress { what });
        }
        let failed = |error: reqwest::Error| unreachable(what, &error);
        let mut answer = self.http.get(url).header(ACCEPT, "application/json").send().await.map_err(failed)?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status { what, status: answer.status().as_u16() });
        }
        let too_large = FetchError::TooLarge { what, limit: LARGEST_DOCUMENT_BYTES };
        if answer.content_length().is_some_and(|length| length > LARGEST_DOCUMENT_BYTES as u64) {
            return Err(too_large);
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > LARGEST_DOCUMENT_BYTES {
                return Err(too_large);
            }
            bytes.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&bytes).map_err(|_| FetchError::Malformed { what, reason: "is no JSON" })
    }
}

#[async_trait]
impl KeySource for ProviderClient {
    async fn keys(&self, address: &KeyAddress) -> Result<FetchedKeys, FetchError> {
        let discovery = self.document(DISCOVERY, &address.discovery_url).await?;
        // Section 4.3: otherwise anybody's document would do.
        if discovery["issuer"].as_str() != Some(address.issuer.as_str()) {
            return Err(FetchError::OtherIssuer);
        }
        let jwks_uri = discovery["jwks_uri"]
            .as_str()
            .ok_or(FetchError::Malformed { what: DISCOVERY, reason: "does not say where the keys are (jwks_uri)" })?
            .to_owned();
        let jwks = self.document(KEY_SET, &jwks_uri).await?;
        match jwks["keys"].is_array() {
            true => Ok(FetchedKeys { jwks_uri, jwks }),
            false => Err(FetchError::Malformed { what: KEY_SET, reason: "is no JSON Web Key Set" }),
        }
    }
}

/// The address that a URL spells out; it is never resolved.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
    }
}

/// What went wrong, in words of ours: an error's text may hold an address.
fn unreachable(what: &'static str, error: &reqwest::Error) -> FetchError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if inner.is::<NoPublicAddress>() {
            return FetchError::PrivateAddress { what };
        }
        cause = inner.source();
    }
    let reason = if error.is_timeout() {
        "it took too long"
    } else if error.is_connect() {
        "no connection, or no certificate that is trusted"
    } else {
        "the connection broke"
    };
    FetchError::Unreachable { what, reason }
}

/// A host that has only addresses which are not called.
#[derive(Debug, thiserror::Error)]
#[error("the host has no public address")]
struct NoPublicAddress;

/// Resolves names and keeps to the addresses that may be called: what was looked at is what is called.
struct AllowedAddresses {
    allow_private: bool,
}

impl Resolve for AllowedAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<_> = found.filter(|address| allow_private || is_public(address.ip())).collect();
            if allowed.is_empty() {
                return Err(NoPublicAddress.into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch(policy: AddressPolicy, discovery_url: &str) -> FetchError {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = ProviderClient::new(policy);
        let address =
            KeyAddress { issuer: "https://login.example".to_owned(), discovery_url: discovery_url.to_owned() };
        runtime.block_on(client.keys(&address)).expect_err("nothing is there")
    }

    #[test]
    fn nothing_but_the_public_internet_is_called_unless_allowed() {
        let private = FetchError::PrivateAddress { what: DISCOVERY };
        for url in [
            "https://127.0.0.1:1/",
            "https://127.1:1/",
            "https://2130706433:1/",
            "https://[::1]:1/",
            "https://[::ffff:10.0.0.1]:1/",
            "https://169.254.169.254/latest/meta-data",
            "https://localhost:1/",
            "http://localhost:1/",
        ] {
            assert_eq!(fetch(AddressPolicy::default(), url), private, "{url}");
        }
        let allowed = AddressPolicy { allow_private: true, ..AddressPolicy::default() };
        assert!(matches!(fetch(allowed, "http://127.0.0.1:1/"), FetchError::Unreachable { .. }));
    }

    #[test]
    fn plain_http_is_spoken_to_this_machine_only_unless_allowed() {
        let refused = fetch(AddressPolicy { allow_private: true, allow_http: false }, "http://10.0.0.1/");

        assert_eq!(refused, FetchError::Address { what: DISCOVERY, reason: "must begin with https://".to_owned() });
    }
}

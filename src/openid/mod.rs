//! What is asked of OpenID providers: their discovery document and the keys it points at. OpenID Connect Discovery 1.0
//!
//! A tenant says where its provider is, so every address is checked before it is called, and every answer is small and in time.
//! Nothing here is remembered; that is the edge's part.

mod addresses;
mod client;

use async_trait::async_trait;
use serde_json::Value;

pub use addresses::is_public;
pub use client::ProviderClient;

/// Which keys are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyAddress {
    /// The exact `iss` of the tokens; the discovery document must say the same.
    pub issuer: String,
    /// Where the discovery document is.
    pub discovery_url: String,
}

/// Where keys come from.
#[async_trait]
pub trait KeySource: Send + Sync + 'static {
    /// The provider's keys as they are now: a JSON Web Key Set, not looked into yet.
    async fn keys(&self, address: &KeyAddress) -> Result<FetchedKeys, FetchError>;
}

/// What a provider answered.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchedKeys {
    /// Where the keys were found.
    pub jwks_uri: String,
    pub jwks: Value,
}

/// Why there are no keys. The texts are for the tenant's administrator; they repeat nothing of the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// An address that is not called.
    #[error("the address of the {what} {reason}")]
    Address { what: &'static str, reason: String },
    /// The host has only addresses that are not called.
    #[error(
        "the host of the {what} is not on the public internet; the operator allows such hosts with \
         ATTESTRY_ALLOW_PRIVATE_ISSUERS=1"
    )]
    PrivateAddress { what: &'static str },
    /// No connection, no answer, or none in time.
    #[error("the {what} could not be fetched: {reason}")]
    Unreachable { what: &'static str, reason: &'static str },
    /// Another status than 200; redirects are not followed.
    #[error("the {what} was answered with status {status}")]
    Status { what: &'static str, status: u16 },
    /// The answer is larger than any such document.
    #[error("the {what} is larger than {limit} bytes")]
    TooLarge { what: &'static str, limit: usize },
    /// The answer is not what it should be.
    #[error("the {what} {reason}")]
    Malformed { what: &'static str, reason: &'static str },
    /// The document is another issuer's.
    #[error("the discovery document is of another issuer than the registered one; both must be written the same")]
    OtherIssuer,
}

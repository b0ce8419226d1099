//! Issuers that speak for a tenant, their keys, and a short memory of both.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyOperations, PublicKeyUse},
};

use crate::{
    domain::ids::TenantId,
    http::authentication::{Refusal, generations::Generations},
};

/// The algorithms an issuer may be registered with: signatures only, never a shared secret.
pub const ACCEPTED_ALGORITHMS: [Algorithm; 7] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The smallest RSA modulus that is used: 2048 bits. RFC 7518, section 3.3
const SMALLEST_RSA_MODULUS_BYTES: usize = 256;

/// How long an issuer found is believed; so long a withdrawn key may still count.
const KNOWN_FOR: TimeDelta = TimeDelta::seconds(60);

/// How long an issuer not found is not asked for again. Short: it may be registered any moment.
const UNKNOWN_FOR: TimeDelta = TimeDelta::seconds(5);

/// Unknown issuers remembered at a time, in each of two generations. Anybody can name as many as he likes.
const UNKNOWN_LIMIT: usize = 512;

/// Longer names are not looked up: no registered issuer is so long.
const LONGEST_ISSUER_BYTES: usize = 512;

/// An issuer whose tokens speak for a tenant: a row of `tenant_issuers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// The tenant it speaks for; the token's `tid` must say the same.
    pub tenant_id: TenantId,
    /// The exact `iss`.
    pub issuer: String,
    /// The `aud` its tokens must have.
    pub audience: String,
    /// The built-in issuer for development and tests.
    pub development: bool,
    /// Its public keys.
    pub jwks: JwkSet,
    /// The algorithms accepted from it; others than [`ACCEPTED_ALGORITHMS`] have no effect.
    pub algorithms: Vec<Algorithm>,
}

impl TrustedIssuer {
    /// Reads what is stored: keys as a JSON Web Key Set, algorithms by name.
    ///
    /// # Errors
    /// When the keys are no key set, or an algorithm is none of [`ACCEPTED_ALGORITHMS`].
    pub fn from_stored(
        tenant_id: TenantId,
        issuer: String,
        audience: String,
        development: bool,
        jwks: serde_json::Value,
        algorithms: &[String],
    ) -> Result<Self, UnusableIssuer> {
        let algorithms = algorithms
            .iter()
            .map(|name| accepted(name).ok_or_else(|| UnusableIssuer::Algorithm(name.clone())))
            .collect::<Result<_, _>>()?;
        let jwks = serde_json::from_value(jwks).map_err(UnusableIssuer::Keys)?;
        Ok(Self { tenant_id, issuer, audience, development, jwks, algorithms })
    }
}

/// Why a stored issuer cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UnusableIssuer {
    /// `jwks` has another form.
    #[error("the issuer's keys are not a JSON Web Key Set")]
    Keys(#[source] serde_json::Error),
    /// An algorithm that is not offered.
    #[error("the algorithm `{0}` is not accepted from issuers")]
    Algorithm(String),
}

/// The algorithm of this name if tokens may be signed with it.
pub(super) fn accepted(name: &str) -> Option<Algorithm> {
    name.parse().ok().filter(|algorithm| ACCEPTED_ALGORITHMS.contains(algorithm))
}

/// Where issuers are registered.
#[async_trait]
pub trait IssuerSource: Send + Sync {
    /// The issuer with exactly this `iss`, of whatever tenant; `None` when there is none.
    async fn issuer(&self, issuer: &str) -> Result<Option<TrustedIssuer>, SourceUnavailable>;
}

/// The issuers could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the token issuers could not be read")]
pub struct SourceUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// An issuer with its keys made ready.
pub(super) struct ReadyIssuer {
    pub(super) tenant_id: TenantId,
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) development: bool,
    algorithms: Vec<Algorithm>,
    keys: Vec<ReadyKey>,
}

struct ReadyKey {
    id: String,
    key: DecodingKey,
    algorithms: Vec<Algorithm>,
}

impl ReadyIssuer {
    fn new(issuer: TrustedIssuer) -> Self {
        Self {
            tenant_id: issuer.tenant_id,
            issuer: issuer.issuer,
            audience: issuer.audience,
            development: issuer.development,
            algorithms: issuer
                .algorithms
                .into_iter()
                .filter(|algorithm| ACCEPTED_ALGORITHMS.contains(algorithm))
                .collect(),
            keys: issuer.jwks.keys.iter().filter_map(ReadyKey::new).collect(),
        }
    }

    /// The key that `kid` names, for this algorithm.
    pub(super) fn key(&self, algorithm: Algorithm, kid: &str) -> Result<&DecodingKey, Refusal> {
        if !self.algorithms.contains(&algorithm) {
            return Err(Refusal::AlgorithmNotAccepted);
        }
        // key ids need not be unique across key types: RFC 7517, section 4.5
        let mut named = self.keys.iter().filter(|key| key.id == kid).peekable();
        named.peek().ok_or(Refusal::UnknownKey)?;
        named.find(|key| key.algorithms.contains(&algorithm)).map(|key| &key.key).ok_or(Refusal::KeyNotForAlgorithm)
    }
}

impl ReadyKey {
    /// Makes a key ready; `None` when it is not for verifying signatures, or too weak.
    fn new(jwk: &Jwk) -> Option<Self> {
        if matches!(&jwk.common.public_key_use, Some(other) if *other != PublicKeyUse::Signature) {
            return None;
        }
        if matches!(&jwk.common.key_operations, Some(operations) if !operations.contains(&KeyOperations::Verify)) {
            return None;
        }
        let suits: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(key) => {
                let modulus = URL_SAFE_NO_PAD.decode(&key.n).ok()?;
                if modulus.iter().skip_while(|byte| **byte == 0).count() < SMALLEST_RSA_MODULUS_BYTES {
                    return None;
                }
                &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256]
            }
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => &[Algorithm::ES256],
                EllipticCurve::P384 => &[Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
            // shared secrets and what a later version of the library may know
            _ => return None,
        };
        let algorithms = match jwk.common.key_algorithm {
            None => suits.to_vec(),
            Some(only) => {
                let only = Algorithm::try_from(only).ok()?;
                suits.iter().copied().filter(|algorithm| *algorithm == only).collect()
            }
        };
        Some(Self { id: jwk.common.key_id.clone()?, key: DecodingKey::from_jwk(jwk).ok()?, algorithms })
    }
}

struct Known {
    since: DateTime<Utc>,
    issuer: Arc<ReadyIssuer>,
}

/// Issuers as they were told at most a minute ago.
pub(super) struct IssuerCache<S> {
    source: S,
    known: Mutex<HashMap<String, Known>>,
    unknown: Mutex<Generations<String, DateTime<Utc>>>,
}

impl<S: IssuerSource> IssuerCache<S> {
    pub(super) fn new(source: S) -> Self {
        Self { source, known: Mutex::default(), unknown: Mutex::new(Generations::new(UNKNOWN_LIMIT)) }
    }

    /// The issuer, from memory or from the source.
    pub(super) async fn issuer(
        &self,
        issuer: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Arc<ReadyIssuer>>, SourceUnavailable> {
        if issuer.len() > LONGEST_ISSUER_BYTES {
            return Ok(None);
        }
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(issuer)
            && fresh(known.since, KNOWN_FOR, now)
        {
            return Ok(Some(Arc::clone(&known.issuer)));
        }
        if let Some(since) = self.unknown.lock().unwrap_or_else(PoisonError::into_inner).get(issuer)
            && fresh(*since, UNKNOWN_FOR, now)
        {
            return Ok(None);
        }
        let found = self.source.issuer(issuer).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match found {
            Some(found) => {
                let ready = Arc::new(ReadyIssuer::new(found));
                known.insert(issuer.to_owned(), Known { since: now, issuer: Arc::clone(&ready) });
                Some(ready)
            }
            None => {
                known.remove(issuer);
                self.unknown.lock().unwrap_or_else(PoisonError::into_inner).insert(issuer.to_owned(), now);
                None
            }
        })
    }
}

/// Whether what was learnt at `since` still counts. A clock that was set back makes it stale, not eternal.
pub(super) fn fresh(since: DateTime<Utc>, lifetime: TimeDelta, now: DateTime<Utc>) -> bool {
    (TimeDelta::zero()..lifetime).contains(&(now - since))
}

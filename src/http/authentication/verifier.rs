//! From the header to the caller, with a short memory of tokens that were verified.

use std::sync::{Arc, Mutex, PoisonError};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Validation, errors::ErrorKind};
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{
    domain::authorization::Caller,
    http::authentication::{
        AuthenticationError, IssuerSource, Refusal,
        claims::{Claims, Validity},
        generations::Generations,
        issuers::{self, IssuerCache},
    },
};

/// The longest token that is looked at. A token of a user in many groups is a few thousand bytes long.
pub const MAXIMUM_TOKEN_BYTES: usize = 16 * 1_024;

/// How long a verified token is not verified again.
const VERIFIED_FOR: TimeDelta = TimeDelta::seconds(60);

/// Verified tokens remembered at a time, in each of two generations.
const VERIFIED_LIMIT: usize = 4_096;

/// Verifies bearer tokens against the issuers that tenants have registered.
///
/// Changes of an issuer are seen after a minute at most by a token that is new here, and after two by one that was just
/// verified: that is how long the two memories add up to.
pub struct TokenVerifier<S> {
    issuers: IssuerCache<S>,
    accept_development_issuers: bool,
    /// By SHA-256 of the token, so that the memory holds nothing that could be used to call.
    verified: Mutex<Generations<[u8; 32], Verified>>,
}

struct Verified {
    since: DateTime<Utc>,
    validity: Validity,
    caller: Arc<Caller>,
}

/// The header's members that count. `jku`, `jwk`, `x5u` and `x5c` are not read: keys come from the issuer's row only.
#[derive(Deserialize)]
struct TokenHeader {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct ClaimedIssuer {
    iss: String,
}

impl<S: IssuerSource> TokenVerifier<S> {
    /// A verifier on this source. Tokens of development issuers are refused unless `accept_development_issuers`.
    pub fn new(source: S, accept_development_issuers: bool) -> Self {
        Self {
            issuers: IssuerCache::new(source),
            accept_development_issuers,
            verified: Mutex::new(Generations::new(VERIFIED_LIMIT)),
        }
    }

    /// The caller that the value of the `Authorization` header makes; `None` is an absent header.
    ///
    /// `now` is real time, never a sandbox tenant's. The caller's roles are those of the token; add those assigned in the
    /// directory with [`Caller::with_directory_roles`].
    ///
    /// # Errors
    /// [`AuthenticationError::Refused`] for anything that is not a token of a registered issuer for this service and now;
    /// [`AuthenticationError::Unavailable`] when the issuers could not be read.
    pub async fn authenticate(
        &self,
        authorization: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<Arc<Caller>, AuthenticationError> {
        let token = bearer(authorization)?;
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(verified) = self.verified.lock().unwrap_or_else(PoisonError::into_inner).get(&digest)
            && issuers::fresh(verified.since, VERIFIED_FOR, now)
        {
            verified.validity.check(now)?;
            return Ok(Arc::clone(&verified.caller));
        }
        let (caller, validity) = self.verify(token, now).await?;
        let caller = Arc::new(caller);
        self.verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(digest, Verified { since: now, validity, caller: Arc::clone(&caller) });
        Ok(caller)
    }

    async fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<(Caller, Validity), AuthenticationError> {
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(_signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::Malformed.into());
        };
        let header: TokenHeader = unverified(header)?;
        if header.crit.is_some() {
            return Err(Refusal::CriticalExtension.into());
        }
        // before the issuer is looked for: what can never be accepted costs no query
        let algorithm = issuers::accepted(&header.alg).ok_or(Refusal::AlgorithmNotAccepted)?;
        let kid = header.kid.ok_or(Refusal::KeyMissing)?;
        let claimed: ClaimedIssuer = unverified(payload)?;

        let issuer = self
            .issuers
            .issuer(&claimed.iss, now)
            .await?
            .filter(|issuer| self.accept_development_issuers || !issuer.development)
            .ok_or(Refusal::UntrustedIssuer)?;
        let key = issuer.key(algorithm, &kid)?;

        // the library checks form and signature; times and names are checked below, against the time given
        let mut validation = Validation::new(algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &validation)
            .map_err(|error| match error.kind() {
                ErrorKind::Json(_) | ErrorKind::Base64(_) | ErrorKind::Utf8(_) => Refusal::Malformed,
                _ => Refusal::BadSignature,
            })?
            .claims;
        let (caller, validity) = claims.caller(&issuer)?;
        validity.check(now)?;
        Ok((caller, validity))
    }
}

/// The token behind `Bearer`; the scheme's case does not matter. RFC 9110, section 11.1
fn bearer(authorization: Option<&str>) -> Result<&str, Refusal> {
    let authorization = authorization.map(str::trim).filter(|value| !value.is_empty()).ok_or(Refusal::Missing)?;
    let (scheme, token) = authorization.split_once(' ').ok_or(Refusal::NotBearer)?;
    let token = token.trim_start();
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(Refusal::NotBearer);
    }
    if token.len() > MAXIMUM_TOKEN_BYTES {
        return Err(Refusal::Oversized);
    }
    Ok(token)
}

/// Reads a part of a token that nothing vouches for yet.
fn unverified<T: DeserializeOwned>(part: &str) -> Result<T, Refusal> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| Refusal::Malformed)
}

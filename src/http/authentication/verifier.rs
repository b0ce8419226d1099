//! From the header to whom the token names, with a short memory of tokens that were verified.

use std::{
    borrow::Borrow,
    hash::{Hash, Hasher},
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{
    domain::token_issuer::{
        ClaimName, SigningAlgorithm, TenantClaim,
        assertion::{ApplicationKey, AssertedCaller, ClaimFault, StatedIdentity, Subject, UserKey, assert_caller},
    },
    http::authentication::{
        AuthenticationError, IssuerSource, Refusal,
        claims::{self, Claims, Validity},
        generations::Generations,
        issuers::{IssuerCache, ReadyIssuer, Registration, library_algorithm},
        keys::{KeyRings, Pace, choose},
    },
    openid::KeySource,
};

/// The longest token that is looked at. A token of a user in many groups is a few thousand bytes long.
pub const MAXIMUM_TOKEN_BYTES: usize = 16 * 1_024;

/// Verified tokens remembered at a time, in each of two generations. One takes 200 to 300 bytes.
const VERIFIED_LIMIT: usize = 16_384;

type TokenDigest = [u8; 32];

/// Verifies bearer tokens against the issuers that tenants have registered.
///
/// A token is verified once and then remembered until it expires, as long as its issuer's registration is what it was and its key
/// is among the issuer's. A change of a registration counts at once in the process that made it ([`TokenVerifier::forget`]) and
/// within a second in others.
pub struct TokenVerifier<S> {
    issuers: IssuerCache<S>,
    accept_development_issuers: bool,
    verified: Mutex<Generations<VerifiedToken, ()>>,
}

/// A token that was verified, and whom it names. There are many: what tokens have in common is shared.
#[derive(Clone)]
pub struct VerifiedToken(Arc<Verified>);

struct Verified {
    /// SHA-256 of the token, so that the memory holds nothing that could be used to call.
    digest: TokenDigest,
    registration: Arc<Registration>,
    key_id: Arc<str>,
    validity: Validity,
    caller: AssertedCaller,
}

impl Deref for VerifiedToken {
    type Target = AssertedCaller;

    fn deref(&self) -> &AssertedCaller {
        &self.0.caller
    }
}

/// Found by its digest.
impl Borrow<TokenDigest> for VerifiedToken {
    fn borrow(&self) -> &TokenDigest {
        &self.0.digest
    }
}

impl Hash for VerifiedToken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.digest.hash(state);
    }
}

impl PartialEq for VerifiedToken {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for VerifiedToken {}

/// The header's members that count. `jku`, `jwk`, `x5u` and `x5c` are not read: keys come from the issuer only.
#[derive(Deserialize)]
struct TokenHeader {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

/// Read apart from all other claims: a second `iss` is refused.
#[derive(Deserialize)]
struct ClaimedIssuer {
    iss: String,
}

impl<S: IssuerSource> TokenVerifier<S> {
    /// A verifier on this source. Tokens of development issuers are refused unless `accept_development_issuers`.
    pub fn new(source: S, keys: Arc<dyn KeySource>, accept_development_issuers: bool) -> Self {
        Self::at_pace(source, keys, accept_development_issuers, Pace::USUAL)
    }

    pub(super) fn at_pace(source: S, keys: Arc<dyn KeySource>, accept_development_issuers: bool, pace: Pace) -> Self {
        Self {
            issuers: IssuerCache::new(source, KeyRings::new(keys, pace)),
            accept_development_issuers,
            verified: Mutex::new(Generations::new(VERIFIED_LIMIT)),
        }
    }

    /// Whom the value of the `Authorization` header names; `None` is an absent header.
    ///
    /// `now` is real time, never a sandbox tenant's. Whether the directory knows the caller is not asked here.
    ///
    /// # Errors
    /// [`AuthenticationError::Refused`] for anything that is not a token of a registered issuer for this service and now;
    /// otherwise nothing is known about the token: the issuers could not be read, or the provider has never told its key.
    pub async fn authenticate(
        &self,
        authorization: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<VerifiedToken, AuthenticationError> {
        let token = bearer(authorization)?;
        let digest: TokenDigest = Sha256::digest(token).into();
        let known = self.verified.lock().unwrap_or_else(PoisonError::into_inner).get_key(&digest).cloned();
        if let Some(known) = known
            && self.is_still_good(&known.0, now).await?
        {
            return Ok(known);
        }
        let verified = VerifiedToken(Arc::new(self.verify(token, digest, now).await?));
        let mut remembered = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        // An equal key would stay what it was.
        remembered.remove(&digest);
        remembered.insert(verified.clone(), ());
        Ok(verified)
    }

    /// Forgets what is known of an issuer: it was registered, changed or removed.
    pub fn forget(&self, issuer: &str) {
        self.issuers.forget(issuer);
    }

    /// The age of the oldest keys of a provider in use.
    pub fn oldest_keys(&self) -> Option<Duration> {
        self.issuers.rings().oldest()
    }

    /// Whether a token that was verified counts still; it does not when its registration has changed or its key is gone since.
    async fn is_still_good(&self, known: &Verified, now: DateTime<Utc>) -> Result<bool, AuthenticationError> {
        let registrations = self.issuers.registrations(&known.registration.issuer, now).await?;
        let same = registrations.iter().find(|issuer| issuer.registration.is_same(&known.registration));
        let Some(issuer) = same else { return Ok(false) };
        known.validity.check(now)?;
        issuer.keys_with(&known.key_id).await?;
        Ok(true)
    }

    async fn verify(
        &self,
        token: &str,
        digest: TokenDigest,
        now: DateTime<Utc>,
    ) -> Result<Verified, AuthenticationError> {
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::Malformed.into());
        };
        let signed = &token[..header.len() + 1 + payload.len()];
        let header: TokenHeader = unverified(header)?;
        if header.crit.is_some() {
            return Err(Refusal::CriticalExtension.into());
        }
        // before the issuer is looked for: what can never be accepted costs no query
        let algorithm = SigningAlgorithm::from_name(&header.alg).ok_or(Refusal::AlgorithmNotAccepted)?;
        let key_id = header.kid.ok_or(Refusal::KeyMissing)?;
        let ClaimedIssuer { iss } = unverified(payload)?;
        let claims: Claims = unverified(payload)?;

        let registrations = self.issuers.registrations(&iss, now).await?;
        let issuer = self.issuer(&registrations, &claims)?;
        if !issuer.trusted.settings.algorithms.contains(&algorithm) {
            return Err(Refusal::AlgorithmNotAccepted.into());
        }
        let algorithm = library_algorithm(algorithm);
        let keys = issuer.keys_with(&key_id).await?;
        let key = choose(&keys, algorithm, &key_id)?;
        // What is false and what cannot be a signature are the same to us.
        if !key.signed(signed, signature, algorithm) {
            return Err(Refusal::BadSignature.into());
        }

        claims::check_audience(&claims, &issuer.trusted.settings.audiences)?;
        let validity = Validity::of(&claims)?;
        validity.check(now)?;
        let mut caller = assert_caller(&claims, issuer.trusted.tenant_id, &issuer.trusted.settings)?;
        if issuer.is_development() {
            caller.subject = stated(caller.subject, &claims)?;
        }
        Ok(Verified {
            digest,
            registration: Arc::clone(&issuer.registration),
            key_id: Arc::clone(key.id()),
            validity,
            caller,
        })
    }

    /// The one registration that the token is about. The claims are not verified yet; the key that verifies them is this
    /// registration's.
    fn issuer<'a>(&self, registrations: &'a [Arc<ReadyIssuer>], claims: &Claims) -> Result<&'a ReadyIssuer, Refusal> {
        let mut trusted = registrations
            .iter()
            .filter(|issuer| self.accept_development_issuers || !issuer.is_development())
            .peekable();
        trusted.peek().ok_or(Refusal::UntrustedIssuer)?;
        let mut meant = trusted.filter(|issuer| match &issuer.trusted.settings.tenant_claim {
            Some(TenantClaim { name, value }) => has_value(claims, name, value),
            None => true,
        });
        match (meant.next(), meant.next()) {
            (Some(issuer), None) => Ok(issuer),
            // Two whose tokens cannot be told apart are never registered; should they be, neither counts.
            (None, _) | (Some(_), Some(_)) => Err(Refusal::WrongTenant),
        }
    }
}

fn has_value(claims: &Claims, name: &ClaimName, value: &str) -> bool {
    name.of(claims).and_then(serde_json::Value::as_str).is_some_and(|claimed| claimed.eq_ignore_ascii_case(value))
}

/// The built-in issuer names people in full.
fn stated(subject: Subject, claims: &Claims) -> Result<Subject, Refusal> {
    let id = match subject {
        Subject::User(UserKey::Id(id)) | Subject::Application { key: ApplicationKey::Id(id), .. } => id,
        other => return Ok(other),
    };
    Ok(Subject::Stated(StatedIdentity {
        id,
        display_name: claims::text(claims, "name")?.unwrap_or_default().to_owned(),
        user_principal_name: claims::text(claims, "upn")?.unwrap_or_default().to_owned(),
    }))
}

impl From<ClaimFault> for Refusal {
    fn from(fault: ClaimFault) -> Self {
        match fault {
            ClaimFault::CallerMissing => Self::CallerMissing,
            ClaimFault::MailNotVerified => Self::MailNotVerified,
            ClaimFault::PersonalAccount => Self::PersonalAccount,
            ClaimFault::Malformed => Self::Malformed,
        }
    }
}

impl From<ClaimFault> for AuthenticationError {
    fn from(fault: ClaimFault) -> Self {
        Self::Refused(fault.into())
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

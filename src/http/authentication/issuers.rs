//! Issuers that speak for a tenant, and a short memory of them.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::Algorithm;

use crate::{
    domain::{
        ids::{IssuerId, TenantId},
        token_issuer::{IssuerSettings, LONGEST_ISSUER_BYTES, SigningAlgorithm},
    },
    http::authentication::{
        AuthenticationError, Refusal,
        generations::Generations,
        keys::{KeyFault, KeyRing, KeyRings, ReadyKeys, ready_keys},
    },
    openid::KeyAddress,
};

/// How long an issuer found is believed: so long one that was changed or removed by another process still counts.
const KNOWN_FOR: TimeDelta = TimeDelta::seconds(1);

/// How long an issuer not found is not asked for again. Short: it may be registered any moment.
const UNKNOWN_FOR: TimeDelta = TimeDelta::seconds(5);

/// Names remembered at a time, in each of two generations. One that is forgotten costs no question that would not be asked a
/// second later, but its keys are made ready once more. One takes about 1 500 bytes.
const KNOWN_LIMIT: usize = 8_192;

/// Unknown issuers remembered at a time, in each of two generations. Anybody can name as many as he likes.
const UNKNOWN_LIMIT: usize = 512;

/// An issuer whose tokens speak for a tenant: a row of `tenant_issuers`.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustedIssuer {
    pub id: IssuerId,
    /// Counts up with every change.
    pub revision: i64,
    /// The tenant it speaks for.
    pub tenant_id: TenantId,
    pub settings: IssuerSettings,
    /// `None`: they are fetched from where the settings say.
    pub fixed_keys: Option<FixedKeys>,
}

/// Keys that stand beside the issuer instead of being fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedKeys {
    /// A JSON Web Key Set, as text: there may be one for each tenant, and it is only read to make the keys ready.
    pub jwks: String,
    /// The built-in issuer for development and tests.
    pub development: bool,
}

/// Where issuers are registered.
#[async_trait]
pub trait IssuerSource: Send + Sync {
    /// The registrations of exactly this `iss`, of whatever tenants.
    async fn issuers(&self, issuer: &str) -> Result<Vec<TrustedIssuer>, SourceUnavailable>;
}

/// The issuers could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the token issuers could not be read")]
pub struct SourceUnavailable(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// The library's algorithm of an accepted one.
pub(super) fn library_algorithm(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::RS256 => Algorithm::RS256,
        SigningAlgorithm::RS384 => Algorithm::RS384,
        SigningAlgorithm::RS512 => Algorithm::RS512,
        SigningAlgorithm::PS256 => Algorithm::PS256,
        SigningAlgorithm::PS384 => Algorithm::PS384,
        SigningAlgorithm::PS512 => Algorithm::PS512,
        SigningAlgorithm::ES256 => Algorithm::ES256,
        SigningAlgorithm::ES384 => Algorithm::ES384,
        SigningAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}

/// Which registration, and of what issuer: what tokens that were verified by it have in common.
pub(super) struct Registration {
    pub(super) issuer: Box<str>,
    id: IssuerId,
    revision: i64,
}

impl Registration {
    /// Whether nothing was changed between the two.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.id, self.revision) == (other.id, other.revision)
    }
}

/// An issuer with its keys at hand.
pub(super) struct ReadyIssuer {
    pub(super) trusted: TrustedIssuer,
    pub(super) registration: Arc<Registration>,
    keys: Keys,
}

enum Keys {
    Fixed(ReadyKeys),
    Fetched(Arc<KeyRing>),
}

impl ReadyIssuer {
    /// Whether it is the built-in issuer.
    pub(super) fn is_development(&self) -> bool {
        self.trusted.fixed_keys.as_ref().is_some_and(|keys| keys.development)
    }

    /// Keys, among which may be one that `kid` names.
    pub(super) async fn keys_with(&self, kid: &str) -> Result<ReadyKeys, AuthenticationError> {
        match &self.keys {
            Keys::Fixed(keys) => Ok(Arc::clone(keys)),
            Keys::Fetched(ring) => ring.keys_with(kid).await.map_err(|fault| match fault {
                KeyFault::Unknown => Refusal::UnknownKey.into(),
                KeyFault::Unavailable { retry_after } => AuthenticationError::ProviderUnavailable { retry_after },
            }),
        }
    }
}

type Registrations = Arc<[Arc<ReadyIssuer>]>;

/// Issuers as they were told a moment ago.
pub(super) struct IssuerCache<S> {
    source: S,
    rings: KeyRings,
    known: Mutex<Generations<Box<str>, Arc<Slot>>>,
    unknown: Mutex<Generations<String, DateTime<Utc>>>,
}

/// What is known of one name. Whoever finds it too old asks the source; the others wait for his answer.
#[derive(Default)]
struct Slot {
    told: tokio::sync::Mutex<Option<Told>>,
    /// When the source last failed to answer: who waited by then need not try himself.
    failed_at: Mutex<Option<Instant>>,
}

/// Somebody who asks for a name. When the last of them goes without an answer, because the source failed or he was cancelled,
/// nothing is left behind: anybody can name as many as he likes.
struct Asked<'a, S: IssuerSource> {
    cache: &'a IssuerCache<S>,
    issuer: &'a str,
    slot: Arc<Slot>,
    is_known: bool,
}

impl<S: IssuerSource> Drop for Asked<'_, S> {
    fn drop(&mut self) {
        // the map's, the asker's own and this one
        if !self.is_known && Arc::strong_count(&self.slot) <= 3 {
            self.cache.remove_slot(self.issuer, &self.slot);
        }
    }
}

struct Told {
    since: DateTime<Utc>,
    registrations: Registrations,
}

impl<S: IssuerSource> IssuerCache<S> {
    pub(super) fn new(source: S, rings: KeyRings) -> Self {
        Self {
            source,
            rings,
            known: Mutex::new(Generations::new(KNOWN_LIMIT)),
            unknown: Mutex::new(Generations::new(UNKNOWN_LIMIT)),
        }
    }

    /// The registrations of a name, from memory or from the source.
    pub(super) async fn registrations(
        &self,
        issuer: &str,
        now: DateTime<Utc>,
    ) -> Result<Registrations, SourceUnavailable> {
        let none = || Arc::from([]);
        if issuer.len() > LONGEST_ISSUER_BYTES {
            return Ok(none());
        }
        if let Some(since) = self.unknown.lock().unwrap_or_else(PoisonError::into_inner).get(issuer)
            && fresh(*since, UNKNOWN_FOR, now)
        {
            return Ok(none());
        }
        let slot = self.slot(issuer);
        let mut asked = Asked { cache: self, issuer, slot: Arc::clone(&slot), is_known: false };
        let came = Instant::now();
        let mut told = slot.told.lock().await;
        asked.is_known = told.is_some();
        if let Some(told) = &*told
            && fresh(told.since, KNOWN_FOR, now)
        {
            return Ok(Arc::clone(&told.registrations));
        }
        if slot.failed_at.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at >= came) {
            return Err(SourceUnavailable("they could not be read a moment ago".into()));
        }
        let found = self.source.issuers(issuer).await.inspect_err(|_| {
            *slot.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        })?;
        let before = told.take().map(|told| told.registrations).unwrap_or_else(none);
        let registrations: Registrations = found.into_iter().map(|found| self.ready(found, &before)).collect();
        let addresses: Vec<_> = registrations.iter().filter_map(|ready| address_of(&ready.trusted)).collect();
        self.rings.keep_only(issuer, &addresses.iter().collect::<Vec<_>>());
        if registrations.is_empty() {
            // Not when it was forgotten meanwhile: it may have been registered after the source was asked.
            if self.remove_slot(issuer, &slot) {
                self.unknown.lock().unwrap_or_else(PoisonError::into_inner).insert(issuer.to_owned(), now);
            }
        } else {
            *told = Some(Told { since: now, registrations: Arc::clone(&registrations) });
            asked.is_known = true;
        }
        Ok(registrations)
    }

    fn slot(&self, issuer: &str) -> Arc<Slot> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = known.get(issuer) {
            return Arc::clone(slot);
        }
        let slot = Arc::<Slot>::default();
        known.insert(issuer.into(), Arc::clone(&slot));
        slot
    }

    /// Whether the slot was there still.
    fn remove_slot(&self, issuer: &str, slot: &Arc<Slot>) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = known.get(issuer).is_some_and(|known| Arc::ptr_eq(known, slot));
        if is_there {
            known.remove(issuer);
        }
        is_there
    }

    /// Makes a registration ready, or finds it ready as it was before.
    fn ready(&self, found: TrustedIssuer, before: &[Arc<ReadyIssuer>]) -> Arc<ReadyIssuer> {
        if let Some(same) = before.iter().find(|ready| ready.trusted == found) {
            return Arc::clone(same);
        }
        let keys = match (&found.fixed_keys, address_of(&found)) {
            (Some(fixed), _) => Keys::Fixed(ready_keys(&serde_json::from_str(&fixed.jwks).unwrap_or_default())),
            (None, Some(address)) => Keys::Fetched(self.rings.ring(address)),
            (None, None) => Keys::Fixed(Arc::from([])),
        };
        let registration = Arc::new(Registration {
            issuer: found.settings.issuer.as_str().into(),
            id: found.id,
            revision: found.revision,
        });
        Arc::new(ReadyIssuer { trusted: found, registration, keys })
    }

    /// Forgets what is known of a name: it was registered, changed or removed.
    pub(super) fn forget(&self, issuer: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(issuer);
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner).remove(issuer);
    }

    /// The rings of keys.
    pub(super) fn rings(&self) -> &KeyRings {
        &self.rings
    }
}

/// Where a registration's keys are fetched; `None` when they stand beside it.
fn address_of(trusted: &TrustedIssuer) -> Option<KeyAddress> {
    trusted.fixed_keys.is_none().then(|| KeyAddress {
        issuer: trusted.settings.issuer.clone(),
        discovery_url: trusted.settings.discovery_address(),
    })
}

/// Whether what was learnt at `since` still counts. A clock that was set back makes it stale, not eternal.
pub(super) fn fresh(since: DateTime<Utc>, lifetime: TimeDelta, now: DateTime<Utc>) -> bool {
    (TimeDelta::zero()..lifetime).contains(&(now - since))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt;

    use super::*;
    use crate::http::authentication::keys::Pace;
    use crate::openid::{FetchError, FetchedKeys, KeySource};

    /// Knows nobody, once it answers at all.
    #[derive(Default)]
    struct Source {
        answers: AtomicBool,
    }

    #[async_trait]
    impl IssuerSource for Source {
        async fn issuers(&self, _: &str) -> Result<Vec<TrustedIssuer>, SourceUnavailable> {
            tokio::task::yield_now().await;
            match self.answers.load(Ordering::SeqCst) {
                true => Ok(Vec::new()),
                false => Err(SourceUnavailable("the database is not reachable".into())),
            }
        }
    }

    struct NoProvider;

    #[async_trait]
    impl KeySource for NoProvider {
        async fn keys(&self, _: &KeyAddress) -> Result<FetchedKeys, FetchError> {
            Err(FetchError::OtherIssuer)
        }
    }

    /// Anybody can name as many issuers as he likes, also while nobody can say which of them exist.
    #[tokio::test]
    async fn names_that_nobody_answered_for_are_not_kept() {
        let cache = IssuerCache::new(Source::default(), KeyRings::new(Arc::new(NoProvider), Pace::USUAL));
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let cache = &cache;
        let ask = |name: String| async move { cache.registrations(&name, now).await.map(|found| found.len()) };

        for number in 0..100 {
            let name = format!("https://{number}.example");
            let (one, other) = tokio::join!(ask(name.clone()), ask(name.clone()));
            assert!(one.is_err() && other.is_err());
            // and one who goes before he is answered
            assert!(ask(name).now_or_never().is_none());
        }
        assert_eq!(cache.known.lock().unwrap().len(), 0);

        cache.source.answers.store(true, Ordering::SeqCst);
        assert_eq!(ask("https://1.example".to_owned()).await.unwrap(), 0);
        assert_eq!(cache.known.lock().unwrap().len(), 0);
    }

    /// What the source was asked before somebody registered the name says nothing about it.
    #[tokio::test]
    async fn a_name_forgotten_while_the_source_was_asked_is_asked_for_again() {
        let source = Source { answers: AtomicBool::new(true) };
        let cache = IssuerCache::new(source, KeyRings::new(Arc::new(NoProvider), Pace::USUAL));
        let mut asking = Box::pin(cache.registrations("https://a.example", DateTime::<Utc>::UNIX_EPOCH));
        assert!((&mut asking).now_or_never().is_none());

        cache.forget("https://a.example");

        assert_eq!(asking.await.unwrap().len(), 0);
        assert!(cache.unknown.lock().unwrap().get("https://a.example").is_none());
    }
}

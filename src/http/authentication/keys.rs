//! Keys made ready for verifying, and the ring of keys of one provider: fetched when needed, kept while the provider is down.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    http::authentication::{Refusal, signature},
    openid::{FetchError, KeyAddress, KeySource},
    telemetry,
};

/// The smallest RSA modulus that is used: 2048 bits. RFC 7518, section 3.3
const SMALLEST_RSA_MODULUS_BYTES: usize = 256;

/// Keys of a provider, made ready.
pub(super) type ReadyKeys = Arc<[ReadyKey]>;

/// A public key made ready for verifying.
pub(super) struct ReadyKey {
    id: Arc<str>,
    key: DecodingKey,
    algorithms: Vec<Algorithm>,
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
                &[
                    Algorithm::RS256,
                    Algorithm::RS384,
                    Algorithm::RS512,
                    Algorithm::PS256,
                    Algorithm::PS384,
                    Algorithm::PS512,
                ]
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
        Some(Self { id: jwk.common.key_id.as_deref()?.into(), key: DecodingKey::from_jwk(jwk).ok()?, algorithms })
    }

    /// Its id, to be kept with what it verified.
    pub(super) fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Whether it made the signature, which is told as it stands in a token. What cannot be a signature is none.
    pub(super) fn signed(&self, text: &str, signature: &str, algorithm: Algorithm) -> bool {
        signature::is_of(&self.key, text.as_bytes(), signature, algorithm)
    }
}

/// The keys of a JSON Web Key Set that can verify; a key of a kind that is not known here is passed over.
pub(super) fn ready_keys(jwks: &Value) -> ReadyKeys {
    let keys = jwks["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    keys.iter()
        .filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok())
        .filter_map(|jwk| ReadyKey::new(&jwk))
        .collect()
}

/// Whether a key of this id is among them.
fn has(keys: &[ReadyKey], kid: &str) -> bool {
    keys.iter().any(|key| *key.id == *kid)
}

/// The key that `kid` names, for this algorithm.
pub(super) fn choose<'a>(keys: &'a [ReadyKey], algorithm: Algorithm, kid: &str) -> Result<&'a ReadyKey, Refusal> {
    // key ids need not be unique across key types: RFC 7517, section 4.5
    let mut named = keys.iter().filter(|key| *key.id == *kid).peekable();
    named.peek().ok_or(Refusal::UnknownKey)?;
    named.find(|key| key.algorithms.contains(&algorithm)).ok_or(Refusal::KeyNotForAlgorithm)
}

/// How often a provider is asked, and how long its last answer counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Keys of this age are fetched anew while requests go on with them.
    pub refresh_after: Duration,
    /// Keys of this age are used only once the provider was asked and did not answer.
    pub stale_after: Duration,
    /// Keys of this age are not used any more.
    pub keep_for: Duration,
    /// The shortest time from the end of a fetch to the next; it doubles with each that failed or brought nothing new.
    pub pause: Duration,
    /// The longest such time after a fetch for an unknown key that brought nothing new. So long a request may wait.
    pub longest_pause: Duration,
    /// The longest such time while the provider does not answer. Requests do not wait so long.
    pub longest_failure_pause: Duration,
    /// Requests that wait for one provider at a time.
    pub waiting_limit: usize,
}

impl Pace {
    pub(super) const USUAL: Self = Self {
        refresh_after: Duration::from_secs(300),
        stale_after: Duration::from_secs(3_600),
        keep_for: Duration::from_secs(24 * 3_600),
        pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(8),
        longest_failure_pause: Duration::from_secs(60),
        waiting_limit: 256,
    };

    fn after(self, repeated: u32, longest: Duration) -> Duration {
        self.pause.saturating_mul(2_u32.saturating_pow(repeated)).min(longest)
    }
}

/// Why a provider's keys do not help.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeyFault {
    /// The provider was asked after the token came and has no such key.
    Unknown,
    /// It cannot be asked now.
    Unavailable { retry_after: Duration },
}

/// The keys of one provider.
pub(super) struct KeyRing {
    address: KeyAddress,
    source: Arc<dyn KeySource>,
    pace: Pace,
    state: Mutex<State>,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    /// The running fetch; the channel closes when it ends.
    fetching: Option<watch::Receiver<()>>,
    last: Option<Ended>,
    pause_until: Option<Instant>,
    /// Fetches in a row that failed.
    failures: u32,
    /// Fetches in a row that were made for an unknown key and brought nothing new.
    fruitless: u32,
}

struct Kept {
    keys: ReadyKeys,
    since: Instant,
}

struct Ended {
    began: Instant,
    succeeded: bool,
}

enum Step {
    Use(ReadyKeys),
    Give(KeyFault),
    AwaitFetch(watch::Receiver<()>),
    AwaitPause(Instant),
}

impl KeyRing {
    fn new(address: KeyAddress, source: Arc<dyn KeySource>, pace: Pace) -> Self {
        Self { address, source, pace, state: Mutex::default(), waiting: AtomicUsize::new(0) }
    }

    /// Keys among which is one that `kid` names.
    ///
    /// An unknown key is asked for once, for all who wait; a request is judged by a fetch that began after it came, so that a key
    /// published in between is not missed.
    pub(super) async fn keys_with(self: &Arc<Self>, kid: &str) -> Result<ReadyKeys, KeyFault> {
        let came = Instant::now();
        let mut seat = None;
        loop {
            let step = self.step(kid, came);
            if seat.is_none() && matches!(step, Step::AwaitFetch(_) | Step::AwaitPause(_)) {
                seat = Some(Seat::take(self).ok_or(KeyFault::Unavailable { retry_after: self.pace.pause })?);
            }
            match step {
                Step::Use(keys) => return Ok(keys),
                Step::Give(fault) => return Err(fault),
                // Closed when the fetch has ended, whatever its end.
                Step::AwaitFetch(mut ended) => while ended.changed().await.is_ok() {},
                Step::AwaitPause(until) => tokio::time::sleep_until(until.into()).await,
            }
        }
    }

    fn step(self: &Arc<Self>, kid: &str, came: Instant) -> Step {
        let mut state = self.lock();
        let now = Instant::now();
        if state.kept.as_ref().is_some_and(|kept| now.duration_since(kept.since) >= self.pace.keep_for) {
            state.kept = None;
        }
        let pause = state.pause_until.filter(|until| *until > now);
        let asked_since = state.last.as_ref().filter(|last| last.began >= came).map(|last| last.succeeded);
        if let Some(kept) = &state.kept
            && has(&kept.keys, kid)
        {
            let (keys, age) = (Arc::clone(&kept.keys), now.duration_since(kept.since));
            if age >= self.pace.refresh_after && state.fetching.is_none() && pause.is_none() && asked_since.is_none() {
                self.fetch(&mut state, false);
            }
            return match &state.fetching {
                Some(ended) if age >= self.pace.stale_after && asked_since.is_none() => Step::AwaitFetch(ended.clone()),
                Some(_) | None => Step::Use(keys),
            };
        }
        match (asked_since, &state.fetching, pause) {
            (Some(true), _, _) => Step::Give(KeyFault::Unknown),
            (_, Some(ended), _) => Step::AwaitFetch(ended.clone()),
            (_, None, Some(until)) if state.failures > 0 => {
                Step::Give(KeyFault::Unavailable { retry_after: until.duration_since(now) })
            }
            (Some(false), None, None) => Step::Give(KeyFault::Unavailable { retry_after: self.pace.pause }),
            (None | Some(false), None, Some(until)) => Step::AwaitPause(until),
            (None, None, None) => Step::AwaitFetch(self.fetch(&mut state, true)),
        }
    }

    /// Begins to ask the provider, in a task of its own: whoever waits may leave.
    fn fetch(self: &Arc<Self>, state: &mut State, for_unknown_key: bool) -> watch::Receiver<()> {
        let (sender, ended) = watch::channel(());
        state.fetching = Some(ended.clone());
        let fetch = Fetch {
            ring: Arc::clone(self),
            began: Instant::now(),
            for_unknown_key,
            result: Err(FetchError::Unreachable { what: "key set", reason: "the fetch was broken off" }),
            _ended: sender,
        };
        tokio::spawn(async move {
            let fetched = fetch.ring.source.keys(&fetch.ring.address).await;
            fetch.finish(fetched.and_then(|fetched| match ready_keys(&fetched.jwks) {
                keys if keys.is_empty() => {
                    Err(FetchError::Malformed { what: "key set", reason: "has no key that can be used" })
                }
                keys => Ok(keys),
            }));
        });
        ended
    }

    fn ended(&self, began: Instant, for_unknown_key: bool, result: &Result<ReadyKeys, FetchError>) {
        let mut state = self.lock();
        let now = Instant::now();
        state.fetching = None;
        state.last = Some(Ended { began, succeeded: result.is_ok() });
        telemetry::issuer_keys_fetched(result.is_ok());
        let pause = match result {
            Ok(keys) => {
                let is_new = |key: &ReadyKey| !state.kept.as_ref().is_some_and(|kept| has(&kept.keys, &key.id));
                match (keys.iter().any(is_new), for_unknown_key) {
                    (true, _) => state.fruitless = 0,
                    (false, true) => state.fruitless = state.fruitless.saturating_add(1),
                    (false, false) => {}
                }
                state.kept = Some(Kept { keys: Arc::clone(keys), since: now });
                state.failures = 0;
                self.pace.after(state.fruitless, self.pace.longest_pause)
            }
            Err(error) => {
                let pause = self.pace.after(state.failures, self.pace.longest_failure_pause);
                state.failures = state.failures.saturating_add(1);
                tracing::warn!(
                    issuer = self.address.issuer,
                    error = %error,
                    failures = state.failures,
                    has_keys = state.kept.is_some(),
                    "the keys of a token issuer could not be fetched"
                );
                pause
            }
        };
        state.pause_until = Some(now + pause);
    }

    /// How old the keys are.
    fn age(&self) -> Option<Duration> {
        self.lock().kept.as_ref().map(|kept| kept.since.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fetch under way; however it ends, also with its runtime, the ring learns of it before the waiting do.
struct Fetch {
    ring: Arc<KeyRing>,
    began: Instant,
    for_unknown_key: bool,
    result: Result<ReadyKeys, FetchError>,
    _ended: watch::Sender<()>,
}

impl Fetch {
    fn finish(mut self, result: Result<ReadyKeys, FetchError>) {
        self.result = result;
        drop(self);
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.ring.ended(self.began, self.for_unknown_key, &self.result);
    }
}

/// A place among those who wait for a provider.
struct Seat(Arc<KeyRing>);

impl Seat {
    fn take(ring: &Arc<KeyRing>) -> Option<Self> {
        let seat = Self(Arc::clone(ring));
        // Counted first, so that two who come at once do not both get the last place; dropping gives it back.
        let before = ring.waiting.fetch_add(1, Ordering::Relaxed);
        (before < ring.pace.waiting_limit).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The rings of all providers that tenants have registered and whose tokens came.
pub(super) struct KeyRings {
    source: Arc<dyn KeySource>,
    pace: Pace,
    /// By the issuer's name.
    rings: Mutex<HashMap<String, Vec<Arc<KeyRing>>>>,
}

impl KeyRings {
    pub(super) fn new(source: Arc<dyn KeySource>, pace: Pace) -> Self {
        Self { source, pace, rings: Mutex::default() }
    }

    /// The ring of an address. Two registrations of one issuer that say the same address share it.
    pub(super) fn ring(&self, address: KeyAddress) -> Arc<KeyRing> {
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let of_issuer = rings.entry(address.issuer.clone()).or_default();
        if let Some(ring) = of_issuer.iter().find(|ring| ring.address == address) {
            return Arc::clone(ring);
        }
        let ring = Arc::new(KeyRing::new(address, Arc::clone(&self.source), self.pace));
        of_issuer.push(Arc::clone(&ring));
        ring
    }

    /// Forgets the rings of an issuer but these: what is not registered is not kept.
    pub(super) fn keep_only(&self, issuer: &str, used: &[&KeyAddress]) {
        let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(of_issuer) = rings.get_mut(issuer) else { return };
        of_issuer.retain(|ring| used.contains(&&ring.address));
        if of_issuer.is_empty() {
            rings.remove(issuer);
        }
    }

    /// The age of the oldest keys in use.
    pub(super) fn oldest(&self) -> Option<Duration> {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        rings.values().flatten().filter_map(|ring| ring.age()).max()
    }
}

#[cfg(test)]
mod tests;

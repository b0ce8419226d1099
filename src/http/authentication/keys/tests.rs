use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::Semaphore;

use super::*;
use crate::openid::FetchedKeys;

/// A provider that answers what it is told, when it is let.
struct Provider {
    jwks: Mutex<Value>,
    is_down: AtomicBool,
    asked: AtomicUsize,
    /// One is taken by each answer.
    may_answer: Semaphore,
}

#[async_trait]
impl KeySource for Provider {
    async fn keys(&self, _: &KeyAddress) -> Result<FetchedKeys, FetchError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.may_answer.acquire().await.expect("never closed").forget();
        if self.is_down.load(Ordering::SeqCst) {
            return Err(FetchError::Status { what: "key set", status: 500 });
        }
        Ok(FetchedKeys { jwks_uri: String::new(), jwks: self.jwks.lock().expect("the lock").clone() })
    }
}

impl Provider {
    fn new(kids: &[&str]) -> Arc<Self> {
        Arc::new(Self {
            jwks: Mutex::new(key_set(kids)),
            is_down: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            may_answer: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    fn publish(&self, kids: &[&str]) {
        *self.jwks.lock().expect("the lock") = key_set(kids);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The key of RFC 8037, appendix A.2, under these names.
fn key_set(kids: &[&str]) -> Value {
    let key = |kid: &&str| json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    json!({ "keys": kids.iter().map(key).collect::<Vec<_>>() })
}

const QUICK: Pace = Pace {
    refresh_after: Duration::from_secs(300),
    stale_after: Duration::from_secs(3_600),
    keep_for: Duration::from_secs(86_400),
    pause: Duration::from_millis(1),
    longest_pause: Duration::from_millis(2),
    longest_failure_pause: Duration::from_secs(60),
    waiting_limit: 3,
};

fn ring(provider: &Arc<Provider>, pace: Pace) -> Arc<KeyRing> {
    let address = KeyAddress { issuer: "https://login.example".to_owned(), discovery_url: String::new() };
    KeyRings::new(Arc::clone(provider) as Arc<dyn KeySource>, pace).ring(address)
}

async fn eventually(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn keys_are_fetched_once_for_all_who_wait() {
    let provider = Provider::new(&["a"]);
    let ring = ring(&provider, QUICK);

    let (one, two, three) = tokio::join!(ring.keys_with("a"), ring.keys_with("a"), ring.keys_with("a"));

    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert!(ring.keys_with("a").await.is_ok());
    assert_eq!(provider.asked(), 1);
}

#[tokio::test]
async fn a_new_key_is_found_by_asking_once_more() {
    let provider = Provider::new(&["a"]);
    let ring = ring(&provider, QUICK);
    assert!(ring.keys_with("a").await.is_ok());

    provider.publish(&["b", "a"]);
    let (one, two) = tokio::join!(ring.keys_with("b"), ring.keys_with("b"));

    assert!(one.is_ok() && two.is_ok());
    assert_eq!(provider.asked(), 2);
}

#[tokio::test]
async fn a_key_that_was_withdrawn_is_unknown_once_the_provider_was_asked() {
    let provider = Provider::new(&["a"]);
    let ring = ring(&provider, QUICK);
    assert!(ring.keys_with("a").await.is_ok());

    provider.publish(&["b"]);
    assert!(ring.keys_with("b").await.is_ok());

    assert_eq!(ring.keys_with("a").await.err(), Some(KeyFault::Unknown));
}

/// A fetch that began before the request may have read what was published before the key.
#[tokio::test]
async fn a_request_is_judged_by_a_fetch_that_began_after_it_came() {
    let provider = Provider::new(&["a"]);
    let ring = ring(&provider, QUICK);
    provider.may_answer.forget_permits(Semaphore::MAX_PERMITS);
    let first = tokio::spawn({
        let ring = Arc::clone(&ring);
        async move { ring.keys_with("a").await.is_ok() }
    });
    eventually(|| provider.asked() == 1).await;

    let second = tokio::spawn({
        let ring = Arc::clone(&ring);
        async move { ring.keys_with("b").await.is_ok() }
    });
    eventually(|| ring.waiting.load(Ordering::SeqCst) == 2).await;
    provider.may_answer.add_permits(1);
    assert!(first.await.expect("it ends"));
    eventually(|| provider.asked() == 2).await;
    provider.publish(&["a", "b"]);
    provider.may_answer.add_permits(1);

    assert!(second.await.expect("it ends"), "not refused by what the first fetch brought");
}

#[tokio::test]
async fn guessed_key_names_make_the_provider_asked_ever_less_often() {
    let provider = Provider::new(&["a"]);
    let pace = Pace { pause: Duration::from_millis(20), longest_pause: Duration::from_millis(160), ..QUICK };
    let ring = ring(&provider, pace);
    assert!(ring.keys_with("a").await.is_ok());

    for number in 0..4 {
        let before = ring.lock().fruitless;
        assert_eq!(ring.keys_with(&format!("guess {number}")).await.err(), Some(KeyFault::Unknown));
        assert_eq!(ring.lock().fruitless, before + 1);
    }
    let pause = |state: &State| state.pause_until.expect("a pause") - Instant::now();
    assert!(pause(&ring.lock()) > Duration::from_millis(80), "from 20 to 160 milliseconds in three steps");
    assert!(ring.keys_with("a").await.is_ok(), "who has a key does not wait");
    assert_eq!(provider.asked(), 5);

    provider.publish(&["a", "b"]);
    assert!(ring.keys_with("b").await.is_ok());
    assert_eq!(ring.lock().fruitless, 0);
}

#[tokio::test]
async fn the_last_good_keys_are_kept_while_the_provider_is_down() {
    let provider = Provider::new(&["a"]);
    let pace = Pace { refresh_after: Duration::ZERO, stale_after: Duration::ZERO, ..QUICK };
    let ring = ring(&provider, pace);
    assert!(ring.keys_with("a").await.is_ok());

    provider.is_down.store(true, Ordering::SeqCst);
    tokio::time::sleep(pace.longest_pause).await;
    for _ in 0..3 {
        assert!(ring.keys_with("a").await.is_ok());
    }

    assert!(ring.lock().failures > 0, "it was asked in vain");
    let fault = ring.keys_with("b").await.err();
    assert!(matches!(fault, Some(KeyFault::Unavailable { .. })), "nobody knows whether there is such a key: {fault:?}");
}

#[tokio::test]
async fn keys_are_not_kept_for_ever() {
    let provider = Provider::new(&["a"]);
    let ring = ring(&provider, Pace { keep_for: Duration::from_millis(30), ..QUICK });
    assert!(ring.keys_with("a").await.is_ok());

    provider.is_down.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(30)).await;

    assert!(matches!(ring.keys_with("a").await.err(), Some(KeyFault::Unavailable { .. })));
}

#[tokio::test]
async fn a_provider_that_is_down_is_left_alone_for_longer_and_longer() {
    let provider = Provider::new(&["a"]);
    provider.is_down.store(true, Ordering::SeqCst);
    let ring = ring(&provider, Pace { pause: Duration::from_secs(20), ..QUICK });

    let Some(KeyFault::Unavailable { retry_after }) = ring.keys_with("a").await.err() else { panic!("it is down") };
    assert!(retry_after <= Duration::from_secs(20));
    for _ in 0..5 {
        assert!(matches!(ring.keys_with("a").await.err(), Some(KeyFault::Unavailable { .. })));
    }
    assert_eq!(provider.asked(), 1, "nobody asks during the pause");
    assert_eq!(ring.pace.after(1, Duration::from_secs(60)), Duration::from_secs(40));
    assert_eq!(ring.pace.after(40, Duration::from_secs(60)), Duration::from_secs(60));
}

#[tokio::test]
async fn a_provider_without_a_usable_key_is_as_good_as_down() {
    let provider = Provider::new(&["a"]);
    let ring = ring(&provider, Pace { refresh_after: Duration::ZERO, stale_after: Duration::ZERO, ..QUICK });
    assert!(ring.keys_with("a").await.is_ok());

    *provider.jwks.lock().expect("the lock") = json!({ "keys": [{ "kty": "oct", "k": "AAAA", "kid": "a" }, 7] });
    tokio::time::sleep(QUICK.longest_pause).await;

    assert!(ring.keys_with("a").await.is_ok());
    assert!(ring.lock().failures > 0);
}

#[tokio::test]
async fn no_more_than_so_many_wait_for_one_provider() {
    let provider = Provider::new(&["a"]);
    provider.may_answer.forget_permits(Semaphore::MAX_PERMITS);
    let ring = ring(&provider, QUICK);
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let ring = Arc::clone(&ring);
            tokio::spawn(async move { ring.keys_with("a").await.is_ok() })
        })
        .collect();
    eventually(|| ring.waiting.load(Ordering::SeqCst) == 3).await;

    assert!(matches!(ring.keys_with("a").await.err(), Some(KeyFault::Unavailable { .. })));

    provider.may_answer.add_permits(1);
    for each in waiting {
        assert!(each.await.expect("it ends"));
    }
    assert_eq!(ring.waiting.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_client_that_leaves_does_not_break_off_the_fetch_of_the_others() {
    let provider = Provider::new(&["a"]);
    provider.may_answer.forget_permits(Semaphore::MAX_PERMITS);
    let ring = ring(&provider, QUICK);
    let leaving = tokio::spawn({
        let ring = Arc::clone(&ring);
        async move { ring.keys_with("a").await.is_ok() }
    });
    eventually(|| provider.asked() == 1).await;
    leaving.abort();
    assert!(leaving.await.expect_err("it was broken off").is_cancelled());

    provider.may_answer.add_permits(1);

    assert!(ring.keys_with("a").await.is_ok());
    assert_eq!(provider.asked(), 1);
}

//! Throttling: a token bucket per tenant and caller, writes apart from reads. Section 11 of the protocol, CL-26
//!
//! A bucket holds as many requests as the quota allows in ten seconds and fills evenly. Each process counts for itself. Requests
//! without an accepted token belong to nobody and are not counted.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use actix_web::http::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DefaultKeyedStateStore,
};

use crate::domain::{
    authorization::Caller,
    ids::{ObjectId, TenantId},
};

/// What a quota counts for.
const PERIOD: Duration = Duration::from_secs(10);
/// From this share of the quota on clients are warned, in hundredths.
const WARNING_FROM: u64 = 80;
/// After so many requests, callers whose buckets are full again are forgotten.
const FORGET_AFTER: u32 = 10_000;

/// How many requests a caller may make in ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaSettings {
    pub reads: NonZeroU32,
    pub writes: NonZeroU32,
}

type Key = (TenantId, ObjectId);
type Buckets = RateLimiter<Key, DefaultKeyedStateStore<Key>, DefaultClock, StateInformationMiddleware>;

/// Every caller's buckets.
pub struct Quotas {
    reads: Buckets,
    writes: Buckets,
    settings: QuotaSettings,
    clock: DefaultClock,
    counted: AtomicU32,
}

/// What is left of a caller's quota after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    key: Key,
    is_write: bool,
    limit: u32,
    remaining: u32,
    /// Seconds until the next request is accepted; `None` when this one was.
    retry_after: Option<u32>,
}

impl Quotas {
    /// Full buckets for everybody.
    pub fn new(settings: QuotaSettings) -> Self {
        let buckets = |count| RateLimiter::keyed(quota(count)).with_middleware::<StateInformationMiddleware>();
        Self {
            reads: buckets(settings.reads),
            writes: buckets(settings.writes),
            settings,
            clock: DefaultClock::default(),
            counted: AtomicU32::new(0),
        }
    }

    /// Takes a request from the caller's bucket; when it is empty, the allowance says how long to wait.
    pub fn take(&self, caller: &Caller, method: &Method) -> Allowance {
        let is_write = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let (buckets, limit) = match is_write {
            true => (&self.writes, self.settings.writes.get()),
            false => (&self.reads, self.settings.reads.get()),
        };
        let key = (caller.tenant_id, caller.identity.id);
        if self.counted.fetch_add(1, Ordering::Relaxed) % FORGET_AFTER == FORGET_AFTER - 1 {
            self.reads.retain_recent();
            self.writes.retain_recent();
        }
        let (remaining, retry_after) = match buckets.check_key(&key) {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(refusal) => (0, Some(whole_seconds(refusal.wait_time_from(self.clock.now())))),
        };
        Allowance { key, is_write, limit, remaining, retry_after }
    }
}

fn quota(count: NonZeroU32) -> Quota {
    let each = PERIOD / count.get();
    // Never zero: ten seconds have more nanoseconds than a u32 counts.
    Quota::with_period(each).unwrap_or(Quota::per_second(count)).allow_burst(count)
}

fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
}

impl Allowance {
    /// Seconds to wait when the request is refused.
    pub fn retry_after(&self) -> Option<u32> {
        self.retry_after
    }

    /// Tells the client where it stands; warned when little is left.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let mut insert = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        let used = u64::from(self.limit - self.remaining.min(self.limit));
        let until_full = (PERIOD.as_secs() * used).div_ceil(u64::from(self.limit).max(1));
        insert("ratelimit-limit", self.limit.to_string());
        insert("ratelimit-remaining", self.remaining.to_string());
        insert("ratelimit-reset", until_full.to_string());
        let hundredths = used * 100 / u64::from(self.limit).max(1);
        if hundredths < WARNING_FROM && self.retry_after.is_none() {
            return;
        }
        let (tenant, caller) = self.key;
        let kind = if self.is_write { "Write" } else { "Read" };
        insert("x-ms-throttle-limit-percentage", format!("{}.{:02}", hundredths / 100, hundredths % 100));
        insert("x-ms-throttle-scope", format!("Tenant_Application/{kind}/{caller}/{tenant}"));
        if self.retry_after.is_some() {
            insert("x-ms-throttle-information", format!("{kind}LimitExceeded"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        authorization::{CallerKind, RoleSet},
        definition::Identity,
    };

    fn caller(number: u128) -> Caller {
        Caller {
            tenant_id: TenantId::new(uuid::Uuid::from_u128(1)),
            identity: Identity { id: ObjectId::new(uuid::Uuid::from_u128(number)), ..Identity::nobody() },
            kind: CallerKind::User,
            permission: None,
            identity_provider_permission: None,
            roles: RoleSet::default(),
        }
    }

    fn quotas(reads: u32, writes: u32) -> Quotas {
        let count = |count| NonZeroU32::new(count).expect("more than zero");
        Quotas::new(QuotaSettings { reads: count(reads), writes: count(writes) })
    }

    #[test]
    fn a_bucket_is_one_callers_and_writes_have_their_own() {
        let quotas = quotas(2, 1);
        let first = caller(1);
        assert_eq!(quotas.take(&first, &Method::GET).remaining, 1);
        assert_eq!(quotas.take(&first, &Method::HEAD).remaining, 0);
        let refused = quotas.take(&first, &Method::GET);
        assert!((1..=5).contains(&refused.retry_after().expect("refused")));

        assert_eq!(quotas.take(&first, &Method::PATCH).retry_after(), None);
        assert!((1..=10).contains(&quotas.take(&first, &Method::POST).retry_after().expect("refused")));
        assert_eq!(quotas.take(&caller(2), &Method::GET).retry_after(), None);
    }

    #[test]
    fn a_client_is_told_where_it_stands_and_warned_when_little_is_left() {
        let quotas = quotas(10, 1);
        let told = |allowance: Allowance| {
            let mut headers = HeaderMap::new();
            allowance.tell(&mut headers);
            move |name: &str| headers.get(name).map(|value| value.to_str().expect("text").to_owned())
        };
        let first = told(quotas.take(&caller(1), &Method::GET));
        assert_eq!(first("ratelimit-limit").as_deref(), Some("10"));
        assert_eq!(first("ratelimit-remaining").as_deref(), Some("9"));
        assert_eq!(first("ratelimit-reset").as_deref(), Some("1"));
        assert_eq!(first("x-ms-throttle-limit-percentage"), None);

        for _ in 0..7 {
            quotas.take(&caller(1), &Method::GET);
        }
        let ninth = told(quotas.take(&caller(1), &Method::GET));
        assert_eq!(ninth("x-ms-throttle-limit-percentage").as_deref(), Some("0.90"));
        assert!(ninth("x-ms-throttle-scope").is_some_and(|scope| scope.starts_with("Tenant_Application/Read/")));
        assert_eq!(ninth("x-ms-throttle-information"), None);

        quotas.take(&caller(1), &Method::GET);
        let refused = told(quotas.take(&caller(1), &Method::GET));
        assert_eq!(refused("ratelimit-remaining").as_deref(), Some("0"));
        assert_eq!(refused("x-ms-throttle-information").as_deref(), Some("ReadLimitExceeded"));
    }
}

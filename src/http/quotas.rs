//! Throttling: a bucket of requests per tenant and caller, writes apart from reads, and a bucket of units per tenant that all its
//! callers share. Section 11 of the protocol, CL-26
//!
//! A bucket holds what the quota allows in ten seconds and fills evenly. What a request takes from its tenant's is in
//! [`crate::http::costs`]. Each process counts for itself. Requests without an accepted token belong to nobody and are not
//! counted.

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
    NotUntil, Quota, RateLimiter,
    clock::{Clock, DefaultClock, Reference},
    middleware::{StateInformationMiddleware, StateSnapshot},
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
/// After so many requests, tenants and callers whose buckets are full again are forgotten.
const FORGET_AFTER: u32 = 10_000;

/// What may be asked for in ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaSettings {
    /// Reading requests of each caller.
    pub reads: NonZeroU32,
    /// Changing requests of each caller.
    pub writes: NonZeroU32,
    /// Units of all callers of a tenant together. A request that costs more takes a full bucket.
    pub tenant_units: NonZeroU32,
}

type Key = (TenantId, ObjectId);
type Buckets<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// Every caller's and every tenant's buckets.
pub struct Quotas {
    reads: Buckets<Key>,
    writes: Buckets<Key>,
    tenants: Buckets<TenantId>,
    settings: QuotaSettings,
    clock: DefaultClock,
    counted: AtomicU32,
}

/// Whose bucket it is, and what it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    CallerReads,
    CallerWrites,
    Tenant,
}

impl Scope {
    /// What is limited, and what is told when it is used up. Graph's words
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::CallerReads => ("Tenant_Application", "Read", "ReadLimitExceeded"),
            Self::CallerWrites => ("Tenant_Application", "Write", "WriteLimitExceeded"),
            Self::Tenant => ("Tenant", "ReadWrite", "ResourceUnitLimitExceeded"),
        }
    }
}

/// A bucket after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    scope: Scope,
    limit: u32,
    remaining: u32,
    /// Seconds until a request like this is accepted; `None` when this one was.
    retry_after: Option<u32>,
}

impl Level {
    /// Used of the quota, in hundredths.
    fn hundredths(&self) -> u64 {
        self.used() * 100 / u64::from(self.limit).max(1)
    }

    fn used(&self) -> u64 {
        u64::from(self.limit.saturating_sub(self.remaining))
    }
}

/// What is left of the quotas after a request: of the one that refused it, else of the one that is nearer to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    key: Key,
    units: u32,
    level: Level,
}

impl Quotas {
    /// Full buckets for everybody.
    pub fn new(settings: QuotaSettings) -> Self {
        Self {
            reads: buckets(settings.reads),
            writes: buckets(settings.writes),
            tenants: buckets(settings.tenant_units),
            settings,
            clock: DefaultClock::default(),
            counted: AtomicU32::new(0),
        }
    }

    /// Takes a request from the caller's bucket and its units from the tenant's; when one has not enough, the allowance says how
    /// long to wait. What the caller's bucket refuses takes nothing from the tenant's: one caller who does not stop asking is
    /// no burden on the others.
    pub fn take(&self, caller: &Caller, method: &Method, units: NonZeroU32) -> Allowance {
        if self.counted.fetch_add(1, Ordering::Relaxed) % FORGET_AFTER == FORGET_AFTER - 1 {
            self.reads.retain_recent();
            self.writes.retain_recent();
            self.tenants.retain_recent();
        }
        let key = (caller.tenant_id, caller.identity.id);
        let level = match *method {
            Method::GET | Method::HEAD | Method::OPTIONS => {
                self.level(Scope::CallerReads, &self.reads, self.settings.reads, &key, NonZeroU32::MIN)
            }
            _ => self.level(Scope::CallerWrites, &self.writes, self.settings.writes, &key, NonZeroU32::MIN),
        };
        let level = match level.retry_after {
            Some(_) => level,
            None => {
                let tenant = self.level(Scope::Tenant, &self.tenants, self.settings.tenant_units, &key.0, units);
                let tells_more = tenant.retry_after.is_some() || tenant.hundredths() > level.hundredths();
                if tells_more { tenant } else { level }
            }
        };
        Allowance { key, units: units.get(), level }
    }

    fn level<K: Clone + Eq + std::hash::Hash>(
        &self,
        scope: Scope,
        buckets: &Buckets<K>,
        limit: NonZeroU32,
        key: &K,
        wanted: NonZeroU32,
    ) -> Level {
        let refused = |seconds| Level { scope, limit: limit.get(), remaining: 0, retry_after: Some(seconds) };
        // Capped, so never more than a bucket holds.
        match buckets.check_key_n(key, wanted.min(limit)) {
            Ok(Ok(state)) => accepted(scope, limit, &state),
            Ok(Err(refusal)) => refused(self.seconds_until(&refusal)),
            Err(_) => refused(whole_seconds(PERIOD)),
        }
    }

    fn seconds_until<P: Reference>(&self, refusal: &NotUntil<P>) -> u32
    where
        DefaultClock: Clock<Instant = P>,
    {
        whole_seconds(refusal.wait_time_from(self.clock.now()))
    }
}

fn accepted(scope: Scope, limit: NonZeroU32, state: &StateSnapshot) -> Level {
    Level { scope, limit: limit.get(), remaining: state.remaining_burst_capacity(), retry_after: None }
}

fn buckets<K: Clone + Eq + std::hash::Hash>(count: NonZeroU32) -> Buckets<K> {
    RateLimiter::keyed(quota(count)).with_middleware::<StateInformationMiddleware>()
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
        self.level.retry_after
    }

    /// Tells the client what its request cost and where it stands; warned when little is left.
    pub fn tell(&self, headers: &mut HeaderMap) {
        let mut insert = |name: &'static str, value: HeaderValue| {
            headers.insert(HeaderName::from_static(name), value);
        };
        let level = &self.level;
        let until_full = (PERIOD.as_secs() * level.used()).div_ceil(u64::from(level.limit).max(1));
        insert("x-ms-resource-unit", self.units.into());
        insert("ratelimit-limit", level.limit.into());
        insert("ratelimit-remaining", level.remaining.into());
        insert("ratelimit-reset", until_full.into());
        let hundredths = level.hundredths();
        if hundredths < WARNING_FROM && level.retry_after.is_none() {
            return;
        }
        let (tenant, caller) = self.key;
        let (scope, limited, exceeded) = level.scope.words();
        let mut insert_text = |name, text: String| {
            if let Ok(value) = HeaderValue::try_from(text) {
                insert(name, value);
            }
        };
        insert_text("x-ms-throttle-limit-percentage", format!("{}.{:02}", hundredths / 100, hundredths % 100));
        insert_text("x-ms-throttle-scope", format!("{scope}/{limited}/{caller}/{tenant}"));
        if level.retry_after.is_some() {
            insert("x-ms-throttle-information", HeaderValue::from_static(exceeded));
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

    /// More than any test here uses.
    const PLENTY: u32 = 1_000_000;

    fn caller(number: u128) -> Caller {
        caller_of(1, number)
    }

    fn caller_of(tenant: u128, number: u128) -> Caller {
        Caller {
            tenant_id: TenantId::new(uuid::Uuid::from_u128(tenant)),
            identity: Identity { id: ObjectId::new(uuid::Uuid::from_u128(number)), ..Identity::nobody() },
            kind: CallerKind::User,
            permission: None,
            identity_provider_permission: None,
            roles: RoleSet::default(),
        }
    }

    fn number(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("more than zero")
    }

    fn quotas(reads: u32, writes: u32, tenant_units: u32) -> Quotas {
        Quotas::new(QuotaSettings { reads: number(reads), writes: number(writes), tenant_units: number(tenant_units) })
    }

    /// A request of one unit.
    fn take(quotas: &Quotas, caller: &Caller, method: Method) -> Allowance {
        quotas.take(caller, &method, NonZeroU32::MIN)
    }

    fn told(allowance: Allowance) -> impl Fn(&str) -> Option<String> {
        let mut headers = HeaderMap::new();
        allowance.tell(&mut headers);
        move |name: &str| headers.get(name).map(|value| value.to_str().expect("text").to_owned())
    }

    #[test]
    fn a_bucket_is_one_callers_and_writes_have_their_own() {
        let quotas = quotas(2, 1, PLENTY);
        let first = caller(1);
        assert_eq!(take(&quotas, &first, Method::GET).level.remaining, 1);
        assert_eq!(take(&quotas, &first, Method::HEAD).level.remaining, 0);
        let refused = take(&quotas, &first, Method::GET);
        assert!((1..=5).contains(&refused.retry_after().expect("refused")));

        assert_eq!(take(&quotas, &first, Method::PATCH).retry_after(), None);
        assert!((1..=10).contains(&take(&quotas, &first, Method::POST).retry_after().expect("refused")));
        assert_eq!(take(&quotas, &caller(2), Method::GET).retry_after(), None);
    }

    #[test]
    fn a_client_is_told_where_it_stands_and_warned_when_little_is_left() {
        let quotas = quotas(10, 1, PLENTY);
        let first = told(take(&quotas, &caller(1), Method::GET));
        assert_eq!(first("ratelimit-limit").as_deref(), Some("10"));
        assert_eq!(first("ratelimit-remaining").as_deref(), Some("9"));
        assert_eq!(first("ratelimit-reset").as_deref(), Some("1"));
        assert_eq!(first("x-ms-throttle-limit-percentage"), None);

        for _ in 0..7 {
            take(&quotas, &caller(1), Method::GET);
        }
        let ninth = told(take(&quotas, &caller(1), Method::GET));
        assert_eq!(ninth("x-ms-throttle-limit-percentage").as_deref(), Some("0.90"));
        assert!(ninth("x-ms-throttle-scope").is_some_and(|scope| scope.starts_with("Tenant_Application/Read/")));
        assert_eq!(ninth("x-ms-throttle-information"), None);

        take(&quotas, &caller(1), Method::GET);
        let refused = told(take(&quotas, &caller(1), Method::GET));
        assert_eq!(refused("ratelimit-remaining").as_deref(), Some("0"));
        assert_eq!(refused("x-ms-throttle-information").as_deref(), Some("ReadLimitExceeded"));
    }

    #[test]
    fn a_tenants_units_are_shared_by_its_callers_and_are_no_other_tenants() {
        let quotas = quotas(PLENTY, PLENTY, 10);
        assert_eq!(quotas.take(&caller_of(1, 1), &Method::POST, number(4)).level.remaining, 6);
        assert_eq!(quotas.take(&caller_of(1, 2), &Method::GET, number(5)).level.remaining, 1);

        let refused = quotas.take(&caller_of(1, 3), &Method::GET, number(3));
        assert!((1..=2).contains(&refused.retry_after().expect("refused")));
        let refused = told(refused);
        assert_eq!(refused("x-ms-resource-unit").as_deref(), Some("3"));
        assert_eq!(refused("x-ms-throttle-information").as_deref(), Some("ResourceUnitLimitExceeded"));
        assert!(refused("x-ms-throttle-scope").is_some_and(|scope| scope.starts_with("Tenant/ReadWrite/")));
        assert_eq!(refused("ratelimit-limit").as_deref(), Some("10"));

        assert_eq!(quotas.take(&caller_of(2, 1), &Method::POST, number(20)).retry_after(), None);
    }

    #[test]
    fn the_bucket_that_is_nearer_to_its_end_is_told() {
        let quotas = quotas(10, 10, 100);
        let told_of = |units| told(quotas.take(&caller(1), &Method::GET, number(units)))("ratelimit-limit");
        assert_eq!(told_of(1).as_deref(), Some("10"));
        assert_eq!(told_of(50).as_deref(), Some("100"));
    }

    #[test]
    fn what_the_callers_bucket_refuses_takes_nothing_from_the_tenants() {
        let quotas = quotas(1, 1, 100);
        for _ in 0..50 {
            quotas.take(&caller(1), &Method::GET, number(10));
        }
        assert_eq!(quotas.take(&caller(2), &Method::GET, number(90)).retry_after(), None);
    }

    #[test]
    fn what_costs_more_than_a_bucket_holds_takes_a_full_one() {
        let quotas = quotas(PLENTY, PLENTY, 5);
        assert_eq!(quotas.take(&caller(1), &Method::POST, number(20)).retry_after(), None);
        assert!((9..=10).contains(&quotas.take(&caller(1), &Method::POST, number(20)).retry_after().expect("refused")));
    }

    #[test]
    fn tenants_whose_buckets_are_full_again_are_forgotten() {
        let quotas = quotas(PLENTY, PLENTY, PLENTY);
        for tenant in 0..30_000 {
            quotas.take(&caller_of(tenant, 1), &Method::GET, NonZeroU32::MIN);
        }
        assert!(quotas.tenants.len() <= 20_000, "{}", quotas.tenants.len());
        assert!(quotas.reads.len() <= 20_000, "{}", quotas.reads.len());
    }
}

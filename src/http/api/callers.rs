//! From whom a token names to a caller: what the directory says, remembered for a short while.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::extract::run;
use crate::{
    app::{Services, resolve_caller::resolve_caller},
    domain::{
        authorization::{Caller, RoleSet},
        definition::Identity,
        ids::TenantId,
        token_issuer::assertion::{AssertedCaller, Subject},
    },
    http::{
        authentication::{AuthenticationError, generations::Generations},
        error::ApiError,
    },
};

/// So long a role taken away, or an account disabled, may still count.
const KNOWN_FOR: Duration = Duration::from_secs(10);
/// Callers remembered at a time, in each of two generations.
const KNOWN_LIMIT: usize = 5_000;

/// Recent callers as the directory knows them.
pub struct Callers {
    known: Mutex<Generations<Key, Known>>,
}

impl Default for Callers {
    fn default() -> Self {
        Self { known: Mutex::new(Generations::new(KNOWN_LIMIT)) }
    }
}

type Key = (TenantId, Subject);

struct Known {
    since: Instant,
    identity: Identity,
    /// Those of the directory; each token adds its own.
    roles: RoleSet,
}

impl Callers {
    /// The caller whom a verified token names.
    pub(super) async fn caller(&self, services: &Services, asserted: &AssertedCaller) -> Result<Arc<Caller>, ApiError> {
        let key = (asserted.tenant_id, asserted.subject.clone());
        let remembered = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
            .filter(|known| known.since.elapsed() < KNOWN_FOR)
            .map(|known| (known.identity.clone(), known.roles));
        let (identity, roles) = match remembered {
            Some(found) => found,
            None => {
                let services = services.clone();
                // Without the token's roles: what is remembered serves other tokens of the same caller.
                let bare = AssertedCaller { roles: RoleSet::EMPTY, ..AssertedCaller::clone(asserted) };
                let found = run(async move { resolve_caller(&services, &bare).await }).await?;
                self.remember(key, &found);
                (found.identity, found.roles)
            }
        };
        Ok(Arc::new(Caller {
            tenant_id: asserted.tenant_id,
            identity,
            kind: asserted.kind,
            permission: asserted.permission,
            identity_provider_permission: asserted.identity_provider_permission,
            roles: asserted.roles.union(roles),
        }))
    }

    fn remember(&self, key: Key, found: &Caller) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(key, Known { since: Instant::now(), identity: found.identity.clone(), roles: found.roles });
    }
}

impl From<AuthenticationError> for ApiError {
    fn from(error: AuthenticationError) -> Self {
        match error {
            AuthenticationError::Refused(refusal) => {
                Self::unauthenticated(refusal.to_string(), &refusal.www_authenticate())
            }
            AuthenticationError::Unavailable(_) => Self::service_unavailable(super::RETRY_AFTER_SECONDS),
            AuthenticationError::ProviderUnavailable { retry_after } => {
                let seconds = u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
                Self::provider_unavailable(seconds)
            }
        }
    }
}

//! What the use cases ask of storage about a tenant's review settings and what hangs on them.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{ids::ObjectId, review_settings::ReviewSettings};

#[async_trait]
pub trait ReviewSettingsRepository: Send {
    /// Reads without a lock; the defaults when nothing was ever set.
    async fn find(&mut self) -> Result<ReviewSettings, StoreError>;
    /// The same, and keeps others from changing them until the unit ends.
    async fn lock(&mut self) -> Result<ReviewSettings, StoreError>;
    /// Stores all of them.
    async fn store(&mut self, settings: &ReviewSettings) -> Result<(), StoreError>;
    /// Whether the tenant lets group owners review, and this person, with an enabled account, owns this group now; without one,
    /// any group. LC-AUTH-02
    async fn lets_review(&mut self, person: ObjectId, group: Option<ObjectId>) -> Result<bool, StoreError>;
}

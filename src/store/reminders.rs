//! Reminders: when an admin last asked for them, and to whom they go.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use crate::domain::{ids::InstanceId, stage::StageOrdinal};

#[async_trait]
pub trait ReminderRepository: Send {
    /// When an admin last had the instance's reviewers reminded. UTC.
    async fn last_manual(&mut self, instance: InstanceId) -> Result<Option<DateTime<Utc>>, StoreError>;
    /// Records that an admin has them reminded now; returns how many times that was, from 1. To be called with the instance
    /// locked.
    async fn count_manual(&mut self, instance: InstanceId) -> Result<i32, StoreError>;
    /// Enqueues a reminder, due now, to everyone who was told of the stage; returns how many. Who has nothing left to answer is
    /// left out when it is sent (LC-NOTE-07). `sequence` is 0 for the automatic one, else the number of the manual one; each is
    /// enqueued once per stage, person and number (LC-NOTE-08).
    async fn enqueue(&mut self, instance: InstanceId, ordinal: StageOrdinal, sequence: i32) -> Result<i64, StoreError>;
}

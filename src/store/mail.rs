//! What the use cases ask of storage about mail: a tenant's own templates and settings, what mails tell, and the mails of
//! occurrences over many groups.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::StoreError;
use crate::domain::{
    ids::{DefinitionId, InstanceId, ObjectId},
    mail::{MailKind, MailSettings, StoredTemplate, Tally},
};

/// What somebody reviews in an occurrence over many groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewedTogether {
    /// The instances, by the name of what they review; `limit` at most.
    pub instances: Vec<ReviewedInstance>,
    /// How many there are in all.
    pub total: i64,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewedInstance {
    pub id: InstanceId,
    pub resource: String,
    /// When its first stage ends. UTC.
    pub ends_at: DateTime<Utc>,
}

#[async_trait]
pub trait MailRepository: Send {
    /// The tenant's own templates, in no order.
    async fn templates(&mut self) -> Result<Vec<StoredTemplate>, StoreError>;
    /// Reads without a lock.
    async fn template(&mut self, kind: MailKind) -> Result<Option<StoredTemplate>, StoreError>;
    /// Reads and keeps others from changing or removing it until the unit ends.
    async fn lock_template(&mut self, kind: MailKind) -> Result<Option<StoredTemplate>, StoreError>;
    /// Stores it in place of the one there may be.
    async fn set_template(&mut self, template: &StoredTemplate) -> Result<(), StoreError>;
    /// `false` when there was none.
    async fn remove_template(&mut self, kind: MailKind) -> Result<bool, StoreError>;
    /// The tenant's settings; the usual ones where it has none.
    async fn settings(&mut self) -> Result<MailSettings, StoreError>;
    /// Stores them as of now.
    async fn set_settings(&mut self, settings: MailSettings) -> Result<(), StoreError>;
    /// How the items of an instance are decided: the newest decision of each over all stages, the system's included.
    async fn tally(&mut self, instance: InstanceId) -> Result<Tally, StoreError>;

    /// Whether an instance of the occurrence has not gathered its items yet.
    async fn occurrence_opens(&mut self, definition: DefinitionId, occurrence: i32) -> Result<bool, StoreError>;
    /// When the groups of an occurrence were looked up. UTC. `None` when it is none over many groups.
    async fn occurrence_opened_at(
        &mut self,
        definition: DefinitionId,
        occurrence: i32,
    ) -> Result<Option<DateTime<Utc>>, StoreError>;
    /// Whether the reviewers of the occurrence were told together already. `false` where the occurrence is not one over many groups.
    async fn occurrence_is_told(&mut self, definition: DefinitionId, occurrence: i32) -> Result<bool, StoreError>;
    /// Records that the occurrence's reviewers are told now, and enqueues one mail to each who was contacted in the first stage of its
    /// instances and was not mailed; returns how many. Nothing the second time. LC-NOTE-06, LC-NOTE-08
    async fn tell_occurrence(&mut self, definition: DefinitionId, occurrence: i32) -> Result<i64, StoreError>;
    /// What somebody reviews now in the open first stages of the occurrence's instances. LC-NOTE-07
    async fn reviewed_together(
        &mut self,
        definition: DefinitionId,
        occurrence: i32,
        person: ObjectId,
        limit: i64,
    ) -> Result<ReviewedTogether, StoreError>;
    /// Records that a mail about all of them got through to somebody who was contacted. M-32
    async fn mark_mailed_together(
        &mut self,
        definition: DefinitionId,
        occurrence: i32,
        person: ObjectId,
    ) -> Result<(), StoreError>;
}

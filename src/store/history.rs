//! Reports of decisions: their definitions and runs, what a report shows, and its finished text in pieces.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::mpsc::Sender;

use super::{
    CursorKeys, Page, Slice, StoreError,
    filter::{FilterExpression, HistoryDefinitionProperty, OrderBy},
};
use crate::domain::{
    authorization::ReviewKind,
    history::{HistoryDecision, HistoryDefinition, HistoryInstance, HistoryPeriod, report::ReportRow},
    ids::{HistoryDefinitionId, HistoryInstanceId, ObjectId},
};

/// Which report definitions a list shows.
#[derive(Clone, Debug)]
pub struct HistoryFilter {
    /// Only those that are still there at this time. UTC.
    pub there_at: DateTime<Utc>,
    /// Only those this person asked for.
    pub created_by: Option<ObjectId>,
    pub expression: Option<FilterExpression<HistoryDefinitionProperty>>,
    /// Without the key, which comes last. Empty: newest first.
    pub order: Vec<OrderBy<HistoryDefinitionProperty>>,
}

/// The place of a report definition in its list.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct HistoryCursor {
    pub keys: CursorKeys,
    pub id: HistoryDefinitionId,
}

/// What a report shows. LC-HIST-03 to 05, A-39
#[derive(Clone, Debug, PartialEq)]
pub struct ReportQuery {
    /// A review counts when its definition's own query contains one of these texts, without regard to case. A-10
    pub scope_texts: Vec<String>,
    /// A review counts when it starts within and ends within, or is still running.
    pub period: HistoryPeriod,
    /// At least one.
    pub decisions: Vec<HistoryDecision>,
    /// Reviews of these kinds count,
    pub readable_kinds: Vec<ReviewKind>,
    /// and those whose definition this person created.
    pub creator: ObjectId,
}

#[async_trait]
pub trait HistoryRepository: Send {
    /// Stores a new report definition and its first run.
    async fn insert(&mut self, definition: &HistoryDefinition, first: &HistoryInstance) -> Result<(), StoreError>;
    /// Reads without a lock, also one whose time is over.
    async fn find(&mut self, id: HistoryDefinitionId) -> Result<Option<HistoryDefinition>, StoreError>;
    /// Reads and keeps others from changing or deleting it until the unit ends.
    async fn lock(&mut self, id: HistoryDefinitionId) -> Result<Option<HistoryDefinition>, StoreError>;
    /// Stores display name, status and end.
    async fn update(&mut self, definition: &HistoryDefinition) -> Result<(), StoreError>;
    /// Removes it with its runs and their reports. `false` when there was none.
    async fn delete(&mut self, id: HistoryDefinitionId) -> Result<bool, StoreError>;
    /// Newest first unless ordered otherwise, id last.
    async fn page(
        &mut self,
        filter: &HistoryFilter,
        page: &Page<HistoryCursor>,
    ) -> Result<Slice<HistoryDefinition, HistoryCursor>, StoreError>;
    /// Rows over all pages.
    async fn count(&mut self, filter: &HistoryFilter) -> Result<i64, StoreError>;

    /// Stores a run; does nothing when that occurrence has one.
    async fn insert_instance(&mut self, instance: &HistoryInstance) -> Result<(), StoreError>;
    /// Reads without a lock, also one whose time is over.
    async fn find_instance(&mut self, id: HistoryInstanceId) -> Result<Option<HistoryInstance>, StoreError>;
    /// Reads and keeps others from changing it until the unit ends.
    async fn lock_instance(&mut self, id: HistoryInstanceId) -> Result<Option<HistoryInstance>, StoreError>;
    /// Stores status, end, link and what is known of the finished text.
    async fn update_instance(&mut self, instance: &HistoryInstance) -> Result<(), StoreError>;
    /// Removes a run and its report.
    async fn delete_instance(&mut self, id: HistoryInstanceId) -> Result<(), StoreError>;
    /// The runs of these definitions that are still there at that time: by definition, then by time, id last.
    async fn instances_of(
        &mut self,
        definitions: &[HistoryDefinitionId],
        there_at: DateTime<Utc>,
    ) -> Result<Vec<HistoryInstance>, StoreError>;

    /// Begins to read what a report shows, all of it as it is at this moment: by start of the instance, then in order of
    /// generation. Once per unit.
    async fn open_report(&mut self, query: &ReportQuery) -> Result<(), StoreError>;
    /// Reads on, `limit` rows at most, counted with those of reviews, and sends the items' as they come, so that they are dealt with
    /// while the database finds more. How many were read; fewer than `limit` are the last.
    ///
    /// Fails when nobody takes the rows any more.
    async fn read_report(&mut self, limit: u16, rows: &Sender<Vec<ReportRow>>) -> Result<u16, StoreError>;
    /// Stores pieces of finished text, numbered from `first` on.
    async fn append_pieces(&mut self, id: HistoryInstanceId, first: i32, pieces: &[Vec<u8>]) -> Result<(), StoreError>;
    /// One piece of finished text; `None` when the report is gone.
    async fn piece(&mut self, id: HistoryInstanceId, number: i32) -> Result<Option<Vec<u8>>, StoreError>;
}

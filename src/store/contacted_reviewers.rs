//! The people who were resolved as reviewers of an instance, one row per person over all stages. M-17, LC-REV-12

use async_trait::async_trait;

use super::{ContactedReviewer, CursorKeys, Page, Slice, StoreError, filter};
use crate::domain::ids::{InstanceId, ObjectId};

/// Which of an instance's contacted reviewers a list shows.
#[derive(Clone, Debug, Default)]
pub struct ContactedReviewerFilter {
    pub expression: Option<filter::FilterExpression<filter::ContactedReviewerProperty>>,
    /// Without the key, which comes last. Empty: by id.
    pub order: Vec<filter::OrderBy<filter::ContactedReviewerProperty>>,
}

/// The place of a contacted reviewer in the list.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ContactedReviewerCursor {
    pub keys: CursorKeys,
    pub id: ObjectId,
}

#[async_trait]
pub trait ContactedReviewerRepository: Send {
    /// One of them.
    async fn find(&mut self, instance: InstanceId, id: ObjectId) -> Result<Option<ContactedReviewer>, StoreError>;
    /// By id unless ordered otherwise, id last.
    async fn page(
        &mut self,
        instance: InstanceId,
        filter: &ContactedReviewerFilter,
        page: &Page<ContactedReviewerCursor>,
    ) -> Result<Slice<ContactedReviewer, ContactedReviewerCursor>, StoreError>;
    /// Rows over all pages.
    async fn count(&mut self, instance: InstanceId, filter: &ContactedReviewerFilter) -> Result<i64, StoreError>;
}

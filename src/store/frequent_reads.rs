//! What is asked most often, each in one round trip and without a unit of work: nothing is written, and nothing has to hold still.

use async_trait::async_trait;

use super::{ItemCursor, ItemRow, Page, Slice, StageReach, StoreError};
use crate::domain::{
    ids::{InstanceId, ItemSeq, ObjectId, TenantId},
    instance::ReviewedInstance,
    lifecycle::Entry,
    reviewer_reach::Cohort,
    stage::StageOrdinal,
};

/// A question about one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedItem {
    pub tenant: TenantId,
    pub instance: InstanceId,
    pub seq: ItemSeq,
}

/// An instance and one of its items with the effective decision. LC-STAGE-41
#[derive(Clone, Debug, PartialEq)]
pub struct ShownItem {
    pub instance: FoundInstance,
    /// `None` when the instance has no such item, or it was removed.
    pub row: Option<ItemRow>,
}

/// An instance as answers about its items need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundInstance {
    pub reviewed: ReviewedInstance,
    /// Whether it is of a group that directory roles can be assigned to. LC-AUTH-01
    pub role_assignable: bool,
    /// The last stage created.
    pub last_ordinal: StageOrdinal,
}

/// An instance and what one person reviews in it.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceOfReviewer {
    pub instance: FoundInstance,
    /// Whether later reviewers may read earlier decisions. LC-STAGE-50
    pub histories: bool,
    /// The stages in which he reviews at least one item, highest first, and which items.
    pub reaches: Vec<StageReach>,
}

/// A list of items that is read without filter and in its own order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainView {
    /// Whose items these are, and whose recommendations are shown.
    pub ordinal: StageOrdinal,
    pub entry: Entry,
    /// The stages whose decisions count; the newest is shown. 0 is the system's.
    pub counting: Vec<StageOrdinal>,
    /// Whether what became of an item is shown only where the decision that is shown is the newest of all. LC-STAGE-51
    pub masked: bool,
    /// All items of these cohorts only; `None` is every item.
    pub cohorts: Option<Vec<Cohort>>,
}

/// Each method sees the tenant's rows only, as they are at the moment.
#[async_trait]
pub trait FrequentReads: Send + Sync {
    /// Each of these items with its effective decision, in the order asked for; `None` where there is no such instance. In one round
    /// trip, however many are asked for and of however many tenants.
    async fn shown_items(&self, asked: &[AskedItem]) -> Result<Vec<Option<ShownItem>>, StoreError>;
    /// The instance, and what this person reviews in it. LC-AUTH-04
    async fn instance_of_reviewer(
        &self,
        tenant: TenantId,
        instance: InstanceId,
        person: ObjectId,
    ) -> Result<Option<InstanceOfReviewer>, StoreError>;
    /// A page of the view in order of generation. Costs what the page holds, wherever in the view it is.
    async fn item_page(
        &self,
        tenant: TenantId,
        instance: InstanceId,
        view: &PlainView,
        page: &Page<ItemCursor>,
    ) -> Result<Slice<ItemRow, ItemCursor>, StoreError>;
}

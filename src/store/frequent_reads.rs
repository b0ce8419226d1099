//! What is asked most often, each in one round trip and without a unit of work: nothing is written, and nothing has to hold still.

use async_trait::async_trait;

use super::{ItemCursor, ItemRow, Page, Slice, StoreError};
use crate::domain::{
    ids::{InstanceId, ItemSeq, ObjectId, TenantId},
    instance::ReviewedInstance,
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

/// An instance and a page of its items.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundPage {
    pub instance: FoundInstance,
    /// `None` when the person reviews nothing in the instance, or what has to be looked at closer: items of several stages, single
    /// items, many cohorts, or a text with the character U+001F.
    pub items: Option<Slice<ItemRow, ItemCursor>>,
}

/// Each method sees the tenant's rows only, as they are at the moment.
#[async_trait]
pub trait FrequentReads: Send + Sync {
    /// Each of these items with its effective decision, in the order asked for; `None` where there is no such instance. In one round
    /// trip, however many are asked for and of however many tenants.
    async fn shown_items(&self, asked: &[AskedItem]) -> Result<Vec<Option<ShownItem>>, StoreError>;
    /// A page of the instance's items in order of generation, without filter: all of them with their effective decisions, or those of
    /// one stage that this person reviews, masked to what he may know. `None` when there is no such instance. Costs what the page holds,
    /// wherever it begins. What was known of each item's principal is read only `with_facts`. LC-STAGE-41, LC-STAGE-50 to 52
    async fn decision_page(
        &self,
        tenant: TenantId,
        instance: InstanceId,
        reviewer: Option<ObjectId>,
        page: &Page<ItemCursor>,
        with_facts: bool,
    ) -> Result<Option<FoundPage>, StoreError>;
}

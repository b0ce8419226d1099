//! Where new ids come from: nothing else draws one.

use uuid::Uuid;

use crate::domain::ids::{
    DefinitionId, HistoryDefinitionId, HistoryInstanceId, InstanceId, IssuerId, ItemPrefix, JobId, ObjectId, StageId,
    TenantId,
};

#[expect(clippy::disallowed_methods, reason = "this is the one place that draws ids")]
fn random() -> Uuid {
    Uuid::new_v4()
}

/// An id for a new tenant.
pub fn tenant() -> TenantId {
    TenantId::new(random())
}

/// An id for a new directory object.
pub fn object() -> ObjectId {
    ObjectId::new(random())
}

pub(super) fn definition() -> DefinitionId {
    DefinitionId::new(random())
}

pub(super) fn instance() -> InstanceId {
    InstanceId::new(random())
}

pub(super) fn stage() -> StageId {
    StageId::new(random())
}

pub(super) fn history_definition() -> HistoryDefinitionId {
    HistoryDefinitionId::new(random())
}

pub(super) fn history_instance() -> HistoryInstanceId {
    HistoryInstanceId::new(random())
}

pub(super) fn issuer() -> IssuerId {
    IssuerId::new(random())
}

pub(super) fn job() -> JobId {
    JobId::new(random())
}

pub(super) fn item_prefix() -> ItemPrefix {
    ItemPrefix::from_random_bytes(random().into_bytes())
}

/// 32 random bytes to seal a tenant's continuation tokens with.
pub fn page_key() -> [u8; 32] {
    rand::random()
}

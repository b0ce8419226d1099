//! Ids as types, so that a tenant can never be passed where an instance is meant.

use std::fmt;

use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that is known to name such an object.
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID itself, for storage and the wire.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id!(
    /// A tenant: one customer, one wall.
    TenantId
);
id!(
    /// A schedule definition: the blueprint of a review or a series.
    DefinitionId
);
id!(
    /// An instance: one resource in one occurrence of a definition.
    InstanceId
);
id!(
    /// A stage of an instance.
    StageId
);
id!(
    /// An ordered set of primary and fallback reviewer scopes with exactly one owner.
    ReviewerListId
);
id!(
    /// Any object of the directory: a user, a group, a service principal or a directory role.
    ObjectId
);
id!(
    /// One row of due work.
    JobId
);
id!(
    /// A report of decisions that was asked for, once or again and again.
    HistoryDefinitionId
);
id!(
    /// One run of a report.
    HistoryInstanceId
);
id!(
    /// A registration of a token issuer.
    IssuerId
);

impl ReviewerListId {
    /// The list of a definition.
    pub fn of_definition(id: DefinitionId) -> Self {
        Self(owned_by(id.as_uuid(), 1))
    }

    /// The list of the stage setting at `ordinal` (1 to 3) of a definition.
    pub fn of_stage_settings(id: DefinitionId, ordinal: i16) -> Self {
        Self(owned_by(id.as_uuid(), 16 + ordinal.unsigned_abs()))
    }

    /// The list of an instance.
    pub fn of_instance(id: InstanceId) -> Self {
        Self(owned_by(id.as_uuid(), 2))
    }

    /// The list kept for the stage to come at `ordinal` (1 to 3) of an instance.
    pub fn of_planned_stage(id: InstanceId, ordinal: i16) -> Self {
        Self(owned_by(id.as_uuid(), 32 + ordinal.unsigned_abs()))
    }

    /// The list of a stage.
    pub fn of_stage(id: StageId) -> Self {
        Self(owned_by(id.as_uuid(), 3))
    }
}

/// A list has exactly one owner, so its id follows from the owner's: nothing to look up, nothing to mix up.
fn owned_by(owner: Uuid, kind: u16) -> Uuid {
    let mut bytes = owner.into_bytes();
    let kind = kind.to_be_bytes();
    bytes[0] ^= kind[0];
    bytes[1] ^= kind[1];
    Uuid::from_bytes(bytes)
}

impl ObjectId {
    /// The zero GUID, which Graph uses for "nobody" and for automatic work. M-18
    pub const NOBODY: Self = Self(Uuid::nil());
}

/// Position of an item within its instance, dense from 1.
pub type ItemSeq = i32;

/// The random part that all item ids of one instance share.
///
/// Item ids are computed, not stored: a version 8 UUID made of this prefix and the item's `seq`, so that one item has one
/// id in every stage and in the instance view (LC-STAGE-40) and no index has to be kept for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ItemPrefix(Uuid);

impl ItemPrefix {
    /// Makes a prefix out of 16 random bytes; the last four are not used.
    pub fn from_random_bytes(mut bytes: [u8; 16]) -> Self {
        bytes[12..].fill(0);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// Reads a stored prefix back; the last four bytes are ignored.
    pub fn from_uuid(id: Uuid) -> Self {
        let mut bytes = id.into_bytes();
        bytes[12..].fill(0);
        Self(Uuid::from_bytes(bytes))
    }

    /// The prefix as it is stored: the id of the (never existing) item 0.
    pub fn as_uuid(self) -> Uuid {
        self.0
    }

    /// The id of the item at `seq`.
    pub fn item_id(self, seq: ItemSeq) -> Uuid {
        let mut bytes = self.0.into_bytes();
        bytes[12..].copy_from_slice(&seq.to_be_bytes());
        Uuid::from_bytes(bytes)
    }

    /// The `seq` that `id` names within whichever instance it belongs to; `None` when it can name no item.
    pub fn seq_in(id: Uuid) -> Option<ItemSeq> {
        let bytes = id.into_bytes();
        let seq = ItemSeq::from_be_bytes(bytes[12..].try_into().ok()?);
        (seq > 0).then_some(seq)
    }

    /// The `seq` that `id` names within this instance; `None` when `id` belongs to another instance or names no item.
    pub fn seq_of(self, id: Uuid) -> Option<ItemSeq> {
        (id.as_bytes()[..12] == self.0.as_bytes()[..12]).then(|| Self::seq_in(id)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// LC-STAGE-40
        #[test]
        fn an_item_id_leads_back_to_its_item_and_to_no_other(bytes: [u8; 16], other: [u8; 16], seq in 1..i32::MAX) {
            let prefix = ItemPrefix::from_random_bytes(bytes);
            let id = prefix.item_id(seq);

            prop_assert_eq!(prefix.seq_of(id), Some(seq));
            prop_assert_eq!(id.get_version_num(), 8);
            prop_assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            prop_assert_eq!(ItemPrefix::from_uuid(id), prefix);

            let stranger = ItemPrefix::from_random_bytes(other);
            if stranger != prefix {
                prop_assert_eq!(stranger.seq_of(id), None);
            }
        }
    }
}

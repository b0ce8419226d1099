//! The entity tag of each object that clients change: made of what counts its changes. LC-CONC-08

use crate::{
    domain::{decision::Decision, definition::Definition, instance::Instance, precondition::EntityTag, stage::Stage},
    store::ItemRow,
};

/// A definition changes when somebody updates it or its derived status moves on.
pub fn of_definition(definition: &Definition) -> EntityTag {
    EntityTag::of(format_args!("{:x}-{}", definition.modified_at.timestamp_micros(), definition.status))
}

/// An instance counts its changes.
pub fn of_instance(instance: &Instance) -> EntityTag {
    EntityTag::of(instance.version)
}

/// A stage counts its changes, those of its reviewers among them.
pub fn of_stage(stage: &Stage) -> EntityTag {
    EntityTag::of(stage.version)
}

/// An item never changes; its decision does, and at last what became of it.
pub fn of_item(row: &ItemRow) -> EntityTag {
    let decision = of_decision(row.decision.as_ref());
    match &row.applied {
        None => decision,
        Some(applied) => EntityTag::of(format_args!("{}-{:x}", decision.opaque(), applied.at.timestamp_micros())),
    }
}

/// An item that nobody decided, and of which nothing was applied.
pub fn of_untouched_item() -> EntityTag {
    of_decision(None)
}

/// The decision that an item shows.
pub(super) fn of_decision(decision: Option<&Decision>) -> EntityTag {
    match decision {
        None => EntityTag::of(0),
        Some(decision) => {
            EntityTag::of(format_args!("{:x}-{}", decision.decided_at.timestamp_micros(), decision.verdict.as_str()))
        }
    }
}

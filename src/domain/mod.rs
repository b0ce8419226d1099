//! The rules of an access review as functions of values: no I/O, no clock, no SQL, no `async`.
//!
//! Services in `app` load values, ask this room, and save what it answers. Rule ids (`LC-…`) refer to the
//! behaviour specification; `docs/architecture.md` says where to find which rule.

pub mod affiliation;
pub mod apply;
pub mod authorization;
pub mod bulk_decision;
pub mod decision;
pub mod definition;
pub mod definition_update;
pub mod directory;
pub mod duration;
pub mod enumeration;
pub mod event;
#[cfg(test)]
mod examples;
pub mod history;
pub mod ids;
pub mod insight;
pub mod instance;
pub mod lifecycle;
pub mod limits;
pub mod mail;
#[cfg(test)]
mod model_tests;
pub mod precondition;
pub mod query_text;
pub mod recommendation;
pub mod recurrence;
pub mod reminder;
pub mod repeat;
pub mod review_settings;
pub mod reviewer_reach;
pub mod reviewer_scope;
pub mod scope;
pub mod stage;
pub mod stage_update;
pub mod status;
pub mod token_issuer;
pub mod violation;

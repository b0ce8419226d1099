//! Schedule definitions on the wire.

pub mod body;
pub mod update;
pub mod view;

//! Schedule definitions on the wire.

pub mod body;
pub mod scopes;
pub mod update;
pub mod view;

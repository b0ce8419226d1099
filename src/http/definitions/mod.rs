//! Schedule definitions on the wire.

pub mod body;
pub mod scopes;
pub mod view;

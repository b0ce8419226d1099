//! attestry: access reviews, wire-compatible with Microsoft Graph v1.0.
//!
//! `docs/architecture.md` is the map of the rooms below and of which may import which.

pub mod app;
pub mod domain;
pub mod store;

//! attestry: access reviews, wire-compatible with Microsoft Graph v1.0.
//!
//! `docs/architecture.md` is the map of the rooms below and of which may import which.

pub mod app;
pub mod config;
pub mod domain;
pub mod http;
pub mod jobs;
pub mod local_postgres;
pub mod mail;
pub mod openid;
pub mod store;
pub mod telemetry;

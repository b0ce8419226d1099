//! Drives the service over HTTP as a client would, on a real PostgreSQL. One binary; each test has a tenant of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod directory_import;
mod migrations;
mod smoke;
mod tenancy;
mod definitions;
mod smoke;
mod tokens;
mod instances;
mod stages;
mod decisions;
mod protocol;
mod paging;
mod sandbox;
mod api_document;

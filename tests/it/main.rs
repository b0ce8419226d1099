//! Drives the service over HTTP as a client would, on a real PostgreSQL. One binary; each test has a tenant of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

mod api_document;
mod decisions;
mod definitions;
mod directory_import;
mod instances;
mod migrations;
mod paging;
mod protocol;
mod sandbox;
mod smoke;
mod smoke;
mod stages;
mod tenancy;
mod tokens;

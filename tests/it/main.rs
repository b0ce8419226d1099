//! Drives the service over HTTP as a client would, on a real PostgreSQL. One binary; each test has a tenant of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/smtp_sink.rs"]
mod smtp_sink;
mod support;

mod accept;
mod api_document;
mod authorization;
mod batch;
mod decisions;
mod definitions;
mod directory_import;
mod etags;
mod events;
mod history;
mod history_report;
mod instances;
mod items;
mod kubernetes;
mod lifecycle;
mod migrations;
mod mutations;
mod odata_lists;
mod paging;
mod pool;
mod protocol;
mod races;
mod reset;
mod reviewers;
mod sandbox;
mod smoke;
mod stage_update;
mod stages;
mod tenancy;
mod tokens;
mod worked_example;
mod workers;

//! Drives the service over HTTP as a client would, on a real PostgreSQL. One binary; each test has a tenant of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/smtp_sink.rs"]
mod smtp_sink;
mod support;

mod accept;
mod api_document;
mod apply;
mod authorization;
mod batch;
mod batch_requests;
mod contacted_reviewers;
mod decisions;
mod definition_update;
mod definitions;
mod directory_import;
mod etags;
mod events;
mod history;
mod history_report;
mod idempotency;
mod insights;
mod instance_update;
mod instances;
mod issuers;
mod items;
mod kubernetes;
mod lifecycle;
mod metadata;
mod migrations;
mod mutations;
mod odata_lists;
mod openid;
mod operations;
mod origins;
mod paging;
mod pool;
mod protocol;
mod races;
mod recurrence;
mod reference_examples;
mod reminders;
mod reset;
mod reviewers;
mod sandbox;
mod scope_forms;
mod scopes;
mod smoke;
mod stage_update;
mod stages;
mod system_made;
mod tenancy;
mod throttling;
mod tokens;
mod worked_example;
mod workers;

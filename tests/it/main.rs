//! Drives the service over HTTP as a client would, on a real PostgreSQL. One binary; each test has a tenant of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/smtp_sink.rs"]
mod smtp_sink;
mod support;

mod items;
mod lifecycle;
mod reviewers;
mod smoke;
mod stage_update;
mod worked_example;

//! The edge: parse a request, call one use case, render its answer.

pub mod authentication;
pub mod error;
pub mod odata;
pub mod request_ids;

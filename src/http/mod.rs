//! The edge: parse a request, call one use case, render its answer. Every quirk of the protocol lives here and nowhere below.

pub mod authentication;
pub mod definitions;
pub mod error;
pub mod json_reader;
pub mod odata;
pub mod request_ids;

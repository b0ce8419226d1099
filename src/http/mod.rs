//! The edge: parse a request, call one use case, render its answer.

pub mod authentication;

//! The wire: parse, call one use case, render. Every quirk of the protocol lives here and nowhere below.

pub mod definitions;
pub mod json_reader;

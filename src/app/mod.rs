//! The use cases: each file is one operation that loads, asks the rules, saves and commits.

pub mod development_tokens;

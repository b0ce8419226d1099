//! What the use cases ask of storage, as traits and plain values.

pub mod filter;

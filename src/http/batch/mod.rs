//! `POST /v1.0/$batch`: several requests in one. Section 12 of the protocol, CL-29, CL-30
//!
//! A batch is no transaction: each request is answered by the whole application, with rights, limits and a transaction of its
//! own. What lives here is the reading of a batch, the order of its requests and the form of its answers.

mod answer;
mod order;
mod read;

pub use answer::{Answered, answers};
pub use order::in_order;
pub use read::{BatchItem, ItemRequest, OwnAddress, read};

/// Requests of one batch at most.
pub const MAX_REQUESTS: usize = 20;

//! Who calls: from the `Authorization` header to a [`Caller`](crate::domain::authorization::Caller).
//!
//! The tenant follows from the token's issuer, never from the path. Nothing here knows the web framework: an extractor hands
//! in the header and turns an [`AuthenticationError`] into an answer. Tokens never reach a log: no error and no `Debug` output
//! of this module contains one.

mod claims;
mod generations;
mod issuers;
mod refusal;
mod verifier;

#[cfg(test)]
mod tests;

pub use issuers::{ACCEPTED_ALGORITHMS, IssuerSource, SourceUnavailable, TrustedIssuer, UnusableIssuer};
pub use refusal::{AuthenticationError, ERROR_CODE, Refusal};
pub use verifier::{MAXIMUM_TOKEN_BYTES, TokenVerifier};

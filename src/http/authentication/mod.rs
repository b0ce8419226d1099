//! Who calls: from the `Authorization` header to an
//! [`AssertedCaller`](crate::domain::token_issuer::assertion::AssertedCaller).
//!
//! The tenant follows from the token's issuer, never from the path. Nothing here knows the web framework: an extractor hands
//! in the header and turns an [`AuthenticationError`] into an answer. Tokens never reach a log: no error and no `Debug` output
//! of this module contains one.

mod claims;
pub(in crate::http) mod generations;
mod issuers;
mod keys;
mod refusal;
mod signature;
mod verifier;

#[cfg(test)]
mod tests;

pub use issuers::{FixedKeys, IssuerSource, SourceUnavailable, TrustedIssuer};
pub use refusal::{AuthenticationError, ERROR_CODE, Refusal};
pub use verifier::{MAXIMUM_TOKEN_BYTES, TokenVerifier, VerifiedToken};

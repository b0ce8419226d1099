//! The OData dialect of the wire: paths, query options, filters, continuations and envelopes.
//!
//! Every quirk of the dialect is handled here and nowhere else; what leaves this room is typed and checked.

pub mod collections;
pub mod filter;
pub mod options;
pub mod path;
pub mod render;

/// Why a query is refused. The target is the option, or the whole `query`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ODataError {
    /// It cannot be read, or a value is outside its limits.
    #[error("{message}")]
    Malformed { target: String, message: String },
    /// It can be read, but is not offered here.
    #[error("{message}")]
    Unsupported { target: String, message: String },
    /// The continuation was not made by this service for this request and caller.
    #[error("the continuation does not belong to this request")]
    SkipToken,
}

impl ODataError {
    pub(crate) fn malformed(target: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Malformed { target: target.into(), message: message.into() }
    }

    pub(crate) fn unsupported(target: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Unsupported { target: target.into(), message: message.into() }
    }
}

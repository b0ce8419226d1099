//! What is wrong with a body, by property path.

/// One fault in a request: the path of the member it concerns and the reason, as the client will read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path from the root of the body, such as `stageSettings[1].dependsOn`; empty for the body itself.
    pub path: String,
    /// Why it is refused, in one sentence that also says what would be accepted.
    pub reason: String,
    /// What kind of fault it is; decides the error code of the answer. A-11
    pub code: ViolationCode,
}

/// Kinds of faults that clients tell apart by error code. A-11
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViolationCode {
    /// A value, a type or a combination that is not allowed.
    InvalidValue,
    /// A scope or reviewer query that is unknown or not offered.
    UnsupportedQuery,
}

impl Violation {
    /// A fault at `path`.
    pub fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into(), code: ViolationCode::InvalidValue }
    }

    /// A query at `path` that is unknown or not offered.
    pub fn unsupported_query(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into(), code: ViolationCode::UnsupportedQuery }
    }
}

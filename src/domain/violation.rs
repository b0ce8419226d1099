//! What is wrong with a body, by property path.

/// One fault in a request: the path of the member it concerns and the reason, as the client will read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path from the root of the body, such as `stageSettings[1].dependsOn`.
    pub path: String,
    /// Why it is refused, in one sentence that also says what would be accepted.
    pub reason: String,
}

impl Violation {
    /// A fault at `path`.
    pub fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }
}

//! How a tenant handles reviews, where it may choose.

/// A tenant's choices; the default is what one has that never chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReviewSettings {
    /// Whether owners of a group create and manage the reviews of it. LC-AUTH-02
    pub group_owners_may_review: bool,
}

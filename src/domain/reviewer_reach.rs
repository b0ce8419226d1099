//! Which items of a stage one reviewer reviews, as a value. LC-REV-03, LC-REV-04, LC-INV-07

use crate::domain::ids::ItemSeq;

/// Numbers the items of an instance whose reviewers cannot differ in any stage, from 1.
pub type Cohort = i32;

/// The cohort that stands for every item of the stage.
pub const EVERY_COHORT: Cohort = 0;

/// The items of one stage that one person reviews. The stage's own membership (which items it holds) is a separate matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReviewerReach {
    /// Every item of the stage.
    pub every: bool,
    /// All items of these cohorts, but for `except`.
    pub cohorts: Vec<Cohort>,
    /// These single items too.
    pub items: Vec<ItemSeq>,
    /// Single items of `cohorts` that somebody else reviews.
    pub except: Vec<ItemSeq>,
}

impl ReviewerReach {
    /// Whether the item at `seq` of `cohort` is within reach.
    pub fn covers(&self, cohort: Cohort, seq: ItemSeq) -> bool {
        self.every || self.items.contains(&seq) || (self.cohorts.contains(&cohort) && !self.except.contains(&seq))
    }

    /// Whether nothing is within reach.
    pub fn is_empty(&self) -> bool {
        !self.every && self.cohorts.is_empty() && self.items.is_empty()
    }
}

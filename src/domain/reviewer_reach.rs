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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reviewer_of_every_item_reviews_each_one_whatever_is_excepted() {
        let reach = ReviewerReach { every: true, except: vec![7], ..Default::default() };

        assert!(reach.covers(1, 7) && reach.covers(2, 8));
    }

    #[test]
    fn a_reviewer_of_a_cohort_reviews_its_items_but_those_of_somebody_else() {
        let reach = ReviewerReach { cohorts: vec![3], except: vec![7], ..Default::default() };

        assert!(reach.covers(3, 8));
        assert!(!reach.covers(3, 7), "somebody else's");
        assert!(!reach.covers(4, 8), "another cohort");
    }

    #[test]
    fn a_single_item_is_within_reach_whatever_its_cohort() {
        let reach = ReviewerReach { items: vec![7], ..Default::default() };

        assert!(reach.covers(3, 7));
        assert!(!reach.covers(3, 8));
    }

    #[test]
    fn the_cohort_of_every_item_is_none_of_the_cohorts() {
        let reach = ReviewerReach { cohorts: vec![1], ..Default::default() };

        assert!(!reach.covers(EVERY_COHORT, 1));
    }

    proptest! {
        #[test]
        fn an_empty_reach_covers_nothing_and_only_an_empty_one_is_called_empty(
            every in prop::bool::weighted(0.2),
            cohorts in prop::collection::vec(1..4, 0..2),
            items in prop::collection::vec(1..6, 0..2),
            except in prop::collection::vec(1..6, 0..3),
        ) {
            let reach = ReviewerReach { every, cohorts, items, except };
            let covered = (1..4).any(|cohort| (1..9).any(|seq| reach.covers(cohort, seq)));

            prop_assert_eq!(reach.is_empty(), !covered);
        }
    }
}

//! How large a review may become. The documents name no limits; these are ours, and the operator's to change. LC-REV-13

/// So much at most. What is larger is refused when it is known beforehand; a review that turns out larger when it starts fails,
/// for leaving something out in silence would look like a review of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReviewLimits {
    /// Items of one instance.
    pub items_per_instance: i32,
    /// People who may answer for one item; its fallback reviewers are counted by themselves.
    pub reviewers_per_item: i64,
    /// Instances that one occurrence of a review of many groups makes.
    pub instances_per_occurrence: i32,
}

impl Default for ReviewLimits {
    fn default() -> Self {
        Self { items_per_instance: 100_000, reviewers_per_item: 500, instances_per_occurrence: 20_000 }
    }
}

impl ReviewLimits {
    /// Whether so many items are fine; if not, why the instance fails.
    ///
    /// # Errors
    /// The reason in words.
    pub fn check_items(&self, gathered: i32) -> Result<(), String> {
        let most = self.items_per_instance;
        match gathered <= most {
            true => Ok(()),
            false => Err(format!("the review would have more than {most} items")),
        }
    }

    /// What to say when an item would have `found` reviewers.
    pub fn too_many_reviewers(&self, found: i64) -> String {
        format!("an item would have {found} reviewers, and may have {} at most", self.reviewers_per_item)
    }

    /// What to say of a list that names so many people.
    pub fn too_many_named(&self, people: i64) -> String {
        format!("names {people} people now, and an item may have {} reviewers at most", self.reviewers_per_item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LC-REV-13
    #[test]
    fn the_limit_itself_is_allowed_and_one_more_is_not() {
        let limits = ReviewLimits::default();

        assert_eq!(limits.check_items(100_000), Ok(()));
        assert_eq!(limits.check_items(100_001), Err("the review would have more than 100000 items".to_owned()));
        assert_eq!((limits.reviewers_per_item, limits.instances_per_occurrence), (500, 20_000));
    }
}

//! Reviews of many groups: occurrences whose instances are made when the occurrence starts. LC-INST-02, LC-INST-08, LC-INST-09

use crate::domain::{
    lifecycle::{InstanceProgress, definition_status},
    status::Status,
};

/// An occurrence whose groups were looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedOccurrence {
    /// Number of the occurrence, from 0.
    pub occurrence: i32,
    /// How many groups it reviews.
    pub group_count: i32,
    /// Why it reviews none although there are some.
    pub failure: Option<String>,
}

impl OpenedOccurrence {
    /// What is to be recorded of an occurrence for which `found` groups were found. Beyond `most` none is reviewed:
    /// leaving some out in silence would look like a review of all. LC-REV-13
    pub fn new(occurrence: i32, found: usize, most: i32) -> Self {
        match i32::try_from(found) {
            Ok(group_count) if group_count <= most => Self { occurrence, group_count, failure: None },
            Ok(_) | Err(_) => {
                let failure = format!("more than {most} groups are to be reviewed in one occurrence");
                Self { occurrence, group_count: 0, failure: Some(failure) }
            }
        }
    }

    /// What is to be recorded of an occurrence that could not be opened, however often it was tried. IN-15
    pub fn failed(occurrence: i32) -> Self {
        let failure = "the occurrence could not be opened; the log of the service says why".to_owned();
        Self { occurrence, group_count: 0, failure: Some(failure) }
    }
}

/// The status of a definition that reviews many groups. LC-DEF-11
///
/// As of any definition while there are instances. An occurrence without a group to review is over at once: `Completed`, or
/// `Failed` when it was refused. `more_to_come` says whether the recurrence has an occurrence after the last one opened.
pub fn enumeration_status(
    is_series: bool,
    opened: Option<&OpenedOccurrence>,
    instances: &[InstanceProgress],
    more_to_come: bool,
) -> Status {
    match opened {
        // stopped before anything began
        None if !more_to_come => Status::Completed,
        None => Status::NotStarted,
        Some(_) if !instances.is_empty() => definition_status(is_series, instances, more_to_come),
        Some(_) if is_series && more_to_come => Status::InProgress,
        Some(OpenedOccurrence { failure: Some(_), .. }) => Status::Failed,
        Some(OpenedOccurrence { failure: None, .. }) => Status::Completed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LC-DEF-11
    #[test]
    fn a_definition_without_groups_is_over_when_its_last_occurrence_is() {
        let none = OpenedOccurrence::new(0, 0, 20_000);
        let too_many = OpenedOccurrence::new(0, 20_001, 20_000);

        assert_eq!(enumeration_status(false, None, &[], true), Status::NotStarted);
        assert_eq!(enumeration_status(false, None, &[], false), Status::Completed);
        assert_eq!(enumeration_status(false, Some(&none), &[], false), Status::Completed);
        assert_eq!(enumeration_status(false, Some(&too_many), &[], false), Status::Failed);
        assert_eq!(enumeration_status(true, Some(&none), &[], true), Status::InProgress);
        assert_eq!(enumeration_status(true, Some(&none), &[], false), Status::Completed);
    }

    #[test]
    fn with_instances_they_tell() {
        let opened = OpenedOccurrence::new(1, 2, 20_000);
        let running = [InstanceProgress { occurrence: 1, status: Status::InProgress }];

        assert_eq!(enumeration_status(false, Some(&opened), &running, false), Status::InProgress);
    }

    /// LC-REV-13
    #[test]
    fn more_groups_than_the_limit_are_refused_and_the_limit_is_not() {
        assert_eq!(OpenedOccurrence::new(0, 20_000, 20_000).group_count, 20_000);
        assert_eq!(OpenedOccurrence::new(0, 20_001, 20_000).group_count, 0);
        assert!(OpenedOccurrence::new(0, 20_001, 20_000).failure.is_some());
    }
}

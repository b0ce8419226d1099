//! Statuses of definitions, instances and stages, and the two transition tables they move along.

use std::{fmt, str::FromStr};

/// Status of a definition, an instance or a stage. The wire spelling is the variant's name.
///
/// The order is LC-INST-04, least to most advanced; `Failed` is outside it and sorts last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    NotStarted,
    Initializing,
    Starting,
    InProgress,
    Completing,
    Completed,
    AutoReviewing,
    AutoReviewed,
    Applying,
    Applied,
    Failed,
}

impl Status {
    /// Every status in the order of LC-INST-04.
    pub const ALL: [Self; 11] = [
        Self::NotStarted,
        Self::Initializing,
        Self::Starting,
        Self::InProgress,
        Self::Completing,
        Self::Completed,
        Self::AutoReviewing,
        Self::AutoReviewed,
        Self::Applying,
        Self::Applied,
        Self::Failed,
    ];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "NotStarted",
            Self::Initializing => "Initializing",
            Self::Starting => "Starting",
            Self::InProgress => "InProgress",
            Self::Completing => "Completing",
            Self::Completed => "Completed",
            Self::AutoReviewing => "AutoReviewing",
            Self::AutoReviewed => "AutoReviewed",
            Self::Applying => "Applying",
            Self::Applied => "Applied",
            Self::Failed => "Failed",
        }
    }

    /// Whether nothing will happen any more without somebody's act or a later step (LC-INST-21).
    pub const fn is_at_rest(self) -> bool {
        match self {
            Self::Completed | Self::AutoReviewed | Self::Applied | Self::Failed => true,
            Self::NotStarted
            | Self::Initializing
            | Self::Starting
            | Self::InProgress
            | Self::Completing
            | Self::AutoReviewing
            | Self::Applying => false,
        }
    }

    /// Whether a stage in this status counts as open: at most one per instance. LC-STAGE-07, LC-INV-02
    pub const fn is_open(self) -> bool {
        match self {
            Self::Initializing | Self::Starting | Self::InProgress | Self::Completing => true,
            Self::NotStarted
            | Self::Completed
            | Self::AutoReviewing
            | Self::AutoReviewed
            | Self::Applying
            | Self::Applied
            | Self::Failed => false,
        }
    }

    /// Whether table 2.2 has a row from this instance status to `next`. LC-INV-01
    pub const fn instance_may_become(self, next: Self) -> bool {
        use Status::*;
        match (self, next) {
            (NotStarted, Initializing)                // IN-02
            | (Initializing, Starting | Completing)   // IN-03, IN-05
            | (Starting, InProgress)                  // IN-04
            | (InProgress, Completing)                // IN-07, IN-08
            | (Completing, Completed)                 // IN-09
            | (Completed, AutoReviewing | Applying)   // IN-10, IN-12
            | (AutoReviewing, AutoReviewed)           // IN-11
            | (AutoReviewed, Applying)                // IN-13
            | (Applying, Applied) => true,            // IN-14
            (Applied | Failed, _) => false,
            (_, Failed) => true,                      // IN-15
            _ => false,
        }
    }

    /// Whether table 4.2 has a row from this stage status to `next`. LC-INV-01
    pub const fn stage_may_become(self, next: Self) -> bool {
        use Status::*;
        matches!(
            (self, next),
            (NotStarted, Initializing)              // ST-02
                | (Initializing, Starting)          // ST-03
                | (Starting, InProgress)            // ST-04
                | (Initializing, Completed)         // ST-05
                | (InProgress, Completing)          // ST-06, ST-07, ST-08
                | (Completing, Completed)           // ST-09
                | (Completed, AutoReviewing)        // ST-10
                | (AutoReviewing, AutoReviewed) // ST-11
        )
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that is no status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a status")]
pub struct UnknownStatus(pub String);

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

/// An operation met a status it is not allowed in. 400 `InvalidReviewState` on the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} needs the {object} to be {}, but it is {current}", allowed_text(.allowed))]
pub struct WrongState {
    /// What was asked for, such as `updating reviewers`.
    pub operation: &'static str,
    /// `instance` or `stage`.
    pub object: &'static str,
    /// The status it is in.
    pub current: Status,
    /// The statuses in which the operation is allowed.
    pub allowed: &'static [Status],
}

fn allowed_text(allowed: &[Status]) -> String {
    allowed.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_read_back_from_its_wire_spelling() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert!("inProgress".parse::<Status>().is_err());
    }

    /// LC-INV-01, LC-INST-20, LC-STAGE-08
    #[test]
    fn the_transition_tables_are_2_2_and_4_2() {
        let rows = |may: fn(Status, Status) -> bool| {
            let mut text = String::new();
            for from in Status::ALL {
                let to: Vec<_> = Status::ALL.into_iter().filter(|to| may(from, *to)).map(Status::as_str).collect();
                text += &format!("{from} -> {}\n", to.join(", "));
            }
            text
        };
        insta::assert_snapshot!("instance_transitions", rows(Status::instance_may_become));
        insta::assert_snapshot!("stage_transitions", rows(Status::stage_may_become));
    }
}

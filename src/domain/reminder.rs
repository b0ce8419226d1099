//! How often an admin may have reviewers reminded. A-26, CL-26

use chrono::{DateTime, TimeDelta, Utc};

/// Nobody is reminded twice within this time on an admin's word.
pub const LEAST_INTERVAL: TimeDelta = TimeDelta::minutes(15);

/// The last reminder was a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reviewers were reminded at {}; wait until {}", text(.last), text(&(*.last + LEAST_INTERVAL)))]
pub struct TooSoon {
    /// UTC.
    pub last: DateTime<Utc>,
    /// How long to wait, in seconds; at least 1.
    pub retry_after_seconds: u32,
}

fn text(at: &DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Whether reviewers may be reminded again at `now`.
pub fn check_interval(last: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), TooSoon> {
    let Some((last, left)) =
        last.map(|last| (last, last + LEAST_INTERVAL - now)).filter(|(_, left)| *left > TimeDelta::zero())
    else {
        return Ok(());
    };
    let milliseconds = u64::try_from(left.num_milliseconds()).unwrap_or(0);
    Err(TooSoon { last, retry_after_seconds: u32::try_from(milliseconds.div_ceil(1_000).max(1)).unwrap_or(u32::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::examples::at;

    #[test]
    fn a_quarter_of_an_hour_lies_between_two_reminders() {
        let last = at("2025-01-10T10:00:00Z");
        assert_eq!(check_interval(None, last), Ok(()));
        assert_eq!(check_interval(Some(last), at("2025-01-10T10:15:00Z")), Ok(()));
        for (now, seconds) in
            [("2025-01-10T10:00:00Z", 900), ("2025-01-10T10:14:00.5Z", 60), ("2025-01-10T10:14:59.999Z", 1)]
        {
            let refused = check_interval(Some(last), at(now)).unwrap_err();
            assert_eq!(refused, TooSoon { last, retry_after_seconds: seconds });
        }
    }
}

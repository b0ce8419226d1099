//! Recommendations from the last sign-in. LC-RCM-01 to 05, LC-RCM-09, LC-RCM-10

use chrono::{DateTime, Utc};

use crate::domain::{decision::Verdict, duration::IsoDuration};

/// What the system would decide. The wire spelling is the variant's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recommendation {
    NoInfoAvailable,
    Approve,
    Deny,
}

impl Recommendation {
    /// Every value, in the order of the stored codes.
    pub const ALL: [Self; 3] = [Self::NoInfoAvailable, Self::Approve, Self::Deny];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoInfoAvailable => "NoInfoAvailable",
            Self::Approve => "Approve",
            Self::Deny => "Deny",
        }
    }

    /// The stored code: one small number per stage and item.
    pub const fn code(self) -> i16 {
        match self {
            Self::NoInfoAvailable => 0,
            Self::Approve => 1,
            Self::Deny => 2,
        }
    }

    /// Reads a stored code back.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|recommendation| recommendation.code() == code)
    }

    /// The decision it recommends; `None` without information.
    pub const fn as_verdict(self) -> Option<Verdict> {
        match self {
            Self::NoInfoAvailable => None,
            Self::Approve => Some(Verdict::Approve),
            Self::Deny => Some(Verdict::Deny),
        }
    }
}

/// What the directory knows of somebody's activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInActivity {
    /// No data source, or not a user. LC-RCM-09
    Unknown,
    /// Known, and never signed in.
    Never { account_created_at: Option<DateTime<Utc>> },
    /// The last sign-in, interactive or not. LC-RCM-04
    Last(DateTime<Utc>),
}

/// The instant before which silence means `Deny`: the instance's start less the look-back (default P30D). LC-RCM-03
pub fn inactivity_cutoff(instance_start: DateTime<Utc>, look_back: Option<&IsoDuration>) -> DateTime<Utc> {
    look_back.unwrap_or(&IsoDuration::DEFAULT_LOOK_BACK).before(instance_start)
}

/// The inactivity rule; exactly on the boundary is active. LC-RCM-03, LC-RCM-05
///
/// `store/pg` computes the same set-wise when an instance opens; a test holds the two together.
pub fn from_last_sign_in(activity: SignInActivity, cutoff: DateTime<Utc>) -> Recommendation {
    match activity {
        SignInActivity::Unknown => Recommendation::NoInfoAvailable,
        SignInActivity::Last(at) if at < cutoff => Recommendation::Deny,
        SignInActivity::Last(_) => Recommendation::Approve,
        SignInActivity::Never { account_created_at: Some(created) } if created < cutoff => Recommendation::Deny,
        SignInActivity::Never { .. } => Recommendation::NoInfoAvailable,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::examples::at;

    /// LC-RCM-03
    #[test]
    fn silence_counts_from_the_look_back_before_the_instances_start_and_thirty_days_by_default() {
        let start = at("2025-03-31T09:00:00Z");
        let cutoff = |look_back: Option<&str>| {
            inactivity_cutoff(start, look_back.map(|text| text.parse::<IsoDuration>().unwrap()).as_ref())
        };

        assert_eq!(cutoff(None), at("2025-03-01T09:00:00Z"));
        assert_eq!(cutoff(Some("P30D")), cutoff(None));
        assert_eq!(cutoff(Some("P1M")), at("2025-02-28T09:00:00Z"));
        assert_eq!(cutoff(Some("PT0S")), start);
    }

    /// LC-RCM-03, LC-RCM-05
    #[test]
    fn a_sign_in_exactly_on_the_boundary_is_active() {
        let cutoff = at("2025-03-01T09:00:00Z");
        let tick = TimeDelta::microseconds(1);
        let judged = |last| from_last_sign_in(SignInActivity::Last(last), cutoff);

        assert_eq!(judged(cutoff), Recommendation::Approve);
        assert_eq!(judged(cutoff + tick), Recommendation::Approve);
        assert_eq!(judged(cutoff - tick), Recommendation::Deny);
    }

    /// LC-RCM-05
    #[test]
    fn who_never_signed_in_is_inactive_only_if_the_account_is_older_than_the_look_back() {
        let cutoff = at("2025-03-01T09:00:00Z");
        let judged = |account_created_at| from_last_sign_in(SignInActivity::Never { account_created_at }, cutoff);

        assert_eq!(judged(Some(cutoff - TimeDelta::microseconds(1))), Recommendation::Deny);
        assert_eq!(judged(Some(cutoff)), Recommendation::NoInfoAvailable);
        assert_eq!(judged(None), Recommendation::NoInfoAvailable);
    }

    /// LC-RCM-05, LC-RCM-09
    #[test]
    fn nothing_is_recommended_without_information() {
        let cutoff = at("2025-03-01T09:00:00Z");

        assert_eq!(from_last_sign_in(SignInActivity::Unknown, cutoff), Recommendation::NoInfoAvailable);
        assert_eq!(Recommendation::NoInfoAvailable.as_verdict(), None);
    }

    #[test]
    fn every_recommendation_is_read_back_from_its_code() {
        for recommendation in Recommendation::ALL {
            assert_eq!(Recommendation::from_code(recommendation.code()), Some(recommendation));
        }
        assert_eq!(Recommendation::from_code(3), None);
    }
}

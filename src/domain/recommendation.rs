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

//! Insights: the facts a recommendation rests on. LC-RCM-01, LC-RCM-10, LC-RCM-11, section 5.5 of the model

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// What was known of somebody's sign-ins when the items were gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastSignIn {
    /// Known, and never signed in.
    Never,
    /// UTC.
    At(DateTime<Utc>),
}

/// One fact about an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insight {
    /// `userSignInInsight`
    SignIn(LastSignIn),
}

impl Insight {
    /// The insight's id: computed from its item's, so that it is the same whenever it is asked for.
    pub fn id(self, item: Uuid) -> Uuid {
        let mut bytes = item.into_bytes();
        bytes[0] ^= match self {
            Self::SignIn(_) => 1,
        };
        Uuid::from_bytes(bytes)
    }
}

/// The insights of an item, from what its view shows of the sign-in; none where recommendations are not shown or nothing is
/// known.
pub fn insights(shown_sign_in: Option<LastSignIn>) -> Vec<Insight> {
    shown_sign_in.map(Insight::SignIn).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_insights_id_is_its_items_in_another_spelling_and_always_the_same() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let insight = Insight::SignIn(LastSignIn::Never);

        assert_eq!(insight.id(one), insight.id(one));
        assert_ne!(insight.id(one), insight.id(other));
        assert_ne!(insight.id(one), one);
    }

    #[test]
    fn nothing_known_is_no_insight_and_never_is_one() {
        assert!(insights(None).is_empty());
        assert_eq!(insights(Some(LastSignIn::Never)), [Insight::SignIn(LastSignIn::Never)]);
    }
}

//! Creates that come twice: the same key with the same body is answered as the first time. LC-CONC-09, CL-27, section 9 of the
//! protocol.

use chrono::TimeDelta;
use serde_json::Value;

/// How long a first answer is kept.
pub const KEPT_FOR: TimeDelta = TimeDelta::hours(24);

/// SHA-256 of what a body says, whatever the order of its members.
pub type BodyDigest = [u8; 32];

/// How a caller marks a create that he may send again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepeatKey {
    /// The caller's own choice; it means nothing for anybody else.
    pub text: String,
    pub body_digest: BodyDigest,
}

/// What a key may be used for; the same text is another key for another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Creates {
    Definition,
    HistoryDefinition,
}

impl Creates {
    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Definition => "definition",
            Self::HistoryDefinition => "historyDefinition",
        }
    }
}

/// What was answered when a key came for the first time.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstAnswer {
    pub body_digest: BodyDigest,
    /// The entity as it was told then.
    pub answer: Value,
}

/// The key came before, with another body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key was used within the last 24 hours to create something else; take a new one")]
pub struct OtherBody;

impl FirstAnswer {
    /// The answer to the same body.
    ///
    /// # Errors
    /// [`OtherBody`] when it is another one.
    pub fn repeated(self, body: &BodyDigest) -> Result<Value, OtherBody> {
        if self.body_digest == *body { Ok(self.answer) } else { Err(OtherBody) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_body_is_answered_as_before_and_another_one_refused() {
        let first = FirstAnswer { body_digest: [1; 32], answer: "as told".into() };
        assert_eq!(first.clone().repeated(&[1; 32]), Ok("as told".into()));
        assert_eq!(first.repeated(&[2; 32]), Err(OtherBody));
    }
}

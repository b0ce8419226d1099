//! Entity tags, and what a caller demands of an object before he changes it. LC-CONC-08, section 9 of the protocol.
//!
//! Use cases compare inside their unit of work, under the lock of the row, so that nothing changes between the comparison and
//! the commit.

use std::fmt;

/// Names a state of an object. Two equal tags of one object mean that nothing a client can see changed in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityTag(String);

impl EntityTag {
    /// A tag made of what counts an object's changes; quotes and what no header can carry are left out.
    pub fn of(state: impl fmt::Display) -> Self {
        let mut text = state.to_string();
        text.retain(|character| character.is_ascii_graphic() && character != '"');
        Self(text)
    }

    /// The text between the quotes.
    pub fn opaque(&self) -> &str {
        &self.0
    }
}

/// Weak, as all tags of ours: `W/"7"`.
impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "W/\"{}\"", self.0)
    }
}

/// The tags of an `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagList {
    /// `*`: whatever the object's state is, as long as it is there.
    Any,
    /// One of these.
    These(Vec<EntityTag>),
}

impl TagList {
    /// Whether the object's state is among them. Weak and strong tags are not told apart: Graph's clients send back what
    /// they got.
    pub fn names(&self, current: &EntityTag) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.contains(current),
        }
    }

    /// Reads a header's value: `*`, or tags between commas. `None` when it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "*" {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        let mut rest = text;
        loop {
            let quoted = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"')?;
            let (opaque, behind) = quoted.split_once('"')?;
            tags.push(EntityTag(opaque.to_owned()));
            rest = behind.trim_start();
            if rest.is_empty() {
                return Some(Self::These(tags));
            }
            rest = rest.strip_prefix(',')?.trim_start();
        }
    }
}

/// What must hold of an object's state for a change to be made. The default demands nothing: the last writer wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition {
    /// The object's state must be one of these.
    pub if_match: Option<TagList>,
    /// The object's state must be none of these.
    pub if_none_match: Option<TagList>,
}

/// The object is in another state than the caller demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the object was changed since")]
pub struct PreconditionFailed;

impl Precondition {
    /// Whether anything is demanded.
    pub fn is_given(&self) -> bool {
        self.if_match.is_some() || self.if_none_match.is_some()
    }

    /// Compares with the object's state. To be called with its row locked.
    ///
    /// # Errors
    /// [`PreconditionFailed`] when the state is not as demanded; nothing may be changed then.
    pub fn check(&self, current: &EntityTag) -> Result<(), PreconditionFailed> {
        let matches = self.if_match.as_ref().is_none_or(|tags| tags.names(current));
        let is_new = self.if_none_match.as_ref().is_none_or(|tags| !tags.names(current));
        if matches && is_new { Ok(()) } else { Err(PreconditionFailed) }
    }

    /// The same for an object that is there and has no tag: no tag that somebody names can be its.
    ///
    /// # Errors
    /// [`PreconditionFailed`] when a certain state is demanded, or that the object be new.
    pub fn check_untagged(&self) -> Result<(), PreconditionFailed> {
        let matches = self.if_match.as_ref().is_none_or(|tags| *tags == TagList::Any);
        let is_new = self.if_none_match.as_ref().is_none_or(|tags| *tags != TagList::Any);
        if matches && is_new { Ok(()) } else { Err(PreconditionFailed) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn if_match(text: &str) -> Precondition {
        Precondition { if_match: Some(TagList::parse(text).expect("a list of tags")), if_none_match: None }
    }

    #[test]
    fn a_change_goes_through_when_the_state_is_among_those_demanded() {
        let current = EntityTag::of(7);
        for list in ["*", " * ", "W/\"7\"", "\"7\"", "\"6\", W/\"7\"", "\"6\",\"7\""] {
            assert_eq!(if_match(list).check(&current), Ok(()), "{list}");
            let negated = Precondition { if_match: None, if_none_match: TagList::parse(list) };
            assert_eq!(negated.check(&current), Err(PreconditionFailed), "{list}");
        }
        for list in ["\"6\"", "W/\"77\"", "\"\"", "\"6\", \"8\""] {
            assert_eq!(if_match(list).check(&current), Err(PreconditionFailed), "{list}");
            let negated = Precondition { if_match: None, if_none_match: TagList::parse(list) };
            assert_eq!(negated.check(&current), Ok(()), "{list}");
        }
        assert_eq!(Precondition::default().check(&current), Ok(()));
    }

    #[test]
    fn an_object_without_a_tag_is_in_no_state_that_somebody_names() {
        for (list, may_change) in [("*", true), ("\"7\"", false), ("W/\"\"", false)] {
            assert_eq!(if_match(list).check_untagged().is_ok(), may_change, "{list}");
            let negated = Precondition { if_match: None, if_none_match: TagList::parse(list) };
            assert_eq!(negated.check_untagged().is_ok(), !may_change, "{list}");
        }
        assert_eq!(Precondition::default().check_untagged(), Ok(()));
    }

    #[test]
    fn what_is_no_list_of_tags_is_not_read() {
        for text in ["", "7", "W/7", "\"7", "\"7\" \"8\"", "\"7\",", ",\"7\"", "w/\"7\"", "*,\"7\""] {
            assert_eq!(TagList::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_tag_as_sent_is_the_tag_as_read(state in ".*") {
            let tag = EntityTag::of(&state);
            prop_assert_eq!(TagList::parse(&tag.to_string()), Some(TagList::These(vec![tag])));
        }

        #[test]
        fn reading_never_fails_otherwise(text in ".*") {
            let _read = TagList::parse(&text);
        }
    }
}

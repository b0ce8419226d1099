//! The text of scope and reviewer queries taken apart: path, options and the small filter language. Section 8.1 of the API.
//!
//! Only spelling is dealt with here; which queries mean something is decided in `scope` and `reviewer_scope`.

use uuid::Uuid;

use crate::domain::ids::ObjectId;

/// Longest query text that is read, in bytes.
pub const MAX_QUERY_LENGTH: usize = 4096;
/// How much of a refused query an error quotes, in characters.
const QUOTED_LENGTH: usize = 200;
/// How deep a filter may nest parentheses.
const MAX_FILTER_DEPTH: usize = 16;

/// A query without its accidents of spelling: prefix, escapes, `$count=true`, whitespace around it and a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueryText {
    /// Whether it starts with `./`.
    pub relative: bool,
    /// Path segments as written, decoded.
    pub segments: Vec<String>,
    /// The value of `$filter`, decoded.
    pub filter: Option<String>,
    /// The value of `$expand`, decoded.
    pub expand: Option<String>,
    /// Names of options other than `$filter`, `$expand` and `$count=true`, and of those given twice.
    pub other_options: Vec<String>,
}

impl QueryText {
    /// Takes `text` apart; `None` when it is no path with options, or holds a broken escape.
    pub fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (path, options) = text.split_once('?').unwrap_or((text, ""));
        let (relative, path) = match path.strip_prefix("./") {
            Some(path) => (true, path),
            None => (false, path.strip_prefix('/')?),
        };
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut segments = path.split('/').map(decode).collect::<Option<Vec<_>>>()?;
        if !relative && segments.first().is_some_and(|first| is_version(first)) {
            segments.remove(0);
        }
        if segments.is_empty() || segments.iter().any(|segment| segment.trim().is_empty()) {
            return None;
        }
        let mut query = Self { relative, segments, filter: None, expand: None, other_options: Vec::new() };
        for option in options.split('&').filter(|option| !option.trim().is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let (name, value) = (decode(name)?.trim().to_ascii_lowercase(), decode(value)?);
            match name.as_str() {
                "$count" if value.trim().eq_ignore_ascii_case("true") => {}
                "$filter" if query.filter.is_none() => query.filter = Some(value),
                "$expand" if query.expand.is_none() => query.expand = Some(value),
                _ => query.other_options.push(name),
            }
        }
        Some(query)
    }

    /// The segments in lower case, for matching against fixed words; ids are read with [`object_id`].
    pub fn lower_segments(&self) -> Vec<String> {
        self.segments.iter().map(|segment| segment.trim().to_ascii_lowercase()).collect()
    }
}

fn is_version(segment: &str) -> bool {
    segment.eq_ignore_ascii_case("v1.0") || segment.eq_ignore_ascii_case("beta")
}

/// Decodes `%xx` and `+`.
fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                decoded.push(u8::try_from(high * 16 + low).ok()?);
            }
            byte => decoded.push(byte),
        }
    }
    String::from_utf8(decoded).ok()
}

/// Reads an id in its one form: 36 characters with hyphens, letters of either case.
pub(crate) fn object_id(text: &str) -> Option<ObjectId> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten().map(ObjectId::new)
}

/// The part of a refused query that an error quotes.
pub(crate) fn quoted(query: &str) -> String {
    match query.char_indices().nth(QUOTED_LENGTH) {
        Some((end, _)) => format!("{}…", &query[..end]),
        None => query.to_owned(),
    }
}

/// One `property eq 'text'`; the property is without the cast `microsoft.graph.user/`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Equality {
    pub property: String,
    pub value: String,
}

/// One condition of a filter. Names are in lower case; texts as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// `property eq 'text'`
    Equals(Equality),
    /// `collection/any(x:x eq 'text')`
    Contains { collection: String, value: String },
    /// `isof(property,'type')`
    IsOf { property: String, type_name: String },
}

/// Reads a filter of [`Condition`]s joined by `and`, with parentheses; `None` for any other filter.
///
/// The work is linear in the length of the text, and parentheses nest at most [`MAX_FILTER_DEPTH`] deep.
pub(crate) fn conditions(filter: &str) -> Option<Vec<Condition>> {
    let tokens = tokens(filter)?;
    let mut rest = tokens.as_slice();
    let mut found = Vec::new();
    conjunction(&mut rest, &mut found, MAX_FILTER_DEPTH)?;
    rest.is_empty().then_some(found)
}

/// Reads a filter made of `property eq 'text'`, `and` and parentheses; `None` for any other filter.
pub(crate) fn equalities(filter: &str) -> Option<Vec<Equality>> {
    conditions(filter)?
        .into_iter()
        .map(|condition| match condition {
            Condition::Equals(equality) => Some(equality),
            Condition::Contains { .. } | Condition::IsOf { .. } => None,
        })
        .collect()
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Comma,
    Colon,
    Word(String),
    Text(String),
}

fn tokens(filter: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = filter.trim_start();
    let mut stray_quotes = 0;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = match first {
            '(' | ')' | ',' | ':' => {
                tokens.push(match first {
                    '(' => Token::Open,
                    ')' => Token::Close,
                    ',' => Token::Comma,
                    _ => Token::Colon,
                });
                after
            }
            '\'' if stray_quotes == 0 && is_stray_quote(&tokens, after) => {
                stray_quotes = 1;
                after
            }
            '\'' => {
                let (text, after) = literal(after)?;
                tokens.push(Token::Text(text));
                after
            }
            _ => {
                let end = rest
                    .find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | ':' | '\''))
                    .unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_ascii_lowercase()));
                &rest[end..]
            }
        }
        .trim_start();
    }
    Some(tokens)
}

/// The quote too many that the reference prints at the end of its Teams sample: `…'Team')')`.
fn is_stray_quote(before: &[Token], after: &str) -> bool {
    before.last() == Some(&Token::Close) && after.chars().all(|c| c == ')' || c.is_whitespace())
}

/// Reads a text literal up to its closing quote; two quotes stand for one.
pub(crate) fn literal(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('\'')?;
        value.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                value.push('\'');
                rest = after;
            }
            None => return Some((value, rest)),
        }
    }
}

fn conjunction(tokens: &mut &[Token], found: &mut Vec<Condition>, depth: usize) -> Option<()> {
    loop {
        match tokens {
            [Token::Open, rest @ ..] => {
                *tokens = rest;
                conjunction(tokens, found, depth.checked_sub(1)?)?;
                *tokens = tokens.strip_prefix(&[Token::Close])?;
            }
            [
                Token::Word(collection),
                Token::Open,
                Token::Word(variable),
                Token::Colon,
                Token::Word(used),
                Token::Word(operator),
                Token::Text(value),
                Token::Close,
                rest @ ..,
            ] if variable == used && operator == "eq" => {
                let collection = collection.strip_suffix("/any")?.to_owned();
                found.push(Condition::Contains { collection, value: value.clone() });
                *tokens = rest;
            }
            [
                Token::Word(function),
                Token::Open,
                Token::Word(property),
                Token::Comma,
                Token::Text(type_name),
                Token::Close,
                rest @ ..,
            ] if function == "isof" => {
                found.push(Condition::IsOf { property: property.clone(), type_name: type_name.clone() });
                *tokens = rest;
            }
            [Token::Word(property), Token::Word(operator), Token::Text(value), rest @ ..] if operator == "eq" => {
                let property = property.strip_prefix("microsoft.graph.user/").unwrap_or(property);
                found.push(Condition::Equals(Equality { property: property.to_owned(), value: value.clone() }));
                *tokens = rest;
            }
            _ => return None,
        }
        match tokens {
            [Token::Word(and), rest @ ..] if and == "and" => *tokens = rest,
            _ => return Some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn equality(property: &str, value: &str) -> Equality {
        Equality { property: property.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_query_is_read_without_its_accidents_of_spelling() {
        let plain = QueryText::read("/groups/g/members?$filter=a eq 'b'");

        assert!(plain.is_some());
        for spelling in [
            "  /v1.0/groups/g/members/?$filter=a eq 'b' ",
            "/beta/groups/g/members?$count=true&$filter=a+eq+'b'",
            "/V1.0/groups/g/members/?%24filter=a%20eq%20%27b%27&$count=TRUE",
        ] {
            assert_eq!(
                QueryText::read(spelling).map(|query| query.filter.map(|filter| equalities(&filter))),
                Some(Some(Some(vec![equality("a", "b")]))),
                "{spelling}"
            );
            assert_eq!(
                QueryText::read(spelling).map(|query| query.segments),
                plain.as_ref().map(|query| query.segments.clone())
            );
        }
    }

    #[test]
    fn what_is_no_path_is_not_read() {
        for text in ["", "/", "./", "groups/g", "/groups//g", "/groups/%zz", "/groups/%ff", "/v1.0", "?$filter=a"] {
            assert_eq!(QueryText::read(text), None, "{text}");
        }
    }

    #[test]
    fn parentheses_quotes_and_casts_in_a_filter_are_understood() {
        for (filter, expected) in [
            ("(userType eq 'Guest')", vec![equality("usertype", "Guest")]),
            ("((userType eq 'Guest'))", vec![equality("usertype", "Guest")]),
            (
                "(microsoft.graph.user/userType eq 'Member') and (country eq 'Côte d''Ivoire')",
                vec![equality("usertype", "Member"), equality("country", "Côte d'Ivoire")],
            ),
        ] {
            assert_eq!(equalities(filter), Some(expected), "{filter}");
        }
        for filter in [
            "",
            "(",
            "userType ne 'Guest'",
            "a eq 'b' or c eq 'd'",
            "a eq 'b'')",
            "a eq b",
            "(a eq 'b'",
            "a eq 'b' and",
        ] {
            assert_eq!(equalities(filter), None, "{filter}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC*", filter in "[()' a-zA-Z%+/]*") {
            let _ = QueryText::read(&text);
            let _ = QueryText::read(&format!("/groups?$filter={filter}"));
            let _ = equalities(&filter);
        }
    }
}

//! Which definitions a report is about: `contains(scope/query, '…')`, parsed once. Section 8.8 of the API, LC-HIST-04

use crate::domain::{
    query_text::{self, MAX_QUERY_LENGTH, QueryText},
    reviewer_scope::MICROSOFT_GRAPH,
};

/// How many pairs of parentheses may surround the filter.
const MAX_PARENTHESES: usize = 16;
/// Where the definitions are, in lower case.
const COLLECTION: [&str; 3] = ["identitygovernance", "accessreviews", "definitions"];
/// What may be searched, in lower case: plain, or with the cast that the filter of the list of definitions needs. A-10
const PROPERTIES: [&str; 2] = ["scope/query", "scope/microsoft.graph.accessreviewqueryscope/query"];

/// A scope of a report as a client sent it, together with what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryScope {
    /// As sent, and answered so. A-14
    pub query: String,
    /// Definitions match whose own scope query contains this text, without regard to case.
    pub text: String,
}

/// Why a scope was refused. [`HistoryScopeError::member`] says which of its members is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryScopeError {
    /// Longer than [`MAX_QUERY_LENGTH`] bytes.
    #[error("the query is longer than {MAX_QUERY_LENGTH} bytes")]
    TooLong,
    /// Any `queryType` but `MicrosoftGraph`. A-40
    #[error("the query type `{}` is not offered; use `MicrosoftGraph`", query_text::quoted(.0))]
    QueryType(String),
    /// The query is absolute. Section 8.2
    #[error("a query root goes with a relative query only; leave it out or send null")]
    QueryRoot,
    /// No known form.
    #[error(
        "the history scope query `{}` is not supported; supported is \
         /identityGovernance/accessReviews/definitions?$filter=contains(scope/query, 'text'), where scope/query may also be \
         written scope/microsoft.graph.accessReviewQueryScope/query",
        query_text::quoted(.0)
    )]
    Unsupported(String),
}

impl HistoryScopeError {
    /// The member of the scope that is at fault.
    pub const fn member(&self) -> &'static str {
        match self {
            Self::TooLong | Self::Unsupported(_) => "query",
            Self::QueryType(_) => "queryType",
            Self::QueryRoot => "queryRoot",
        }
    }

    /// Whether the query itself is unknown or not offered, as opposed to a value beside it. A-11
    pub const fn is_unsupported_query(&self) -> bool {
        match self {
            Self::QueryType(_) | Self::Unsupported(_) => true,
            Self::TooLong | Self::QueryRoot => false,
        }
    }
}

impl HistoryScope {
    /// Reads a scope in every spelling of section 8.1; `query_type` absent is `MicrosoftGraph`.
    ///
    /// # Errors
    /// [`HistoryScopeError`], which quotes the query and says what is supported.
    pub fn parse(query: &str, query_type: Option<&str>, query_root: Option<&str>) -> Result<Self, HistoryScopeError> {
        if query.len() > MAX_QUERY_LENGTH {
            return Err(HistoryScopeError::TooLong);
        }
        if let Some(kind) = query_type.filter(|kind| !kind.eq_ignore_ascii_case(MICROSOFT_GRAPH)) {
            return Err(HistoryScopeError::QueryType(kind.to_owned()));
        }
        if query_root.is_some_and(|root| !root.trim().is_empty()) {
            return Err(HistoryScopeError::QueryRoot);
        }
        let text = searched_text(query).ok_or_else(|| HistoryScopeError::Unsupported(query.to_owned()))?;
        Ok(Self { query: query.to_owned(), text })
    }
}

fn searched_text(query: &str) -> Option<String> {
    let query = QueryText::read(query)?;
    let is_collection = !query.relative && query.lower_segments() == COLLECTION && query.other_options.is_empty();
    is_collection.then_some(query.filter.as_deref()).flatten().and_then(contained_text)
}

/// The text of `contains(scope/query, 'text')`, inside any parentheses.
fn contained_text(filter: &str) -> Option<String> {
    let mut filter = filter.trim();
    for _ in 0..MAX_PARENTHESES {
        let Some(inner) = filter.strip_prefix('(') else { break };
        filter = inner.strip_suffix(')')?.trim();
    }
    let function = filter.get(.."contains".len())?;
    let arguments = filter.get("contains".len()..)?.trim_start().strip_prefix('(')?;
    let (property, rest) = arguments.split_once(',')?;
    let (text, rest) = query_text::literal(rest.trim_start().strip_prefix('\'')?)?;
    let is_whole = rest.trim_start().strip_prefix(')')?.trim().is_empty();
    let is_known = PROPERTIES.iter().any(|known| known.eq_ignore_ascii_case(property.trim()));
    // No column holds the character U+0000, so none contains it.
    (function.eq_ignore_ascii_case("contains") && is_known && is_whole && !text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOT: &str = "/identityGovernance/accessReviews/definitions";

    fn text_of(query: &str) -> Option<String> {
        HistoryScope::parse(query, None, None).ok().map(|scope| scope.text)
    }

    #[test]
    fn the_documented_form_is_read_in_every_spelling() {
        for query in [
            format!("{ROOT}?$filter=contains(scope/query, '/groups')"),
            format!("{ROOT}?$filter=contains(scope/query,'/groups')"),
            format!("/v1.0{ROOT}?$filter=contains(scope/query, '/groups')"),
            format!("/beta{ROOT}/?$count=true&$filter=contains(scope/query, '/groups')"),
            format!("  {ROOT}?$filter=(contains(scope/query, '/groups'))  "),
            format!("{ROOT}?$filter=((Contains ( Scope/Query , '/groups' ) ))"),
            format!("{ROOT}?%24filter=contains%28scope%2Fquery%2C+%27%2Fgroups%27%29"),
            format!("{ROOT}?$filter=contains(scope/microsoft.graph.accessReviewQueryScope/query, '/groups')"),
            "/identitygovernance/ACCESSREVIEWS/Definitions?$filter=contains(scope/query,'/groups')".to_owned(),
        ] {
            assert_eq!(text_of(&query).as_deref(), Some("/groups"), "{query}");
        }
    }

    #[test]
    fn a_quote_inside_the_text_is_doubled() {
        let query = format!("{ROOT}?$filter=contains(scope/query, 'userType eq ''Guest'', only)')");
        assert_eq!(text_of(&query).as_deref(), Some("userType eq 'Guest', only)"));
    }

    #[test]
    fn anything_else_is_refused_and_quoted() {
        for query in [
            String::new(),
            ROOT.to_owned(),
            "/groups/1/transitiveMembers".to_owned(),
            format!("{ROOT}?$filter=contains(displayName, 'x')"),
            format!("{ROOT}?$filter=contains(scope/microsoft.graph.principalResourceMembershipsScope/query, 'x')"),
            format!("{ROOT}?$filter=contains(scope/query, 'x') and status eq 'InProgress'"),
            format!("{ROOT}?$filter=contains(scope/query, 'x'"),
            format!("{ROOT}?$filter=contains(scope/query, x)"),
            format!("{ROOT}?$filter=startswith(scope/query, 'x')"),
            format!("{ROOT}?$filter=contains(scope/query, 'x')&$top=1"),
            format!("{ROOT}?$filter=contains(scope/query, 'a%00b')"),
            format!(".{ROOT}?$filter=contains(scope/query, 'x')"),
        ] {
            let error = HistoryScope::parse(&query, None, None).expect_err(&query);
            assert!(error.is_unsupported_query(), "{query}");
            assert_eq!(error.member(), "query");
            assert!(error.to_string().contains(query_text::quoted(&query).as_str()), "{error}");
        }
    }

    #[test]
    fn other_members_are_checked() {
        let query = format!("{ROOT}?$filter=contains(scope/query, 'x')");
        let fault = |kind, root| HistoryScope::parse(&query, kind, root).map_err(|error| error.member());
        assert_eq!(
            fault(Some("microsoftgraph"), Some("")),
            Ok(HistoryScope { query: query.clone(), text: "x".to_owned() })
        );
        assert_eq!(fault(Some("ARM"), None), Err("queryType"));
        assert_eq!(fault(None, Some("decisions")), Err("queryRoot"));
        assert_eq!(HistoryScope::parse(&"x".repeat(MAX_QUERY_LENGTH + 1), None, None), Err(HistoryScopeError::TooLong));
    }

    proptest! {
        #[test]
        fn every_text_can_be_asked_for(text in "[^\u{0}%+&]{0,40}") {
            let query = format!("{ROOT}?$filter=contains(scope/query, '{}')", text.replace('\'', "''"));
            prop_assert_eq!(text_of(&query), Some(text));
        }

        #[test]
        fn no_query_makes_the_reader_panic(text in "\\PC*", filter in "[()',a-z/ ]*") {
            let _ = text_of(&text);
            let _ = text_of(&format!("{ROOT}?$filter={filter}"));
            let _ = text_of(&format!("{ROOT}?$filter=contains(scope/query{filter}"));
        }
    }
}

//! System query options, and what each collection offers of them. Section 2 of the OData digest, section 3.4 of the
//! API, A-06

use std::borrow::Cow;

use crate::{
    http::odata::{
        ODataError,
        collections::Allowed,
        filter::{self, FilterAst},
    },
    store::filter::{FilterExpression, OrderBy},
};

/// The rows of a page when the client does not ask for a number.
pub const DEFAULT_PAGE_SIZE: u32 = 100;
/// The largest `$top`.
pub const MAX_TOP: u32 = 999;
/// The largest `$skip`.
pub const MAX_SKIP: u32 = 10_000;

/// A system query option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemOption {
    Select,
    Expand,
    Filter,
    OrderBy,
    Top,
    Skip,
    Count,
    Search,
    Format,
    SkipToken,
}

impl SystemOption {
    const ALL: [Self; 10] = [
        Self::Select,
        Self::Expand,
        Self::Filter,
        Self::OrderBy,
        Self::Top,
        Self::Skip,
        Self::Count,
        Self::Search,
        Self::Format,
        Self::SkipToken,
    ];

    /// The spelling of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Select => "$select",
            Self::Expand => "$expand",
            Self::Filter => "$filter",
            Self::OrderBy => "$orderby",
            Self::Top => "$top",
            Self::Skip => "$skip",
            Self::Count => "$count",
            Self::Search => "$search",
            Self::Format => "$format",
            Self::SkipToken => "$skiptoken",
        }
    }

    /// Any letter case, with or without the `$`. CL-03
    fn named(name: &str) -> Option<Self> {
        let bare = name.strip_prefix('$').unwrap_or(name);
        Self::ALL.into_iter().find(|option| option.as_str()[1..].eq_ignore_ascii_case(bare))
    }
}

/// The parameters of a query, decoded once, in their order; system query options have the contract's spelling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a raw query, without its question mark.
    ///
    /// # Errors
    /// A system query option given twice, an unknown one, or an encoding that is no text.
    pub fn read(query: &str) -> Result<Self, ODataError> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (mut name, value) = (decode(name)?, decode(value)?);
            match SystemOption::named(&name) {
                Some(option) => {
                    name = option.as_str().to_owned();
                    if parameters.iter().any(|(earlier, _)| *earlier == name) {
                        return Err(ODataError::malformed(name.clone(), format!("{name} is given more than once")));
                    }
                }
                None if name.starts_with('$') => {
                    let offered = SystemOption::ALL.map(SystemOption::as_str).join(", ");
                    return Err(ODataError::unsupported(name.clone(), format!("{name} is not one of {offered}")));
                }
                None => {}
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// The value of a system query option.
    pub fn get(&self, option: SystemOption) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == option.as_str()).map(|(_, value)| value.as_str())
    }

    /// All of them, in the order of the request.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What a continuation is bound to: the system query options that every page of one answer shares, sorted.
    pub fn bound(&self) -> Vec<(&str, &str)> {
        let shared = |(name, _): &(&str, &str)| {
            SystemOption::named(name)
                .is_some_and(|option| !matches!(option, SystemOption::SkipToken | SystemOption::Skip))
        };
        let mut bound: Vec<_> = self.iter().filter(shared).collect();
        bound.sort_unstable();
        bound
    }
}

/// Decodes once; `+` stands for a space.
fn decode(text: &str) -> Result<String, ODataError> {
    let spaced = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    match percent_encoding::percent_decode_str(&spaced).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(ODataError::malformed("query", format!("`{text}` is not the percent-encoding of UTF-8 text"))),
    }
}

/// The system query options of a request, read and checked against what its route offers.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryOptions<P> {
    /// Properties to answer with; `None` means all that are sent by default.
    pub select: Option<Vec<String>>,
    /// Navigation properties to send along, each offered by the route.
    pub expand: Vec<String>,
    pub filter: Option<FilterExpression<P>>,
    /// Without the key, which always comes last. Empty: the default order of the collection.
    pub order_by: Vec<OrderBy<P>>,
    /// Rows per page, as asked: 1 to 999.
    pub top: Option<u32>,
    /// Rows to leave out first, at most 10 000. Means nothing next to a continuation.
    pub skip: u32,
    /// Whether `@odata.count` is wanted.
    pub count: bool,
    /// The continuation, still sealed.
    pub skip_token: Option<String>,
    /// Everything as it was given, for the link to the next page and for binding the continuation.
    pub parameters: Parameters,
}

impl<P: Copy> QueryOptions<P> {
    /// Reads a raw query, without its question mark, for a route that offers `allowed`.
    ///
    /// # Errors
    /// [`ODataError::Malformed`] for what cannot be read, [`ODataError::Unsupported`] for what is not offered; both
    /// name the option.
    pub fn parse(query: &str, allowed: &Allowed<P>) -> Result<Self, ODataError> {
        let parameters = Parameters::read(query)?;
        let mut options = Self {
            select: None,
            expand: Vec::new(),
            filter: None,
            order_by: Vec::new(),
            top: None,
            skip: 0,
            count: false,
            skip_token: None,
            parameters: Parameters::default(),
        };
        for option in SystemOption::ALL {
            let Some(value) = parameters.get(option) else { continue };
            if !allowed.offers(option) {
                let name = option.as_str();
                return Err(ODataError::unsupported(name, format!("{name} is not offered here")));
            }
            match option {
                SystemOption::Select => options.select = allowed_select(value, allowed)?,
                SystemOption::Expand => options.expand = allowed_expand(value, allowed)?,
                SystemOption::Filter => options.filter = Some(filter::check(&FilterAst::parse(value)?, allowed)?),
                SystemOption::OrderBy => options.order_by = allowed_order(value, allowed)?,
                SystemOption::Top => options.top = Some(number(option, value, 1, MAX_TOP)?),
                SystemOption::Skip => options.skip = number(option, value, 0, MAX_SKIP)?,
                SystemOption::Count => options.count = boolean(option, value)?,
                SystemOption::Search => {
                    return Err(ODataError::unsupported(option.as_str(), "$search is not offered; use $filter"));
                }
                SystemOption::Format => {
                    let kind = value.split(';').next().unwrap_or_default().trim();
                    if !kind.eq_ignore_ascii_case("json") && !kind.eq_ignore_ascii_case("application/json") {
                        return Err(ODataError::unsupported(option.as_str(), "$format is json and nothing else"));
                    }
                }
                SystemOption::SkipToken => options.skip_token = Some(value.to_owned()),
            }
        }
        if options.skip_token.is_some() {
            options.skip = 0;
        }
        options.parameters = parameters;
        Ok(options)
    }

    /// The largest number of rows a page may have.
    pub fn page_size(&self) -> u32 {
        self.top.unwrap_or(DEFAULT_PAGE_SIZE)
    }
}

fn number(option: SystemOption, value: &str, least: u32, most: u32) -> Result<u32, ODataError> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse::<u32>() {
        Ok(number) if digits && (least..=most).contains(&number) => Ok(number),
        _ => {
            let name = option.as_str();
            Err(ODataError::malformed(name, format!("{name} is a whole number from {least} to {most}, not `{value}`")))
        }
    }
}

fn boolean(option: SystemOption, value: &str) -> Result<bool, ODataError> {
    match value {
        _ if value.eq_ignore_ascii_case("true") => Ok(true),
        _ if value.eq_ignore_ascii_case("false") => Ok(false),
        _ => {
            let name = option.as_str();
            Err(ODataError::malformed(name, format!("{name} is true or false, not `{value}`")))
        }
    }
}

/// The items of a list, each without the spaces around it; an empty item is refused.
fn list(option: SystemOption, value: &str) -> Result<Vec<&str>, ODataError> {
    let items: Vec<_> = value.split(',').map(str::trim).collect();
    if items.iter().any(|item| item.is_empty()) {
        let name = option.as_str();
        return Err(ODataError::malformed(name, format!("{name} is a list of names with commas between them")));
    }
    Ok(items)
}

///
fn allowed_select<P>(value: &str, allowed: &Allowed<P>) -> Result<Option<Vec<String>>, ODataError> {
    let mut select: Vec<String> = Vec::new();
    for name in list(SystemOption::Select, value)? {
        if name == "*" {
            return Ok(None);
        }
        if !allowed.selectable.contains(&name) {
            if allowed.ignores_unknown_select {
                continue;
            }
            let offered = allowed.selectable.join(", ");
            let message = format!("`{name}` is not a property of this type; its properties are {offered}");
            return Err(ODataError::unsupported("$select", message));
        }
        if !select.iter().any(|earlier| earlier == name) {
            select.push(name.to_owned());
        }
    }
    Ok(Some(select))
}

fn allowed_expand<P>(value: &str, allowed: &Allowed<P>) -> Result<Vec<String>, ODataError> {
    let mut expand: Vec<String> = Vec::new();
    for name in list(SystemOption::Expand, value)? {
        if !allowed.expandable.contains(&name) {
            let offered = offered_text(allowed.expandable);
            return Err(ODataError::unsupported(
                "$expand",
                format!("`{name}` cannot be expanded here; offered: {offered}"),
            ));
        }
        if !expand.iter().any(|earlier| earlier == name) {
            expand.push(name.to_owned());
        }
    }
    Ok(expand)
}

fn allowed_order<P: Copy>(value: &str, allowed: &Allowed<P>) -> Result<Vec<OrderBy<P>>, ODataError> {
    let mut order: Vec<OrderBy<P>> = Vec::new();
    let mut named: Vec<&str> = Vec::new();
    for item in list(SystemOption::OrderBy, value)? {
        let mut words = item.split_whitespace();
        let name = words.next().unwrap_or_default();
        let descending = match (words.next(), words.next()) {
            (None, _) => false,
            (Some(word), None) if word.eq_ignore_ascii_case("asc") => false,
            (Some(word), None) if word.eq_ignore_ascii_case("desc") => true,
            _ => {
                return Err(ODataError::malformed(
                    "$orderby",
                    format!("`{item}` is not a property, or one with asc or desc"),
                ));
            }
        };
        let Some((_, property)) = allowed.orderable.iter().find(|(offered, _)| *offered == name) else {
            let names: Vec<_> = allowed.orderable.iter().map(|(offered, _)| *offered).collect();
            let offered = offered_text(&names);
            return Err(ODataError::unsupported(
                "$orderby",
                format!("`{name}` cannot be ordered by here; offered: {offered}"),
            ));
        };
        if named.contains(&name) {
            return Err(ODataError::malformed("$orderby", format!("`{name}` is named more than once")));
        }
        named.push(name);
        order.push(OrderBy { property: *property, descending });
    }
    Ok(order)
}

pub(super) fn offered_text(names: &[&str]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        http::odata::collections::{DECISIONS, DEFINITIONS, STAGES},
        store::filter::{DefinitionProperty, FilterOperator, FilterValue, StageProperty},
    };

    fn stages(query: &str) -> Result<QueryOptions<StageProperty>, ODataError> {
        QueryOptions::parse(query, &STAGES)
    }

    fn refusal(query: &str) -> ODataError {
        stages(query).expect_err(query)
    }

    #[test]
    fn without_options_everything_has_its_default() {
        let options = stages("").expect("no options");
        assert_eq!((options.top, options.skip, options.count, options.page_size()), (None, 0, false, 100));
        assert_eq!((options.select, options.filter, options.order_by, options.skip_token), (None, None, vec![], None));
    }

    /// CL-03
    #[test]
    fn option_names_are_accepted_encoded_in_any_case_and_without_the_dollar() {
        for query in ["$top=5", "%24top=5", "$TOP=5", "top=5", "%24Top=%35"] {
            assert_eq!(stages(query).expect(query).top, Some(5), "{query}");
        }
        assert_eq!(stages("$orderBy=status%20desc").expect("any case").order_by.len(), 1);
        assert_eq!(stages("$skipToken=x").expect("any case").skip_token.as_deref(), Some("x"));
    }

    #[test]
    fn the_same_option_twice_is_refused_however_it_is_spelt() {
        for query in ["$top=5&$top=5", "$top=5&%24TOP=6", "$top=5&top=6"] {
            assert!(matches!(refusal(query), ODataError::Malformed { target, .. } if target == "$top"), "{query}");
        }
    }

    #[test]
    fn an_unknown_option_with_a_dollar_is_refused_and_other_parameters_are_ignored() {
        assert!(matches!(refusal("$apply=x"), ODataError::Unsupported { target, .. } if target == "$apply"));
        assert_eq!(stages("api-version=1&x&y=1&y=2&=").expect("ignored").top, None);
    }

    #[test]
    fn top_and_skip_have_limits() {
        for query in
            ["$top=0", "$top=1000", "$top=-1", "$top=+1", "$top=", "$top=1.0", "$top=x", "$skip=10001", "$skip=-1"]
        {
            assert!(matches!(refusal(query), ODataError::Malformed { .. }), "{query}");
        }
        assert_eq!(stages("$top=999&$skip=10000").map(|options| (options.top, options.skip)), Ok((Some(999), 10_000)));
    }

    #[test]
    fn count_is_true_or_false() {
        assert_eq!(stages("$count=true").map(|options| options.count), Ok(true));
        assert_eq!(stages("$count=false").map(|options| options.count), Ok(false));
        assert!(matches!(refusal("$count=1"), ODataError::Malformed { .. }));
    }

    #[test]
    fn search_expand_and_other_formats_are_not_offered() {
        for query in ["$search=x", "$expand=decisions", "$format=xml"] {
            assert!(matches!(refusal(query), ODataError::Unsupported { .. }), "{query}");
        }
        assert!(stages("$format=json").is_ok());
    }

    ///
    #[test]
    fn an_unknown_property_in_select_is_ignored_on_decisions_and_refused_elsewhere() {
        assert!(matches!(refusal("$select=id,colour"), ODataError::Unsupported { target, .. } if target == "$select"));
        assert!(matches!(refusal("$select=Id"), ODataError::Unsupported { .. }));
        let decisions = QueryOptions::parse("$select=id,colour,id", &DECISIONS).expect("ignored");
        assert_eq!(decisions.select, Some(vec!["id".to_owned()]));
        assert_eq!(stages("$select=*").map(|options| options.select), Ok(None));
    }

    #[test]
    fn orders_are_read_in_their_sequence() {
        let options =
            QueryOptions::parse("$orderby=displayName%20DESC,createdDateTime", &DEFINITIONS).expect("offered");
        assert_eq!(
            options.order_by,
            [
                OrderBy { property: DefinitionProperty::DisplayName, descending: true },
                OrderBy { property: DefinitionProperty::CreatedDateTime, descending: false },
            ]
        );
    }

    #[test]
    fn an_order_that_is_not_offered_is_refused_by_name() {
        let unsupported = refusal("$orderby=reviewers");
        assert!(matches!(&unsupported, ODataError::Unsupported { .. }));
        assert!(unsupported.to_string().contains("`reviewers`"));
        for query in ["$orderby=status%20up", "$orderby=status,", "$orderby=status,status%20desc", "$orderby="] {
            assert!(matches!(refusal(query), ODataError::Malformed { .. }), "{query}");
        }
    }

    #[test]
    fn a_filter_is_decoded_once_and_plus_is_a_space() {
        let expected = FilterExpression::Compare {
            property: DefinitionProperty::DisplayName,
            operator: FilterOperator::Equal,
            value: FilterValue::Text("a+b %20'c".to_owned()),
        };
        for query in
            ["$filter=displayName+eq+'a%2Bb+%2520''c'", "$filter=displayName%20eq%20%27a%2Bb%20%2520%27%27c%27"]
        {
            assert_eq!(
                QueryOptions::parse(query, &DEFINITIONS).map(|options| options.filter),
                Ok(Some(expected.clone()))
            );
        }
    }

    #[test]
    fn a_single_entity_offers_select_and_no_paging() {
        let entity = STAGES.entity();
        assert!(QueryOptions::parse("$select=id", &entity).is_ok());
        for query in ["$filter=status eq 'Completed'", "$top=1", "$skip=0", "$count=true", "$orderby=status"] {
            assert!(matches!(QueryOptions::parse(query, &entity), Err(ODataError::Unsupported { .. })), "{query}");
        }
    }

    #[test]
    fn skip_means_nothing_next_to_a_continuation() {
        assert_eq!(stages("$skip=5&$skiptoken=x").map(|options| options.skip), Ok(0));
    }

    #[test]
    fn a_continuation_is_bound_to_what_its_pages_share() {
        let parameters = Parameters::read("%24top=2&$skip=4&filter=a%20b&x=1").expect("readable");
        assert_eq!(parameters.bound(), [("$filter", "a b"), ("$top", "2")]);
        let next = Parameters::read("$filter=a+b&$skiptoken=t&$top=2").expect("readable");
        assert_eq!(next.bound(), parameters.bound());
    }

    proptest! {
        #[test]
        fn no_query_makes_the_parser_panic(query in ".{0,200}") {
            let _ = stages(&query);
        }
    }
}

//! System query options, and what each collection offers of them. Section 2 of the OData digest, section 3.4 of the
//! API, A-06

use std::borrow::Cow;

use crate::{
    http::odata::{
        ODataError,
        collections::{Allowed, Expandable, Expansion},
        filter::{self, FilterAst},
    },
    store::filter::{FilterExpression, OrderBy},
};

/// The rows of a page when the client does not ask for a number.
pub const DEFAULT_PAGE_SIZE: u32 = 100;
/// The largest `$top`.
pub const MAX_TOP: u32 = 999;
/// The largest `$skip`, unless rows are numbered and all of them are asked for in their order: then nothing is counted.
pub const MAX_SKIP: u32 = 10_000;
/// The largest `$skip` among numbered rows.
const MAX_SKIP_NUMBERED: u32 = 2_000_000_000;

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

/// A navigation property that is sent along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expand {
    pub name: &'static str,
    /// As in [`QueryOptions`].
    pub select: Option<Vec<String>>,
    /// Rows per page of the navigation property, as asked: 1 to 999.
    pub top: Option<u32>,
    /// What is sent along one level below.
    pub expand: Vec<Expand>,
    /// The nested options, for the link to what does not fit.
    pub parameters: Parameters,
}

impl Expand {
    /// The most objects that stand inline; a link leads to the rest. Section 4 of the OData digest
    pub fn page_size(&self) -> u32 {
        self.top.unwrap_or(DEFAULT_PAGE_SIZE).min(DEFAULT_PAGE_SIZE)
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
        let mut parameters = Self::default();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            parameters.add(decode(name)?, decode(value)?)?;
        }
        Ok(parameters)
    }

    fn add(&mut self, mut name: String, value: String) -> Result<(), ODataError> {
        match SystemOption::named(&name) {
            Some(option) => {
                name = option.as_str().to_owned();
                if self.get(option).is_some() {
                    return Err(ODataError::malformed(name.clone(), format!("{name} is given more than once")));
                }
            }
            None if name.starts_with('$') => {
                let offered = SystemOption::ALL.map(SystemOption::as_str).join(", ");
                return Err(ODataError::unsupported(name.clone(), format!("{name} is not one of {offered}")));
            }
            None => {}
        }
        self.0.push((name, value));
        Ok(())
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
    pub expand: Vec<Expand>,
    pub filter: Option<FilterExpression<P>>,
    /// Without the key, which always comes last. Empty: the default order of the collection.
    pub order_by: Vec<OrderBy<P>>,
    /// Rows per page, as asked: 1 to 999.
    pub top: Option<u32>,
    /// Rows to leave out first, at most 10 000 unless they are numbered. Means nothing next to a continuation.
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
                SystemOption::Select => {
                    options.select = select(value, allowed.selectable, allowed.ignores_unknown_select)?;
                }
                SystemOption::Expand => options.expand = expand(value, allowed.expandable)?,
                SystemOption::Filter => options.filter = Some(filter::check(&FilterAst::parse(value)?, allowed)?),
                SystemOption::OrderBy => options.order_by = allowed_order(value, allowed)?,
                SystemOption::Top => options.top = Some(number(option, value, 1, MAX_TOP)?),
                // What it depends on was read before.
                SystemOption::Skip => {
                    let in_order = options.filter.is_none() && options.order_by.is_empty();
                    let most = if allowed.numbered && in_order { MAX_SKIP_NUMBERED } else { MAX_SKIP };
                    options.skip = number(option, value, 0, most)?;
                }
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

    /// What stands in parentheses behind the type in the context URL: the selected properties, then the expanded ones with
    /// parentheses of their own. Section 5 of the OData digest
    pub fn context_names(&self) -> Option<Vec<String>> {
        let expanded = self.expand.iter().map(|expand| format!("{}()", expand.name));
        let names: Vec<String> = self.select.iter().flatten().cloned().chain(expanded).collect();
        (!names.is_empty()).then_some(names)
    }

    /// Which members of an object are sent: the selected ones and what is expanded. `None`: all.
    pub fn members(&self) -> Option<Vec<String>> {
        let expanded = self.expand.iter().map(|expand| expand.name.to_owned());
        self.select.as_ref().map(|select| select.iter().cloned().chain(expanded).collect())
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

/// A path selects the property it begins with, whole.
fn select(
    value: &str,
    selectable: &'static [&'static str],
    ignores_unknown: bool,
) -> Result<Option<Vec<String>>, ODataError> {
    let mut selected: Vec<String> = Vec::new();
    for path in list(SystemOption::Select, value)? {
        if path == "*" {
            return Ok(None);
        }
        let name = path.split('/').next().unwrap_or(path);
        if !selectable.contains(&name) {
            if ignores_unknown {
                continue;
            }
            let offered = selectable.join(", ");
            let message = format!("`{path}` is not a property of this type; its properties are {offered}");
            return Err(ODataError::unsupported("$select", message));
        }
        if !selected.iter().any(|earlier| earlier == name) {
            selected.push(name.to_owned());
        }
    }
    Ok(Some(selected))
}

/// `instances,other($select=id;$expand=stages)`. No deeper than the tables of what is offered.
fn expand(value: &str, expandable: &'static [Expandable]) -> Result<Vec<Expand>, ODataError> {
    let mut expanded: Vec<Expand> = Vec::new();
    for item in split_outside_parentheses(value, ',') {
        let item = item.trim();
        let (name, nested) = match item.split_once('(') {
            None => (item, None),
            Some((name, rest)) => match rest.strip_suffix(')') {
                Some(nested) => (name.trim(), Some(nested)),
                None => {
                    let message = format!("`{item}` is not a navigation property with options in parentheses");
                    return Err(ODataError::malformed("$expand", message));
                }
            },
        };
        let Some(offered) = expandable.iter().find(|offered| offered.name == name) else {
            let names: Vec<_> = expandable
                .iter()
                .filter(|offered| matches!(offered.expansion, Expansion::Inline { .. }))
                .map(|offered| offered.name)
                .collect();
            let message = format!("`{name}` cannot be expanded here; offered: {}", offered_text(&names));
            return Err(ODataError::unsupported("$expand", message));
        };
        let (selectable, ignores_unknown, below) = match offered.expansion {
            Expansion::Refused(reason) => {
                return Err(ODataError::unsupported("$expand", format!("`{name}` cannot be expanded here: {reason}")));
            }
            Expansion::Inline { selectable, ignores_unknown_select, expandable } => {
                (selectable, ignores_unknown_select, expandable)
            }
        };
        if expanded.iter().any(|earlier| earlier.name == offered.name) {
            return Err(ODataError::malformed("$expand", format!("`{name}` is expanded more than once")));
        }
        let mut parameters = Parameters::default();
        for option in split_outside_parentheses(nested.unwrap_or_default(), ';') {
            if option.trim().is_empty() {
                continue;
            }
            let (option, value) = option.split_once('=').unwrap_or((option, ""));
            parameters.add(option.trim().to_owned(), value.trim().to_owned())?;
        }
        let mut part = Expand {
            name: offered.name,
            select: None,
            top: None,
            expand: Vec::new(),
            parameters: Parameters::default(),
        };
        for (option, value) in parameters.iter() {
            match SystemOption::named(option) {
                Some(SystemOption::Select) => part.select = select(value, selectable, ignores_unknown)?,
                Some(SystemOption::Top) => part.top = Some(number(SystemOption::Top, value, 1, MAX_TOP)?),
                Some(SystemOption::Expand) => part.expand = expand(value, below)?,
                Some(_) | None => {
                    let message = format!(
                        "`{option}` is not offered within $expand, only $select, $top and $expand; ask for the collection \
                         {name} itself"
                    );
                    return Err(ODataError::unsupported("$expand", message));
                }
            }
        }
        part.parameters = parameters;
        expanded.push(part);
    }
    Ok(expanded)
}

/// The parts between separators that stand outside of parentheses.
fn split_outside_parentheses(text: &str, separator: char) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|character: char| {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == separator && depth == 0
    })
    .collect()
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
        http::odata::collections::{DECISIONS, DEFINITION_EXPANDABLE, DEFINITIONS, STAGES},
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
    fn numbered_rows_can_be_left_out_in_any_number() {
        let parse = |query: &str| QueryOptions::parse(query, &DECISIONS.numbered()).map(|options| options.skip);
        assert_eq!(parse("$skip=990000"), Ok(990_000));
        for query in ["$skip=2000000001", "$skip=10001&$filter=decision eq 'Deny'", "$orderby=decision&$skip=10001"] {
            assert!(matches!(parse(query), Err(ODataError::Malformed { .. })), "{query}");
        }
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

    /// Section 2 of the OData digest
    #[test]
    fn a_path_selects_the_property_it_begins_with() {
        let definitions = QueryOptions::parse("$select=createdBy/displayName,id,createdBy/id", &DEFINITIONS);
        assert_eq!(definitions.map(|options| options.select), Ok(Some(vec!["createdBy".to_owned(), "id".to_owned()])));
        assert!(QueryOptions::parse("$select=colour/id", &DEFINITIONS).is_err());
    }

    /// A-12, section 4 of the OData digest
    #[test]
    fn expanding_takes_nested_options_one_level_deep() {
        let definition = DEFINITIONS.entity().expanding(DEFINITION_EXPANDABLE);
        let parse = |query: &str| QueryOptions::parse(query, &definition);
        let options = parse("$select=id&$expand=instances(%24select=id,status;$TOP=200;expand=stages($select=id))");
        let options = options.expect("offered");
        let [instances] = options.expand.as_slice() else { unreachable!("one property is expanded") };
        assert_eq!((instances.name, instances.top, instances.page_size()), ("instances", Some(200), 100));
        assert_eq!(instances.select, Some(vec!["id".to_owned(), "status".to_owned()]));
        assert_eq!(instances.expand[0].select, Some(vec!["id".to_owned()]));
        assert_eq!(
            instances.parameters.iter().collect::<Vec<_>>(),
            [("$select", "id,status"), ("$top", "200"), ("$expand", "stages($select=id)")]
        );
        assert_eq!(options.context_names(), Some(vec!["id".to_owned(), "instances()".to_owned()]));
        assert_eq!(options.members(), Some(vec!["id".to_owned(), "instances".to_owned()]));

        for query in [
            "$expand=instances,instances",
            "$expand=instances(",
            "$expand=instances($top=0)",
            "$expand=instances($select=id;$select=id)",
        ] {
            assert!(matches!(parse(query), Err(ODataError::Malformed { .. })), "{query}");
        }
        for query in [
            "$expand=",
            "$expand=*",
            "$expand=stages",
            "$expand=instances($filter=status eq 'Applied')",
            "$expand=instances($expand=stages($expand=decisions))",
            "$expand=instances($expand=instances)",
            "$expand=instances($select=colour)",
            "$expand=instances($levels=max)",
            "$expand=instances(x)",
        ] {
            assert!(matches!(parse(query), Err(ODataError::Unsupported { .. })), "{query}");
        }
        let list = QueryOptions::parse("$expand=instances", &DEFINITIONS).expect_err("A-12").to_string();
        assert!(list.contains("definitions/{id}?$expand=instances"), "{list}");
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

        #[test]
        fn no_expansion_makes_the_parser_panic(value in "[$a-z();,=/ ]{0,60}|(instances|stages|\\(|\\)|;|,|\\$expand=){0,20}") {
            let _ = expand(&value, DEFINITION_EXPANDABLE);
        }
    }
}

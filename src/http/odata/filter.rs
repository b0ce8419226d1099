//! `$filter`: the whole grammar as a tree, and the check of a tree against what a collection offers.
//! Section 3 of the OData digest, section 3.5 of the API

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, SubsecRound, Utc};
use uuid::Uuid;
use winnow::{
    Parser,
    ascii::{multispace0, multispace1},
    combinator::{alt, eof, opt, peek, preceded, repeat},
    error::{ContextError, ErrMode},
    token::{one_of, take_while},
};

use crate::{
    http::odata::{
        ODataError,
        collections::{Allowed, Filterable, PropertyType, QUERY_SCOPE_CAST},
        options::offered_text,
    },
    store::filter::{FilterExpression, FilterOperator, FilterValue},
};

/// The longest expression, in bytes after decoding.
pub const MAX_BYTES: usize = 4096;
/// The most nodes of a tree; parentheses that change nothing are counted too, so that depth is bounded with it.
pub const MAX_NODES: usize = 50;
/// The most values of one `in`.
pub const MAX_VALUES: usize = 100;

/// A filter as it was written, not yet known to fit any collection.
#[derive(Clone, Debug, PartialEq)]
pub enum FilterAst {
    /// At least two parts.
    And(Vec<Self>),
    /// At least two parts.
    Or(Vec<Self>),
    Not(Box<Self>),
    Compare {
        path: PropertyPath,
        operator: Comparison,
        literal: Literal,
    },
    In {
        path: PropertyPath,
        literals: Vec<Literal>,
    },
    Call {
        function: TextFunction,
        path: PropertyPath,
        text: String,
    },
    Any {
        path: PropertyPath,
        variable: String,
        condition: Box<Self>,
    },
}

/// Names with slashes between them; a name with dots is a cast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyPath(pub Vec<String>);

/// The operators between a path and a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

/// The functions of a path and a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFunction {
    Contains,
    StartsWith,
    EndsWith,
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Text(String),
    /// As it was written.
    Number(String),
    Boolean(bool),
    Null,
    Instant(DateTime<Utc>),
    Date(NaiveDate),
    Guid(Uuid),
}

impl Comparison {
    const ALL: [Self; 6] = [Self::Eq, Self::Ne, Self::Gt, Self::Ge, Self::Lt, Self::Le];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }

    const fn operator(self) -> FilterOperator {
        match self {
            Self::Eq => FilterOperator::Equal,
            Self::Ne => FilterOperator::NotEqual,
            Self::Gt => FilterOperator::GreaterThan,
            Self::Ge => FilterOperator::GreaterOrEqual,
            Self::Lt => FilterOperator::LessThan,
            Self::Le => FilterOperator::LessOrEqual,
        }
    }
}

impl TextFunction {
    const ALL: [Self; 3] = [Self::Contains, Self::StartsWith, Self::EndsWith];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Contains => "contains",
            Self::StartsWith => "startswith",
            Self::EndsWith => "endswith",
        }
    }

    const fn operator(self) -> FilterOperator {
        match self {
            Self::Contains => FilterOperator::Contains,
            Self::StartsWith => FilterOperator::StartsWith,
            Self::EndsWith => FilterOperator::EndsWith,
        }
    }
}

impl FilterAst {
    /// Reads an expression that has been decoded.
    ///
    /// # Errors
    /// [`ODataError::Malformed`], with the place where reading stopped, or the limit that was passed.
    pub fn parse(text: &str) -> Result<Self, ODataError> {
        if text.len() > MAX_BYTES {
            return Err(malformed(format!("the filter is longer than {MAX_BYTES} bytes")));
        }
        let mut reader = Reader { rest: text, nodes: 0 };
        let stopped = |fault: Fault, rest: &str| match fault {
            Fault::Syntax(expected) => {
                let before = text.len() - rest.len();
                malformed(format!(
                    "the filter cannot be read: expected {expected} at character {}",
                    text[..before].chars().count() + 1
                ))
            }
            Fault::Limit(message) => malformed(message),
        };
        let tree = match reader.expression() {
            Ok(tree) => tree,
            Err(fault) => return Err(stopped(fault, reader.rest)),
        };
        reader.skip_spaces();
        if !reader.rest.is_empty() {
            return Err(stopped(Fault::Syntax("`and`, `or` or the end"), reader.rest));
        }
        Ok(tree)
    }
}

fn malformed(message: String) -> ODataError {
    ODataError::malformed("$filter", message)
}

/// Why reading stopped.
enum Fault {
    /// What would have been accepted.
    Syntax(&'static str),
    Limit(String),
}

/// What is left to read and how many nodes were made. Each level of recursion makes a node, so the node limit bounds
/// the stack.
struct Reader<'a> {
    rest: &'a str,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn expression(&mut self) -> Result<FilterAst, Fault> {
        self.joined("or", Self::conjunction, FilterAst::Or)
    }

    fn conjunction(&mut self) -> Result<FilterAst, Fault> {
        self.joined("and", Self::unary, FilterAst::And)
    }

    fn joined(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Result<FilterAst, Fault>,
        join: fn(Vec<FilterAst>) -> FilterAst,
    ) -> Result<FilterAst, Fault> {
        let first = part(self)?;
        if !self.accept_word(word) {
            return Ok(first);
        }
        self.count_node()?;
        let mut parts = vec![first, part(self)?];
        while self.accept_word(word) {
            parts.push(part(self)?);
        }
        Ok(join(parts))
    }

    fn unary(&mut self) -> Result<FilterAst, Fault> {
        if self.accept_word("not") {
            self.count_node()?;
            return Ok(FilterAst::Not(Box::new(self.primary()?)));
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<FilterAst, Fault> {
        self.count_node()?;
        if self.accept_symbol("(") {
            let inner = self.expression()?;
            self.expect_symbol(")", "`)`")?;
            return Ok(inner);
        }
        for function in TextFunction::ALL {
            if self.accept_call(function.as_str()) {
                let path = self.path()?;
                self.expect_symbol(",", "`,`")?;
                let text = self.token(string).ok_or(Fault::Syntax("a text in single quotes"))?;
                self.expect_symbol(")", "`)`")?;
                return Ok(FilterAst::Call { function, path, text });
            }
        }
        let mut path = self.path()?;
        if path.0.len() > 1
            && path.0.last().is_some_and(|name| name.eq_ignore_ascii_case("any"))
            && self.accept_symbol("(")
        {
            path.0.pop();
            let variable = self.token(name).ok_or(Fault::Syntax("a variable"))?;
            self.expect_symbol(":", "`:`")?;
            let condition = Box::new(self.expression()?);
            self.expect_symbol(")", "`)`")?;
            return Ok(FilterAst::Any { path, variable, condition });
        }
        if self.accept_word("in") {
            return Ok(FilterAst::In { path, literals: self.values()? });
        }
        for operator in Comparison::ALL {
            if self.accept_word(operator.as_str()) {
                return Ok(FilterAst::Compare { path, operator, literal: self.literal()? });
            }
        }
        Err(Fault::Syntax("an operator: eq, ne, gt, ge, lt, le or in"))
    }

    fn values(&mut self) -> Result<Vec<Literal>, Fault> {
        self.expect_symbol("(", "`(`")?;
        let mut literals = vec![self.literal()?];
        while self.accept_symbol(",") {
            if literals.len() == MAX_VALUES {
                return Err(Fault::Limit(format!("`in` takes at most {MAX_VALUES} values")));
            }
            literals.push(self.literal()?);
        }
        self.expect_symbol(")", "`,` or `)`")?;
        Ok(literals)
    }

    fn path(&mut self) -> Result<PropertyPath, Fault> {
        let mut names = vec![self.token(name).ok_or(Fault::Syntax("a property"))?];
        while self.accept_symbol("/") {
            names.push(self.token(name).ok_or(Fault::Syntax("a property"))?);
        }
        Ok(PropertyPath(names))
    }

    fn literal(&mut self) -> Result<Literal, Fault> {
        self.token(literal).ok_or(Fault::Syntax("a value; texts stand in single quotes, times and GUIDs do not"))
    }

    fn count_node(&mut self) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Fault::Limit(format!("the filter has more than {MAX_NODES} parts")));
        }
        Ok(())
    }

    fn skip_spaces(&mut self) {
        let spaces: Scan<'_, &str> = multispace0.parse_next(&mut self.rest);
        debug_assert!(spaces.is_ok(), "no spaces are spaces enough");
    }

    /// Reads one token after optional spaces; leaves the reader before the token when it is another one.
    fn token<T>(&mut self, mut token: impl FnMut(&mut &'a str) -> Scan<'a, T>) -> Option<T> {
        self.skip_spaces();
        let start = self.rest;
        token(&mut self.rest).map_err(|_| self.rest = start).ok()
    }

    fn accept_symbol(&mut self, mut symbol: &'static str) -> bool {
        self.token(|input| symbol.parse_next(input)).is_some()
    }

    fn expect_symbol(&mut self, symbol: &'static str, expected: &'static str) -> Result<(), Fault> {
        if self.accept_symbol(symbol) { Ok(()) } else { Err(Fault::Syntax(expected)) }
    }

    /// A keyword in any case, which must end there: `nothing` does not begin with `not`.
    fn accept_word(&mut self, word: &str) -> bool {
        self.token(|input| {
            (name_text.verify(|text: &str| text.eq_ignore_ascii_case(word)), word_end).void().parse_next(input)
        })
        .is_some()
    }

    fn accept_call(&mut self, function: &str) -> bool {
        self.token(|input| {
            (name_text.verify(|text: &str| text.eq_ignore_ascii_case(function)), multispace0, "(")
                .void()
                .parse_next(input)
        })
        .is_some()
    }
}

/// What a token parser answers.
type Scan<'a, T> = Result<T, ErrMode<ContextError>>;

/// A keyword is followed by a space, a parenthesis or a quote; a property called `not` is followed by neither.
fn word_end<'a>(input: &mut &'a str) -> Scan<'a, ()> {
    peek(alt((multispace1, "(", "'", eof))).void().parse_next(input)
}

fn name_text<'a>(input: &mut &'a str) -> Scan<'a, &'a str> {
    (
        one_of(|c: char| c.is_alphabetic() || c == '_' || c == '@'),
        take_while(0.., |c: char| c.is_alphanumeric() || matches!(c, '_' | '.')),
    )
        .take()
        .parse_next(input)
}

fn name<'a>(input: &mut &'a str) -> Scan<'a, String> {
    name_text.map(str::to_owned).parse_next(input)
}

/// Single quotes; a quote inside is doubled.
fn string<'a>(input: &mut &'a str) -> Scan<'a, String> {
    let plain = take_while(1.., |c: char| c != '\'');
    let content = repeat(0.., alt((plain, "''".value("'")))).fold(String::new, |mut text, piece: &str| {
        text.push_str(piece);
        text
    });
    (preceded("'", content), "'").map(|(text, _)| text).parse_next(input)
}

fn literal<'a>(input: &mut &'a str) -> Scan<'a, Literal> {
    let word = take_while(1.., |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | ':' | '.'))
        .verify_map(word_literal);
    alt((string.map(Literal::Text), word)).parse_next(input)
}

fn word_literal(word: &str) -> Option<Literal> {
    if word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false") {
        return Some(Literal::Boolean(word.eq_ignore_ascii_case("true")));
    }
    if word.eq_ignore_ascii_case("null") {
        return Some(Literal::Null);
    }
    if word.len() == 36
        && let Ok(guid) = Uuid::try_parse(word)
    {
        return Some(Literal::Guid(guid));
    }
    if is_number(word) {
        return Some(Literal::Number(word.to_owned()));
    }
    // years of four digits, which storage can represent
    let four_digits = word.bytes().take(4).all(|byte| byte.is_ascii_digit());
    if !four_digits || word.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    if let Ok(date) = NaiveDate::parse_from_str(word, "%Y-%m-%d") {
        return Some(Literal::Date(date));
    }
    let upper = word.to_ascii_uppercase();
    let zoned = DateTime::parse_from_rfc3339(&upper).map(|instant| instant.with_timezone(&Utc));
    let local = || NaiveDateTime::parse_from_str(&upper, "%Y-%m-%dT%H:%M:%S%.f").map(|instant| instant.and_utc());
    zoned.or_else(|_| local()).ok().map(Literal::Instant)
}

fn is_number(word: &str) -> bool {
    let digits = |input: &mut &str| -> Result<(), ErrMode<ContextError>> {
        take_while(1.., |c: char| c.is_ascii_digit()).void().parse_next(input)
    };
    let fraction = (".", digits);
    let exponent = (one_of(['e', 'E']), opt(one_of(['+', '-'])), digits);
    let parsed: Result<_, _> = (opt(one_of(['+', '-'])), digits, opt(fraction), opt(exponent)).void().parse(word);
    parsed.is_ok()
}

impl fmt::Display for FilterAst {
    /// Prints a text that is read back as the same tree.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(parts) => join(f, parts, " and ", |part| matches!(part, Self::And(_) | Self::Or(_))),
            Self::Or(parts) => join(f, parts, " or ", |part| matches!(part, Self::Or(_))),
            Self::Not(part) => {
                f.write_str("not ")?;
                part.print(f, matches!(**part, Self::And(_) | Self::Or(_) | Self::Not(_)))
            }
            Self::Compare { path, operator, literal } => write!(f, "{path} {} {literal}", operator.as_str()),
            Self::In { path, literals } => {
                write!(f, "{path} in (")?;
                for (index, literal) in literals.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    literal.fmt(f)?;
                }
                f.write_str(")")
            }
            Self::Call { function, path, text } => write!(f, "{}({path}, {})", function.as_str(), quoted(text)),
            Self::Any { path, variable, condition } => write!(f, "{path}/any({variable}:{condition})"),
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[FilterAst], word: &str, wrapped: fn(&FilterAst) -> bool) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        part.print(f, wrapped(part))?;
    }
    Ok(())
}

impl FilterAst {
    fn print(&self, f: &mut fmt::Formatter<'_>, wrapped: bool) -> fmt::Result {
        if wrapped { write!(f, "({self})") } else { write!(f, "{self}") }
    }
}

impl fmt::Display for PropertyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Number(number) => f.write_str(number),
            Self::Boolean(value) => value.fmt(f),
            Self::Null => f.write_str("null"),
            Self::Instant(instant) => f.write_str(&instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            Self::Date(date) => date.fmt(f),
            Self::Guid(guid) => guid.fmt(f),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A filter that fits its collection.
pub type TypedFilter<P> = FilterExpression<P>;

/// Gives names, operators and literals their meaning for one collection.
///
/// # Errors
/// [`ODataError::Unsupported`] for a property or operator that is not offered, naming what is;
/// [`ODataError::Malformed`]
/// for a literal of another type, or a word outside a property's members.
pub fn check<P: Copy>(tree: &FilterAst, allowed: &Allowed<P>) -> Result<TypedFilter<P>, ODataError> {
    let all = |parts: &[FilterAst]| parts.iter().map(|part| check(part, allowed)).collect::<Result<Vec<_>, _>>();
    Ok(match tree {
        FilterAst::And(parts) => FilterExpression::And(all(parts)?),
        FilterAst::Or(parts) => FilterExpression::Or(all(parts)?),
        FilterAst::Not(part) => FilterExpression::Not(Box::new(check(part, allowed)?)),
        FilterAst::Compare { path, operator, literal } => {
            let offered = find(path, allowed)?;
            compare(offered, operator.operator(), literal)?
        }
        FilterAst::Call { function, path, text } => {
            let offered = find(path, allowed)?;
            compare(offered, function.operator(), &Literal::Text(text.clone()))?
        }
        FilterAst::In { path, literals } => {
            let offered = find(path, allowed)?;
            if !offered.offers_in {
                return Err(operator_not_offered(offered, "in"));
            }
            let mut parts = Vec::new();
            let mut values = Vec::new();
            for literal in literals {
                match value(offered, literal)? {
                    Operand::Value(value) => values.push(value),
                    Operand::Null if offered.nullable => parts.push(FilterExpression::IsNull(offered.property)),
                    Operand::Null | Operand::Nothing => {}
                }
            }
            if !values.is_empty() {
                parts.push(FilterExpression::In { property: offered.property, values });
            }
            match parts.len() {
                0 => FilterExpression::Constant(false),
                1 => parts.swap_remove(0),
                _ => FilterExpression::Or(parts),
            }
        }
        FilterAst::Any { path, .. } => {
            let offered = offered_paths(allowed);
            let message = format!("`{path}/any` is not offered here; properties that can be filtered by: {offered}");
            return Err(ODataError::unsupported("$filter", message));
        }
    })
}

fn find<'a, P>(path: &PropertyPath, allowed: &'a Allowed<P>) -> Result<&'a Filterable<P>, ODataError> {
    let names: Vec<&str> = match path.0.as_slice() {
        // The cast says what the path without it means as well.
        [scope, cast, rest @ ..] if scope == "scope" && cast.eq_ignore_ascii_case(QUERY_SCOPE_CAST) => {
            std::iter::once(scope).chain(rest).map(String::as_str).collect()
        }
        names => {
            if let Some(cast) = names.iter().find(|name| name.contains('.')) {
                let message = format!("the cast to {cast} is not offered; the only cast is to {QUERY_SCOPE_CAST}");
                return Err(ODataError::unsupported("$filter", message));
            }
            names.iter().map(String::as_str).collect()
        }
    };
    let written = names.join("/");
    allowed.filterable.iter().find(|offered| offered.path == written).ok_or_else(|| {
        let offered = offered_paths(allowed);
        ODataError::unsupported("$filter", format!("`{path}` cannot be filtered by here; offered: {offered}"))
    })
}

fn offered_paths<P>(allowed: &Allowed<P>) -> String {
    let paths: Vec<_> = allowed.filterable.iter().map(|offered| offered.path).collect();
    offered_text(&paths)
}

fn compare<P: Copy>(
    offered: &Filterable<P>,
    operator: FilterOperator,
    literal: &Literal,
) -> Result<TypedFilter<P>, ODataError> {
    if !offered.operators.contains(&operator) {
        return Err(operator_not_offered(offered, operator_name(operator)));
    }
    let property = offered.property;
    Ok(match (value(offered, literal)?, operator) {
        (Operand::Value(value), _) => FilterExpression::Compare { property, operator, value },
        (Operand::Null, FilterOperator::Equal) if offered.nullable => FilterExpression::IsNull(property),
        (Operand::Null, FilterOperator::NotEqual) if offered.nullable => {
            FilterExpression::Not(Box::new(FilterExpression::IsNull(property)))
        }
        // what is never null differs from null and is in no other relation to it
        (Operand::Null | Operand::Nothing, operator) => {
            FilterExpression::Constant(operator == FilterOperator::NotEqual)
        }
    })
}

/// A literal as what it is to a property.
enum Operand {
    Value(FilterValue),
    Null,
    /// A text that no object has there: an id that is no GUID. Section 13 of the OData digest
    Nothing,
}

fn operator_not_offered<P>(offered: &Filterable<P>, operator: &str) -> ODataError {
    let in_operator = offered.offers_in.then_some("in");
    let names: Vec<_> = offered.operators.iter().map(|operator| operator_name(*operator)).chain(in_operator).collect();
    let message = format!("`{}` does not offer {operator}; it offers: {}", offered.path, offered_text(&names));
    ODataError::unsupported("$filter", message)
}

const fn operator_name(operator: FilterOperator) -> &'static str {
    match operator {
        FilterOperator::Equal => "eq",
        FilterOperator::NotEqual => "ne",
        FilterOperator::GreaterThan => "gt",
        FilterOperator::GreaterOrEqual => "ge",
        FilterOperator::LessThan => "lt",
        FilterOperator::LessOrEqual => "le",
        FilterOperator::Contains => "contains",
        FilterOperator::StartsWith => "startswith",
        FilterOperator::EndsWith => "endswith",
    }
}

/// The literal as a value of the property's type.
fn value<P>(offered: &Filterable<P>, literal: &Literal) -> Result<Operand, ODataError> {
    let path = offered.path;
    let value = match (offered.kind, literal) {
        (_, Literal::Null) => return Ok(Operand::Null),
        (PropertyType::Member(members), Literal::Text(text)) => {
            let Some(member) = members.iter().find(|member| *member == text) else {
                return Err(malformed(format!(
                    "`{path}` is never {}; its values are {}",
                    quoted(text),
                    members.join(", ")
                )));
            };
            FilterValue::Member(member)
        }
        (PropertyType::Text, Literal::Text(text)) if text.contains('\0') => {
            return Err(malformed(format!("`{path}` contains no character zero")));
        }
        (PropertyType::Text, Literal::Text(text)) => FilterValue::Text(text.clone()),
        (PropertyType::Id, Literal::Guid(guid)) => FilterValue::Id(*guid),
        (PropertyType::Id, Literal::Text(text)) => match Uuid::try_parse(text) {
            Ok(guid) => FilterValue::Id(guid),
            Err(_) => return Ok(Operand::Nothing),
        },
        (PropertyType::Instant, Literal::Instant(instant)) => FilterValue::Instant(instant.trunc_subsecs(6)),
        (PropertyType::Instant, Literal::Date(date)) => {
            FilterValue::Instant(date.and_time(chrono::NaiveTime::MIN).and_utc())
        }
        (kind, literal) => {
            let expected = match kind {
                PropertyType::Member(_) | PropertyType::Text => "a text in single quotes",
                PropertyType::Id => "a GUID",
                PropertyType::Instant => "a time without quotes, such as 2026-03-01T00:00:00Z",
            };
            return Err(malformed(format!("`{path}` is compared with {expected}, not with {literal}")));
        }
    };
    Ok(Operand::Value(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        http::odata::collections::{DECISIONS, DEFINITIONS, STAGES, Shape},
        store::filter::{DecisionProperty, StageProperty},
    };

    fn parse(text: &str) -> FilterAst {
        FilterAst::parse(text).expect(text)
    }

    fn equal(name: &str, text: &str) -> FilterAst {
        FilterAst::Compare {
            path: PropertyPath(vec![name.to_owned()]),
            operator: Comparison::Eq,
            literal: Literal::Text(text.to_owned()),
        }
    }

    #[test]
    fn not_binds_tighter_than_and_and_and_tighter_than_or() {
        let (a, b, c) = (equal("a", "1"), equal("b", "2"), equal("c", "3"));
        assert_eq!(
            parse("not a eq '1' and b eq '2' or c eq '3'"),
            FilterAst::Or(vec![FilterAst::And(vec![FilterAst::Not(Box::new(a.clone())), b.clone()]), c.clone()])
        );
        assert_eq!(
            parse("a eq '1' or b eq '2' and c eq '3'"),
            FilterAst::Or(vec![a.clone(), FilterAst::And(vec![b.clone(), c.clone()])])
        );
        assert_eq!(
            parse("not(a eq '1' or b eq '2')and c eq '3'"),
            FilterAst::And(vec![FilterAst::Not(Box::new(FilterAst::Or(vec![a, b]))), c])
        );
    }

    #[test]
    fn keywords_and_functions_are_accepted_in_any_case() {
        assert_eq!(parse("NOT a EQ '1' Or Contains(b,'x')"), parse("not a eq '1' or contains(b,'x')"));
        assert_eq!(parse("a/Any(x:x/b Eq TRUE)"), parse("a/any(x:x/b eq true)"));
    }

    #[test]
    fn spaces_around_parentheses_and_commas_are_optional() {
        assert_eq!(parse(" ( a in('1' ,'2') ) "), parse("a in ('1','2')"));
        assert_eq!(parse("startswith ( a , 'x' )"), parse("startswith(a,'x')"));
    }

    #[test]
    fn a_quote_in_a_text_is_doubled() {
        assert_eq!(parse("a eq 'it''s'"), equal("a", "it's"));
        assert_eq!(parse("a eq ''''"), equal("a", "'"));
        assert_eq!(parse("a eq ''"), equal("a", ""));
    }

    #[test]
    fn a_path_may_contain_a_cast() {
        assert_eq!(
            parse("contains(scope/microsoft.graph.accessReviewQueryScope/query, '/groups')"),
            FilterAst::Call {
                function: TextFunction::Contains,
                path: PropertyPath(
                    ["scope", "microsoft.graph.accessReviewQueryScope", "query"].map(str::to_owned).to_vec()
                ),
                text: "/groups".to_owned(),
            }
        );
    }

    #[test]
    fn literals_are_told_apart_by_their_form() {
        let literal = |text: &str| match parse(&format!("a eq {text}")) {
            FilterAst::Compare { literal, .. } => literal,
            other => unreachable!("{other} is no comparison"),
        };
        let instant = || "2026-03-01T10:11:12Z".parse().expect("a time");
        assert_eq!(literal("null"), Literal::Null);
        assert_eq!(literal("False"), Literal::Boolean(false));
        assert_eq!(literal("-1.5e+3"), Literal::Number("-1.5e+3".to_owned()));
        assert_eq!(literal("2026-03-01"), Literal::Date(NaiveDate::from_ymd_opt(2026, 3, 1).expect("a date")));
        assert_eq!(literal("2026-03-01T10:11:12Z"), Literal::Instant(instant()));
        assert_eq!(literal("2026-03-01T12:11:12+02:00"), Literal::Instant(instant()));
        assert_eq!(literal("2026-03-01t10:11:12.000"), Literal::Instant(instant()));
        assert_eq!(
            literal("ABCDEF01-0000-0000-0000-000000000001"),
            Literal::Guid(Uuid::from_u128(0xabcdef01_0000_0000_0000_000000000001))
        );
    }

    #[test]
    fn what_is_outside_the_grammar_is_refused_with_the_place() {
        for (text, place) in [
            ("", 1),
            ("a", 2),
            ("a eq", 5),
            ("a eq 'x", 6),
            ("a eq x", 6),
            ("a eq 1 b", 8),
            ("(a eq 1", 8),
            ("a in ()", 7),
            ("contains(a,1)", 12),
            ("not not a eq 1", 9),
            ("a/all(x:x eq 1)", 6),
            ("ä eq é", 6),
            ("a ge -200000-01-01", 6),
            ("a ge 2026-13-01", 6),
        ] {
            let refusal = FilterAst::parse(text).expect_err(text).to_string();
            assert!(refusal.ends_with(&format!("at character {place}")), "{text}: {refusal}");
        }
    }

    #[test]
    fn the_limits_of_bytes_nodes_and_values_hold() {
        let values = |count: usize| format!("a in ({})", vec!["1"; count].join(","));
        assert!(FilterAst::parse(&values(100)).is_ok());
        assert!(FilterAst::parse(&values(101)).is_err());

        let nodes = |count: usize| vec!["a eq 1"; count].join(" or ");
        assert!(FilterAst::parse(&nodes(49)).is_ok());
        assert!(FilterAst::parse(&nodes(50)).is_err());

        assert!(FilterAst::parse(&format!("a eq '{}'", "x".repeat(MAX_BYTES - 7))).is_ok());
        assert!(FilterAst::parse(&format!("a eq '{}'", "x".repeat(MAX_BYTES - 6))).is_err());
    }

    #[test]
    fn deeply_nested_parentheses_are_refused_without_harm() {
        for opening in ["(", "not (", "a/any(x:"] {
            assert!(FilterAst::parse(&opening.repeat(MAX_BYTES / opening.len())).is_err());
        }
    }

    fn stages(text: &str) -> Result<TypedFilter<StageProperty>, ODataError> {
        check(&parse(text), &STAGES)
    }

    #[test]
    fn a_property_that_is_not_offered_is_refused_naming_what_is() {
        let refusal = check(&parse("justification eq 'x'"), &DECISIONS).expect_err("not offered");
        assert_eq!(
            refusal,
            ODataError::unsupported(
                "$filter",
                "`justification` cannot be filtered by here; offered: id, decision, applyResult, recommendation, \
                 principal/id, principal/displayName, resource/id, reviewedBy/id, reviewedDateTime"
            )
        );
        assert!(stages("Status eq 'Completed'").is_err(), "property names are exact");
        assert!(stages("reviewers/any(r:r/query eq 'x')").is_err());
    }

    #[test]
    fn an_operator_that_is_not_offered_is_refused_naming_those_that_are() {
        let refusal = stages("status gt 'Completed'").expect_err("not offered").to_string();
        assert_eq!(refusal, "`status` does not offer gt; it offers: eq, ne, in");
        let refusal = check(&parse("contains(status,'a')"), &DEFINITIONS).expect_err("not offered").to_string();
        assert_eq!(refusal, "`status` does not offer contains; it offers: eq, ne, in");
    }

    /// Section 3.5 of the API, A-10
    #[test]
    fn the_scope_is_filtered_with_and_without_its_cast_and_with_no_other() {
        let definitions = |path: &str| check(&parse(&format!("contains({path},'/groups')")), &DEFINITIONS);
        let plain = definitions("scope/query");
        assert!(plain.is_ok());
        assert_eq!(definitions("scope/microsoft.graph.accessReviewQueryScope/query"), plain);
        assert_eq!(definitions("scope/Microsoft.Graph.AccessReviewQueryScope/query"), plain);
        for path in [
            "scope/microsoft.graph.accessReviewInactiveUsersQueryScope/query",
            "scope/microsoft.graph.principalResourceMembershipsScope/query",
            "microsoft.graph.accessReviewQueryScope/query",
            "createdBy/microsoft.graph.accessReviewQueryScope/id",
        ] {
            let refusal = definitions(path).expect_err(path);
            assert!(matches!(&refusal, ODataError::Unsupported { target, .. } if target == "$filter"));
            assert!(refusal.to_string().starts_with("the cast to "), "{refusal}");
        }
    }

    #[test]
    fn a_word_outside_the_members_is_refused_with_the_list_of_members() {
        for text in ["decision eq 'approve'", "decision in ('Deny', 'Maybe')"] {
            let refusal = check(&parse(text), &DECISIONS).expect_err("no member").to_string();
            assert!(refusal.ends_with("its values are Approve, Deny, DontKnow, NotReviewed"), "{refusal}");
        }
    }

    #[test]
    fn a_literal_of_another_type_is_refused() {
        for text in ["status eq 1", "status eq true", "status eq 2026-03-01"] {
            assert!(matches!(stages(text), Err(ODataError::Malformed { .. })), "{text}");
        }
        assert!(check(&parse("displayName eq 'a\0b'"), &DEFINITIONS).is_err());
    }

    #[test]
    fn what_is_never_null_differs_from_null() {
        assert_eq!(stages("status eq null"), Ok(FilterExpression::Constant(false)));
        assert_eq!(stages("status ne null"), Ok(FilterExpression::Constant(true)));
        assert_eq!(stages("status in (null)"), Ok(FilterExpression::Constant(false)));
    }

    #[test]
    fn ids_are_accepted_with_and_without_quotes_and_times_without() {
        const FILTERABLE: &[Filterable<StageProperty>] = &[
            Filterable {
                path: "id",
                property: StageProperty::Status,
                kind: PropertyType::Id,
                operators: &[FilterOperator::Equal, FilterOperator::NotEqual],
                offers_in: true,
                nullable: false,
            },
            Filterable {
                path: "startDateTime",
                property: StageProperty::StartDateTime,
                kind: PropertyType::Instant,
                operators: &[FilterOperator::Equal, FilterOperator::NotEqual, FilterOperator::GreaterOrEqual],
                offers_in: true,
                nullable: true,
            },
        ];
        let allowed = Allowed { filterable: FILTERABLE, shape: Shape::Collection, ..STAGES };
        let guid = "00000000-0000-0000-0000-00000000000A";
        let quoted = check(&parse(&format!("id eq '{guid}'")), &allowed);
        assert!(quoted.is_ok());
        assert_eq!(quoted, check(&parse(&format!("id eq {guid}")), &allowed));
        let nobody = |text: &str| check(&parse(text), &allowed);
        assert_eq!(nobody("id eq 'x'"), Ok(FilterExpression::Constant(false)));
        assert_eq!(nobody("id ne 'x'"), Ok(FilterExpression::Constant(true)));
        assert_eq!(nobody(&format!("id in ('x', '{guid}')")), nobody(&format!("id in ({guid})")));
        assert!(check(&parse("id eq 5"), &allowed).is_err());
        let unset = || FilterExpression::IsNull(StageProperty::StartDateTime);
        assert_eq!(nobody("startDateTime eq null"), Ok(unset()));
        assert_eq!(nobody("startDateTime ne null"), Ok(FilterExpression::Not(Box::new(unset()))));
        assert_eq!(nobody("startDateTime ge null"), Ok(FilterExpression::Constant(false)));
        assert_eq!(nobody("startDateTime in (null)"), Ok(unset()));
        assert_eq!(
            check(&parse("startDateTime ge 2026-03-01"), &allowed),
            check(&parse("startDateTime ge 2026-03-01T00:00:00Z"), &allowed)
        );
        assert_eq!(
            check(&parse("startDateTime ge 2026-03-01T00:00:00.123456789Z"), &allowed),
            check(&parse("startDateTime ge 2026-03-01T00:00:00.123456Z"), &allowed)
        );
        assert!(check(&parse("startDateTime ge '2026-03-01'"), &allowed).is_err());
    }

    #[test]
    fn a_checked_filter_decides_objects() {
        let filter = check(&parse("not decision eq 'Deny' and recommendation in ('Deny','Approve')"), &DECISIONS)
            .expect("offered");
        let item = |decision, recommendation| {
            move |property| match property {
                DecisionProperty::Decision => FilterValue::Member(decision),
                DecisionProperty::Recommendation => FilterValue::Member(recommendation),
                _ => FilterValue::Member("New"),
            }
        };
        assert!(filter.matches(&item("Approve", "Deny")));
        assert!(!filter.matches(&item("Deny", "Deny")));
        assert!(!filter.matches(&item("Approve", "NoInfoAvailable")));
    }

    fn paths() -> impl Strategy<Value = PropertyPath> {
        let name = "[a-z][a-zA-Z0-9_]{0,6}(\\.[a-z]{1,4})?".prop_filter("not a keyword", |name| {
            !["not", "any", "contains", "startswith", "endswith"].contains(&name.as_str())
        });
        prop::collection::vec(name, 1..4).prop_map(PropertyPath)
    }

    fn literals() -> impl Strategy<Value = Literal> {
        prop_oneof![
            ".{0,8}".prop_map(Literal::Text),
            "-?[0-9]{1,6}(\\.[0-9]{1,3})?".prop_map(Literal::Number),
            any::<bool>().prop_map(Literal::Boolean),
            Just(Literal::Null),
            (0..4_000_000_000_i64, 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| Literal::Instant(
                DateTime::from_timestamp(seconds, nanos).expect("in range")
            )),
            (0..30_000_i32).prop_map(|days| Literal::Date(NaiveDate::from_epoch_days(days).expect("in range"))),
            any::<u128>().prop_map(|bits| Literal::Guid(Uuid::from_u128(bits))),
        ]
    }

    fn trees() -> impl Strategy<Value = FilterAst> {
        let leaf = prop_oneof![
            (paths(), prop::sample::select(&Comparison::ALL[..]), literals())
                .prop_map(|(path, operator, literal)| FilterAst::Compare { path, operator, literal }),
            (paths(), prop::collection::vec(literals(), 1..4))
                .prop_map(|(path, literals)| FilterAst::In { path, literals }),
            (paths(), prop::sample::select(&TextFunction::ALL[..]), ".{0,8}")
                .prop_map(|(path, function, text)| FilterAst::Call { function, path, text }),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(FilterAst::And),
                prop::collection::vec(inner.clone(), 2..4).prop_map(FilterAst::Or),
                inner.clone().prop_map(|part| FilterAst::Not(Box::new(part))),
                (paths(), "[a-z]{1,3}", inner).prop_map(|(path, variable, condition)| FilterAst::Any {
                    path,
                    variable,
                    condition: Box::new(condition)
                }),
            ]
        })
    }

    const PIECES: [&str; 15] =
        ["(", ")", "not ", "and", " or ", " eq ", "a", "/any(x:", "'", "''", "1", ",", " in ", "null", "contains("];

    proptest! {
        #[test]
        fn a_printed_tree_is_read_back_as_the_same_tree(tree in trees()) {
            match FilterAst::parse(&tree.to_string()) {
                Ok(read) => prop_assert_eq!(read, tree),
                Err(refusal) => prop_assert!(refusal.to_string().contains("more than"), "{}: {}", tree, refusal),
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,200}") {
            let _ = FilterAst::parse(&text);
        }

        #[test]
        fn no_sequence_of_tokens_makes_the_parser_panic(
            tokens in prop::collection::vec(
                prop::sample::select(&PIECES[..]),
                0..300,
            ),
        ) {
            let _ = FilterAst::parse(&tokens.concat());
        }
    }
}

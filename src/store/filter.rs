//! Filters and orders as values: checked trees over an enum of properties per collection.
//!
//! The edge makes them from `$filter` and `$orderby`; storage maps a property to a column and binds the values.
//! Nothing here is text of a request that could become text of a query.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::{decision::Verdict, ids::ItemSeq, recommendation::Recommendation};

/// Properties of a schedule definition that can be filtered or ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DefinitionProperty {
    Id,
    Status,
    DisplayName,
    CreatedDateTime,
    LastModifiedDateTime,
    /// `createdBy/id`
    CreatorId,
    /// The query text as sent; null where the scope is of another type than `accessReviewQueryScope`. A-10
    ScopeQuery,
}

/// Properties of an instance that can be filtered or ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstanceProperty {
    Id,
    Status,
    StartDateTime,
    EndDateTime,
    /// The query text in its one spelling; null where the scope is of another type than `accessReviewQueryScope`. A-10
    ScopeQuery,
}

/// Properties of a stage that can be filtered or ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StageProperty {
    Id,
    Status,
    StartDateTime,
    EndDateTime,
}

/// Properties of a decision item that can be filtered or ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecisionProperty {
    Id,
    Decision,
    ApplyResult,
    Recommendation,
    /// `principal/id`
    PrincipalId,
    /// `principal/displayName`
    PrincipalName,
    /// `resource/id`: the same for all items of an instance.
    ResourceId,
    /// `reviewedBy/id`: the zero UUID where nobody decided.
    ReviewerId,
    /// Null where nobody decided.
    ReviewedDateTime,
}

/// What became of a decision in the directory. Section 5.1 of the model
pub const APPLY_RESULTS: [&str; 5] = [
    "New",
    "AppliedSuccessfully",
    "AppliedWithUnknownFailure",
    "AppliedSuccessfullyButObjectNotFound",
    "ApplyNotSupported",
];

impl DecisionProperty {
    /// The words of a closed set in ascending order; `None` for other properties.
    pub fn members(self) -> Option<Vec<&'static str>> {
        let mut members = match self {
            Self::Decision => Verdict::ALL.map(Verdict::as_str).to_vec(),
            Self::Recommendation => Recommendation::ALL.map(Recommendation::as_str).to_vec(),
            Self::ApplyResult => APPLY_RESULTS.to_vec(),
            Self::Id
            | Self::PrincipalId
            | Self::PrincipalName
            | Self::ResourceId
            | Self::ReviewerId
            | Self::ReviewedDateTime => return None,
        };
        members.sort_unstable();
        Some(members)
    }
}

impl FilterExpression<DecisionProperty> {
    /// Whether it can only be answered by looking at every item, some of whose properties no index knows, and nothing in it
    /// narrows the items down before.
    pub fn looks_at_every_item(&self) -> bool {
        let unknown =
            |property| matches!(property, DecisionProperty::PrincipalName | DecisionProperty::ReviewedDateTime);
        match self {
            Self::And(parts) => parts.iter().any(Self::looks_at_every_item) && !parts.iter().any(Self::names_few_items),
            Self::Or(parts) => parts.iter().any(Self::looks_at_every_item),
            Self::Not(part) => part.looks_at_every_item(),
            Self::Compare { property, .. } | Self::In { property, .. } | Self::IsNull(property) => unknown(*property),
            Self::Constant(_) => false,
        }
    }

    fn names_few_items(&self) -> bool {
        let named = |property| {
            matches!(property, DecisionProperty::Id | DecisionProperty::PrincipalId | DecisionProperty::ReviewerId)
        };
        match self {
            Self::And(parts) => parts.iter().any(Self::names_few_items),
            Self::Or(parts) => parts.iter().all(Self::names_few_items),
            Self::Compare { property, operator: FilterOperator::Equal, value } => {
                named(*property) && *value != FilterValue::Id(Uuid::nil())
            }
            Self::In { property, values } => named(*property) && !values.contains(&FilterValue::Id(Uuid::nil())),
            Self::Constant(holds) => !holds,
            Self::Compare { .. } | Self::IsNull(_) | Self::Not(_) => false,
        }
    }
}

/// Properties of a contacted reviewer that can be filtered or ordered by. Section 4.3 of the model
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContactedReviewerProperty {
    Id,
    DisplayName,
    UserPrincipalName,
    CreatedDateTime,
}

/// Properties of a history definition that can be filtered or ordered by. Section 7.1 of the model
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HistoryDefinitionProperty {
    Id,
    Status,
    DisplayName,
    CreatedDateTime,
}

/// Properties of a history instance that can be filtered or ordered by. Section 7.2 of the model
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HistoryInstanceProperty {
    Id,
    Status,
    RunDateTime,
}

/// For collections that offer neither filters nor orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoProperty {}

/// How a property is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FilterOperator {
    Equal,
    NotEqual,
    GreaterThan,
    GreaterOrEqual,
    LessThan,
    LessOrEqual,
    /// The value occurs somewhere in the property's text.
    Contains,
    StartsWith,
    EndsWith,
}

/// A value that a property is compared with, or that a property has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterValue {
    /// One of a closed set of words, such as a status; compared exactly.
    Member(&'static str),
    /// Free text; compared without regard to case.
    Text(String),
    /// An id.
    Id(Uuid),
    /// A moment. UTC.
    Instant(DateTime<Utc>),
    /// A decision item's place in its instance, which storage keeps instead of the item's id.
    Sequence(ItemSeq),
    /// What a property has that has no value. Nothing is compared with it: that is [`FilterExpression::IsNull`].
    Null,
}

/// A condition over the properties `P` of one collection. OData's logic of three values: a text function of null is neither
/// true nor false, a comparison with null is one of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterExpression<P> {
    /// True when every part is; at least two parts.
    And(Vec<Self>),
    /// True when some part is; at least two parts.
    Or(Vec<Self>),
    Not(Box<Self>),
    Compare {
        property: P,
        operator: FilterOperator,
        value: FilterValue,
    },
    /// The property has one of the values; at least one.
    In {
        property: P,
        values: Vec<FilterValue>,
    },
    /// The property has no value.
    IsNull(P),
    /// Holds, or does not, whatever the object: a comparison of a property that is never null with `null`.
    Constant(bool),
}

impl<P: Copy> FilterExpression<P> {
    /// Whether an object fulfils the condition; `value_of` tells the object's properties.
    ///
    /// For collections small enough to be filtered in memory, and as the oracle for the SQL of the others.
    pub fn matches(&self, value_of: &impl Fn(P) -> FilterValue) -> bool {
        self.evaluate(value_of) == Some(true)
    }

    /// `None` is neither true nor false.
    fn evaluate(&self, value_of: &impl Fn(P) -> FilterValue) -> Option<bool> {
        match self {
            Self::And(parts) => joined(parts.iter().map(|part| part.evaluate(value_of)), false),
            Self::Or(parts) => joined(parts.iter().map(|part| part.evaluate(value_of)), true),
            Self::Not(part) => part.evaluate(value_of).map(|holds| !holds),
            Self::Compare { property, operator, value } => value_of(*property).satisfies(*operator, value),
            Self::In { property, values } => {
                let actual = value_of(*property);
                Some(values.iter().any(|value| actual.order(value) == Some(Ordering::Equal)))
            }
            Self::IsNull(property) => Some(value_of(*property) == FilterValue::Null),
            Self::Constant(holds) => Some(*holds),
        }
    }

    /// The same condition with each comparison, list of values and test for null replaced by what `leaf` makes of it.
    #[must_use]
    pub fn map_leaves(self, leaf: &impl Fn(Self) -> Self) -> Self {
        let all = |parts: Vec<Self>| parts.into_iter().map(|part| part.map_leaves(leaf)).collect();
        match self {
            Self::And(parts) => Self::And(all(parts)),
            Self::Or(parts) => Self::Or(all(parts)),
            Self::Not(part) => Self::Not(Box::new(part.map_leaves(leaf))),
            Self::Constant(holds) => Self::Constant(holds),
            other @ (Self::Compare { .. } | Self::In { .. } | Self::IsNull(_)) => leaf(other),
        }
    }
}

/// One part that is `decisive` decides; else one that is neither leaves the whole open.
fn joined(parts: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut whole = Some(!decisive);
    for part in parts {
        match part {
            Some(holds) if holds == decisive => return Some(decisive),
            Some(_) => {}
            None => whole = None,
        }
    }
    whole
}

impl FilterValue {
    /// Whether `self operator other` holds. Values of different kinds are unequal and unordered.
    fn satisfies(&self, operator: FilterOperator, other: &Self) -> Option<bool> {
        use FilterOperator::*;
        match operator {
            Equal => Some(self.order(other) == Some(Ordering::Equal)),
            NotEqual => Some(self.order(other) != Some(Ordering::Equal)),
            GreaterThan => Some(self.order(other).is_some_and(Ordering::is_gt)),
            GreaterOrEqual => Some(self.order(other).is_some_and(Ordering::is_ge)),
            LessThan => Some(self.order(other).is_some_and(Ordering::is_lt)),
            LessOrEqual => Some(self.order(other).is_some_and(Ordering::is_le)),
            Contains => self.compare_texts(other, |text, part| text.contains(part)),
            StartsWith => self.compare_texts(other, |text, part| text.starts_with(part)),
            EndsWith => self.compare_texts(other, |text, part| text.ends_with(part)),
        }
    }

    fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Member(left), Self::Member(right)) => Some(left.cmp(right)),
            (Self::Text(left), Self::Text(right)) => Some(left.to_lowercase().cmp(&right.to_lowercase())),
            (Self::Id(left), Self::Id(right)) => Some(left.cmp(right)),
            (Self::Instant(left), Self::Instant(right)) => Some(left.cmp(right)),
            (Self::Sequence(left), Self::Sequence(right)) => Some(left.cmp(right)),
            (Self::Member(_) | Self::Text(_) | Self::Id(_) | Self::Instant(_) | Self::Sequence(_) | Self::Null, _) => {
                None
            }
        }
    }

    fn compare_texts(&self, other: &Self, holds: impl Fn(&str, &str) -> bool) -> Option<bool> {
        match (self, other) {
            (Self::Text(text), Self::Text(part)) => Some(holds(&text.to_lowercase(), &part.to_lowercase())),
            (Self::Null, _) => None,
            (Self::Text(_) | Self::Member(_) | Self::Id(_) | Self::Instant(_) | Self::Sequence(_), _) => Some(false),
        }
    }

    /// The place in an ascending order: null before everything. Section 2 of the OData digest
    pub fn sort(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Less,
            (_, Self::Null) => Ordering::Greater,
            _ => self.order(other).unwrap_or(Ordering::Equal),
        }
    }
}

/// One criterion of an order. The key of the collection is always the last criterion and is not written here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderBy<P> {
    pub property: P,
    pub descending: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(operator: FilterOperator, value: &str) -> FilterExpression<DefinitionProperty> {
        FilterExpression::Compare {
            property: DefinitionProperty::DisplayName,
            operator,
            value: FilterValue::Text(value.to_owned()),
        }
    }

    fn finance(property: DefinitionProperty) -> FilterValue {
        match property {
            DefinitionProperty::Status => FilterValue::Member("InProgress"),
            DefinitionProperty::DisplayName => FilterValue::Text("Übersicht Finance".to_owned()),
            DefinitionProperty::CreatedDateTime | DefinitionProperty::LastModifiedDateTime => {
                FilterValue::Instant(DateTime::UNIX_EPOCH)
            }
            DefinitionProperty::Id | DefinitionProperty::CreatorId => FilterValue::Id(Uuid::nil()),
            DefinitionProperty::ScopeQuery => FilterValue::Null,
        }
    }

    #[test]
    fn free_text_is_compared_without_regard_to_case() {
        assert!(name(FilterOperator::Equal, "übersicht FINANCE").matches(&finance));
        assert!(name(FilterOperator::StartsWith, "ÜBER").matches(&finance));
        assert!(name(FilterOperator::Contains, "SICHT f").matches(&finance));
        assert!(!name(FilterOperator::EndsWith, "sales").matches(&finance));
    }

    #[test]
    fn members_are_compared_exactly() {
        let status = |value| FilterExpression::Compare {
            property: DefinitionProperty::Status,
            operator: FilterOperator::Equal,
            value: FilterValue::Member(value),
        };
        assert!(status("InProgress").matches(&finance));
        assert!(!status("inprogress").matches(&finance));
    }

    #[test]
    fn moments_are_ordered() {
        let created = |operator| FilterExpression::Compare {
            property: DefinitionProperty::CreatedDateTime,
            operator,
            value: FilterValue::Instant(DateTime::UNIX_EPOCH),
        };
        assert!(created(FilterOperator::GreaterOrEqual).matches(&finance));
        assert!(created(FilterOperator::LessOrEqual).matches(&finance));
        assert!(!created(FilterOperator::GreaterThan).matches(&finance));
        assert!(!created(FilterOperator::LessThan).matches(&finance));
        assert!(!created(FilterOperator::NotEqual).matches(&finance));
    }
    /// Section 3 of the OData digest, A-10
    #[test]
    fn a_text_function_of_null_is_neither_true_nor_false_and_a_comparison_with_null_is_one_of_both() {
        let query = |operator| FilterExpression::Compare {
            property: DefinitionProperty::ScopeQuery,
            operator,
            value: FilterValue::Text("/groups".to_owned()),
        };
        let not = |part| FilterExpression::Not(Box::new(part));
        let contains = || query(FilterOperator::Contains);

        assert!(!contains().matches(&finance));
        assert!(!not(contains()).matches(&finance));
        assert!(FilterExpression::Or(vec![contains(), FilterExpression::Constant(true)]).matches(&finance));
        assert!(not(FilterExpression::And(vec![contains(), FilterExpression::Constant(false)])).matches(&finance));
        assert!(!query(FilterOperator::Equal).matches(&finance));
        assert!(not(query(FilterOperator::Equal)).matches(&finance));
        assert!(query(FilterOperator::NotEqual).matches(&finance));
        assert!(!query(FilterOperator::GreaterOrEqual).matches(&finance));
        assert!(FilterExpression::IsNull(DefinitionProperty::ScopeQuery).matches(&finance));
        assert!(!FilterExpression::IsNull(DefinitionProperty::Status).matches(&finance));
    }
    #[test]
    fn what_no_index_knows_looks_at_every_item_unless_something_narrows_it_down() {
        type Filter = FilterExpression<DecisionProperty>;
        let leaf = |property, operator, value| Filter::Compare { property, operator, value };
        let name =
            || leaf(DecisionProperty::PrincipalName, FilterOperator::Contains, FilterValue::Text("a".to_owned()));
        let principal = |operator| leaf(DecisionProperty::PrincipalId, operator, FilterValue::Id(Uuid::from_u128(1)));
        let verdict = || leaf(DecisionProperty::Decision, FilterOperator::Equal, FilterValue::Member("Deny"));
        let nobody = leaf(DecisionProperty::ReviewerId, FilterOperator::Equal, FilterValue::Id(Uuid::nil()));
        let equal = FilterOperator::Equal;

        assert!(name().looks_at_every_item());
        assert!(Filter::Not(Box::new(name())).looks_at_every_item());
        assert!(Filter::IsNull(DecisionProperty::ReviewedDateTime).looks_at_every_item());
        assert!(Filter::And(vec![name(), verdict()]).looks_at_every_item());
        assert!(Filter::And(vec![name(), nobody]).looks_at_every_item());
        assert!(Filter::And(vec![name(), principal(FilterOperator::NotEqual)]).looks_at_every_item());
        assert!(Filter::Or(vec![name(), principal(equal)]).looks_at_every_item());
        assert!(!verdict().looks_at_every_item());
        assert!(!Filter::And(vec![name(), principal(equal)]).looks_at_every_item());
        let or = Filter::Or(vec![principal(equal), principal(equal)]);
        assert!(!Filter::And(vec![name(), or]).looks_at_every_item());
    }
}

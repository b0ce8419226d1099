//! Filters and orders as values: checked trees over an enum of properties per collection.
//!
//! The edge makes them from `$filter` and `$orderby`; storage maps a property to a column and binds the values.
//! Nothing here is text of a request that could become text of a query.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Properties of a schedule definition that can be filtered or ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DefinitionProperty {
    Status,
    DisplayName,
    CreatedDateTime,
}

/// Properties of an instance that can be filtered or ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstanceProperty {
    Status,
    StartDateTime,
    EndDateTime,
}

/// Properties of a stage that can be filtered or ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StageProperty {
    Status,
    StartDateTime,
    EndDateTime,
}

/// Properties of a decision item that can be filtered or ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecisionProperty {
    Decision,
    ApplyResult,
    Recommendation,
}

/// Properties of a contacted reviewer that can be filtered or ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContactedReviewerProperty {
    Id,
    DisplayName,
    UserPrincipalName,
    CreatedDateTime,
}

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
}

/// A condition over the properties `P` of one collection. All properties compared in it always have a value.
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
    /// Holds, or does not, whatever the object: a comparison of a property that is never null with `null`.
    Constant(bool),
}

impl<P: Copy> FilterExpression<P> {
    /// Whether an object fulfils the condition; `value_of` tells the object's properties.
    ///
    /// For collections small enough to be filtered in memory, and as the oracle for the SQL of the others.
    pub fn matches(&self, value_of: &impl Fn(P) -> FilterValue) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.matches(value_of)),
            Self::Or(parts) => parts.iter().any(|part| part.matches(value_of)),
            Self::Not(part) => !part.matches(value_of),
            Self::Compare { property, operator, value } => value_of(*property).satisfies(*operator, value),
            Self::In { property, values } => {
                let actual = value_of(*property);
                values.iter().any(|value| actual.satisfies(FilterOperator::Equal, value))
            }
            Self::Constant(holds) => *holds,
        }
    }
}

impl FilterValue {
    /// Whether `self operator other` holds. Values of different kinds are unequal and unordered.
    fn satisfies(&self, operator: FilterOperator, other: &Self) -> bool {
        use FilterOperator::*;
        match operator {
            Equal => self.order(other) == Some(Ordering::Equal),
            NotEqual => self.order(other) != Some(Ordering::Equal),
            GreaterThan => self.order(other).is_some_and(Ordering::is_gt),
            GreaterOrEqual => self.order(other).is_some_and(Ordering::is_ge),
            LessThan => self.order(other).is_some_and(Ordering::is_lt),
            LessOrEqual => self.order(other).is_some_and(Ordering::is_le),
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
            (Self::Member(_) | Self::Text(_) | Self::Id(_) | Self::Instant(_), _) => None,
        }
    }

    fn compare_texts(&self, other: &Self, holds: impl Fn(&str, &str) -> bool) -> bool {
        match (self, other) {
            (Self::Text(text), Self::Text(part)) => holds(&text.to_lowercase(), &part.to_lowercase()),
            _ => false,
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
            DefinitionProperty::CreatedDateTime => FilterValue::Instant(DateTime::UNIX_EPOCH),
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
}

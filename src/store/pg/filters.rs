//! Typed filters, orders and keyset pages as SQL. Columns come from enums, values are bound; no request text becomes SQL.

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use crate::{
    domain::ids::ObjectId,
    store::filter::{FilterExpression, FilterOperator, FilterValue},
};

/// What a list is ordered by.
#[derive(Clone, Copy)]
pub(super) struct SortKey {
    /// The expression that is compared and sorted.
    pub column: &'static str,
    /// The same as text, for the continuation.
    pub text: &'static str,
    /// The type the text is read back as.
    pub cast: &'static str,
}

/// ` and (key, id) is behind the last row of the previous page`
pub(super) fn push_keyset<Id>(
    query: &mut QueryBuilder<Postgres>,
    key: SortKey,
    descending: bool,
    last_key: &str,
    id_column: &'static str,
    last_id: Id,
) where
    Id: for<'q> sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres>,
{
    let last = |query: &mut QueryBuilder<Postgres>| {
        query.push_bind(last_key.to_owned()).push("::").push(key.cast);
    };
    // The first comparison alone says nothing new; it is where an index begins to read.
    query.push(" and ").push(key.column).push(if descending { " <= " } else { " >= " });
    last(query);
    query.push(" and (").push(key.column).push(if descending { " < " } else { " > " });
    last(query);
    query.push(" or ").push(id_column).push(" > ").push_bind(last_id).push(")");
}

/// ` order by key, id`
pub(super) fn push_order(query: &mut QueryBuilder<Postgres>, key: SortKey, descending: bool, id_column: &'static str) {
    query.push(" order by ").push(key.column).push(if descending { " desc, " } else { ", " }).push(id_column);
}

/// One row more than the page holds tells whether another page follows.
pub(super) fn push_limit(query: &mut QueryBuilder<Postgres>, limit: i64, skip: i64) {
    query.push(" limit ").push_bind(limit + 1);
    if skip > 0 {
        query.push(" offset ").push_bind(skip);
    }
}

/// Cuts the extra row off and makes the continuation out of the last row that stays.
pub(super) fn slice<R, C>(mut rows: Vec<R>, limit: i64, cursor: impl Fn(&R) -> C) -> (Vec<R>, Option<C>) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if rows.len() <= limit {
        return (rows, None);
    }
    rows.truncate(limit);
    let next = rows.last().map(cursor);
    (rows, next)
}

/// ` and i is an instance in which this person reviews at least one item`
pub(super) fn push_reviewed_by(query: &mut QueryBuilder<Postgres>, tenant: Uuid, reviewer: ObjectId) {
    let mut part = |text: &'static str| {
        query.push(text).push_bind(tenant).push(" and reviewer_id = ").push_bind(reviewer.as_uuid());
    };
    part(" and i.instance_id in (select instance_id from stage_reviewers where tenant_id = ");
    part(" union all select instance_id from item_overrides where role = 'primary' and tenant_id = ");
    part(
        " union all select f.instance_id from stage_fallbacks f join stage_unassigned_cohorts u using (tenant_id, instance_id, \
         ordinal) where f.cohort in (0, u.cohort) and tenant_id = ",
    );
    // Fallback reviewers of single items whose manager went without a successor.
    part(
        " union all select f.instance_id from stage_fallbacks f where f.cohort = 0 and exists (select from item_overrides o \
         where o.tenant_id = f.tenant_id and o.instance_id = f.instance_id and o.ordinal = f.ordinal and o.role = 'primary' \
         and o.reviewer_id = '00000000-0000-0000-0000-000000000000') and f.tenant_id = ",
    );
    query.push(")");
}

/// A parenthesised condition.
pub(super) fn push_expression<P: Copy>(
    query: &mut QueryBuilder<Postgres>,
    expression: &FilterExpression<P>,
    column: &impl Fn(P) -> &'static str,
) {
    match expression {
        FilterExpression::And(parts) => push_parts(query, parts, " and ", column),
        FilterExpression::Or(parts) => push_parts(query, parts, " or ", column),
        FilterExpression::Not(part) => {
            query.push("not ");
            push_expression(query, part, column);
        }
        FilterExpression::Compare { property, operator, value } => {
            push_compare(query, column(*property), *operator, value)
        }
        FilterExpression::In { property, values } => {
            query.push("(");
            for (position, value) in values.iter().enumerate() {
                if position > 0 {
                    query.push(" or ");
                }
                push_compare(query, column(*property), FilterOperator::Equal, value);
            }
            query.push(")");
        }
        FilterExpression::Constant(holds) => {
            query.push(if *holds { "true" } else { "false" });
        }
    }
}

fn push_parts<P: Copy>(
    query: &mut QueryBuilder<Postgres>,
    parts: &[FilterExpression<P>],
    between: &'static str,
    column: &impl Fn(P) -> &'static str,
) {
    query.push("(");
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            query.push(between);
        }
        push_expression(query, part, column);
    }
    query.push(")");
}

fn push_compare(
    query: &mut QueryBuilder<Postgres>,
    column: &'static str,
    operator: FilterOperator,
    value: &FilterValue,
) {
    let comparison = match operator {
        FilterOperator::Equal => " = ",
        FilterOperator::NotEqual => " <> ",
        FilterOperator::GreaterThan => " > ",
        FilterOperator::GreaterOrEqual => " >= ",
        FilterOperator::LessThan => " < ",
        FilterOperator::LessOrEqual => " <= ",
        FilterOperator::Contains | FilterOperator::StartsWith | FilterOperator::EndsWith => " like ",
    };
    query.push("(");
    match value {
        FilterValue::Member(member) => {
            query.push(column).push(comparison).push_bind(*member);
        }
        FilterValue::Text(text) => {
            let pattern = match operator {
                FilterOperator::Contains => format!("%{}%", escaped(text)),
                FilterOperator::StartsWith => format!("{}%", escaped(text)),
                FilterOperator::EndsWith => format!("%{}", escaped(text)),
                FilterOperator::Equal
                | FilterOperator::NotEqual
                | FilterOperator::GreaterThan
                | FilterOperator::GreaterOrEqual
                | FilterOperator::LessThan
                | FilterOperator::LessOrEqual => text.clone(),
            };
            query.push("lower(").push(column).push(")").push(comparison).push("lower(").push_bind(pattern).push(")");
        }
        FilterValue::Id(id) => {
            query.push(column).push(comparison).push_bind(*id);
        }
        FilterValue::Instant(at) => {
            query.push(column).push(comparison).push_bind(*at);
        }
    }
    query.push(")");
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

//! Typed filters, orders and keyset pages as SQL. Columns come from enums, values are bound; no request text becomes SQL.

use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use crate::{
    domain::ids::ObjectId,
    store::{
        CursorKeys,
        filter::{FilterExpression, FilterOperator, FilterValue, OrderBy},
    },
};

/// A property as SQL.
#[derive(Clone, Copy)]
pub(super) struct Column {
    /// The expression that is compared and sorted.
    pub sql: &'static str,
    /// Its type, which a sort key out of a continuation is read back as.
    pub kind: &'static str,
    pub nullable: bool,
}

impl Column {
    pub(super) const fn text(sql: &'static str) -> Self {
        Self { sql, kind: "text", nullable: false }
    }

    pub(super) const fn instant(sql: &'static str) -> Self {
        Self { sql, kind: "timestamptz", nullable: false }
    }

    pub(super) const fn id(sql: &'static str) -> Self {
        Self { sql, kind: "uuid", nullable: false }
    }

    pub(super) const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }
}

/// One key of an order; the collection's id always comes last and is not among them.
#[derive(Clone, Copy)]
pub(super) struct SortKey {
    pub column: Column,
    pub descending: bool,
}

/// The order asked for, or the collection's own.
pub(super) fn sort_keys<P: Copy>(order: &[OrderBy<P>], column: impl Fn(P) -> Column, own: &[SortKey]) -> Vec<SortKey> {
    match order {
        [] => own.to_vec(),
        asked => {
            asked.iter().map(|order| SortKey { column: column(order.property), descending: order.descending }).collect()
        }
    }
}

/// `array[key::text, …] as sort_keys`, which makes the continuation.
pub(super) fn push_sort_keys(query: &mut QueryBuilder<Postgres>, keys: &[SortKey]) {
    query.push("array[");
    for (position, key) in keys.iter().enumerate() {
        query.push(if position > 0 { ", " } else { "" }).push(key.column.sql).push("::text");
    }
    query.push("]::text[] as sort_keys");
}

/// ` and (keys, id) is behind the last row of the previous page`. Null sorts before everything (section 2 of the OData
/// digest).
pub(super) fn push_keyset<Id>(
    query: &mut QueryBuilder<Postgres>,
    keys: &[SortKey],
    last: &CursorKeys,
    id_column: &'static str,
    last_id: Id,
) where
    Id: for<'q> sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres>,
{
    let keys: Vec<(SortKey, Option<&str>)> =
        keys.iter().enumerate().map(|(position, key)| (*key, last.get(position).and_then(Option::as_deref))).collect();
    // This comparison alone says nothing new; it is where an index begins to read.
    if let Some((key @ SortKey { column: Column { nullable: false, .. }, .. }, Some(value))) = keys.first().copied() {
        query.push(" and ").push(key.column.sql).push(if key.descending { " <= " } else { " >= " });
        push_key(query, key, value);
    }
    query.push(" and (");
    for behind in 0..keys.len() {
        for (key, value) in &keys[..behind] {
            push_same(query, *key, *value);
            query.push(" and ");
        }
        push_behind(query, keys[behind].0, keys[behind].1);
        query.push(" or ");
    }
    for (key, value) in &keys {
        push_same(query, *key, *value);
        query.push(" and ");
    }
    query.push(id_column).push(" > ").push_bind(last_id).push(")");
}

fn push_key(query: &mut QueryBuilder<Postgres>, key: SortKey, value: &str) {
    query.push_bind(value.to_owned()).push("::").push(key.column.kind);
}

fn push_same(query: &mut QueryBuilder<Postgres>, key: SortKey, value: Option<&str>) {
    query.push(key.column.sql);
    match value {
        Some(value) => {
            query.push(" = ");
            push_key(query, key, value);
        }
        None => {
            query.push(" is null");
        }
    }
}

fn push_behind(query: &mut QueryBuilder<Postgres>, key: SortKey, value: Option<&str>) {
    let column = key.column;
    match (value, key.descending) {
        (None, false) => {
            query.push(column.sql).push(" is not null");
        }
        (None, true) => {
            query.push("false");
        }
        (Some(value), descending) => {
            query.push("(").push(column.sql).push(if descending { " < " } else { " > " });
            push_key(query, key, value);
            if descending && column.nullable {
                query.push(" or ").push(column.sql).push(" is null");
            }
            query.push(")");
        }
    }
}

/// ` order by keys, id`
pub(super) fn push_order(query: &mut QueryBuilder<Postgres>, keys: &[SortKey], id_column: &'static str) {
    query.push(" order by ");
    for key in keys {
        query.push(key.column.sql).push(match (key.descending, key.column.nullable) {
            (false, false) => ", ",
            (false, true) => " nulls first, ",
            (true, false) => " desc, ",
            (true, true) => " desc nulls last, ",
        });
    }
    query.push(id_column);
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

/// What a filter asks of one property.
#[derive(Clone, Copy)]
pub(super) enum Test<'a> {
    Compare(FilterOperator, &'a FilterValue),
    In(&'a [FilterValue]),
    IsNull,
}

/// A parenthesised condition; `push_leaf` writes what is asked of one property, usually with [`push_test`].
pub(super) fn push_expression<P: Copy>(
    query: &mut QueryBuilder<Postgres>,
    expression: &FilterExpression<P>,
    push_leaf: &impl Fn(&mut QueryBuilder<Postgres>, P, Test<'_>),
) {
    match expression {
        FilterExpression::And(parts) => push_parts(query, parts, " and ", push_leaf),
        FilterExpression::Or(parts) => push_parts(query, parts, " or ", push_leaf),
        FilterExpression::Not(part) => {
            query.push("not ");
            push_expression(query, part, push_leaf);
        }
        FilterExpression::Compare { property, operator, value } => {
            push_leaf(query, *property, Test::Compare(*operator, value));
        }
        FilterExpression::In { property, values } => push_leaf(query, *property, Test::In(values)),
        FilterExpression::IsNull(property) => push_leaf(query, *property, Test::IsNull),
        FilterExpression::Constant(holds) => {
            query.push(if *holds { "true" } else { "false" });
        }
    }
}

fn push_parts<P: Copy>(
    query: &mut QueryBuilder<Postgres>,
    parts: &[FilterExpression<P>],
    between: &'static str,
    push_leaf: &impl Fn(&mut QueryBuilder<Postgres>, P, Test<'_>),
) {
    query.push("(");
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            query.push(between);
        }
        push_expression(query, part, push_leaf);
    }
    query.push(")");
}

/// A parenthesised test of a column. A comparison with null is false, or true for `ne`; a text function of null is null, so that
/// neither it nor its negation holds.
pub(super) fn push_test(query: &mut QueryBuilder<Postgres>, column: Column, test: Test<'_>) {
    query.push("(");
    match test {
        Test::IsNull => {
            query.push(column.sql).push(" is null");
        }
        Test::In(values) => {
            push_membership(query, column.sql, values);
            if column.nullable {
                query.push(" and ").push(column.sql).push(" is not null");
            }
        }
        Test::Compare(operator, value) => {
            push_comparison(query, column, operator, value);
            let of_text =
                matches!(operator, FilterOperator::Contains | FilterOperator::StartsWith | FilterOperator::EndsWith);
            if column.nullable && !of_text && operator != FilterOperator::NotEqual {
                query.push(" and ").push(column.sql).push(" is not null");
            }
        }
    }
    query.push(")");
}

fn push_membership(query: &mut QueryBuilder<Postgres>, column: &'static str, values: &[FilterValue]) {
    let (mut members, mut ids, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    let (mut instants, mut sequences) = (Vec::new(), Vec::new());
    for value in values {
        match value {
            FilterValue::Member(member) => members.push((*member).to_owned()),
            FilterValue::Id(id) => ids.push(*id),
            FilterValue::Text(text) => texts.push(text.clone()),
            FilterValue::Instant(at) => instants.push(*at),
            FilterValue::Sequence(seq) => sequences.push(*seq),
            FilterValue::Null => {}
        }
    }
    query.push("(false");
    if !members.is_empty() {
        query.push(" or ").push(column).push(" = any(").push_bind(members).push(")");
    }
    if !ids.is_empty() {
        query.push(" or ").push(column).push(" = any(").push_bind(ids).push(")");
    }
    if !instants.is_empty() {
        query.push(" or ").push(column).push(" = any(").push_bind(instants).push(")");
    }
    if !sequences.is_empty() {
        query.push(" or ").push(column).push(" = any(").push_bind(sequences).push(")");
    }
    for text in texts {
        query.push(" or lower(").push(column).push(") = lower(").push_bind(text).push(")");
    }
    query.push(")");
}

fn push_comparison(query: &mut QueryBuilder<Postgres>, column: Column, operator: FilterOperator, value: &FilterValue) {
    let comparison = match operator {
        FilterOperator::Equal => " = ",
        FilterOperator::NotEqual if column.nullable => " is distinct from ",
        FilterOperator::NotEqual => " <> ",
        FilterOperator::GreaterThan => " > ",
        FilterOperator::GreaterOrEqual => " >= ",
        FilterOperator::LessThan => " < ",
        FilterOperator::LessOrEqual => " <= ",
        FilterOperator::Contains | FilterOperator::StartsWith | FilterOperator::EndsWith => " like ",
    };
    let column = column.sql;
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
        FilterValue::Sequence(seq) => {
            query.push(column).push(comparison).push_bind(*seq);
        }
        FilterValue::Null => {
            query.push(column).push(" is null");
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

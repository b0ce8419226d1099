//! What every list is asked for and what it answers.

use std::cmp::Ordering;

use crate::store::{
    Page, Slice,
    filter::{FilterExpression, FilterValue, OrderBy},
};

/// What a list is asked for.
#[derive(Clone, Debug)]
pub struct ListRequest<P, C> {
    pub expression: Option<FilterExpression<P>>,
    /// Without the key, which always comes last. Empty: the collection's own order.
    pub order: Vec<OrderBy<P>>,
    /// `None` when only the number of rows is wanted.
    pub page: Option<Page<C>>,
    /// Whether the rows over all pages are counted.
    pub count: bool,
}

impl<P, C> ListRequest<P, C> {
    /// The first rows in the collection's own order.
    pub fn first(limit: i64) -> Self {
        let page = Page { limit, skip: 0, after: None };
        Self { expression: None, order: Vec::new(), page: Some(page), count: false }
    }
}

/// A page and, when asked for, the rows over all pages.
#[derive(Clone, Debug)]
pub struct Listed<T, C> {
    pub slice: Slice<T, C>,
    pub count: Option<i64>,
}

impl<T, C> Listed<T, C> {
    /// A list with nothing in it, for a caller who cannot have anything of his own. A-01
    pub(super) fn empty(count: bool) -> Self {
        Self { slice: Slice::empty(), count: count.then_some(0) }
    }

    /// The same list of other rows.
    pub fn map<U>(self, row: impl FnMut(T) -> U) -> Listed<U, C> {
        let Self { slice: Slice { rows, next }, count } = self;
        Listed { slice: Slice { rows: rows.into_iter().map(row).collect(), next }, count }
    }
}

/// The place in a list that is at hand as a whole: rows before it.
pub type Position = usize;

/// Filters, orders and pages rows that are all at hand, for collections that are small by nature. `value_of` tells a row's
/// properties.
pub fn list_in_memory<T, P: Copy>(
    mut rows: Vec<T>,
    request: &ListRequest<P, Position>,
    value_of: impl Fn(&T, P) -> FilterValue,
) -> Listed<T, Position> {
    if let Some(expression) = &request.expression {
        rows.retain(|row| expression.matches(&|property| value_of(row, property)));
    }
    // A stable sort: rows that are equal stay in the collection's own order.
    rows.sort_by(|left, right| {
        let ordering = |order: &OrderBy<P>| {
            let ordering = value_of(left, order.property).sort(&value_of(right, order.property));
            if order.descending { ordering.reverse() } else { ordering }
        };
        request.order.iter().map(ordering).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
    });
    let count = request.count.then(|| i64::try_from(rows.len()).unwrap_or(i64::MAX));
    let Some(page) = &request.page else { return Listed { slice: Slice::empty(), count } };
    let first = page.after.unwrap_or(usize::try_from(page.skip).unwrap_or(usize::MAX));
    let end = first.saturating_add(usize::try_from(page.limit).unwrap_or(usize::MAX));
    let next = (end < rows.len()).then_some(end);
    rows.truncate(end);
    let rows = rows.into_iter().skip(first).collect();
    Listed { slice: Slice { rows, next }, count }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::filter::FilterOperator;

    #[derive(Clone, Copy)]
    enum Property {
        Letter,
        Name,
    }

    type Row = (&'static str, Option<&'static str>);

    const ROWS: [Row; 5] = [("B", Some("x")), ("A", None), ("B", None), ("A", Some("Y")), ("B", Some("a"))];

    fn listed(request: &ListRequest<Property, Position>) -> Listed<Row, Position> {
        list_in_memory(ROWS.to_vec(), request, |row, property| match property {
            Property::Letter => FilterValue::Member(row.0),
            Property::Name => row.1.map_or(FilterValue::Null, |name| FilterValue::Text(name.to_owned())),
        })
    }

    fn by(keys: &[(Property, bool)]) -> ListRequest<Property, Position> {
        let order = keys.iter().map(|(property, descending)| OrderBy { property: *property, descending: *descending });
        ListRequest { order: order.collect(), ..ListRequest::first(10) }
    }

    #[test]
    fn several_keys_order_one_after_the_other_and_null_comes_before_everything() {
        let names = |request| listed(&request).slice.rows;
        assert_eq!(names(by(&[])), ROWS);
        assert_eq!(
            names(by(&[(Property::Letter, false), (Property::Name, true)])),
            [("A", Some("Y")), ("A", None), ("B", Some("x")), ("B", Some("a")), ("B", None)]
        );
        assert_eq!(
            names(by(&[(Property::Name, false), (Property::Letter, true)])),
            [("B", None), ("A", None), ("B", Some("a")), ("B", Some("x")), ("A", Some("Y"))]
        );
    }

    #[test]
    fn pages_follow_each_other_and_the_last_one_says_so() {
        let mut request = by(&[(Property::Letter, false)]);
        request.expression = Some(FilterExpression::Compare {
            property: Property::Letter,
            operator: FilterOperator::Equal,
            value: FilterValue::Member("B"),
        });
        request.count = true;
        request.page = Some(Page { limit: 2, skip: 0, after: None });
        let first = listed(&request);
        assert_eq!((first.slice.rows.len(), first.slice.next, first.count), (2, Some(2), Some(3)));
        request.page = Some(Page { limit: 2, skip: 0, after: first.slice.next });
        let last = listed(&request);
        assert_eq!((last.slice.rows, last.slice.next), (vec![("B", Some("a"))], None));
        request.page = Some(Page { limit: 2, skip: 3, after: None });
        assert_eq!(listed(&request).slice.rows, []);
        request.page = None;
        assert_eq!((listed(&request).slice.rows, listed(&request).count), (vec![], Some(3)));
    }
}

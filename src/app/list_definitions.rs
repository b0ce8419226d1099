//! DEF-LIST, DEF-MINE

use super::{
    Call, Refused, Services,
    access::{Sight, authorize},
};
use crate::{
    domain::{
        authorization::{CallerKind, Operation, Relation, ReviewKind, require_permission},
        definition::Definition,
    },
    store::{
        DefinitionCursor, DefinitionFilter, Page, Slice,
        filter::{DefinitionProperty, FilterExpression, OrderBy},
    },
};

/// Which list of definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefinitionList {
    /// Everything the caller may read. DEF-LIST
    All,
    /// Those in which he reviews at least one item. DEF-MINE
    Mine,
}

/// What a list is asked for.
#[derive(Clone, Debug)]
pub struct ListRequest<P, C> {
    pub expression: Option<FilterExpression<P>>,
    pub order: Option<OrderBy<P>>,
    pub page: Page<C>,
    /// Whether the rows over all pages are counted.
    pub count: bool,
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
        Self { slice: Slice { rows: Vec::new(), next: None }, count: count.then_some(0) }
    }
}

/// A page of definitions.
pub async fn list_definitions(
    services: &Services,
    call: &Call,
    list: DefinitionList,
    request: &ListRequest<DefinitionProperty, DefinitionCursor>,
) -> Result<Listed<Definition, DefinitionCursor>, Refused> {
    let caller = &call.caller;
    require_permission(caller)?;
    let me = caller.identity.id;
    let mut filter = DefinitionFilter {
        expression: request.expression.clone(),
        order: request.order,
        ..DefinitionFilter::default()
    };
    let mut uow = services.begin(call.tenant()).await?;
    match list {
        DefinitionList::Mine => {
            authorize(caller, Operation::DefinitionMine, ReviewKind::GroupOrApplication, &Relation::default())?;
            if caller.kind == CallerKind::Application {
                return Ok(Listed::empty(request.count));
            }
            filter.reviewed_by = Some(me);
        }
        DefinitionList::All => {
            let own = DefinitionFilter { created_by: Some(me), ..DefinitionFilter::default() };
            let readable = caller.readable_kinds();
            if readable.contains(&ReviewKind::GroupOrApplication) {
                authorize(caller, Operation::DefinitionList, ReviewKind::GroupOrApplication, &Relation::default())?;
            } else if readable.contains(&ReviewKind::RoleAssignableGroup) {
                authorize(caller, Operation::DefinitionList, ReviewKind::RoleAssignableGroup, &Relation::default())?;
                filter.role_assignable_or_created_by = Some(me);
            } else {
                let is_creator = uow.definitions().count(&own).await? > 0;
                let relation = Relation { is_creator, ..Relation::default() };
                let sight = authorize(caller, Operation::DefinitionList, ReviewKind::GroupOrApplication, &relation)?;
                if sight == Sight::OwnOnly {
                    filter.created_by = Some(me);
                }
            }
        }
    }
    let slice = uow.definitions().page(&filter, &request.page).await?;
    let count = if request.count { Some(uow.definitions().count(&filter).await?) } else { None };
    Ok(Listed { slice, count })
}

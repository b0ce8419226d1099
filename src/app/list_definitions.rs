//! DEF-LIST, DEF-MINE

use super::{
    Call, Refused, Services,
    access::{Sight, authorize},
    listing::{ListRequest, Listed},
};
use crate::{
    domain::{
        authorization::{CallerKind, Operation, Relation, ReviewKind, require_permission},
        definition::Definition,
    },
    store::{DefinitionCursor, DefinitionFilter, Plans, Slice, filter::DefinitionProperty},
};

/// Which list of definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefinitionList {
    /// Everything the caller may read. DEF-LIST
    All,
    /// Those in which he reviews at least one item. DEF-MINE
    Mine,
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
        order: request.order.clone(),
        ..DefinitionFilter::default()
    };
    let plans = match list {
        DefinitionList::All if request.expression.is_some() => Plans::AnewForPage,
        DefinitionList::All | DefinitionList::Mine => Plans::Anew,
    };
    let mut uow = services.begin_with(call.tenant(), plans).await?;
    match list {
        DefinitionList::Mine => {
            authorize(caller, Operation::DefinitionMine, ReviewKind::GroupOrApplication, &Relation::default())?;
            if caller.kind == CallerKind::Application {
                return Ok(Listed::empty(request.count));
            }
            filter.reviewed_by = Some(me);
        }
        DefinitionList::All => {
            let readable = caller.readable_kinds();
            let narrowed = !readable.contains(&ReviewKind::GroupOrApplication);
            let owns_group = narrowed && uow.review_settings().lets_review(me, None).await?;
            filter.or_of_group_owned_by = owns_group.then_some(me);
            let own = DefinitionFilter { created_by: Some(me), ..DefinitionFilter::default() };
            if readable.contains(&ReviewKind::GroupOrApplication) {
                authorize(caller, Operation::DefinitionList, ReviewKind::GroupOrApplication, &Relation::default())?;
            } else if readable.contains(&ReviewKind::RoleAssignableGroup) {
                authorize(caller, Operation::DefinitionList, ReviewKind::RoleAssignableGroup, &Relation::default())?;
                filter.role_assignable_or_created_by = Some(me);
            } else {
                let is_creator = !owns_group && uow.definitions().count(&own).await? > 0;
                let relation = Relation { is_creator, owns_group, ..Relation::default() };
                let sight = authorize(caller, Operation::DefinitionList, ReviewKind::GroupOrApplication, &relation)?;
                if sight == Sight::OwnOnly {
                    filter.created_by = Some(me);
                }
            }
        }
    }
    let slice = match &request.page {
        Some(page) => uow.definitions().page(&filter, page).await?,
        None => Slice::empty(),
    };
    let count = if request.count { Some(uow.definitions().count(&filter).await?) } else { None };
    Ok(Listed { slice, count })
}

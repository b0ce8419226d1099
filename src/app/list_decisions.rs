//! DEC-LIST, DEC-MINE, STAGE-DEC-LIST, STAGE-DEC-MINE

use super::{
    Call, Refused, Services,
    access::{self, StagePath},
    listing::{ListRequest, Listed},
};
use crate::{
    domain::{
        authorization::{CallerKind, Operation, Relation, require_permission},
        ids::{DefinitionId, InstanceId},
        instance::{Instance, ReviewedInstance},
        stage::StageOrdinal,
    },
    store::{
        ItemCursor, ItemFilter, ItemRow, ItemView, Page, Slice, StageReach, UnitOfWork,
        filter::{DecisionProperty, FilterExpression, FilterOperator, FilterValue},
        frequent_reads::FoundPage,
    },
};

/// Which list of decision items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionList {
    /// Everything, for roles that read.
    All,
    /// Those the caller reviews.
    Mine,
}

/// A page of decision items and the instance they belong to.
pub type DecisionPage = (ReviewedInstance, Listed<ItemRow, ItemCursor>);

/// A page of an instance's items: with the effective decisions for those who read all, masked for reviewers. Whoever shows
/// no insights asks without facts, which need not be read then. LC-STAGE-40, LC-STAGE-51
pub async fn list_decisions(
    services: &Services,
    call: &Call,
    definition: DefinitionId,
    instance: InstanceId,
    list: DecisionList,
    request: &ListRequest<DecisionProperty, ItemCursor>,
    with_facts: bool,
) -> Result<DecisionPage, Refused> {
    let operation = match list {
        DecisionList::All => Operation::DecisionList,
        DecisionList::Mine => Operation::DecisionMine,
    };
    if let Some(page) = plain_page(request)
        && let Some((found, slice)) = page_at_once(services, call, definition, instance, list, page, with_facts).await?
    {
        return Ok((found, Listed { slice, count: None }));
    }
    let mut uow = services.begin(call.tenant()).await?;
    let (found, _) = access::instance(&mut *uow, call, operation, definition, instance).await?;
    let view = match (list, call.caller.kind) {
        (DecisionList::All, _) => effective_view(&mut *uow, instance).await?,
        (DecisionList::Mine, CallerKind::Application) => return Ok((found.reviewed(), Listed::empty(request.count))),
        (DecisionList::Mine, CallerKind::User) => {
            let reaches = uow.reviewers().reaches(instance, call.caller.identity.id).await?;
            reviewer_view(&found, reaches)
        }
    };
    let listed = page(&mut *uow, &found, &view, request).await?;
    Ok((found.reviewed(), listed))
}

/// The page, when it is asked for without filter, order and number: then it is read without a unit of work.
fn plain_page(request: &ListRequest<DecisionProperty, ItemCursor>) -> Option<&Page<ItemCursor>> {
    let plain = request.expression.is_none() && request.order.is_empty() && !request.count;
    request.page.as_ref().filter(|_| plain)
}

/// The page as it can be read without a unit of work, for those who read everything by their role or review items of one stage;
/// `None` where more has to be known of the caller, or of what he reviews.
async fn page_at_once(
    services: &Services,
    call: &Call,
    definition: DefinitionId,
    instance: InstanceId,
    list: DecisionList,
    page: &Page<ItemCursor>,
    with_facts: bool,
) -> Result<Option<(ReviewedInstance, Slice<ItemRow, ItemCursor>)>, Refused> {
    require_permission(&call.caller)?;
    let kinds = call.caller.readable_kinds();
    let reviewer = match (list, call.caller.kind) {
        (DecisionList::All, _) if kinds.is_empty() => return Ok(None),
        (DecisionList::All, _) => None,
        (DecisionList::Mine, CallerKind::Application) => return Ok(None),
        (DecisionList::Mine, CallerKind::User) => Some(call.caller.identity.id),
    };
    let found = services.store.decision_page(call.tenant(), instance, reviewer, page, with_facts).await?;
    let FoundPage { instance: found, items } = found.ok_or(Refused::NotFound)?;
    let Some(items) = items.filter(|_| found.reviewed.definition_id == definition) else { return Ok(None) };
    let kind = access::kind_of_found(&found);
    match reviewer {
        None if !kinds.contains(&kind) => return Ok(None),
        None => {}
        Some(_) => {
            let relation = Relation { reviews_instance: true, ..Relation::default() };
            access::authorize(&call.caller, Operation::DecisionMine, kind, &relation)?;
        }
    }
    Ok(Some((found.reviewed, items)))
}

/// A page of a stage's items with that stage's decisions. LC-STAGE-50 to 53
pub async fn list_stage_decisions(
    services: &Services,
    call: &Call,
    path: StagePath,
    list: DecisionList,
    request: &ListRequest<DecisionProperty, ItemCursor>,
) -> Result<DecisionPage, Refused> {
    let operation = match list {
        DecisionList::All => Operation::StageDecisionList,
        DecisionList::Mine => Operation::StageDecisionMine,
    };
    let mut uow = services.begin(call.tenant()).await?;
    let access = access::stage(&mut *uow, call, operation, path).await?;
    let entry = access.stages.iter().find(|entry| entry.stage.id == path.stage).ok_or(Refused::NotFound)?.entry;
    let ordinal = access.stage.ordinal;
    let reach = match list {
        DecisionList::All => None,
        DecisionList::Mine => Some(reach_in_stage(&access.instance, access.reaches, ordinal)),
    };
    let view = ItemView::Stage { ordinal, entry, reach };
    let listed = page(&mut *uow, &access.instance, &view, request).await?;
    Ok((access.instance.reviewed(), listed))
}

/// What a reviewer sees in a stage: what he reviews there and, with histories, what he reviews later. LC-STAGE-50
pub(super) fn reach_in_stage(instance: &Instance, reaches: Vec<StageReach>, ordinal: StageOrdinal) -> Vec<StageReach> {
    let histories = instance.settings.decision_histories_for_reviewers_enabled;
    reaches.into_iter().filter(|part| part.ordinal == ordinal || histories && part.ordinal > ordinal).collect()
}

/// Every item with its effective decision. LC-STAGE-41
pub(super) async fn effective_view(uow: &mut dyn UnitOfWork, instance: InstanceId) -> Result<ItemView, Refused> {
    let highest = uow.stages().list(instance).await?.last().map_or(1, |entry| entry.stage.ordinal);
    Ok(ItemView::Effective { highest })
}

/// The items a reviewer reviews, masked to what he may know. LC-STAGE-51, LC-STAGE-52
pub(super) fn reviewer_view(instance: &Instance, reaches: Vec<StageReach>) -> ItemView {
    ItemView::Reviewer { reaches, histories: instance.settings.decision_histories_for_reviewers_enabled }
}

/// Items that are at most looked through or sorted for one page. Where an index serves, the number does not matter.
const MAX_LOOKED_THROUGH: i32 = 100_000;

/// Refuses what would look through, or sort, more items than that: on a review of a million, a page would take seconds.
fn refuse_large(
    instance: &Instance,
    view: &ItemView,
    request: &ListRequest<DecisionProperty, ItemCursor>,
) -> Result<(), Refused> {
    let few = match view {
        ItemView::Effective { .. } | ItemView::Stage { reach: None, .. } => false,
        ItemView::Stage { reach: Some(reaches), .. } | ItemView::Reviewer { reaches, .. } => {
            reaches.iter().all(|part| !part.reach.every)
        }
    };
    if few || instance.item_count <= MAX_LOOKED_THROUGH {
        return Ok(());
    }
    let count = instance.item_count;
    if request.expression.as_ref().is_some_and(FilterExpression::looks_at_every_item) {
        return Err(Refused::Unsupported {
            target: "$filter",
            message: format!(
                "principal/displayName and reviewedDateTime can be filtered by on reviews of at most {MAX_LOOKED_THROUGH} items, \
                 or together with `and` and an eq or in on id, principal/id or reviewedBy/id; this one has {count}"
            ),
        });
    }
    match request.order.as_slice() {
        [] => Ok(()),
        [order] if order.property.members().is_some() => Ok(()),
        _ => Err(Refused::Unsupported {
            target: "$orderby",
            message: format!(
                "decision, applyResult or recommendation alone can be ordered by on reviews of more than {MAX_LOOKED_THROUGH} \
                 items; this one has {count}"
            ),
        }),
    }
}

/// The condition without what is known of all items of the instance, and with places instead of the ids that are computed
/// from them.
fn resolved(expression: FilterExpression<DecisionProperty>, instance: &Instance) -> FilterExpression<DecisionProperty> {
    let sequence = |value: &FilterValue| match value {
        FilterValue::Id(id) => instance.item_prefix.seq_of(*id).map(FilterValue::Sequence),
        _ => None,
    };
    let resource = |_| FilterValue::Id(instance.resource.id.as_uuid());
    expression.map_leaves(&|leaf| match &leaf {
        FilterExpression::Compare { property: DecisionProperty::Id, operator, value } => match sequence(value) {
            Some(value) => FilterExpression::Compare { property: DecisionProperty::Id, operator: *operator, value },
            None => FilterExpression::Constant(*operator == FilterOperator::NotEqual),
        },
        FilterExpression::In { property: DecisionProperty::Id, values } => {
            let values: Vec<_> = values.iter().filter_map(sequence).collect();
            match values.is_empty() {
                true => FilterExpression::Constant(false),
                false => FilterExpression::In { property: DecisionProperty::Id, values },
            }
        }
        FilterExpression::Compare { property: DecisionProperty::ResourceId, .. }
        | FilterExpression::In { property: DecisionProperty::ResourceId, .. } => {
            FilterExpression::Constant(leaf.matches(&resource))
        }
        _ => leaf,
    })
}

async fn page(
    uow: &mut dyn UnitOfWork,
    found: &Instance,
    view: &ItemView,
    request: &ListRequest<DecisionProperty, ItemCursor>,
) -> Result<Listed<ItemRow, ItemCursor>, Refused> {
    if matches!(view, ItemView::Reviewer { reaches, .. } if reaches.is_empty()) {
        return Ok(Listed::empty(request.count));
    }
    refuse_large(found, view, request)?;
    let filter = ItemFilter {
        expression: request.expression.clone().map(|expression| resolved(expression, found)),
        order: request.order.clone(),
    };
    let slice = match &request.page {
        Some(page) => uow.items().page(found.id, view, &filter, page).await?,
        None => Slice::empty(),
    };
    let count = if request.count { Some(uow.items().count(found.id, view, &filter).await?) } else { None };
    Ok(Listed { slice, count })
}

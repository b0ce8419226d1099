//! What reviewer lists are held against when they are stored and the directory has a say. LC-REV-08, LC-REV-13

use super::Refused;
use crate::{
    domain::{
        definition::{Definition, DefinitionDraft},
        ids::{ObjectId, ReviewerListId},
        instance::ResourceKind,
        limits::ReviewLimits,
        reviewer_scope::ReviewerLists,
        violation::Violation,
    },
    store::UnitOfWork,
};

/// The lists of a draft that count, each with what its properties' paths begin with. LC-DEF-02
fn lists_in_force(draft: &DefinitionDraft) -> Vec<(String, &ReviewerLists)> {
    match draft.stages.as_slice() {
        [] => vec![(String::new(), &draft.reviewer_lists)],
        stages => {
            let lists = stages.iter().map(|stage| &stage.reviewer_lists).enumerate();
            lists.map(|(index, lists)| (format!("stageSettings[{index}]."), lists)).collect()
        }
    }
}

/// The group under review, when there is one.
fn reviewed_group(draft: &DefinitionDraft) -> Option<ObjectId> {
    let form = &draft.scope.form;
    form.resource().filter(|_| form.resource_kind() == ResourceKind::Group)
}

/// Lists of a definition that ask the owners of a group under privileged-access management and name nobody in their place.
pub(super) async fn missing_fallbacks(
    uow: &mut dyn UnitOfWork,
    draft: &DefinitionDraft,
) -> Result<Vec<Violation>, Refused> {
    missing_fallbacks_of(uow, reviewed_group(draft), &lists_in_force(draft)).await
}

/// The same of any lists; `group` is the one under review. LC-REV-08
pub(super) async fn missing_fallbacks_of(
    uow: &mut dyn UnitOfWork,
    group: Option<ObjectId>,
    lists: &[(String, &ReviewerLists)],
) -> Result<Vec<Violation>, Refused> {
    let asked: Vec<_> = lists.iter().map(|(_, lists)| lists.groups_that_need_a_fallback(group)).collect();
    let groups = asked.concat();
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let privileged = uow.directory().under_privileged_access(&groups).await?;
    let faulty = lists.iter().zip(asked).filter(|(_, asked)| asked.iter().any(|group| privileged.contains(group)));
    Ok(faulty
        .map(|((prefix, _), _)| {
            Violation::new(
                format!("{prefix}fallbackReviewers"),
                "must name somebody: the owners of a group under privileged-access management review only while they are active",
            )
        })
        .collect())
}

/// Refuses a definition that was stored a moment ago when one of its lists names more people than an item may have reviewers.
/// `sent_order` holds the ids of its stages as the client ordered them. LC-REV-13
pub(super) async fn check_sizes(
    uow: &mut dyn UnitOfWork,
    definition: &Definition,
    sent_order: &[String],
    limits: &ReviewLimits,
) -> Result<(), Refused> {
    let draft = &definition.draft;
    let lists: Vec<_> = match draft.stages.as_slice() {
        [] => vec![(String::new(), &draft.reviewer_lists, ReviewerListId::of_definition(definition.id))],
        stages => (1..)
            .zip(stages)
            .map(|(ordinal, stage)| {
                let sent = sent_order.iter().position(|id| *id == stage.stage_id).unwrap_or_default();
                let list = ReviewerListId::of_stage_settings(definition.id, ordinal);
                (format!("stageSettings[{sent}]."), &stage.reviewer_lists, list)
            })
            .collect(),
    };
    let found = sizes(uow, draft.scope.form.resource(), &lists, limits).await?;
    match found.is_empty() {
        true => Ok(()),
        false => Err(Refused::Invalid(found)),
    }
}

/// The stored lists, each with its path, that name more people now than an item may have reviewers. LC-REV-13
pub(super) async fn sizes(
    uow: &mut dyn UnitOfWork,
    resource: Option<ObjectId>,
    lists: &[(String, &ReviewerLists, ReviewerListId)],
    limits: &ReviewLimits,
) -> Result<Vec<Violation>, Refused> {
    let most = limits.reviewers_per_item;
    // Most lists name a few single people or a manager: nobody has to be asked how many these are.
    let large: Vec<_> = lists.iter().filter(|(_, lists, _)| lists.may_name_more_than(most)).collect();
    if large.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<_> = large.iter().map(|(_, _, id)| *id).collect();
    let found = uow.reviewers().named_by_more(&ids, resource, most).await?;
    Ok(found
        .into_iter()
        .filter_map(|found| {
            let (prefix, _, _) = large.get(found.position)?;
            let member = if found.fallback { "fallbackReviewers" } else { "reviewers" };
            Some(Violation::new(format!("{prefix}{member}"), limits.too_many_named(found.people)))
        })
        .collect())
}

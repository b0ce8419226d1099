//! Changing the reviewer lists of a stage, shown or hidden: the one way for STAGE-UPDATE and INST-UPDATE. LC-SUPD-04 to LC-SUPD-27

use serde_json::json;

use super::{
    Call, Refused,
    create_definition::missing_text,
    reviewer_rules::{missing_fallbacks_of, sizes},
    run_review::{about, queries},
};
use crate::{
    domain::{
        event::{Activity, Event},
        ids::ReviewerListId,
        instance::{Instance, ResourceKind},
        limits::ReviewLimits,
        mail::MailKind,
        reviewer_scope::ReviewerLists,
        stage_update::{StageUpdateRefusal, StageUpdateRequest, added_forms, check_instance, plan_stage_update},
        violation::Violation,
    },
    store::{Resolution, StageEntry, UnitOfWork},
};

impl From<StageUpdateRefusal> for Refused {
    fn from(refusal: StageUpdateRefusal) -> Self {
        match refusal {
            StageUpdateRefusal::WrongState(error) => error.into(),
            StageUpdateRefusal::DeadlinePassed(_) => Self::InvalidState(refusal.to_string()),
            StageUpdateRefusal::FallbackRemoved(_) => Self::Conflict(refusal.to_string()),
            StageUpdateRefusal::Invalid(violations) => Self::Invalid(violations),
        }
    }
}

/// What became of the lists.
pub(super) struct Changed {
    /// As stored afterwards.
    pub lists: ReviewerLists,
    /// Whether anything was written.
    pub changed: bool,
    /// Items that the change leaves to nobody: the caller has the instance warn of them. LC-REV-09
    pub items_without_reviewer: i64,
}

/// Judges the request against the locked stage, stores the lists, resolves reviewers anew, has newcomers told, appends the event.
///
/// `entry.stage` is the row as locked; its version is counted up.
pub(super) async fn change_reviewers(
    uow: &mut dyn UnitOfWork,
    call: &Call,
    instance: &Instance,
    entry: &mut StageEntry,
    request: &StageUpdateRequest,
    limits: &ReviewLimits,
) -> Result<Changed, Refused> {
    check_instance(instance)?;
    let list = ReviewerListId::of_stage(entry.stage.id);
    let lists = uow.reviewer_lists().find(list).await?;
    let now = uow.now();
    let added = added_forms(&lists, request);
    let forms: Vec<_> = added.iter().map(|(_, form)| form.clone()).collect();
    let missing = uow.directory().missing(&forms).await?.into_iter().filter_map(|position| added.get(position));
    let missing: Vec<_> = missing.map(|(path, form)| Violation::new(path.clone(), missing_text(form))).collect();
    // Faults of the body are told together, whoever finds them.
    let plan = match plan_stage_update(&entry.stage, &lists, request, now) {
        Err(StageUpdateRefusal::Invalid(violations)) => {
            return Err(Refused::Invalid(violations.into_iter().chain(missing).collect()));
        }
        planned => planned?,
    };
    if !missing.is_empty() {
        return Err(Refused::Invalid(missing));
    }
    if !plan.changed {
        return Ok(Changed { lists, changed: false, items_without_reviewer: 0 });
    }

    let group = (instance.resource.kind == ResourceKind::Group).then_some(instance.resource.id);
    let without_fallback = missing_fallbacks_of(uow, group, &[(String::new(), &plan.lists)]).await?;
    if !without_fallback.is_empty() {
        return Err(Refused::Invalid(without_fallback));
    }

    uow.reviewer_lists().replace(list, &plan.lists).await?;
    let too_large = sizes(uow, Some(instance.resource.id), &[(String::new(), &plan.lists, list)], limits).await?;
    if !too_large.is_empty() {
        return Err(Refused::Invalid(too_large));
    }
    uow.definition_updates().keep_lists(instance.id, entry.stage.ordinal).await?;
    uow.stages().update(&mut entry.stage).await?;
    let items_without_reviewer = match plan.resolve_now {
        true => resolve_anew(uow, instance, entry, limits).await?,
        false => 0,
    };
    let event = Event {
        stage_id: Some(entry.stage.id),
        before: Some(json!({
            "reviewers": queries(&lists.reviewers),
            "fallbackReviewers": queries(&lists.fallback_reviewers),
        })),
        after: Some(json!({
            "reviewers": queries(&plan.lists.reviewers),
            "fallbackReviewers": queries(&plan.lists.fallback_reviewers),
        })),
        ..about(Activity::ReviewersChanged, instance)
    };
    uow.events().append(&call.actor(), &[event]).await?;
    Ok(Changed { lists: uow.reviewer_lists().find(list).await?, changed: true, items_without_reviewer })
}

/// Resolves the reviewers of a running stage and has newcomers told; returns how many items have nobody. LC-SUPD-20, LC-SUPD-22
async fn resolve_anew(
    uow: &mut dyn UnitOfWork,
    instance: &Instance,
    entry: &StageEntry,
    limits: &ReviewLimits,
) -> Result<i64, Refused> {
    let items_without_reviewer = match uow.reviewers().resolve(instance, entry, limits.reviewers_per_item).await? {
        Resolution::Resolved { items_without_reviewer } => items_without_reviewer,
        Resolution::TooMany { found } => {
            return Err(Refused::Invalid(vec![Violation::new("reviewers", limits.too_many_reviewers(found))]));
        }
    };
    let mail = instance.settings.mail_notifications_enabled.then_some(MailKind::ReviewerAdded);
    uow.reviewers().contact_newcomers(instance.id, entry.stage.ordinal, mail).await?;
    Ok(items_without_reviewer)
}

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
        reviewer_scope::{ReviewerForm, ReviewerLists},
        stage::Stage,
        stage_update::{
            StageUpdatePlan, StageUpdateRefusal, StageUpdateRequest, added_forms, check_instance, plan_stage_update,
        },
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
    let list = ReviewerListId::of_stage(entry.stage.id);
    let lists = uow.reviewer_lists().find(list).await?;
    let missing = missing_of(uow, &lists, &[request]).await?.concat();
    let plan = judge(uow, instance, &entry.stage, &lists, request, &missing).await?;
    if !plan.changed {
        return Ok(Changed { lists, changed: false, items_without_reviewer: 0 });
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
    uow.events().append(&call.actor(), &[event_of(instance, &entry.stage, &lists, &plan.lists)]).await?;
    Ok(Changed { lists: uow.reviewer_lists().find(list).await?, changed: true, items_without_reviewer })
}

/// Resolves the reviewers of a running stage and has newcomers told; returns how many items have nobody. LC-SUPD-20, LC-SUPD-22
pub(super) async fn resolve_anew(
    uow: &mut dyn UnitOfWork,
    instance: &Instance,
    entry: &StageEntry,
    limits: &ReviewLimits,
) -> Result<i64, Refused> {
    let items_without_reviewer = match uow.reviewers().resolve(instance, entry, None, limits.reviewers_per_item).await?
    {
        Resolution::Resolved { items_without_reviewer } => items_without_reviewer,
        Resolution::TooMany { found } => {
            return Err(Refused::Invalid(vec![Violation::new("reviewers", limits.too_many_reviewers(found))]));
        }
    };
    uow.reviewers().contact_newcomers(instance.id, entry.stage.ordinal, mail_of(instance)).await?;
    Ok(items_without_reviewer)
}

/// The mail that newcomers to a running stage get. LC-SUPD-22
pub(super) fn mail_of(instance: &Instance) -> Option<MailKind> {
    instance.settings.mail_notifications_enabled.then_some(MailKind::ReviewerAdded)
}

/// The scopes of each request that name nothing and are not stored, as faults of its body. In one statement. LC-SUPD-12
pub(super) async fn missing_of(
    uow: &mut dyn UnitOfWork,
    stored: &ReviewerLists,
    requests: &[&StageUpdateRequest],
) -> Result<Vec<Vec<Violation>>, Refused> {
    let added: Vec<_> = requests.iter().map(|request| added_forms(stored, request)).collect();
    let forms: Vec<_> = added.iter().flatten().map(|(_, form)| form.clone()).collect();
    let missing = uow.directory().missing(&forms).await?;
    let missing: Vec<_> = missing.into_iter().filter_map(|position| forms.get(position).cloned()).collect();
    Ok(added.iter().map(|added| violations_of(added, &missing)).collect())
}

/// The faults of scopes that an update adds, each with its path, when these forms name nothing. LC-SUPD-12
pub(super) fn violations_of(added: &[(String, ReviewerForm)], missing: &[ReviewerForm]) -> Vec<Violation> {
    let faulty = added.iter().filter(|(_, form)| missing.contains(form));
    faulty.map(|(path, form)| Violation::new(path.clone(), missing_text(form))).collect()
}

/// Judges a request against the locked stage and its lists. `missing` are the scopes of it that name nothing.
pub(super) async fn judge(
    uow: &mut dyn UnitOfWork,
    instance: &Instance,
    stage: &Stage,
    lists: &ReviewerLists,
    request: &StageUpdateRequest,
    missing: &[Violation],
) -> Result<StageUpdatePlan, Refused> {
    check_instance(instance)?;
    // Faults of the body are told together, whoever finds them.
    let plan = match plan_stage_update(stage, lists, request, uow.now()) {
        Err(StageUpdateRefusal::Invalid(mut violations)) => {
            violations.extend_from_slice(missing);
            return Err(Refused::Invalid(violations));
        }
        planned => planned?,
    };
    if !missing.is_empty() {
        return Err(Refused::Invalid(missing.to_vec()));
    }
    if plan.changed {
        let group = (instance.resource.kind == ResourceKind::Group).then_some(instance.resource.id);
        let without_fallback = missing_fallbacks_of(uow, group, &[(String::new(), &plan.lists)]).await?;
        if !without_fallback.is_empty() {
            return Err(Refused::Invalid(without_fallback));
        }
    }
    Ok(plan)
}

/// What the record says of lists that were changed. LC-SUPD-27
pub(super) fn event_of(instance: &Instance, stage: &Stage, before: &ReviewerLists, after: &ReviewerLists) -> Event {
    let told = |lists: &ReviewerLists| {
        json!({
            "reviewers": queries(&lists.reviewers),
            "fallbackReviewers": queries(&lists.fallback_reviewers),
        })
    };
    Event {
        stage_id: Some(stage.id),
        before: Some(told(before)),
        after: Some(told(after)),
        ..about(Activity::ReviewersChanged, instance)
    }
}

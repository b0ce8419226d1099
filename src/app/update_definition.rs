//! DEF-UPDATE: changes the blueprint, and what waits for its start. The rule is `domain::definition_update`.

use serde_json::{Value, json};

use super::{
    Call, Refused, Services, access,
    create_definition::{missing_text, named_forms},
    entity_tags, reviewer_rules,
    run_review::{ReviewRun, queries},
};
use crate::{
    domain::{
        authorization::Operation,
        definition::{Definition, DefinitionDraft},
        definition_update::plan_definition_update,
        event::{Activity, Event},
        ids::DefinitionId,
        reviewer_scope::ReviewerLists,
        status::Status,
        violation::Violation,
    },
    store::UnitOfWork,
};

/// Makes of the definition as stored what it is to become, or tells what is wrong with the form of the request: a PATCH is merged
/// onto what it finds, and read-only members are held against it.
pub type Wanted = Box<dyn FnOnce(&Definition) -> Result<DefinitionDraft, Vec<Violation>> + Send>;

/// Updates a definition: all of it or nothing. LC-DEF-20 to 27
///
/// One transaction with the definition locked, so that it neither crosses another update nor the timer that opens the waiting
/// instance: whoever comes second works on what the first left. Running instances keep their snapshot (LC-DEF-22).
pub async fn update_definition(
    services: &Services,
    call: &Call,
    id: DefinitionId,
    wanted: Wanted,
) -> Result<(), Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    access::definition(&mut *uow, call, Operation::DefinitionUpdate, id).await?;

    let stored = uow.definitions().lock(id).await?.ok_or(Refused::NotFound)?;
    call.precondition.check(&entity_tags::of_definition(&stored))?;
    let wanted = wanted(&stored).map_err(Refused::Invalid)?;
    let mut missing = missing_objects(&mut *uow, &stored.draft, &wanted).await?;
    if lists(&stored.draft) != lists(&wanted) {
        missing.extend(reviewer_rules::missing_fallbacks(&mut *uow, &wanted).await?);
    }
    if wanted.settings.apply_actions != stored.draft.settings.apply_actions {
        let kind = access::kind_of_scope(&mut *uow, &stored.draft.scope.form).await?;
        access::check_apply_actions(&call.caller, kind, &wanted)?;
    }
    let now = uow.now();
    let actor = call.actor();
    let mut run = ReviewRun::new(&mut *uow, &actor);
    let (occurrences, waiting) = run.occurrences(&stored).await?;
    let plan = match plan_definition_update(&stored, &occurrences, wanted, now) {
        Ok(plan) if missing.is_empty() => plan,
        Ok(_) => return Err(Refused::Invalid(missing)),
        Err(violations) => return Err(Refused::Invalid(violations.into_iter().chain(missing).collect())),
    };
    if !plan.changed {
        return Ok(());
    }

    let definition = plan.definition;
    run.store_definition(&definition).await?;
    if lists(&stored.draft) != lists(&definition.draft) {
        let order: Vec<_> = definition.draft.stages.iter().map(|stage| stage.stage_id.clone()).collect();
        reviewer_rules::check_sizes(run.unit(), &definition, &order, &services.limits).await?;
    }
    run.note(Event {
        definition_id: Some(id),
        before: Some(told(&stored)),
        after: Some(told(&definition)),
        ..Event::new(Activity::UpdateReview)
    });
    run.follow(&definition, waiting).await?;
    if plan.reminders_switched_on {
        run.switch_reminders_on(&definition).await?;
    }
    run.finish(&definition).await?;
    uow.commit().await?;
    services.work.notify_waiters();
    Ok(())
}

/// The definition's lists and its stages'.
fn lists(draft: &DefinitionDraft) -> Vec<&ReviewerLists> {
    std::iter::once(&draft.reviewer_lists).chain(draft.stages.iter().map(|stage| &stage.reviewer_lists)).collect()
}

/// Objects that queries newly name and that are not there. What was named before may have gone since. A-13, LC-SUPD-12
async fn missing_objects(
    uow: &mut dyn UnitOfWork,
    stored: &DefinitionDraft,
    wanted: &DefinitionDraft,
) -> Result<Vec<Violation>, Refused> {
    let known: Vec<_> = named_forms(stored).into_iter().map(|(_, form)| form).collect();
    let mut added = named_forms(wanted);
    added.retain(|(_, form)| !known.contains(form));
    let forms: Vec<_> = added.iter().map(|(_, form)| form.clone()).collect();
    let missing = uow.directory().missing(&forms).await?;
    let named = missing.into_iter().filter_map(|position| added.get(position));
    Ok(named.map(|(path, form)| Violation::new(path.clone(), missing_text(form))).collect())
}

/// What an event tells of a definition.
pub(super) fn told(definition: &Definition) -> Value {
    let draft = &definition.draft;
    let stages: Vec<_> = draft
        .stages
        .iter()
        .map(|stage| {
            json!({
                "stageId": stage.stage_id,
                "durationInDays": stage.duration_in_days,
                "reviewers": queries(&stage.reviewer_lists.reviewers),
                "fallbackReviewers": queries(&stage.reviewer_lists.fallback_reviewers),
            })
        })
        .collect();
    json!({
        "displayName": draft.display_name,
        "descriptionForAdmins": draft.description_for_admins,
        "descriptionForReviewers": draft.description_for_reviewers,
        "reviewers": queries(&draft.reviewer_lists.reviewers),
        "fallbackReviewers": queries(&draft.reviewer_lists.fallback_reviewers),
        "settings": draft.settings,
        "stageSettings": stages,
        "additionalNotificationRecipients": draft.additional_notification_recipients,
    })
}

/// DEF-STOP: no further occurrence comes; running ones go on. What waits is removed. Repeating it changes nothing.
pub async fn stop_definition(services: &Services, call: &Call, id: DefinitionId) -> Result<(), Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    access::definition(&mut *uow, call, Operation::DefinitionStop, id).await?;

    let mut definition = uow.definitions().lock(id).await?.ok_or(Refused::NotFound)?;
    call.precondition.check(&entity_tags::of_definition(&definition))?;
    if definition.schedule.stopped_at.is_some() {
        return Ok(());
    }
    let now = uow.now();
    let actor = call.actor();
    let mut run = ReviewRun::new(&mut *uow, &actor);
    let (_, waiting) = run.occurrences(&definition).await?;
    definition.schedule.stopped_at = Some(now);
    definition.modified_at = now;
    run.store_definition(&definition).await?;
    run.note(Event {
        definition_id: Some(id),
        before: Some(json!({ "stoppedDateTime": null })),
        after: Some(json!({ "stoppedDateTime": now })),
        ..Event::new(Activity::SeriesStopped)
    });
    run.follow(&definition, waiting).await?;
    run.finish(&definition).await?;
    uow.commit().await?;
    Ok(())
}

impl ReviewRun<'_> {
    async fn store_definition(&mut self, definition: &Definition) -> Result<(), Refused> {
        Ok(self.unit().definition_updates().store(definition).await?)
    }

    /// Running instances remind too, where the middle of the running stage is still ahead. LC-NOTE-10
    async fn switch_reminders_on(&mut self, definition: &Definition) -> Result<(), Refused> {
        let now = self.unit().now();
        for instance in self.unit().definition_updates().switch_reminders_on(definition.id).await? {
            let stages = self.unit().stages().list(instance).await?;
            if let Some(running) = stages.iter().find(|entry| entry.stage.status == Status::InProgress) {
                self.remind_half_way(&running.stage, now);
            }
        }
        Ok(())
    }
}

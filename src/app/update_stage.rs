//! STAGE-UPDATE: replaces the reviewers of a stage and adds fallback reviewers. The rule is `domain::stage_update`.

use serde_json::json;

use super::{
    Call, Refused, Services,
    access::{self, StagePath},
    create_definition::missing_text,
    entity_tags,
    get_stage::StageView,
    run_review::{about, queries},
};
use crate::{
    domain::{
        authorization::Operation,
        event::{Activity, Event},
        ids::ReviewerListId,
        stage_update::{StageUpdateRefusal, StageUpdateRequest, added_forms, plan_stage_update},
        violation::Violation,
    },
    store::MailKind,
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

/// Updates a stage's reviewer lists: all of it or nothing. LC-SUPD-01 to LC-SUPD-31
///
/// One transaction with the stage row locked: two updates serialise, and each is judged against what the other left
/// (LC-CONC-03). Answers the stage as committed.
pub async fn update_stage(
    services: &Services,
    call: &Call,
    path: StagePath,
    request: &StageUpdateRequest,
) -> Result<StageView, Refused> {
    let mut uow = services.begin(call.tenant()).await?;
    let access = access::stage(&mut *uow, call, Operation::StageUpdate, path).await?;

    let mut stage = uow.stages().lock(path.instance, path.stage).await?.ok_or(Refused::NotFound)?;
    call.precondition.check(&entity_tags::of_stage(&stage))?;
    let list = ReviewerListId::of_stage(stage.id);
    let lists = uow.reviewer_lists().find(list).await?;
    let now = uow.now();
    let plan = plan_stage_update(&stage, &lists, request, now)?;
    let added = added_forms(&lists, request);
    let forms: Vec<_> = added.iter().map(|(_, form)| form.clone()).collect();
    let missing: Vec<_> = uow
        .directory()
        .missing(&forms)
        .await?
        .into_iter()
        .filter_map(|position| added.get(position))
        .map(|(path, form)| Violation::new(path.clone(), missing_text(form)))
        .collect();
    if !missing.is_empty() {
        return Err(Refused::Invalid(missing));
    }
    if !plan.changed {
        return Ok(StageView { stage, lists });
    }

    uow.reviewer_lists().replace(list, &plan.lists).await?;
    uow.stages().update(&mut stage).await?;
    if plan.resolve_now {
        let entry = access.stages.into_iter().find(|entry| entry.stage.id == stage.id).ok_or(Refused::NotFound)?;
        uow.reviewers().resolve(&access.instance, &entry).await?;
        let mail = access.instance.settings.mail_notifications_enabled.then_some(MailKind::Started);
        uow.reviewers().contact_newcomers(path.instance, stage.ordinal, mail).await?;
    }
    let event = Event {
        stage_id: Some(stage.id),
        before: Some(json!({
            "reviewers": queries(&lists.reviewers),
            "fallbackReviewers": queries(&lists.fallback_reviewers),
        })),
        after: Some(json!({
            "reviewers": queries(&plan.lists.reviewers),
            "fallbackReviewers": queries(&plan.lists.fallback_reviewers),
        })),
        ..about(Activity::ReviewersChanged, &access.instance)
    };
    uow.events().append(&call.actor(), &[event]).await?;
    let lists = uow.reviewer_lists().find(list).await?;
    uow.commit().await?;
    services.work.notify_waiters();
    Ok(StageView { stage, lists })
}

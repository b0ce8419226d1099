//! DEF-CREATE: stores the blueprint and shows its first occurrence. LC-DEF-01 to 06

use serde_json::{Value, json};

use super::{
    Call, Refused, Services,
    access::{authorize, check_apply_actions, kind_of_scope},
    ids,
    repeats::{commit_with_answer, earlier_answer},
    reviewer_rules,
    run_review::{ReviewRun, queries},
};
use crate::domain::{
    authorization::{Operation, Relation, require_permission},
    definition::{self, Definition, DefinitionDraft, Schedule},
    event::{Activity, Event},
    instance::ResourceKind,
    repeat::Creates,
    reviewer_scope::{ReviewerForm, ReviewerScope},
    status::Status,
    violation::Violation,
};

/// Creates a definition.
///
/// Answers what `tell` tells of it, or told when the call's key came for the first time. [`Refused::Invalid`] names every rule the draft breaks and every object it names that is not there.
pub async fn create_definition(
    services: &Services,
    call: &Call,
    mut draft: DefinitionDraft,
    tell: fn(&Definition) -> Value,
) -> Result<Value, Refused> {
    require_permission(&call.caller)?;
    let mut uow = services.begin(call.tenant()).await?;
    let form = draft.scope.form.clone();
    let kind = kind_of_scope(&mut *uow, &form).await?;
    let owns_group = match form.resource().filter(|_| form.resource_kind() == ResourceKind::Group) {
        Some(group) if call.caller.gains_by_relation(kind) => {
            uow.review_settings().lets_review(call.caller.identity.id, Some(group)).await?
        }
        Some(_) | None => false,
    };
    authorize(&call.caller, Operation::DefinitionCreate, kind, &Relation { owns_group, ..Relation::default() })?;
    check_apply_actions(&call.caller, kind, &draft)?;
    if let Some(answer) = earlier_answer(&mut *uow, call, Creates::Definition).await? {
        return Ok(answer);
    }

    let mut violations = definition::validate(&draft);
    // What is wrong is told by the places in the body; what is right is kept in the order of the stages.
    let sent_order: Vec<_> = draft.stages.iter().map(|stage| stage.stage_id.clone()).collect();
    if violations.is_empty() {
        violations.extend(reviewer_rules::missing_fallbacks(&mut *uow, &draft).await?);
        draft.order_stages();
    }
    if let Some(resource) = form.resource()
        && uow.directory().resource(&form).await?.is_none()
    {
        let kind = match form.resource_kind() {
            ResourceKind::Group => "group",
            ResourceKind::ServicePrincipal => "service principal",
            ResourceKind::DirectoryRole => "directory role",
            ResourceKind::AccessPackageAssignmentPolicy => "access package assignment policy",
        };
        violations.push(Violation::new(draft.scope.resource_path(), format!("there is no {kind} {resource}")));
    }
    let named = named_forms(&draft);
    let forms: Vec<_> = named.iter().map(|(_, form)| form.clone()).collect();
    for position in uow.directory().missing(&forms).await? {
        if let Some((path, form)) = named.get(position) {
            violations.push(Violation::new(path.clone(), missing_text(form)));
        }
    }
    let now = uow.now();
    let definition = Definition {
        id: ids::definition(),
        draft,
        created_at: now,
        modified_at: now,
        created_by: call.caller.identity.clone(),
        status: Status::NotStarted,
        schedule: Schedule::default(),
    };
    violations.extend(definition.check_first_start());
    if !violations.is_empty() {
        return Err(Refused::Invalid(violations));
    }

    uow.definitions().insert(&definition).await?;
    reviewer_rules::check_sizes(&mut *uow, &definition, &sent_order, &services.limits).await?;
    let actor = call.actor();
    let mut run = ReviewRun::new(&mut *uow, &actor);
    run.note(Event {
        definition_id: Some(definition.id),
        after: Some(json!({
            "displayName": definition.draft.display_name,
            "scope": definition.draft.scope.sent.to_string(),
            "reviewers": queries(&definition.draft.reviewer_lists.reviewers),
            "fallbackReviewers": queries(&definition.draft.reviewer_lists.fallback_reviewers),
            "settings": definition.draft.settings,
            "stages": definition.draft.stages.len(),
        })),
        ..Event::new(Activity::CreateReview)
    });
    run.materialise(&definition, 0).await?;
    run.finish(&definition).await?;
    let answer = commit_with_answer(services, uow, call, Creates::Definition, tell(&definition)).await?;
    services.work.notify_waiters();
    Ok(answer)
}

/// Every reviewer and recipient scope of the draft with the path of its query.
pub(super) fn named_forms(draft: &DefinitionDraft) -> Vec<(String, ReviewerForm)> {
    let lists = std::iter::once((String::new(), &draft.reviewer_lists)).chain(
        draft
            .stages
            .iter()
            .enumerate()
            .map(|(index, stage)| (format!("stageSettings[{index}]."), &stage.reviewer_lists)),
    );
    let mut named = Vec::new();
    for (prefix, lists) in lists {
        for (member, scopes) in [("reviewers", &lists.reviewers), ("fallbackReviewers", &lists.fallback_reviewers)] {
            for (index, scope) in scopes.iter().enumerate() {
                named.push((format!("{prefix}{member}[{index}].query"), scope.form.clone()));
            }
        }
    }
    for (index, recipient) in draft.additional_notification_recipients.iter().enumerate() {
        if let Ok(scope) = ReviewerScope::parse(&recipient.query, None, recipient.query_root.as_deref()) {
            let path = format!("additionalNotificationRecipients[{index}].notificationRecipientScope.query");
            named.push((path, scope.form));
        }
    }
    named
}

/// What to say of a form whose object is not there. LC-SUPD-12
pub(super) fn missing_text(form: &ReviewerForm) -> String {
    let kind = match form {
        ReviewerForm::User(_) => "user",
        ReviewerForm::GroupMembers(_) | ReviewerForm::GroupOwners(..) => "group",
        ReviewerForm::ServicePrincipalOwners(_) => "service principal",
        ReviewerForm::ResourceOwners
        | ReviewerForm::Manager
        | ReviewerForm::OneSelf
        | ReviewerForm::Sponsor
        | ReviewerForm::ManagerOrSponsor => "object",
    };
    match form.object_id() {
        Some(id) => format!("there is no {kind} {id}"),
        None => format!("the {kind} does not exist"),
    }
}

//! Loading an object together with what the caller may do to it. The decision itself is `domain::authorization`.

use super::{Call, Refused};
use crate::{
    domain::{
        authorization::{
            Caller, CallerKind, Operation, Reason, Relation, ReviewKind, Verdict, decide, require_permission,
        },
        definition::{ApplyAction, Definition, DefinitionDraft},
        ids::{DefinitionId, InstanceId, ObjectId, StageId},
        instance::{Instance, ResourceKind},
        scope::ScopeForm,
        stage::Stage,
    },
    store::{StageEntry, StageReach, UnitOfWork, frequent_reads::FoundInstance},
};

/// What the caller gets to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    Everything,
    /// What he reviews, or created.
    OwnOnly,
}

/// Turns the verdict into work or an answer.
pub(super) fn authorize(
    caller: &Caller,
    operation: Operation,
    kind: ReviewKind,
    relation: &Relation,
) -> Result<Sight, Refused> {
    match decide(caller, operation, kind, relation) {
        Verdict::Allow => Ok(Sight::Everything),
        Verdict::AllowOwnOnly => Ok(Sight::OwnOnly),
        Verdict::Forbidden(reason) => Err(reason.into()),
        Verdict::Hidden => Err(Refused::NotFound),
    }
}

/// The kind of a review of this resource; of many groups when it is `None`. A group that is gone counts as an ordinary one.
pub(super) async fn kind_of(
    uow: &mut dyn UnitOfWork,
    kind: ResourceKind,
    resource: Option<ObjectId>,
) -> Result<ReviewKind, Refused> {
    let role_assignable = match (kind, resource) {
        (ResourceKind::Group, Some(group)) => {
            uow.directory().group(group).await?.is_some_and(|facts| facts.is_assignable_to_role)
        }
        // an enumeration leaves role-assignable groups out
        _ => false,
    };
    Ok(ReviewKind::of_resource(kind, role_assignable))
}

/// The kind of a review with this scope.
pub(super) async fn kind_of_scope(uow: &mut dyn UnitOfWork, form: &ScopeForm) -> Result<ReviewKind, Refused> {
    kind_of(uow, form.resource_kind(), form.resource()).await
}

/// The kind of the review that an instance is part of.
pub(super) async fn kind_of_instance(uow: &mut dyn UnitOfWork, instance: &Instance) -> Result<ReviewKind, Refused> {
    kind_of(uow, instance.resource.kind, Some(instance.resource.id)).await
}

/// The same, of an instance that was read in one round trip.
pub(super) fn kind_of_found(found: &FoundInstance) -> ReviewKind {
    ReviewKind::of_resource(found.reviewed.resource.kind, found.role_assignable)
}

/// What the caller is to the definition and, when given, the instance.
pub(super) async fn relation(
    uow: &mut dyn UnitOfWork,
    caller: &Caller,
    kind: ReviewKind,
    definition: DefinitionId,
    instance: Option<InstanceId>,
) -> Result<Relation, Refused> {
    if !caller.gains_by_relation(kind) {
        return Ok(Relation::default());
    }
    let ties = uow.reviewers().ties(definition, instance, caller.identity.id).await?;
    Ok(Relation {
        is_creator: ties.is_creator,
        owns_group: ties.owns_group,
        reviews_definition: ties.reviews_in_definition,
        reviews_instance: ties.reviews_in_instance,
        ..Relation::default()
    })
}

/// Refuses what a group owner may not do to accounts: disabling and deleting them needs a role. LC-AUTH-02
///
/// To be asked after he was let manage the review.
pub(super) fn check_apply_actions(caller: &Caller, kind: ReviewKind, draft: &DefinitionDraft) -> Result<(), Refused> {
    let deletes = draft.settings.apply_actions.contains(&ApplyAction::DisableAndDeleteUser);
    match deletes && !caller.manages(kind) {
        true => Err(Reason::OwnersRemoveAccessOnly.into()),
        false => Ok(()),
    }
}

/// The definition, if the caller may do this to it.
pub(super) async fn definition(
    uow: &mut dyn UnitOfWork,
    call: &Call,
    operation: Operation,
    id: DefinitionId,
) -> Result<(Definition, Sight), Refused> {
    require_permission(&call.caller)?;
    let definition = uow.definitions().find(id).await?.ok_or(Refused::NotFound)?;
    let kind = kind_of_scope(uow, &definition.draft.scope.form).await?;
    let relation = relation(uow, &call.caller, kind, id, None).await?;
    let sight = authorize(&call.caller, operation, kind, &relation)?;
    Ok((definition, sight))
}

/// The instance, if the caller may do this to it.
pub(super) async fn instance(
    uow: &mut dyn UnitOfWork,
    call: &Call,
    operation: Operation,
    definition: DefinitionId,
    id: InstanceId,
) -> Result<(Instance, Sight), Refused> {
    require_permission(&call.caller)?;
    let instance = uow.instances().find(definition, id).await?.ok_or(Refused::NotFound)?;
    let kind = kind_of_instance(uow, &instance).await?;
    let relation = relation(uow, &call.caller, kind, definition, Some(id)).await?;
    let sight = authorize(&call.caller, operation, kind, &relation)?;
    Ok((instance, sight))
}

/// Where a stage is: definition, instance, stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StagePath {
    pub definition: DefinitionId,
    pub instance: InstanceId,
    pub stage: StageId,
}

/// A stage, its instance, and what the caller reviews in the instance, where it matters.
pub(super) struct StageAccess {
    pub instance: Instance,
    pub stage: Stage,
    pub stages: Vec<StageEntry>,
    pub reaches: Vec<StageReach>,
}

/// The stage, if the caller may do this to it. The one stage of a single-stage review is not to be found. LC-STAGE-02
pub(super) async fn stage(
    uow: &mut dyn UnitOfWork,
    call: &Call,
    operation: Operation,
    path: StagePath,
) -> Result<StageAccess, Refused> {
    require_permission(&call.caller)?;
    let instance = uow.instances().find(path.definition, path.instance).await?.ok_or(Refused::NotFound)?;
    if !instance.multi_stage {
        return Err(Refused::NotFound);
    }
    let stages = uow.stages().list(path.instance).await?;
    let stage = stages.iter().find(|entry| entry.stage.id == path.stage).ok_or(Refused::NotFound)?.stage.clone();
    let kind = kind_of_instance(uow, &instance).await?;
    let mut relation = relation(uow, &call.caller, kind, path.definition, Some(path.instance)).await?;
    // Of who reads or manages the review anyway it is asked only for his own work.
    let matters = operation == Operation::StageDecisionMine || call.caller.gains_by_relation(kind);
    let reaches = match call.caller.kind {
        CallerKind::User if matters => uow.reviewers().reaches(path.instance, call.caller.identity.id).await?,
        CallerKind::User | CallerKind::Application => Vec::new(),
    };
    relation.reviews_stage = reaches.iter().any(|part| part.ordinal == stage.ordinal);
    relation.reads_stage_history = instance.settings.decision_histories_for_reviewers_enabled
        && reaches.iter().any(|part| part.ordinal > stage.ordinal);
    authorize(&call.caller, operation, kind, &relation)?;
    Ok(StageAccess { instance, stage, stages, reaches })
}

//! An occurrence of an all-groups review begins: its groups are looked up and each gets its instance. LC-INST-02, LC-INST-08,
//! LC-INST-09

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{
    Refused, Services, ids,
    run_review::{ReviewRun, new_instance, new_stage, on_time},
};
use crate::{
    domain::{
        definition::Definition,
        enumeration::OpenedOccurrence,
        event::{Activity, Event},
        ids::DefinitionId,
        instance::{Resource, ResourceKind},
        scope::ScopeForm,
        stage::PlannedStage,
    },
    store::{
        Actor, ClaimedJob, Outcome, StoreError, UnitOfWork,
        occurrences::{FoundGroup, GroupSearch, NewInstance},
    },
};

/// Opens an occurrence whose time has come. Everything is one transaction that records the occurrence, so it happens once,
/// whoever runs it and whoever dies in it; the instances open one by one, each by its own job.
pub(super) async fn open_occurrence(
    services: &Services,
    job: &ClaimedJob,
    definition: DefinitionId,
    occurrence: i32,
    start_at: DateTime<Utc>,
) -> Result<(), Refused> {
    let mut uow = services.begin(job.tenant).await?;
    let outcome = match uow.definitions().lock(definition).await? {
        // a definition that was given another start has another job
        Some(definition) if definition.occurrence_start(occurrence) == Some(start_at) => {
            if uow.now() < start_at {
                uow.jobs().postpone(job, start_at).await?;
                return Ok(uow.commit().await?);
            }
            let last = uow.occurrences().last_opened(definition.id).await?;
            match last.is_some_and(|last| last.occurrence >= occurrence) {
                true => Outcome::Obsolete,
                false => {
                    let most = services.limits.instances_per_occurrence;
                    open(&mut *uow, &definition, occurrence, start_at, most).await?;
                    Outcome::Done
                }
            }
        }
        Some(_) | None => Outcome::Obsolete,
    };
    uow.jobs().finish(job, outcome).await?;
    Ok(uow.commit().await?)
}

async fn open(
    uow: &mut dyn UnitOfWork,
    definition: &Definition,
    occurrence: i32,
    start_at: DateTime<Utc>,
    most: i32,
) -> Result<(), StoreError> {
    let draft = &definition.draft;
    let ScopeForm::EveryGroupMembers { groups, members } = draft.scope.form else {
        return Err(StoreError::Corrupt { table: "jobs", column: "kind", id: definition.id.to_string() });
    };
    let inactive_before = draft
        .scope
        .inactive_for(draft.settings.recommendation_look_back_duration)
        .map(|duration| duration.before(start_at))
        .filter(|cutoff| *cutoff < start_at);
    let search = GroupSearch { groups, members, inactive_before };
    // one more than is allowed shows whether there are more
    let found = uow.occurrences().groups(&search, i64::from(most) + 1).await?;
    let opened = OpenedOccurrence::new(occurrence, found.len(), most);
    let planned: Vec<PlannedStage> = PlannedStage::all_of(draft);
    let new: Vec<NewInstance> = match opened.failure {
        Some(_) => Vec::new(),
        None => found
            .into_iter()
            .map(|group| instance_of(definition, &planned, occurrence, start_at, group))
            .collect::<Result<_, _>>()?,
    };
    store(uow, definition, start_at, &opened, &new, &planned).await
}

/// Records the occurrence with its instances, and has the next one follow.
async fn store(
    uow: &mut dyn UnitOfWork,
    definition: &Definition,
    start_at: DateTime<Utc>,
    opened: &OpenedOccurrence,
    new: &[NewInstance],
    planned: &[PlannedStage],
) -> Result<(), StoreError> {
    if !uow.occurrences().open(definition.id, opened, new, planned).await? {
        return Ok(());
    }

    let occurrence = opened.occurrence;
    let actor = Actor::system();
    let mut run = ReviewRun::new(uow, &actor);
    run.note(Event {
        definition_id: Some(definition.id),
        after: Some(json!({
            "occurrence": occurrence,
            "startDateTime": start_at,
            "groups": opened.group_count,
            "failure": opened.failure,
        })),
        ..Event::new(Activity::OccurrenceOpened)
    });
    for NewInstance { instance, first_stage } in new {
        run.tell_of_instance(instance);
        if let Some(plan) = planned.first() {
            run.tell_of_stage(instance, first_stage, plan);
        }
        run.open_at_its_start(instance);
    }
    if !new.is_empty() {
        run.tell_reviewers(definition, occurrence);
    }
    run.materialise(definition, occurrence + 1).await?;
    run.finish(definition).await
}

/// IN-15 for an occurrence that cannot be opened, however often it is tried: it reviews nothing, and the next one follows. The job
/// ends in any case.
pub(super) async fn fail_occurrence(
    services: &Services,
    job: &ClaimedJob,
    definition: DefinitionId,
    occurrence: i32,
    start_at: DateTime<Utc>,
) -> Result<bool, Refused> {
    let mut uow = services.begin(job.tenant).await?;
    let outcome = match uow.definitions().lock(definition).await? {
        Some(definition) if definition.occurrence_start(occurrence) == Some(start_at) => {
            let failed = OpenedOccurrence::failed(occurrence);
            store(&mut *uow, &definition, start_at, &failed, &[], &PlannedStage::all_of(&definition.draft)).await?;
            Outcome::GivenUp
        }
        Some(_) | None => Outcome::Obsolete,
    };
    uow.jobs().finish(job, outcome).await?;
    uow.commit().await?;
    services.work.notify_waiters();
    Ok(true)
}

fn instance_of(
    definition: &Definition,
    planned: &[PlannedStage],
    occurrence: i32,
    start_at: DateTime<Utc>,
    group: FoundGroup,
) -> Result<NewInstance, StoreError> {
    let scope = definition.draft.scope.of_group(group.id).ok_or_else(|| StoreError::Corrupt {
        table: "definitions",
        column: "scope",
        id: definition.id.to_string(),
    })?;
    let resource = Resource { id: group.id, display_name: group.display_name, kind: ResourceKind::Group, detail: None };
    // LC-INST-03
    let instance = new_instance(definition, ids::instance(), occurrence, start_at, scope, resource);
    let (first_stage, _) = new_stage(&instance, planned, 1, on_time(&instance, start_at))?;
    Ok(NewInstance { instance, first_stage })
}

//! The instance that waits for its start: brought after a changed definition, removed, or made again. LC-DEF-23, IN-17

use serde_json::json;

use super::{ReviewRun, about};
use crate::{
    domain::{
        definition::Definition,
        definition_update::Occurrences,
        event::{Activity, Event},
        instance::Instance,
        lifecycle::{self, Start},
        recurrence,
        stage::PlannedStage,
    },
    store::{Job, StoreError},
};

impl ReviewRun<'_> {
    /// How far the occurrences have come, and the instances that wait, locked.
    pub(in crate::app) async fn occurrences(
        &mut self,
        definition: &Definition,
    ) -> Result<(Occurrences, Vec<Instance>), StoreError> {
        let waiting = self.uow.definition_updates().lock_waiting(definition.id).await?;
        let last_started = self.uow.definition_updates().last_started(definition.id).await?;
        Ok((Occurrences { last_started, waiting: !waiting.is_empty() }, waiting))
    }

    /// Brings what waits after the definition as it is now, and shows the next occurrence when there is one again.
    pub(in crate::app) async fn follow(
        &mut self,
        definition: &Definition,
        waiting: Vec<Instance>,
    ) -> Result<(), StoreError> {
        if definition.draft.scope.form.enumerates().is_some() {
            // What is there belongs to an occurrence that was opened; only the next one follows. LC-INST-08
            let opened = self.uow.occurrences().last_opened(definition.id).await?;
            return self.materialise(definition, opened.map_or(0, |opened| opened.occurrence + 1)).await;
        }
        let mut left = false;
        for instance in waiting {
            match definition.occurrence_start(instance.occurrence) {
                Some(start_at) => {
                    left = true;
                    self.rederive(definition, instance, start_at).await?;
                }
                None => self.remove(&instance).await?,
            }
        }
        if left {
            return Ok(());
        }
        // Each next occurrence is visible as soon as the one before has completed. LC-INST-07
        let progress = self.uow.instances().progress(definition.id, None).await?;
        if progress.iter().all(|instance| lifecycle::shows_the_next(instance.status)) {
            let next = progress.iter().map(|instance| instance.occurrence).max().map_or(0, |last| last + 1);
            self.materialise(definition, next).await?;
        }
        Ok(())
    }

    async fn rederive(
        &mut self,
        definition: &Definition,
        mut instance: Instance,
        start_at: chrono::DateTime<chrono::Utc>,
    ) -> Result<(), StoreError> {
        let draft = &definition.draft;
        let before = (instance.start_at, instance.end_at);
        instance.start_at = start_at;
        instance.end_at =
            recurrence::instance_end(start_at, draft.total_duration_days(), draft.settings.recurrence.as_ref());
        instance.settings = draft.settings.clone();
        let planned = PlannedStage::all_of(draft);
        self.uow.definition_updates().rederive_instance(&mut instance, &draft.reviewer_lists, &planned).await?;

        if let (Some(first), Some(plan)) = (self.uow.stages().list(instance.id).await?.pop(), planned.first()) {
            let Some(mut stage) = self.uow.stages().lock(instance.id, first.stage.id).await? else { return Ok(()) };
            stage.start_at = start_at;
            stage.end_at = lifecycle::stage_end(Start { start_at, end_at: instance.end_at }, plan, stage.stage_count);
            stage.moves.clone_from(&plan.moves);
            stage.recommendations_enabled = plan.recommendations_enabled;
            let kept = self.uow.definition_updates().keeps_lists(instance.id, stage.ordinal).await?;
            let lists = (!kept).then_some(&plan.reviewer_lists);
            self.uow.definition_updates().rederive_stage(&mut stage, lists).await?;
        }
        self.open_at(instance.id, start_at);
        if before != (instance.start_at, instance.end_at) {
            self.note(Event {
                before: Some(json!({ "startDateTime": before.0, "endDateTime": before.1 })),
                after: Some(json!({ "startDateTime": instance.start_at, "endDateTime": instance.end_at })),
                ..about(Activity::InstanceRescheduled, &instance)
            });
        }
        Ok(())
    }

    /// IN-17
    async fn remove(&mut self, instance: &Instance) -> Result<(), StoreError> {
        self.uow.definition_updates().remove_instance(instance.id).await?;
        self.uow.jobs().cancel(&[Job::OpenInstance { instance: instance.id }]).await?;
        self.note(Event {
            before: Some(json!({
                "status": instance.status.as_str(),
                "startDateTime": instance.start_at,
                "endDateTime": instance.end_at,
            })),
            ..about(Activity::InstanceRemoved, instance)
        });
        Ok(())
    }
}

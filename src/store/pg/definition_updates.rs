//! Updates of definitions, and the instances that wait for their start.

use async_trait::async_trait;
use sqlx::types::Json;
use uuid::Uuid;

use super::{PgUnitOfWork, definitions::moves_to_row, instances::InstanceRow};
use crate::{
    domain::{
        definition::{Definition, Settings},
        definition_update::StartedOccurrence,
        ids::{DefinitionId, InstanceId, ReviewerListId},
        instance::{Instance, InstanceError},
        reviewer_scope::ReviewerLists,
        scope::SentScope,
        stage::{PlannedStage, Stage, StageOrdinal},
    },
    store::{DefinitionUpdateRepository, ReviewerListRepository, StageRepository, StoreError},
};

impl PgUnitOfWork {
    /// Empties lists, fallback reviewers included: what nothing running relies on.
    async fn empty_lists(&mut self, ids: &[ReviewerListId]) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let ids: Vec<_> = ids.iter().map(|id| id.as_uuid()).collect();
        sqlx::query!("delete from reviewer_scopes where tenant_id = $1 and reviewer_list_id = any($2)", tenant, &ids)
            .execute(self.connection()?)
            .await?;
        Ok(())
    }

    async fn set_list(&mut self, id: ReviewerListId, lists: &ReviewerLists) -> Result<(), StoreError> {
        self.empty_lists(&[id]).await?;
        self.replace(id, lists).await
    }
}

#[async_trait]
impl DefinitionUpdateRepository for PgUnitOfWork {
    async fn store(&mut self, definition: &Definition) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let (id, draft) = (definition.id, &definition.draft);
        self.set_list(ReviewerListId::of_definition(id), &draft.reviewer_lists).await?;
        let ordinals = 1_i16..=3;
        let stage_lists: Vec<_> = ordinals.map(|ordinal| ReviewerListId::of_stage_settings(id, ordinal)).collect();
        self.empty_lists(&stage_lists).await?;
        sqlx::query!("delete from stage_settings where tenant_id = $1 and definition_id = $2", tenant, id.as_uuid(),)
            .execute(self.connection()?)
            .await?;
        self.insert_stage_settings(id, &draft.stages).await?;
        let anchor = definition.schedule.counted_from;
        sqlx::query!(
            r#"
            update definitions
               set display_name = $3,
                   description_for_admins = $4,
                   description_for_reviewers = $5,
                   settings = $6,
                   additional_notification_recipients = $7,
                   modified_at = $8,
                   counted_from_occurrence = $9,
                   counted_from_at = $10,
                   stopped_at = $11,
                   version = version + 1
             where tenant_id = $1
               and definition_id = $2
            "#,
            tenant,
            id.as_uuid(),
            draft.display_name,
            draft.description_for_admins,
            draft.description_for_reviewers,
            Json(&draft.settings) as _,
            Json(&draft.additional_notification_recipients) as _,
            definition.modified_at,
            anchor.map(|anchor| anchor.occurrence),
            anchor.map(|anchor| anchor.start_at),
            definition.schedule.stopped_at,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn lock_waiting(&mut self, definition: DefinitionId) -> Result<Vec<Instance>, StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query_as!(
            InstanceRow,
            r#"
            select instance_id, definition_id, occurrence, status, start_at, end_at, ended_at,
                   scope as "scope: Json<SentScope>", resource_id, resource_type, resource_name,
                   resource_detail_id, resource_detail_name, settings as "settings: Json<Settings>", multi_stage, item_count, item_prefix,
                   errors as "errors: Json<Vec<InstanceError>>", version
              from instances
             where tenant_id = $1
               and definition_id = $2
               and status = 'NotStarted'
             order by instance_id
               for no key update
            "#,
            tenant,
            definition.as_uuid(),
        )
        .fetch_all(self.connection()?)
        .await?
        .into_iter()
        .map(Instance::try_from)
        .collect()
    }

    async fn last_started(&mut self, definition: DefinitionId) -> Result<Option<StartedOccurrence>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query!(
            r#"
            select occurrence, min(start_at) as "start_at!", max(end_at) as "end_at!"
              from instances
             where tenant_id = $1
               and definition_id = $2
               and status <> 'NotStarted'
             group by occurrence
             order by occurrence desc
             limit 1
            "#,
            tenant,
            definition.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(row.map(|row| StartedOccurrence { occurrence: row.occurrence, start_at: row.start_at, end_at: row.end_at }))
    }

    async fn rederive_instance(
        &mut self,
        instance: &mut Instance,
        lists: &ReviewerLists,
        planned: &[PlannedStage],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        self.set_list(ReviewerListId::of_instance(instance.id), lists).await?;
        let planned_lists: Vec<_> =
            planned.iter().map(|stage| ReviewerListId::of_planned_stage(instance.id, stage.ordinal)).collect();
        self.empty_lists(&planned_lists).await?;
        sqlx::query!(
            "delete from planned_stages where tenant_id = $1 and instance_id = $2",
            tenant,
            instance.id.as_uuid(),
        )
        .execute(self.connection()?)
        .await?;
        StageRepository::plan(self, instance.id, planned).await?;
        instance.version = sqlx::query_scalar!(
            r#"
            update instances
               set start_at = $3,
                   end_at = $4,
                   settings = $5,
                   version = version + 1
             where tenant_id = $1
               and instance_id = $2
            returning version
            "#,
            tenant,
            instance.id.as_uuid(),
            instance.start_at,
            instance.end_at,
            Json(&instance.settings) as _,
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(())
    }

    async fn rederive_stage(&mut self, stage: &mut Stage, lists: Option<&ReviewerLists>) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        if let Some(lists) = lists {
            self.set_list(ReviewerListId::of_stage(stage.id), lists).await?;
        }
        let moves = moves_to_row(&stage.moves);
        stage.version = sqlx::query_scalar!(
            r#"
            update stages
               set start_at = $4,
                   end_at = $5,
                   decisions_that_will_move_to_next_stage = $6,
                   recommendations_enabled = $7,
                   version = version + 1
             where tenant_id = $1
               and instance_id = $2
               and ordinal = $3
            returning version
            "#,
            tenant,
            stage.instance_id.as_uuid(),
            stage.ordinal,
            stage.start_at,
            stage.end_at,
            &moves,
            stage.recommendations_enabled,
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(())
    }

    async fn remove_instance(&mut self, id: InstanceId) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let lists: Vec<Uuid> = sqlx::query_scalar!(
            r#"
            select reviewer_list_id as "reviewer_list_id!"
              from (select reviewer_list_id
                      from instances
                     where tenant_id = $1
                       and instance_id = $2
                     union all
                    select reviewer_list_id
                      from planned_stages
                     where tenant_id = $1
                       and instance_id = $2
                     union all
                    select reviewer_list_id
                      from stages
                     where tenant_id = $1
                       and instance_id = $2) as owned
            "#,
            tenant,
            id.as_uuid(),
        )
        .fetch_all(self.connection()?)
        .await?;
        sqlx::query!("delete from instances where tenant_id = $1 and instance_id = $2", tenant, id.as_uuid())
            .execute(self.connection()?)
            .await?;
        sqlx::query!("delete from reviewer_lists where tenant_id = $1 and reviewer_list_id = any($2)", tenant, &lists)
            .execute(self.connection()?)
            .await?;
        Ok(())
    }

    async fn keep_lists(&mut self, instance: InstanceId, ordinal: StageOrdinal) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            "update stages set lists_edited = true where tenant_id = $1 and instance_id = $2 and ordinal = $3",
            tenant,
            instance.as_uuid(),
            ordinal,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn keeps_lists(&mut self, instance: InstanceId, ordinal: StageOrdinal) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_uuid();
        let edited = sqlx::query_scalar!(
            "select lists_edited from stages where tenant_id = $1 and instance_id = $2 and ordinal = $3",
            tenant,
            instance.as_uuid(),
            ordinal,
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(edited.unwrap_or(false))
    }

    async fn switch_reminders_on(&mut self, definition: DefinitionId) -> Result<Vec<InstanceId>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let switched = sqlx::query_scalar!(
            r#"
            with running as (
                select instance_id
                  from instances
                 where tenant_id = $1
                   and definition_id = $2
                   and status in ('Initializing', 'Starting', 'InProgress')
                   and not coalesce((settings -> 'reminder_notifications_enabled')::boolean, false)
                 order by instance_id
                   for no key update
            )
            update instances i
               set settings = jsonb_set(i.settings, '{reminder_notifications_enabled}', 'true'),
                   version = i.version + 1
              from running
             where i.tenant_id = $1
               and i.instance_id = running.instance_id
            returning i.instance_id
            "#,
            tenant,
            definition.as_uuid(),
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(switched.into_iter().map(InstanceId::new).collect())
    }
}

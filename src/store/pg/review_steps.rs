//! Steps of a review: one statement that locks and reads (`lock_review`, V0031), and one that writes.

use async_trait::async_trait;
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::{
    PgUnitOfWork,
    definitions::{DefinitionRow, StageSettingsRow, definition_from_rows},
    error::corrupt,
    events::EventColumns,
    instances::InstanceRow,
    reviewer_lists::ScopeRow,
    stages::StageRow,
};
use crate::{
    domain::{ids::InstanceId, instance::Instance, lifecycle::InstanceProgress, stage::StageOrdinal, status::Status},
    store::{
        StageEntry, StoreError,
        review_steps::{AskedStage, LockedReview, ReviewStep, ReviewStepRepository},
    },
};

#[derive(serde::Deserialize)]
struct ProgressRow {
    occurrence: i32,
    status: String,
}

struct FoundRow {
    definition: Json<DefinitionRow>,
    stage_settings: Rows<StageSettingsRow>,
    reviewer_scopes: Rows<ScopeRow>,
    instance: Json<InstanceRow>,
    stage: Option<Json<StageRow>>,
    progress_of_others: Rows<ProgressRow>,
}

/// `None` where there is none.
type Rows<T> = Option<Json<Vec<T>>>;

fn rows<T>(rows: Rows<T>) -> Vec<T> {
    rows.map(|rows| rows.0).unwrap_or_default()
}

#[async_trait]
impl ReviewStepRepository for PgUnitOfWork {
    async fn lock(&mut self, instance: InstanceId, stage: AskedStage) -> Result<Option<LockedReview>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let (stage, ordinal): (Option<Uuid>, Option<StageOrdinal>) = match stage {
            AskedStage::None => (None, None),
            AskedStage::First => (None, Some(1)),
            AskedStage::Of(stage) => (Some(stage.as_uuid()), None),
        };
        let statuses = Status::ALL.map(|status| status.as_str().to_owned());
        let found = sqlx::query_as!(
            FoundRow,
            r#"
            select locked_definition as "definition!: Json<DefinitionRow>",
                   stage_settings_of_it as "stage_settings: Json<Vec<StageSettingsRow>>",
                   reviewer_scopes_of_it as "reviewer_scopes: Json<Vec<ScopeRow>>",
                   locked_instance as "instance!: Json<InstanceRow>",
                   locked_stage as "stage: Json<StageRow>",
                   progress_of_others as "progress_of_others: Json<Vec<ProgressRow>>"
              from lock_review($1, $2, $3, $4, $5)
            "#,
            tenant,
            instance.as_uuid(),
            stage,
            ordinal,
            &statuses,
        )
        .fetch_optional(self.connection()?)
        .await?;
        let Some(found) = found else { return Ok(None) };
        let (settings, scopes) = (rows(found.stage_settings), rows(found.reviewer_scopes));
        let Some(definition) = definition_from_rows(found.definition.0, settings, scopes)? else { return Ok(None) };
        let progress_of_others = rows(found.progress_of_others).into_iter().map(|row| {
            let status = row.status.parse().map_err(|_| corrupt("instances", "status", definition.id))?;
            Ok(InstanceProgress { occurrence: row.occurrence, status })
        });
        Ok(Some(LockedReview {
            progress_of_others: progress_of_others.collect::<Result<_, StoreError>>()?,
            instance: Instance::try_from(found.instance.0)?,
            stage: found.stage.map(|row| StageEntry::try_from(row.0)).transpose()?,
            definition,
        }))
    }

    async fn save(&mut self, step: &ReviewStep<'_>) -> Result<(), StoreError> {
        let (tenant, now) = (self.tenant.as_uuid(), self.now);
        let (instance, stage) = (step.instance, step.stage);
        let events: Vec<_> = step.events.iter().map(|event| (step.actor, event)).collect();
        let events = EventColumns::of(&events);
        let ended = sqlx::query_scalar!(
            r#"
            with definition as (
                update definitions
                   set status = $3
                 where tenant_id = $1
                   and definition_id = $2
                   and status <> $3
            ), instance as (
                update instances
                   set status = $5,
                       start_at = $6,
                       end_at = $7,
                       item_count = $8,
                       errors = $9,
                       ended_at = $10,
                       version = version + 1
                 where tenant_id = $1
                   and instance_id = $4
            ), stage as (
                update stages
                   set status = $13,
                       start_at = $14,
                       end_at = $15,
                       version = version + 1
                 where tenant_id = $1
                   and instance_id = $11
                   and ordinal = $12
            ), job as (
                update jobs
                   set finished_at = now(),
                       outcome = $18,
                       leased_until = null,
                       lease_id = null
                 where tenant_id = $1
                   and job_id = $16
                   and lease_id = $17
                   and finished_at is null
                returning job_id
            ), told as (
                insert into events
                    (tenant_id, at, activity, actor_kind, actor_id, actor_name, request_id, definition_id, instance_id,
                     stage_id, item_seq, before, after)
                select $1, $19, activity, actor_kind, actor_id, actor_name, request_id, definition_id, instance_id, stage_id,
                       item_seq, before, after
                  from unnest($20::text[], $21::uuid[], $22::text[], $23::uuid[], $24::text[], $25::uuid[], $26::uuid[],
                              $27::uuid[], $28::integer[], $29::jsonb[], $30::jsonb[])
                       with ordinality
                       as event (actor_kind, actor_id, actor_name, request_id, activity, definition_id, instance_id, stage_id,
                                 item_seq, before, after, position)
                 order by position
            )
            select exists (select from job) as "ended!"
            "#,
            tenant,
            step.definition.as_uuid(),
            step.status.as_str(),
            instance.map(|instance| instance.id.as_uuid()),
            instance.map(|instance| instance.status.as_str()),
            instance.map(|instance| instance.start_at),
            instance.map(|instance| instance.end_at),
            instance.map(|instance| instance.item_count),
            instance.map(|instance| Json(&instance.errors)) as _,
            instance.and_then(|instance| instance.ended_at),
            stage.map(|stage| stage.instance_id.as_uuid()),
            stage.map(|stage| stage.ordinal),
            stage.map(|stage| stage.status.as_str()),
            stage.map(|stage| stage.start_at),
            stage.map(|stage| stage.end_at),
            step.job.map(|(job, _)| job.id.as_uuid()),
            step.job.map(|(job, _)| job.lease),
            step.job.map(|(_, outcome)| outcome.as_str()),
            now,
            &events.kinds,
            &events.actors,
            &events.names,
            &events.requests as &[Option<Uuid>],
            &events.activities,
            &events.definitions as &[Option<Uuid>],
            &events.instances as &[Option<Uuid>],
            &events.stages as &[Option<Uuid>],
            &events.items as &[Option<i32>],
            &events.before as &[Option<Value>],
            &events.after as &[Option<Value>],
        )
        .fetch_one(self.connection()?)
        .await?;
        match step.job {
            Some(_) if !ended => Err(StoreError::LeaseLost),
            Some(_) | None => Ok(()),
        }
    }
}

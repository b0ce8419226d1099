//! Stages of an instance.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    PgUnitOfWork,
    definitions::{moves_from_row, moves_to_row},
    error::corrupt,
};
use crate::{
    domain::{
        ids::{DefinitionId, InstanceId, ReviewerListId, StageId},
        lifecycle::Entry,
        reviewer_scope::ReviewerLists,
        stage::{Stage, StageOrdinal},
    },
    store::{ReviewerListRepository, StageEntry, StageRepository, StoreError},
};

struct StageRow {
    stage_id: Uuid,
    instance_id: Uuid,
    definition_id: Uuid,
    ordinal: i16,
    stage_count: i16,
    status: String,
    start_at: DateTime<Utc>,
    end_at: DateTime<Utc>,
    decisions_that_will_move_to_next_stage: Vec<String>,
    recommendations_enabled: bool,
    entry: String,
    version: i64,
}

impl TryFrom<StageRow> for StageEntry {
    type Error = StoreError;

    fn try_from(row: StageRow) -> Result<Self, StoreError> {
        let id = row.stage_id;
        Ok(Self {
            stage: Stage {
                id: StageId::new(id),
                instance_id: InstanceId::new(row.instance_id),
                definition_id: DefinitionId::new(row.definition_id),
                ordinal: row.ordinal,
                stage_count: row.stage_count,
                status: row.status.parse().map_err(|_| corrupt("stages", "status", id))?,
                start_at: row.start_at,
                end_at: row.end_at,
                moves: moves_from_row("stages", id, &row.decisions_that_will_move_to_next_stage)?,
                recommendations_enabled: row.recommendations_enabled,
                version: row.version,
            },
            entry: Entry::parse(&row.entry).ok_or_else(|| corrupt("stages", "entry", id))?,
        })
    }
}

fn stage_of(row: Option<StageRow>) -> Result<Option<Stage>, StoreError> {
    Ok(row.map(StageEntry::try_from).transpose()?.map(|found| found.stage))
}

#[async_trait]
impl StageRepository for PgUnitOfWork {
    async fn insert(&mut self, stage: &Stage, entry: Entry, lists: &ReviewerLists) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_uuid();
        let taken = sqlx::query_scalar!(
            r#"
            select exists (
                select
                  from stages
                 where tenant_id = $1
                   and instance_id = $2
                   and ordinal = $3) as "taken!"
            "#,
            tenant,
            stage.instance_id.as_uuid(),
            stage.ordinal,
        )
        .fetch_one(self.connection()?)
        .await?;
        if taken {
            return Ok(false);
        }
        let list = ReviewerListId::of_stage(stage.id);
        self.replace(list, lists).await?;
        let moves = moves_to_row(&stage.moves);
        sqlx::query!(
            r#"
            insert into stages
                (tenant_id, instance_id, ordinal, stage_id, stage_count, status, start_at, end_at, reviewer_list_id,
                 decisions_that_will_move_to_next_stage, recommendations_enabled, entry)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            "#,
            tenant,
            stage.instance_id.as_uuid(),
            stage.ordinal,
            stage.id.as_uuid(),
            stage.stage_count,
            stage.status.as_str(),
            stage.start_at,
            stage.end_at,
            list.as_uuid(),
            &moves,
            stage.recommendations_enabled,
            entry.as_str(),
        )
        .execute(self.connection()?)
        .await?;
        Ok(true)
    }

    async fn find(&mut self, instance: InstanceId, id: StageId) -> Result<Option<Stage>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query_as!(
            StageRow,
            r#"
            select s.stage_id, s.instance_id, i.definition_id, s.ordinal, s.stage_count, s.status, s.start_at, s.end_at,
                   s.decisions_that_will_move_to_next_stage, s.recommendations_enabled, s.entry, s.version
              from stages s
              join instances i on i.tenant_id = s.tenant_id and i.instance_id = s.instance_id
             where s.tenant_id = $1
               and s.stage_id = $2
               and s.instance_id = $3
            "#,
            tenant,
            id.as_uuid(),
            instance.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        stage_of(row)
    }

    async fn list(&mut self, instance: InstanceId) -> Result<Vec<StageEntry>, StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query_as!(
            StageRow,
            r#"
            select s.stage_id, s.instance_id, i.definition_id, s.ordinal, s.stage_count, s.status, s.start_at, s.end_at,
                   s.decisions_that_will_move_to_next_stage, s.recommendations_enabled, s.entry, s.version
              from stages s
              join instances i on i.tenant_id = s.tenant_id and i.instance_id = s.instance_id
             where s.tenant_id = $1
               and s.instance_id = $2
             order by s.ordinal
            "#,
            tenant,
            instance.as_uuid(),
        )
        .fetch_all(self.connection()?)
        .await?
        .into_iter()
        .map(StageEntry::try_from)
        .collect()
    }

    async fn lock(&mut self, instance: InstanceId, id: StageId) -> Result<Option<Stage>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query_as!(
            StageRow,
            r#"
            select s.stage_id, s.instance_id, i.definition_id, s.ordinal, s.stage_count, s.status, s.start_at, s.end_at,
                   s.decisions_that_will_move_to_next_stage, s.recommendations_enabled, s.entry, s.version
              from stages s
              join instances i on i.tenant_id = s.tenant_id and i.instance_id = s.instance_id
             where s.tenant_id = $1
               and s.stage_id = $2
               and s.instance_id = $3
               for no key update of s
            "#,
            tenant,
            id.as_uuid(),
            instance.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        stage_of(row)
    }

    async fn lock_shared(&mut self, instance: InstanceId, ordinal: StageOrdinal) -> Result<Option<Stage>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query_as!(
            StageRow,
            r#"
            select s.stage_id, s.instance_id, i.definition_id, s.ordinal, s.stage_count, s.status, s.start_at, s.end_at,
                   s.decisions_that_will_move_to_next_stage, s.recommendations_enabled, s.entry, s.version
              from stages s
              join instances i on i.tenant_id = s.tenant_id and i.instance_id = s.instance_id
             where s.tenant_id = $1
               and s.instance_id = $2
               and s.ordinal = $3
               for share of s
            "#,
            tenant,
            instance.as_uuid(),
            ordinal,
        )
        .fetch_optional(self.connection()?)
        .await?;
        stage_of(row)
    }

    async fn update(&mut self, stage: &mut Stage) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        stage.version = sqlx::query_scalar!(
            r#"
            update stages
               set status = $4,
                   start_at = $5,
                   end_at = $6,
                   version = version + 1
             where tenant_id = $1
               and instance_id = $2
               and ordinal = $3
            returning version
            "#,
            tenant,
            stage.instance_id.as_uuid(),
            stage.ordinal,
            stage.status.as_str(),
            stage.start_at,
            stage.end_at,
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(())
    }

    async fn instance_of(&mut self, id: StageId) -> Result<Option<InstanceId>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let instance =
            sqlx::query_scalar!("select instance_id from stages where tenant_id = $1 and stage_id = $2", tenant, id.as_uuid())
                .fetch_optional(self.connection()?)
                .await?;
        Ok(instance.map(InstanceId::new))
    }
}

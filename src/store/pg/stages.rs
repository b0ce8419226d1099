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
        insight::{InsightKind, StageInsight},
        lifecycle::Entry,
        reviewer_scope::ReviewerLists,
        stage::{PlannedStage, Stage, StageOrdinal},
    },
    store::{ReviewerListRepository, StageEntry, StageRepository, StoreError},
};

#[derive(serde::Deserialize)]
pub(super) struct StageRow {
    pub(super) stage_id: Uuid,
    pub(super) instance_id: Uuid,
    pub(super) definition_id: Uuid,
    pub(super) ordinal: i16,
    pub(super) stage_count: i16,
    pub(super) status: String,
    pub(super) start_at: DateTime<Utc>,
    pub(super) end_at: DateTime<Utc>,
    pub(super) decisions_that_will_move_to_next_stage: Vec<String>,
    pub(super) recommendations_enabled: bool,
    pub(super) entry: String,
    pub(super) version: i64,
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
        // Not as one of several: the plan of that is made anew for each question.
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

    async fn list_of(&mut self, instances: &[InstanceId]) -> Result<Vec<StageEntry>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let instances: Vec<Uuid> = instances.iter().map(|instance| instance.as_uuid()).collect();
        sqlx::query_as!(
            StageRow,
            r#"
            select s.stage_id, s.instance_id, i.definition_id, s.ordinal, s.stage_count, s.status, s.start_at, s.end_at,
                   s.decisions_that_will_move_to_next_stage, s.recommendations_enabled, s.entry, s.version
              from stages s
              join instances i on i.tenant_id = s.tenant_id and i.instance_id = s.instance_id
             where s.tenant_id = $1
               and s.instance_id = any($2)
             order by s.instance_id, s.ordinal
            "#,
            tenant,
            &instances,
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
               for key share of i
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
               for key share of i
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

    async fn count_changes(&mut self, stage: &Stage) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            "update stages set version = $4 where tenant_id = $1 and instance_id = $2 and ordinal = $3",
            tenant,
            stage.instance_id.as_uuid(),
            stage.ordinal,
            stage.version,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
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

    async fn plan(&mut self, instance: InstanceId, stages: &[PlannedStage]) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        for stage in stages {
            let list = ReviewerListId::of_planned_stage(instance, stage.ordinal);
            self.replace(list, &stage.reviewer_lists).await?;
            let moves = moves_to_row(&stage.moves);
            let (insights, look_backs) = insights_to_row(&stage.insights);
            sqlx::query!(
                r#"
                insert into planned_stages
                    (tenant_id, instance_id, ordinal, ends_after_days, decisions_that_will_move_to_next_stage,
                     recommendations_enabled, insights, insight_look_backs, reviewer_list_id)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                "#,
                tenant,
                instance.as_uuid(),
                stage.ordinal,
                i32::try_from(stage.ends_after_days).unwrap_or(i32::MAX),
                &moves,
                stage.recommendations_enabled,
                &insights,
                &look_backs as &[Option<String>],
                list.as_uuid(),
            )
            .execute(self.connection()?)
            .await?;
        }
        Ok(())
    }

    async fn planned(&mut self, instance: InstanceId) -> Result<Vec<PlannedStage>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let rows = sqlx::query!(
            r#"
            select ordinal, ends_after_days, decisions_that_will_move_to_next_stage, recommendations_enabled,
                   insights, insight_look_backs as "insight_look_backs: Vec<Option<String>>"
              from planned_stages
             where tenant_id = $1
               and instance_id = $2
             order by ordinal
            "#,
            tenant,
            instance.as_uuid(),
        )
        .fetch_all(self.connection()?)
        .await?;
        let lists: Vec<_> = rows.iter().map(|row| ReviewerListId::of_planned_stage(instance, row.ordinal)).collect();
        let lists = self.find_all(&lists).await?;
        rows.into_iter()
            .zip(lists)
            .map(|(row, reviewer_lists)| {
                let id = instance.as_uuid();
                Ok(PlannedStage {
                    ordinal: row.ordinal,
                    ends_after_days: u32::try_from(row.ends_after_days)
                        .map_err(|_| corrupt("planned_stages", "ends_after_days", id))?,
                    moves: moves_from_row("planned_stages", id, &row.decisions_that_will_move_to_next_stage)?,
                    recommendations_enabled: row.recommendations_enabled,
                    insights: insights_from_row(&row.insights, &row.insight_look_backs)
                        .ok_or_else(|| corrupt("planned_stages", "insights", id))?,
                    reviewer_lists,
                })
            })
            .collect()
    }
}

/// Kinds and look-backs, position by position.
pub(super) fn insights_to_row(insights: &[StageInsight]) -> (Vec<String>, Vec<Option<String>>) {
    let look_back = |insight: &StageInsight| insight.look_back.map(|duration| duration.to_string());
    insights.iter().map(|insight| (insight.kind.as_str().to_owned(), look_back(insight))).unzip()
}

fn insights_from_row(kinds: &[String], look_backs: &[Option<String>]) -> Option<Vec<StageInsight>> {
    let insight = |(kind, look_back): (&String, &Option<String>)| {
        let look_back = look_back.as_ref().map(|text| text.parse()).transpose().ok()?;
        Some(StageInsight { kind: InsightKind::from_stored(kind)?, look_back })
    };
    (kinds.len() == look_backs.len()).then(|| kinds.iter().zip(look_backs).map(insight).collect())?
}

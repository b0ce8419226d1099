//! Definitions, their stage settings and lists.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder, types::Json};
use uuid::Uuid;

use super::{
    PgUnitOfWork,
    error::corrupt,
    filters::{self, Column},
    reviewer_lists::{ScopeRow, lists_from_rows},
};
use crate::{
    domain::{
        definition::{
            Definition, DefinitionDraft, Identity, InsightSetting, MovingDecision, NotificationRecipient, Schedule,
            Settings, StageSettings,
        },
        ids::{DefinitionId, ObjectId, ReviewerListId},
        instance::ResourceKind,
        recurrence::Anchor,
        reviewer_scope::ReviewerLists,
        scope::{ReviewScope, SentScope},
    },
    store::{
        CursorKeys, DefinitionCursor, DefinitionFilter, DefinitionRepository, Page, Plans, ReviewerListRepository,
        Slice, StoreError, filter::DefinitionProperty,
    },
};

#[derive(sqlx::FromRow, serde::Deserialize)]
pub(super) struct DefinitionRow {
    definition_id: Uuid,
    display_name: String,
    description_for_admins: Option<String>,
    description_for_reviewers: Option<String>,
    status: String,
    created_at: DateTime<Utc>,
    modified_at: DateTime<Utc>,
    created_by_id: Uuid,
    created_by_name: String,
    created_by_user_principal_name: String,
    scope: Json<SentScope>,
    instance_enumeration_scope: Option<String>,
    settings: Json<Settings>,
    additional_notification_recipients: Recipients,
    counted_from_occurrence: Option<i32>,
    counted_from_at: Option<DateTime<Utc>>,
    stopped_at: Option<DateTime<Utc>>,
}

/// A short name, because a column alias has room for no longer one.
type Recipients = Json<Vec<NotificationRecipient>>;
type Insights = Json<Vec<InsightSetting>>;

#[derive(serde::Deserialize)]
pub(super) struct StageSettingsRow {
    definition_id: Uuid,
    ordinal: i16,
    stage_id: String,
    duration_in_days: i32,
    recommendations_enabled: bool,
    recommendation_look_back_duration: Option<String>,
    recommendation_insight_settings: Insights,
    decisions_that_will_move_to_next_stage: Vec<String>,
}

/// What a stored scope means. `enumeration` is the query of the `instanceEnumerationScope` beside it.
pub(super) fn scope_from_row(
    table: &'static str,
    id: Uuid,
    sent: SentScope,
    enumeration: Option<&str>,
) -> Result<ReviewScope, StoreError> {
    ReviewScope::read(sent, enumeration).map_err(|_| corrupt(table, "scope", id))
}

/// Reads moving decisions back from their stored spelling.
pub(super) fn moves_from_row(
    table: &'static str,
    id: Uuid,
    moves: &[String],
) -> Result<Vec<MovingDecision>, StoreError> {
    moves
        .iter()
        .map(|text| MovingDecision::parse(text))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| corrupt(table, "decisions_that_will_move_to_next_stage", id))
}

/// The stored spelling of moving decisions.
pub(super) fn moves_to_row(moves: &[MovingDecision]) -> Vec<String> {
    moves.iter().map(|decision| decision.as_str().to_owned()).collect()
}

/// Whose lists complete these rows: first those of the definitions, then those of their stages, in the order of the rows.
fn list_ids(rows: &[DefinitionRow], stages: &[StageSettingsRow]) -> Vec<ReviewerListId> {
    let own = rows.iter().map(|row| ReviewerListId::of_definition(DefinitionId::new(row.definition_id)));
    let of_stages = stages
        .iter()
        .map(|stage| ReviewerListId::of_stage_settings(DefinitionId::new(stage.definition_id), stage.ordinal));
    own.chain(of_stages).collect()
}

/// Rows with their stage settings, in the order of the stages, and the lists of [`list_ids`].
fn definitions_from_rows(
    rows: Vec<DefinitionRow>,
    stages: Vec<StageSettingsRow>,
    lists: Vec<ReviewerLists>,
) -> Result<Vec<Definition>, StoreError> {
    let mut lists = lists.into_iter();
    let own_lists: Vec<_> = lists.by_ref().take(rows.len()).collect();
    let stages = stages.into_iter().zip(lists);

    let mut stages_of = std::collections::HashMap::<Uuid, Vec<StageSettings>>::new();
    for (stage, reviewer_lists) in stages {
        let id = stage.definition_id;
        stages_of.entry(id).or_default().push(StageSettings {
            depends_on: Vec::new(),
            stage_id: stage.stage_id,
            duration_in_days: stage.duration_in_days,
            recommendations_enabled: stage.recommendations_enabled,
            recommendation_look_back_duration: stage
                .recommendation_look_back_duration
                .map(|text| text.parse())
                .transpose()
                .map_err(|_| corrupt("stage_settings", "recommendation_look_back_duration", id))?,
            recommendation_insight_settings: stage.recommendation_insight_settings.0,
            decisions_that_will_move_to_next_stage: moves_from_row(
                "stage_settings",
                id,
                &stage.decisions_that_will_move_to_next_stage,
            )?,
            reviewer_lists,
        });
    }
    rows.into_iter()
        .zip(own_lists)
        .map(|(row, reviewer_lists)| {
            let id = row.definition_id;
            let mut stages = stages_of.remove(&id).unwrap_or_default();
            // The chain is linear by LC-DEF-06, so the order of the rows tells it.
            for position in 1..stages.len() {
                stages[position].depends_on = vec![stages[position - 1].stage_id.clone()];
            }
            Ok(Definition {
                id: DefinitionId::new(id),
                created_at: row.created_at,
                modified_at: row.modified_at,
                created_by: Identity {
                    id: ObjectId::new(row.created_by_id),
                    display_name: row.created_by_name,
                    user_principal_name: row.created_by_user_principal_name,
                },
                status: row.status.parse().map_err(|_| corrupt("definitions", "status", id))?,
                schedule: Schedule {
                    counted_from: row
                        .counted_from_occurrence
                        .zip(row.counted_from_at)
                        .map(|(occurrence, start_at)| Anchor { occurrence, start_at }),
                    stopped_at: row.stopped_at,
                },
                draft: DefinitionDraft {
                    display_name: row.display_name,
                    description_for_admins: row.description_for_admins,
                    description_for_reviewers: row.description_for_reviewers,
                    scope: scope_from_row("definitions", id, row.scope.0, row.instance_enumeration_scope.as_deref())?,
                    instance_enumeration_scope: row.instance_enumeration_scope,
                    reviewer_lists,
                    settings: row.settings.0,
                    stages,
                    additional_notification_recipients: row.additional_notification_recipients.0,
                },
            })
        })
        .collect()
}

/// One row with its stage settings, in the order of the stages, and the scopes of all its lists.
pub(super) fn definition_from_rows(
    row: DefinitionRow,
    stages: Vec<StageSettingsRow>,
    scopes: Vec<ScopeRow>,
) -> Result<Option<Definition>, StoreError> {
    let rows = vec![row];
    let lists = lists_from_rows(scopes, &list_ids(&rows, &stages))?;
    Ok(definitions_from_rows(rows, stages, lists)?.pop())
}

impl PgUnitOfWork {
    /// Completes rows with their stage settings and lists: two statements, whatever the number of rows.
    async fn complete(&mut self, rows: Vec<DefinitionRow>) -> Result<Vec<Definition>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let ids: Vec<_> = rows.iter().map(|row| row.definition_id).collect();
        let stages = sqlx::query_as!(
            StageSettingsRow,
            r#"
            select definition_id, ordinal, stage_id, duration_in_days, recommendations_enabled,
                   recommendation_look_back_duration,
                   recommendation_insight_settings as "recommendation_insight_settings: Insights",
                   decisions_that_will_move_to_next_stage
              from stage_settings
             where tenant_id = $1
               and definition_id = any($2)
             order by definition_id, ordinal
            "#,
            tenant,
            &ids,
        )
        .fetch_all(self.connection()?)
        .await?;
        let list_ids = list_ids(&rows, &stages);
        let lists = self.find_all(&list_ids).await?;
        definitions_from_rows(rows, stages, lists)
    }

    /// Stores the stage settings of a definition that has none.
    pub(super) async fn insert_stage_settings(
        &mut self,
        definition: DefinitionId,
        stages: &[StageSettings],
    ) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        for (ordinal, stage) in (1_i16..).zip(stages) {
            let list = ReviewerListId::of_stage_settings(definition, ordinal);
            self.replace(list, &stage.reviewer_lists).await?;
            let look_back = stage.recommendation_look_back_duration.map(|duration| duration.to_string());
            let moves = moves_to_row(&stage.decisions_that_will_move_to_next_stage);
            sqlx::query!(
                r#"
                insert into stage_settings
                    (tenant_id, definition_id, ordinal, stage_id, duration_in_days, recommendations_enabled,
                     recommendation_look_back_duration, recommendation_insight_settings,
                     decisions_that_will_move_to_next_stage, reviewer_list_id)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                "#,
                tenant,
                definition.as_uuid(),
                ordinal,
                stage.stage_id,
                stage.duration_in_days,
                stage.recommendations_enabled,
                look_back,
                Json(&stage.recommendation_insight_settings) as _,
                &moves,
                list.as_uuid(),
            )
            .execute(self.connection()?)
            .await?;
        }
        Ok(())
    }

    async fn find_row(&mut self, id: DefinitionId) -> Result<Option<DefinitionRow>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query_as!(
            DefinitionRow,
            r#"
            select definition_id, display_name, description_for_admins, description_for_reviewers, status, created_at,
                   modified_at, created_by_id, created_by_name, created_by_user_principal_name,
                   scope as "scope: Json<SentScope>", instance_enumeration_scope,
                   settings as "settings: Json<Settings>",
                   additional_notification_recipients as "additional_notification_recipients: Recipients",
                   counted_from_occurrence, counted_from_at, stopped_at
              from definitions
             where tenant_id = $1
               and definition_id = $2
            "#,
            tenant,
            id.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(row)
    }
}

#[async_trait]
impl DefinitionRepository for PgUnitOfWork {
    async fn insert(&mut self, definition: &Definition) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let draft = &definition.draft;
        let list = ReviewerListId::of_definition(definition.id);
        let form = &draft.scope.form;
        let group = form.resource().filter(|_| form.resource_kind() == ResourceKind::Group);
        self.replace(list, &draft.reviewer_lists).await?;
        sqlx::query!(
            r#"
            insert into definitions
                (tenant_id, definition_id, display_name, description_for_admins, description_for_reviewers, status,
                 created_at, modified_at, created_by_id, created_by_name, created_by_user_principal_name, scope,
                 scope_query, instance_enumeration_scope, reviewer_list_id, settings,
                 additional_notification_recipients, group_id)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
            "#,
            tenant,
            definition.id.as_uuid(),
            draft.display_name,
            draft.description_for_admins,
            draft.description_for_reviewers,
            definition.status.as_str(),
            definition.created_at,
            definition.modified_at,
            definition.created_by.id.as_uuid(),
            definition.created_by.display_name,
            definition.created_by.user_principal_name,
            Json(&draft.scope.sent) as _,
            draft.scope.sent.query_text(),
            draft.instance_enumeration_scope,
            list.as_uuid(),
            Json(&draft.settings) as _,
            Json(&draft.additional_notification_recipients) as _,
            group.map(ObjectId::as_uuid),
        )
        .execute(self.connection()?)
        .await?;
        self.insert_stage_settings(definition.id, &draft.stages).await?;
        Ok(())
    }

    async fn find(&mut self, id: DefinitionId) -> Result<Option<Definition>, StoreError> {
        let row = self.find_row(id).await?;
        Ok(self.complete(row.into_iter().collect()).await?.pop())
    }

    async fn lock(&mut self, id: DefinitionId) -> Result<Option<Definition>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query_as!(
            DefinitionRow,
            r#"
            select definition_id, display_name, description_for_admins, description_for_reviewers, status, created_at,
                   modified_at, created_by_id, created_by_name, created_by_user_principal_name,
                   scope as "scope: Json<SentScope>", instance_enumeration_scope,
                   settings as "settings: Json<Settings>",
                   additional_notification_recipients as "additional_notification_recipients: Recipients",
                   counted_from_occurrence, counted_from_at, stopped_at
              from definitions
             where tenant_id = $1
               and definition_id = $2
               for no key update
            "#,
            tenant,
            id.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(self.complete(row.into_iter().collect()).await?.pop())
    }

    async fn delete(&mut self, id: DefinitionId) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_uuid();
        let locked = sqlx::query!(
            r#"
            select 1 as "one!"
              from definitions
             where tenant_id = $1
               and definition_id = $2
               for update
            "#,
            tenant,
            id.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        if locked.is_none() {
            return Ok(false);
        }
        let lists = sqlx::query_scalar!(
            r#"
            select reviewer_list_id as "reviewer_list_id!"
              from (select reviewer_list_id
                      from definitions
                     where tenant_id = $1
                       and definition_id = $2
                     union all
                    select reviewer_list_id
                      from stage_settings
                     where tenant_id = $1
                       and definition_id = $2
                     union all
                    select reviewer_list_id
                      from instances
                     where tenant_id = $1
                       and definition_id = $2
                     union all
                    select p.reviewer_list_id
                      from planned_stages p
                      join instances i on i.tenant_id = p.tenant_id and i.instance_id = p.instance_id
                     where i.tenant_id = $1
                       and i.definition_id = $2
                     union all
                    select s.reviewer_list_id
                      from stages s
                      join instances i on i.tenant_id = s.tenant_id and i.instance_id = s.instance_id
                     where i.tenant_id = $1
                       and i.definition_id = $2) as owned
            "#,
            tenant,
            id.as_uuid(),
        )
        .fetch_all(self.connection()?)
        .await?;
        let instances = sqlx::query_scalar!(
            "select instance_id from instances where tenant_id = $1 and definition_id = $2",
            tenant,
            id.as_uuid(),
        )
        .fetch_all(self.connection()?)
        .await?;
        sqlx::query!("delete from definitions where tenant_id = $1 and definition_id = $2", tenant, id.as_uuid())
            .execute(self.connection()?)
            .await?;
        // Now that instances and stages are gone nobody can write these any more; no foreign key leads from them.
        sqlx::query!(
            r#"
            with items as (
                delete from decision_items where tenant_id = $1 and instance_id = any($2)
            ), cohorts as (
                delete from item_cohorts where tenant_id = $1 and instance_id = any($2)
            ), principals as (
                delete from item_principals where tenant_id = $1 and instance_id = any($2)
            ), decided as (
                delete from decisions where tenant_id = $1 and instance_id = any($2)
            ), listed as (
                delete from stage_items where tenant_id = $1 and instance_id = any($2)
            ), reviewers as (
                delete from stage_reviewers where tenant_id = $1 and instance_id = any($2)
            ), results as (
                delete from apply_results where tenant_id = $1 and instance_id = any($2)
            )
            delete from item_overrides where tenant_id = $1 and instance_id = any($2)
            "#,
            tenant,
            &instances,
        )
        .execute(self.connection()?)
        .await?;
        sqlx::query!("delete from reviewer_lists where tenant_id = $1 and reviewer_list_id = any($2)", tenant, &lists)
            .execute(self.connection()?)
            .await?;
        Ok(true)
    }

    async fn page(
        &mut self,
        filter: &DefinitionFilter,
        page: &Page<DefinitionCursor>,
    ) -> Result<Slice<Definition, DefinitionCursor>, StoreError> {
        let keys = filters::sort_keys(
            &filter.order,
            sort_column,
            &[filters::SortKey { column: column(DefinitionProperty::CreatedDateTime), descending: true }],
        );
        let mut query = QueryBuilder::<Postgres>::new(
            "select definition_id, display_name, description_for_admins, description_for_reviewers, status, created_at, \
             modified_at, created_by_id, created_by_name, created_by_user_principal_name, scope, \
             instance_enumeration_scope, settings, additional_notification_recipients, \
             counted_from_occurrence, counted_from_at, stopped_at, ",
        );
        filters::push_sort_keys(&mut query, &keys);
        if self.plans == Plans::AnewForPage {
            // For this page only; saying so within it takes no round trip. When it is empty, little follows that could be planned.
            query.push(", (select set_config('plan_cache_mode', 'auto', true)) as plans");
            self.plans = Plans::Anew;
        }
        query.push(" from definitions d where d.tenant_id = ").push_bind(self.tenant.as_uuid());
        push_filter(&mut query, self.tenant.as_uuid(), filter);
        if let Some(after) = &page.after {
            filters::push_keyset(&mut query, &keys, &after.keys, "d.definition_id", after.id.as_uuid());
        }
        filters::push_order(&mut query, &keys, "d.definition_id");
        filters::push_limit(&mut query, page.limit, page.skip);
        let rows: Vec<KeyedRow> = query.build_query_as().fetch_all(self.connection()?).await?;
        let (rows, next) = filters::slice(rows, page.limit, |row| DefinitionCursor {
            keys: row.sort_keys.clone(),
            id: DefinitionId::new(row.row.definition_id),
        });
        let rows = self.complete(rows.into_iter().map(|row| row.row).collect()).await?;
        Ok(Slice { rows, next })
    }

    async fn count(&mut self, filter: &DefinitionFilter) -> Result<i64, StoreError> {
        let mut query = QueryBuilder::<Postgres>::new("select count(*) from definitions d where d.tenant_id = ");
        query.push_bind(self.tenant.as_uuid());
        push_filter(&mut query, self.tenant.as_uuid(), filter);
        Ok(query.build_query_scalar().fetch_one(self.connection()?).await?)
    }
}

#[derive(sqlx::FromRow)]
struct KeyedRow {
    sort_keys: CursorKeys,
    #[sqlx(flatten)]
    row: DefinitionRow,
}

const fn column(property: DefinitionProperty) -> Column {
    match property {
        DefinitionProperty::Id => Column::id("d.definition_id"),
        DefinitionProperty::Status => Column::text("d.status"),
        DefinitionProperty::DisplayName => Column::text("d.display_name"),
        DefinitionProperty::CreatedDateTime => Column::instant("d.created_at"),
        DefinitionProperty::LastModifiedDateTime => Column::instant("d.modified_at"),
        DefinitionProperty::CreatorId => Column::id("d.created_by_id"),
        DefinitionProperty::ScopeQuery => {
            // Not of inactive users, whose scope is of another type. A-10
            Column::text("case when d.scope ->> 'inactiveDuration' is null then d.scope_query end").nullable()
        }
    }
}

/// Names are ordered as they are compared: without regard to case.
const fn sort_column(property: DefinitionProperty) -> Column {
    match property {
        DefinitionProperty::DisplayName => Column::text("lower(d.display_name)"),
        other => column(other),
    }
}

/// ` or d reviews a group that this person owns`. The groups come as an array, so that an index finds their definitions.
fn push_or_owned(query: &mut QueryBuilder<Postgres>, tenant: Uuid, filter: &DefinitionFilter) {
    if let Some(owner) = filter.or_of_group_owned_by {
        query.push(" or d.group_id = any(array(select o.group_id from group_owners o where o.tenant_id = ");
        query.push_bind(tenant).push(" and o.owner_id = ").push_bind(owner.as_uuid()).push("))");
    }
}

fn push_filter(query: &mut QueryBuilder<Postgres>, tenant: Uuid, filter: &DefinitionFilter) {
    if let Some(creator) = filter.created_by {
        query.push(" and (d.created_by_id = ").push_bind(creator.as_uuid());
        push_or_owned(query, tenant, filter);
        query.push(")");
    }
    if let Some(reviewer) = filter.reviewed_by {
        query.push(" and d.definition_id in (select i.definition_id from instances i where i.tenant_id = ");
        query.push_bind(tenant);
        filters::push_reviewed_by(query, tenant, reviewer);
        query.push(")");
    }
    if let Some(creator) = filter.role_assignable_or_created_by {
        query.push(" and (d.created_by_id = ").push_bind(creator.as_uuid());
        query.push(
            " or exists (select from instances i join groups g on g.tenant_id = i.tenant_id and g.group_id = i.resource_id \
             where i.tenant_id = d.tenant_id and i.definition_id = d.definition_id and g.is_assignable_to_role) \
             or exists (select from instances i where i.tenant_id = d.tenant_id and i.definition_id = d.definition_id \
             and i.resource_type = 'DirectoryRole')",
        );
        push_or_owned(query, tenant, filter);
        query.push(")");
    }
    if let Some(expression) = &filter.expression {
        query.push(" and ");
        filters::push_expression(query, expression, &|query, property, test| {
            filters::push_test(query, column(property), test);
        });
    }
}

//! Report definitions, their runs, and finished text in pieces. What a report shows is `history_report`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, QueryBuilder, types::Json};
use tokio::sync::mpsc::Sender;
use uuid::Uuid;

use super::{
    PgUnitOfWork,
    error::corrupt,
    filters::{self, Column},
};
use crate::{
    domain::{
        authorization::ReviewKind,
        definition::Identity,
        history::{
            FinishedReport, HistoryDecision, HistoryDefinition, HistoryDraft, HistoryInstance, HistoryPeriod,
            HistorySchedule, HistoryStatus, HistoryTiming, report::ReportRow, scope::HistoryScope,
        },
        ids::{HistoryDefinitionId, HistoryInstanceId, ObjectId},
    },
    store::{
        CursorKeys, Page, Slice, StoreError,
        filter::HistoryDefinitionProperty,
        history::{HistoryCursor, HistoryFilter, HistoryRepository, ReportQuery},
    },
};

/// A scope as stored; what it means is read again from the query.
#[derive(Serialize, Deserialize)]
struct StoredScope {
    query: String,
}

type Scopes = Json<Vec<StoredScope>>;
type Schedule = Json<HistorySchedule>;

#[derive(sqlx::FromRow)]
struct DefinitionRow {
    history_definition_id: Uuid,
    display_name: String,
    status: String,
    created_at: DateTime<Utc>,
    created_by_id: Uuid,
    created_by_name: String,
    created_by_user_principal_name: String,
    readable_kinds: Vec<String>,
    decisions: Vec<String>,
    scopes: Scopes,
    period_start: DateTime<Utc>,
    period_end: DateTime<Utc>,
    schedule: Option<Schedule>,
    expires_at: Option<DateTime<Utc>>,
}

impl TryFrom<DefinitionRow> for HistoryDefinition {
    type Error = StoreError;

    fn try_from(row: DefinitionRow) -> Result<Self, StoreError> {
        let id = row.history_definition_id;
        let fault = |column| corrupt("history_definitions", column, id);
        let period = HistoryPeriod { start: row.period_start, end: row.period_end };
        Ok(Self {
            id: HistoryDefinitionId::new(id),
            draft: HistoryDraft {
                display_name: row.display_name,
                decisions: row
                    .decisions
                    .iter()
                    .map(|text| HistoryDecision::parse(text))
                    .collect::<Option<_>>()
                    .ok_or_else(|| fault("decisions"))?,
                scopes: row
                    .scopes
                    .0
                    .iter()
                    .map(|scope| HistoryScope::parse(&scope.query, None, None))
                    .collect::<Result<_, _>>()
                    .map_err(|_| fault("scopes"))?,
                timing: match row.schedule {
                    Some(Json(schedule)) => HistoryTiming::Recurring(schedule),
                    None => HistoryTiming::Once(period),
                },
            },
            status: HistoryStatus::parse(&row.status).ok_or_else(|| fault("status"))?,
            created_at: row.created_at,
            created_by: Identity {
                id: ObjectId::new(row.created_by_id),
                display_name: row.created_by_name,
                user_principal_name: row.created_by_user_principal_name,
            },
            readable_kinds: row
                .readable_kinds
                .iter()
                .map(|text| ReviewKind::parse(text))
                .collect::<Option<_>>()
                .ok_or_else(|| fault("readable_kinds"))?,
            period,
            expires_at: row.expires_at,
        })
    }
}

struct InstanceRow {
    history_instance_id: Uuid,
    history_definition_id: Uuid,
    occurrence: i32,
    status: String,
    period_start: DateTime<Utc>,
    period_end: DateTime<Utc>,
    run_at: DateTime<Utc>,
    fulfilled_at: Option<DateTime<Utc>>,
    expires_at: DateTime<Utc>,
    link_expires_at: Option<DateTime<Utc>>,
    row_count: Option<i64>,
    byte_count: Option<i64>,
    piece_count: Option<i32>,
}

impl TryFrom<InstanceRow> for HistoryInstance {
    type Error = StoreError;

    fn try_from(row: InstanceRow) -> Result<Self, StoreError> {
        let id = row.history_instance_id;
        let fault = |column| corrupt("history_instances", column, id);
        let finished = match (row.fulfilled_at, row.row_count, row.byte_count, row.piece_count) {
            (Some(at), Some(rows), Some(bytes), Some(pieces)) => Some(FinishedReport { at, rows, bytes, pieces }),
            (None, None, None, None) => None,
            _ => return Err(fault("fulfilled_at")),
        };
        Ok(Self {
            id: HistoryInstanceId::new(id),
            definition_id: HistoryDefinitionId::new(row.history_definition_id),
            occurrence: row.occurrence,
            status: HistoryStatus::parse(&row.status).ok_or_else(|| fault("status"))?,
            period: HistoryPeriod { start: row.period_start, end: row.period_end },
            run_at: row.run_at,
            finished,
            expires_at: row.expires_at,
            link_expires_at: row.link_expires_at,
        })
    }
}

const COLUMNS: &str = "history_definition_id, display_name, status, created_at, created_by_id, created_by_name, \
     created_by_user_principal_name, readable_kinds, decisions, scopes, period_start, period_end, schedule, expires_at";

#[async_trait]
impl HistoryRepository for PgUnitOfWork {
    async fn insert(&mut self, definition: &HistoryDefinition, first: &HistoryInstance) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let draft = &definition.draft;
        let kinds: Vec<_> = definition.readable_kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
        let decisions: Vec<_> = draft.decisions.iter().map(|decision| decision.as_str().to_owned()).collect();
        let scopes = Json(draft.scopes.iter().map(|scope| StoredScope { query: scope.query.clone() }).collect());
        let schedule = match &draft.timing {
            HistoryTiming::Once(_) => None,
            HistoryTiming::Recurring(schedule) => Some(Json(schedule.clone())),
        };
        sqlx::query!(
            r#"
            insert into history_definitions
                (tenant_id, history_definition_id, display_name, status, created_at, created_by_id, created_by_name,
                 created_by_user_principal_name, readable_kinds, decisions, scopes, period_start, period_end, schedule,
                 expires_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
            "#,
            tenant,
            definition.id.as_uuid(),
            draft.display_name,
            definition.status.as_str(),
            definition.created_at,
            definition.created_by.id.as_uuid(),
            definition.created_by.display_name,
            definition.created_by.user_principal_name,
            &kinds,
            &decisions,
            scopes as Scopes,
            definition.period.start,
            definition.period.end,
            schedule as Option<Schedule>,
            definition.expires_at,
        )
        .execute(self.connection()?)
        .await?;
        self.insert_instance(first).await
    }

    async fn find(&mut self, id: HistoryDefinitionId) -> Result<Option<HistoryDefinition>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query_as!(
            DefinitionRow,
            r#"
            select history_definition_id, display_name, status, created_at, created_by_id, created_by_name,
                   created_by_user_principal_name, readable_kinds, decisions, scopes as "scopes: Scopes", period_start,
                   period_end, schedule as "schedule: Schedule", expires_at
              from history_definitions
             where tenant_id = $1
               and history_definition_id = $2
            "#,
            tenant,
            id.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        row.map(HistoryDefinition::try_from).transpose()
    }

    async fn lock(&mut self, id: HistoryDefinitionId) -> Result<Option<HistoryDefinition>, StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            r#"
            select 1 as "one!"
              from history_definitions
             where tenant_id = $1
               and history_definition_id = $2
               for no key update
            "#,
            tenant,
            id.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        HistoryRepository::find(self, id).await
    }

    async fn update(&mut self, definition: &HistoryDefinition) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            r#"
            update history_definitions
               set display_name = $3,
                   status = $4,
                   expires_at = $5
             where tenant_id = $1
               and history_definition_id = $2
            "#,
            tenant,
            definition.id.as_uuid(),
            definition.draft.display_name,
            definition.status.as_str(),
            definition.expires_at,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn delete(&mut self, id: HistoryDefinitionId) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_uuid();
        // Whoever is finishing a run of it holds the definition until then, so that no piece is left behind.
        sqlx::query!(
            r#"
            select 1 as "one!"
              from history_definitions
             where tenant_id = $1
               and history_definition_id = $2
               for update
            "#,
            tenant,
            id.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        sqlx::query!(
            r#"
            delete from history_pieces p
             using history_instances i
             where i.tenant_id = $1
               and i.history_definition_id = $2
               and p.tenant_id = $1
               and p.history_instance_id = i.history_instance_id
            "#,
            tenant,
            id.as_uuid(),
        )
        .execute(self.connection()?)
        .await?;
        let done = sqlx::query!(
            "delete from history_definitions where tenant_id = $1 and history_definition_id = $2",
            tenant,
            id.as_uuid(),
        )
        .execute(self.connection()?)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn page(
        &mut self,
        filter: &HistoryFilter,
        page: &Page<HistoryCursor>,
    ) -> Result<Slice<HistoryDefinition, HistoryCursor>, StoreError> {
        let own = filters::SortKey { column: column(HistoryDefinitionProperty::CreatedDateTime), descending: true };
        let keys = filters::sort_keys(&filter.order, sort_column, &[own]);
        let mut query = QueryBuilder::<Postgres>::new("select ");
        query.push(COLUMNS).push(", ");
        filters::push_sort_keys(&mut query, &keys);
        query.push(" from history_definitions h where h.tenant_id = ").push_bind(self.tenant.as_uuid());
        push_filter(&mut query, filter);
        if let Some(after) = &page.after {
            filters::push_keyset(&mut query, &keys, &after.keys, "h.history_definition_id", after.id.as_uuid());
        }
        filters::push_order(&mut query, &keys, "h.history_definition_id");
        filters::push_limit(&mut query, page.limit, page.skip);
        let rows: Vec<KeyedRow> = query.build_query_as().fetch_all(self.connection()?).await?;
        let (rows, next) = filters::slice(rows, page.limit, |row| HistoryCursor {
            keys: row.sort_keys.clone(),
            id: HistoryDefinitionId::new(row.row.history_definition_id),
        });
        let rows = rows.into_iter().map(|row| row.row.try_into()).collect::<Result<_, _>>()?;
        Ok(Slice { rows, next })
    }

    async fn count(&mut self, filter: &HistoryFilter) -> Result<i64, StoreError> {
        let mut query =
            QueryBuilder::<Postgres>::new("select count(*) from history_definitions h where h.tenant_id = ");
        query.push_bind(self.tenant.as_uuid());
        push_filter(&mut query, filter);
        Ok(query.build_query_scalar().fetch_one(self.connection()?).await?)
    }

    async fn insert_instance(&mut self, instance: &HistoryInstance) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            r#"
            insert into history_instances
                (tenant_id, history_instance_id, history_definition_id, occurrence, status, period_start, period_end, run_at,
                 expires_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            on conflict (tenant_id, history_definition_id, occurrence) do nothing
            "#,
            tenant,
            instance.id.as_uuid(),
            instance.definition_id.as_uuid(),
            instance.occurrence,
            instance.status.as_str(),
            instance.period.start,
            instance.period.end,
            instance.run_at,
            instance.expires_at,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn find_instance(&mut self, id: HistoryInstanceId) -> Result<Option<HistoryInstance>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query_as!(
            InstanceRow,
            r#"
            select history_instance_id, history_definition_id, occurrence, status, period_start, period_end, run_at,
                   fulfilled_at, expires_at, link_expires_at, row_count, byte_count, piece_count
              from history_instances
             where tenant_id = $1
               and history_instance_id = $2
            "#,
            tenant,
            id.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        row.map(HistoryInstance::try_from).transpose()
    }

    async fn lock_instance(&mut self, id: HistoryInstanceId) -> Result<Option<HistoryInstance>, StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            r#"
            select 1 as "one!"
              from history_instances
             where tenant_id = $1
               and history_instance_id = $2
               for no key update
            "#,
            tenant,
            id.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        self.find_instance(id).await
    }

    async fn update_instance(&mut self, instance: &HistoryInstance) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let finished = instance.finished;
        sqlx::query!(
            r#"
            update history_instances
               set status = $3,
                   fulfilled_at = $4,
                   expires_at = $5,
                   link_expires_at = $6,
                   row_count = $7,
                   byte_count = $8,
                   piece_count = $9
             where tenant_id = $1
               and history_instance_id = $2
            "#,
            tenant,
            instance.id.as_uuid(),
            instance.status.as_str(),
            finished.map(|report| report.at),
            instance.expires_at,
            instance.link_expires_at,
            finished.map(|report| report.rows),
            finished.map(|report| report.bytes),
            finished.map(|report| report.pieces),
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn delete_instance(&mut self, id: HistoryInstanceId) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            "delete from history_pieces where tenant_id = $1 and history_instance_id = $2",
            tenant,
            id.as_uuid()
        )
        .execute(self.connection()?)
        .await?;
        sqlx::query!(
            "delete from history_instances where tenant_id = $1 and history_instance_id = $2",
            tenant,
            id.as_uuid()
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn instances_of(
        &mut self,
        definitions: &[HistoryDefinitionId],
        there_at: DateTime<Utc>,
    ) -> Result<Vec<HistoryInstance>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let ids: Vec<_> = definitions.iter().map(|id| id.as_uuid()).collect();
        let rows = sqlx::query_as!(
            InstanceRow,
            r#"
            select history_instance_id, history_definition_id, occurrence, status, period_start, period_end, run_at,
                   fulfilled_at, expires_at, link_expires_at, row_count, byte_count, piece_count
              from history_instances
             where tenant_id = $1
               and history_definition_id = any($2)
               and expires_at > $3
             order by history_definition_id, run_at, history_instance_id
            "#,
            tenant,
            &ids,
            there_at,
        )
        .fetch_all(self.connection()?)
        .await?;
        rows.into_iter().map(HistoryInstance::try_from).collect()
    }

    async fn open_report(&mut self, query: &ReportQuery) -> Result<(), StoreError> {
        self.open_report_cursor(query).await
    }

    async fn read_report(&mut self, limit: u16, rows: &Sender<Vec<ReportRow>>) -> Result<u16, StoreError> {
        self.read_report_cursor(limit, rows).await
    }

    async fn append_pieces(&mut self, id: HistoryInstanceId, first: i32, pieces: &[Vec<u8>]) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            r#"
            insert into history_pieces (tenant_id, history_instance_id, number, content)
            select $1, $2, $3::integer + position::integer - 1, content
              from unnest($4::bytea[]) with ordinality as piece (content, position)
            "#,
            tenant,
            id.as_uuid(),
            first,
            pieces,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn piece(&mut self, id: HistoryInstanceId, number: i32) -> Result<Option<Vec<u8>>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let content = sqlx::query_scalar!(
            r#"
            select content
              from history_pieces
             where tenant_id = $1
               and history_instance_id = $2
               and number = $3
            "#,
            tenant,
            id.as_uuid(),
            number,
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(content)
    }
}

#[derive(sqlx::FromRow)]
struct KeyedRow {
    sort_keys: CursorKeys,
    #[sqlx(flatten)]
    row: DefinitionRow,
}

const fn column(property: HistoryDefinitionProperty) -> Column {
    match property {
        HistoryDefinitionProperty::Id => Column::id("h.history_definition_id"),
        HistoryDefinitionProperty::Status => Column::text("h.status"),
        HistoryDefinitionProperty::DisplayName => Column::text("h.display_name"),
        HistoryDefinitionProperty::CreatedDateTime => Column::instant("h.created_at"),
    }
}

/// Names are ordered without regard to letter case.
const fn sort_column(property: HistoryDefinitionProperty) -> Column {
    match property {
        HistoryDefinitionProperty::DisplayName => Column::text("lower(h.display_name)"),
        HistoryDefinitionProperty::Id
        | HistoryDefinitionProperty::Status
        | HistoryDefinitionProperty::CreatedDateTime => column(property),
    }
}

fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &HistoryFilter) {
    query.push(" and (h.expires_at is null or h.expires_at > ").push_bind(filter.there_at).push(")");
    if let Some(creator) = filter.created_by {
        query.push(" and h.created_by_id = ").push_bind(creator.as_uuid());
    }
    if let Some(expression) = &filter.expression {
        query.push(" and ");
        filters::push_expression(query, expression, &|query, property, test| {
            filters::push_test(query, column(property), test);
        });
    }
}

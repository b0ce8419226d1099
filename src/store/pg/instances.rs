//! Instances and what persons are to them.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder, types::Json};
use uuid::Uuid;

use super::{
    PgUnitOfWork,
    definitions::scope_from_row,
    error::corrupt,
    filters::{self, Column},
};
use crate::{
    domain::{
        definition::Settings,
        ids::{DefinitionId, InstanceId, ItemPrefix, ObjectId, ReviewerListId},
        instance::{Instance, InstanceError, Resource, ResourceDetail, ResourceKind},
        lifecycle::InstanceProgress,
        reviewer_scope::ReviewerLists,
        scope::SentScope,
        status::Status,
    },
    store::{
        CursorKeys, InstanceCursor, InstanceFilter, InstanceRepository, Page, ReviewerListRepository, Slice,
        StoreError, filter::InstanceProperty,
    },
};

#[derive(sqlx::FromRow, serde::Deserialize)]
pub(super) struct InstanceRow {
    pub(super) instance_id: Uuid,
    pub(super) definition_id: Uuid,
    pub(super) occurrence: i32,
    pub(super) status: String,
    pub(super) start_at: DateTime<Utc>,
    pub(super) end_at: DateTime<Utc>,
    pub(super) ended_at: Option<DateTime<Utc>>,
    pub(super) scope: Json<SentScope>,
    pub(super) resource_id: Uuid,
    pub(super) resource_type: String,
    pub(super) resource_name: String,
    pub(super) resource_detail_id: Option<Uuid>,
    pub(super) resource_detail_name: Option<String>,
    pub(super) settings: Json<Settings>,
    pub(super) multi_stage: bool,
    pub(super) item_count: i32,
    pub(super) item_prefix: Uuid,
    pub(super) errors: Json<Vec<InstanceError>>,
    pub(super) version: i64,
}

impl TryFrom<InstanceRow> for Instance {
    type Error = StoreError;

    fn try_from(row: InstanceRow) -> Result<Self, StoreError> {
        let id = row.instance_id;
        Ok(Self {
            id: InstanceId::new(id),
            definition_id: DefinitionId::new(row.definition_id),
            occurrence: row.occurrence,
            status: row.status.parse().map_err(|_| corrupt("instances", "status", id))?,
            start_at: row.start_at,
            end_at: row.end_at,
            ended_at: row.ended_at,
            scope: scope_from_row("instances", id, row.scope.0, None)?,
            resource: Resource {
                id: ObjectId::new(row.resource_id),
                display_name: row.resource_name,
                kind: ResourceKind::parse(&row.resource_type)
                    .ok_or_else(|| corrupt("instances", "resource_type", id))?,
                detail: row.resource_detail_id.map(|detail| ResourceDetail {
                    id: ObjectId::new(detail),
                    display_name: row.resource_detail_name.unwrap_or_default(),
                }),
            },
            settings: row.settings.0,
            multi_stage: row.multi_stage,
            item_count: row.item_count,
            item_prefix: ItemPrefix::from_uuid(row.item_prefix),
            errors: row.errors.0,
            version: row.version,
        })
    }
}

const COLUMNS: &str = "instance_id, definition_id, occurrence, status, start_at, end_at, ended_at, scope, resource_id, \
     resource_type, resource_name, resource_detail_id, resource_detail_name, settings, multi_stage, item_count, \
     item_prefix, errors, version";

#[async_trait]
impl InstanceRepository for PgUnitOfWork {
    async fn insert(&mut self, instance: &Instance, lists: &ReviewerLists) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let list = ReviewerListId::of_instance(instance.id);
        let taken = sqlx::query_scalar!(
            r#"
            select exists (
                select
                  from instances
                 where tenant_id = $1
                   and definition_id = $2
                   and occurrence = $3
                   and resource_id = $4) as "taken!"
            "#,
            tenant,
            instance.definition_id.as_uuid(),
            instance.occurrence,
            instance.resource.id.as_uuid(),
        )
        .fetch_one(self.connection()?)
        .await?;
        if taken {
            return Ok(false);
        }
        self.replace(list, lists).await?;
        let detail = instance.resource.detail.as_ref();
        sqlx::query!(
            r#"
            insert into instances
                (tenant_id, instance_id, definition_id, occurrence, status, start_at, end_at, scope,
                 scope_query, resource_id, resource_type, resource_name, settings, multi_stage, reviewer_list_id,
                 item_prefix, errors, created_at, resource_detail_id, resource_detail_name)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
            "#,
            tenant,
            instance.id.as_uuid(),
            instance.definition_id.as_uuid(),
            instance.occurrence,
            instance.status.as_str(),
            instance.start_at,
            instance.end_at,
            Json(&instance.scope.sent) as _,
            instance.scope.sent.query_text(),
            instance.resource.id.as_uuid(),
            instance.resource.kind.as_str(),
            instance.resource.display_name,
            Json(&instance.settings) as _,
            instance.multi_stage,
            list.as_uuid(),
            instance.item_prefix.as_uuid(),
            Json(&instance.errors) as _,
            now,
            detail.map(|detail| detail.id.as_uuid()),
            detail.map(|detail| detail.display_name.as_str()),
        )
        .execute(self.connection()?)
        .await?;
        Ok(true)
    }

    async fn find(&mut self, definition: DefinitionId, id: InstanceId) -> Result<Option<Instance>, StoreError> {
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
               and instance_id = $2
               and definition_id = $3
            "#,
            tenant,
            id.as_uuid(),
            definition.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?
        .map(Instance::try_from)
        .transpose()
    }

    async fn definition_of(&mut self, id: InstanceId) -> Result<Option<DefinitionId>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let definition = sqlx::query_scalar!(
            "select definition_id from instances where tenant_id = $1 and instance_id = $2",
            tenant,
            id.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(definition.map(DefinitionId::new))
    }

    async fn lock(&mut self, id: InstanceId) -> Result<Option<Instance>, StoreError> {
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
               and instance_id = $2
               for no key update
            "#,
            tenant,
            id.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?
        .map(Instance::try_from)
        .transpose()
    }

    async fn update(&mut self, instance: &mut Instance) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        instance.version = sqlx::query_scalar!(
            r#"
            update instances
               set status = $3,
                   start_at = $4,
                   end_at = $5,
                   item_count = $6,
                   errors = $7,
                   ended_at = $8,
                   version = version + 1
             where tenant_id = $1
               and instance_id = $2
            returning version
            "#,
            tenant,
            instance.id.as_uuid(),
            instance.status.as_str(),
            instance.start_at,
            instance.end_at,
            instance.item_count,
            Json(&instance.errors) as _,
            instance.ended_at,
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(())
    }

    async fn progress(
        &mut self,
        definition: DefinitionId,
        besides: Option<InstanceId>,
    ) -> Result<Vec<InstanceProgress>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let statuses = Status::ALL.map(|status| status.as_str().to_owned());
        sqlx::query!(
            r#"
            select latest.occurrence, s.status as "status!"
              from unnest($3::text[]) as s (status)
             cross join lateral (
                       select occurrence
                         from instances
                        where tenant_id = $1
                          and definition_id = $2
                          and status = s.status
                          and ($4::uuid is null or instance_id <> $4)
                        order by occurrence desc
                        limit 1) as latest
            "#,
            tenant,
            definition.as_uuid(),
            &statuses,
            besides.map(InstanceId::as_uuid),
        )
        .fetch_all(self.connection()?)
        .await?
        .into_iter()
        .map(|row| {
            let status = row.status.parse().map_err(|_| corrupt("instances", "status", definition))?;
            Ok(InstanceProgress { occurrence: row.occurrence, status })
        })
        .collect()
    }

    async fn page(
        &mut self,
        definition: DefinitionId,
        filter: &InstanceFilter,
        page: &Page<InstanceCursor>,
    ) -> Result<Slice<Instance, InstanceCursor>, StoreError> {
        let keys = filters::sort_keys(
            &filter.order,
            column,
            &[filters::SortKey { column: column(InstanceProperty::StartDateTime), descending: false }],
        );
        let mut query = QueryBuilder::<Postgres>::new("select ");
        query.push(COLUMNS).push(", ");
        filters::push_sort_keys(&mut query, &keys);
        query.push(" from instances i where i.tenant_id = ").push_bind(self.tenant.as_uuid());
        push_filter(&mut query, self.tenant.as_uuid(), definition, filter);
        if let Some(after) = &page.after {
            filters::push_keyset(&mut query, &keys, &after.keys, "i.instance_id", after.id.as_uuid());
        }
        filters::push_order(&mut query, &keys, "i.instance_id");
        filters::push_limit(&mut query, page.limit, page.skip);
        let rows: Vec<KeyedRow> = query.build_query_as().fetch_all(self.connection()?).await?;
        let (rows, next) = filters::slice(rows, page.limit, |row| InstanceCursor {
            keys: row.sort_keys.clone(),
            id: InstanceId::new(row.row.instance_id),
        });
        let rows = rows.into_iter().map(|row| row.row.try_into()).collect::<Result<_, _>>()?;
        Ok(Slice { rows, next })
    }

    async fn count(&mut self, definition: DefinitionId, filter: &InstanceFilter) -> Result<i64, StoreError> {
        let mut query = QueryBuilder::<Postgres>::new("select count(*) from instances i where i.tenant_id = ");
        query.push_bind(self.tenant.as_uuid());
        push_filter(&mut query, self.tenant.as_uuid(), definition, filter);
        Ok(query.build_query_scalar().fetch_one(self.connection()?).await?)
    }
}

#[derive(sqlx::FromRow)]
struct KeyedRow {
    sort_keys: CursorKeys,
    #[sqlx(flatten)]
    row: InstanceRow,
}

const fn column(property: InstanceProperty) -> Column {
    match property {
        InstanceProperty::Id => Column::id("i.instance_id"),
        InstanceProperty::Status => Column::text("i.status"),
        InstanceProperty::StartDateTime => Column::instant("i.start_at"),
        InstanceProperty::EndDateTime => Column::instant("i.end_at"),
        InstanceProperty::ScopeQuery => {
            // Not of inactive users, whose scope is of another type. A-10
            Column::text("case when i.scope ->> 'inactiveDuration' is null then i.scope_query end").nullable()
        }
    }
}

fn push_filter(query: &mut QueryBuilder<Postgres>, tenant: Uuid, definition: DefinitionId, filter: &InstanceFilter) {
    query.push(" and i.definition_id = ").push_bind(definition.as_uuid());
    if let Some(reviewer) = filter.reviewed_by {
        filters::push_reviewed_by(query, tenant, reviewer);
    }
    if let Some(expression) = &filter.expression {
        query.push(" and ");
        filters::push_expression(query, expression, &|query, property, test| {
            filters::push_test(query, column(property), test);
        });
    }
}

//! What is asked most often, each by one SQL function in one round trip. V0024, V0037, V0038

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{
    PgStore,
    decisions::DecisionColumns,
    error::corrupt,
    filters,
    items::{FactColumns, ItemColumns},
    page_columns,
};
use crate::{
    domain::{
        ids::{DefinitionId, InstanceId, ItemPrefix, ObjectId, TenantId},
        instance::{Resource, ResourceDetail, ResourceKind, ReviewedInstance},
    },
    store::{
        ItemCursor, ItemRow, Lane, Page, Slice, StoreError,
        frequent_reads::{AskedItem, FoundInstance, FoundPage, FrequentReads, ShownItem},
    },
};

/// The columns of an item in the type `shown_item`: all there, or none of those that an item always has.
struct ShownColumns {
    seq: Option<i32>,
    principal_id: Option<Uuid>,
    principal_type: Option<String>,
    principal_name: Option<String>,
    principal_detail: Option<String>,
    app_role_id: Option<Uuid>,
    app_role_name: Option<String>,
    recommendation_code: Option<i16>,
    sign_in_known: Option<bool>,
    last_sign_in_at: Option<DateTime<Utc>>,
    application_sign_in_known: Option<bool>,
    application_sign_in_at: Option<DateTime<Utc>>,
    outlier: Option<bool>,
    apply_result: Option<String>,
    apply_description: Option<String>,
    applied_by_id: Option<Uuid>,
    applied_by_name: Option<String>,
    applied_by_user_principal_name: Option<String>,
    applied_at: Option<DateTime<Utc>>,
    decision: Option<String>,
    justification: Option<String>,
    decided_by_id: Option<Uuid>,
    decided_by_name: Option<String>,
    decided_by_user_principal_name: Option<String>,
    decided_at: Option<DateTime<Utc>>,
    moves_on: Option<bool>,
}

impl ShownColumns {
    fn into_row(self) -> Result<Option<ItemRow>, StoreError> {
        let Some(seq) = self.seq else { return Ok(None) };
        let missing = || corrupt("decision_items", "principal_id", seq);
        let columns = ItemColumns {
            seq,
            principal_id: self.principal_id.ok_or_else(missing)?,
            principal_type: self.principal_type.ok_or_else(missing)?,
            principal_name: self.principal_name.ok_or_else(missing)?,
            principal_detail: self.principal_detail.ok_or_else(missing)?,
            app_role_id: self.app_role_id,
            app_role_name: self.app_role_name,
            recommendation_code: self.recommendation_code.ok_or_else(missing)?,
            facts: FactColumns {
                sign_in_known: self.sign_in_known.unwrap_or(false),
                last_sign_in_at: self.last_sign_in_at,
                application_sign_in_known: self.application_sign_in_known.unwrap_or(false),
                application_sign_in_at: self.application_sign_in_at,
                outlier: self.outlier,
            },
            apply_result: self.apply_result.unwrap_or_default(),
            apply_description: self.apply_description,
            applied_by_id: self.applied_by_id,
            applied_by_name: self.applied_by_name,
            applied_by_user_principal_name: self.applied_by_user_principal_name,
            applied_at: self.applied_at,
            sort_keys: Vec::new(),
            decision: DecisionColumns {
                decision: self.decision,
                justification: self.justification,
                decided_by_id: self.decided_by_id,
                decided_by_name: self.decided_by_name,
                decided_by_user_principal_name: self.decided_by_user_principal_name,
                decided_at: self.decided_at,
                moves_on: self.moves_on,
            },
        };
        ItemRow::try_from(columns).map(Some)
    }
}

/// The columns of an instance.
struct FoundColumns {
    instance: InstanceId,
    definition_id: Uuid,
    start_at: DateTime<Utc>,
    item_prefix: Uuid,
    item_count: i32,
    /// `None` before the first stage is made.
    last_ordinal: Option<i16>,
    resource_id: Uuid,
    resource_type: String,
    resource_name: String,
    resource_detail_id: Option<Uuid>,
    resource_detail_name: Option<String>,
    role_assignable: bool,
}

impl TryFrom<FoundColumns> for FoundInstance {
    type Error = StoreError;

    fn try_from(row: FoundColumns) -> Result<Self, StoreError> {
        let id = row.instance;
        Ok(Self {
            reviewed: ReviewedInstance {
                id,
                definition_id: DefinitionId::new(row.definition_id),
                start_at: row.start_at,
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
                item_count: row.item_count,
                item_prefix: ItemPrefix::from_uuid(row.item_prefix),
            },
            role_assignable: row.role_assignable,
            last_ordinal: row.last_ordinal.unwrap_or(1),
        })
    }
}

/// The type `found_instance`.
#[derive(sqlx::Type)]
#[sqlx(type_name = "found_instance")]
struct InstanceColumns {
    definition_id: Uuid,
    start_at: DateTime<Utc>,
    item_prefix: Uuid,
    item_count: i32,
    /// `None` before the first stage is made.
    last_ordinal: Option<i16>,
    resource_id: Uuid,
    resource_type: String,
    resource_name: String,
    resource_detail_id: Option<Uuid>,
    resource_detail_name: Option<String>,
    role_assignable: bool,
    /// Whether a page of its items follows.
    has_page: bool,
}

impl InstanceColumns {
    fn into_found(self, instance: InstanceId) -> Result<FoundInstance, StoreError> {
        FoundColumns {
            instance,
            definition_id: self.definition_id,
            start_at: self.start_at,
            item_prefix: self.item_prefix,
            item_count: self.item_count,
            last_ordinal: self.last_ordinal,
            resource_id: self.resource_id,
            resource_type: self.resource_type,
            resource_name: self.resource_name,
            resource_detail_id: self.resource_detail_id,
            resource_detail_name: self.resource_detail_name,
            role_assignable: self.role_assignable,
        }
        .try_into()
    }
}

impl PgStore {
    /// Runs one statement in a turn of this tenant, or of none.
    async fn at_once<T>(
        &self,
        tenant: Option<TenantId>,
        ask: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        self.at_home(async {
            let mut connection = self.lend(Lane::Interactive, tenant).await?;
            let answer = ask(&mut connection).await?;
            connection.is_sound();
            Ok(answer)
        })
        .await
    }
}

#[async_trait]
impl FrequentReads for PgStore {
    async fn shown_items(&self, asked: &[AskedItem]) -> Result<Vec<Option<ShownItem>>, StoreError> {
        // Those of one tenant follow each other.
        let mut order: Vec<_> = (0..asked.len()).collect();
        order.sort_by_key(|position| asked[*position].tenant);
        let tenants: Vec<_> = order.iter().map(|position| asked[*position].tenant.as_uuid()).collect();
        let instances: Vec<_> = order.iter().map(|position| asked[*position].instance.as_uuid()).collect();
        let items: Vec<_> = order.iter().map(|position| asked[*position].seq).collect();
        let rows = sqlx::query!(
            r#"
            select place as "place!", definition_id as "definition_id!", start_at as "start_at!", item_prefix as "item_prefix!",
                   item_count as "item_count!", last_ordinal, resource_id as "resource_id!",
                   resource_type as "resource_type!", resource_name as "resource_name!", resource_detail_id,
                   resource_detail_name, role_assignable as "role_assignable!", seq, principal_id, principal_type,
                   principal_name, principal_detail, app_role_id, app_role_name, recommendation_code, sign_in_known,
                   last_sign_in_at, application_sign_in_known, application_sign_in_at, outlier, apply_result,
                   apply_description, applied_by_id, applied_by_name, applied_by_user_principal_name, applied_at,
                   decision, justification, decided_by_id, decided_by_name, decided_by_user_principal_name, decided_at,
                   moves_on
              from shown_items($1, $2, $3)
            "#,
            &tenants,
            &instances,
            &items,
        );
        let rows = self.at_once(None, async |connection| rows.fetch_all(connection).await).await?;
        let mut found: Vec<Option<ShownItem>> = vec![None; asked.len()];
        for row in rows {
            let place = usize::try_from(row.place).ok().and_then(|place| order.get(place.checked_sub(1)?));
            let Some(&position) = place else { continue };
            let instance = FoundColumns {
                instance: asked[position].instance,
                definition_id: row.definition_id,
                start_at: row.start_at,
                item_prefix: row.item_prefix,
                item_count: row.item_count,
                last_ordinal: row.last_ordinal,
                resource_id: row.resource_id,
                resource_type: row.resource_type,
                resource_name: row.resource_name,
                resource_detail_id: row.resource_detail_id,
                resource_detail_name: row.resource_detail_name,
                role_assignable: row.role_assignable,
            };
            let columns = ShownColumns {
                seq: row.seq,
                principal_id: row.principal_id,
                principal_type: row.principal_type,
                principal_name: row.principal_name,
                principal_detail: row.principal_detail,
                app_role_id: row.app_role_id,
                app_role_name: row.app_role_name,
                recommendation_code: row.recommendation_code,
                sign_in_known: row.sign_in_known,
                last_sign_in_at: row.last_sign_in_at,
                application_sign_in_known: row.application_sign_in_known,
                application_sign_in_at: row.application_sign_in_at,
                outlier: row.outlier,
                apply_result: row.apply_result,
                apply_description: row.apply_description,
                applied_by_id: row.applied_by_id,
                applied_by_name: row.applied_by_name,
                applied_by_user_principal_name: row.applied_by_user_principal_name,
                applied_at: row.applied_at,
                decision: row.decision,
                justification: row.justification,
                decided_by_id: row.decided_by_id,
                decided_by_name: row.decided_by_name,
                decided_by_user_principal_name: row.decided_by_user_principal_name,
                decided_at: row.decided_at,
                moves_on: row.moves_on,
            };
            found[position] = Some(ShownItem { instance: instance.try_into()?, row: columns.into_row()? });
        }
        Ok(found)
    }

    async fn decision_page(
        &self,
        tenant: TenantId,
        instance: InstanceId,
        reviewer: Option<ObjectId>,
        page: &Page<ItemCursor>,
        with_facts: bool,
    ) -> Result<Option<FoundPage>, StoreError> {
        let clamped = |number: i64| i32::try_from(number).unwrap_or(i32::MAX - 1);
        let rows = sqlx::query("select * from decision_page($1, $2, $3, $4, $5, $6, $7)")
            .bind(tenant.as_uuid())
            .bind(instance.as_uuid())
            .bind(reviewer.map(ObjectId::as_uuid))
            .bind(page.after.as_ref().map_or(0, |after| after.seq))
            .bind(clamped(page.skip))
            .bind(clamped(page.limit + 1))
            .bind(with_facts);
        let rows = self.at_once(Some(tenant), async |connection| rows.fetch_all(connection).await).await?;
        let Some((head, parts)) = rows.split_first() else { return Ok(None) };
        let head: Option<InstanceColumns> = head.try_get_unchecked(0)?;
        let head = head.ok_or_else(|| corrupt("instances", "definition_id", instance))?;
        let has_page = head.has_page;
        let found = head.into_found(instance)?;
        if !has_page {
            return Ok(Some(FoundPage { instance: found, items: None }));
        }
        let mut rows = Vec::with_capacity(usize::try_from(page.limit + 1).unwrap_or_default());
        for part in parts {
            if !page_columns::read_part(part, &mut rows)? {
                return Ok(Some(FoundPage { instance: found, items: None }));
            }
        }
        let (rows, next) =
            filters::slice(rows, page.limit, |row: &ItemRow| ItemCursor { keys: Vec::new(), seq: row.seq });
        Ok(Some(FoundPage { instance: found, items: Some(Slice { rows, next }) }))
    }
}

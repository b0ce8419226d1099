//! Updates of a stage's reviewers: two functions, each one round trip. V0032

use async_trait::async_trait;
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use super::{
    PgUnitOfWork,
    error::corrupt,
    events::EventColumns,
    instances::InstanceRow,
    reviewer_lists::{ScopeColumns, ScopeRow, lists_from_rows},
    stages::StageRow,
};
use crate::{
    domain::{
        definition::Settings,
        ids::{DefinitionId, InstanceId, ReviewerListId, StageId},
        instance::{Instance, InstanceError},
        mail::MailKind,
        reviewer_scope::ReviewerForm,
        scope::SentScope,
    },
    store::{
        StageEntry, StoreError,
        stage_updates::{StageChange, StageToUpdate, StageUpdateRepository},
    },
};

#[async_trait]
impl StageUpdateRepository for PgUnitOfWork {
    async fn lock(
        &mut self,
        definition: DefinitionId,
        instance: InstanceId,
        stage: StageId,
        named: &[ReviewerForm],
    ) -> Result<Option<StageToUpdate>, StoreError> {
        let tenant = self.tenant.as_uuid();
        // What names no object is always there.
        let named: Vec<_> = named.iter().filter_map(|form| Some((form, form.object_id()?.as_uuid()))).collect();
        let kinds: Vec<_> = named.iter().map(|(form, _)| form.kind().to_owned()).collect();
        let objects: Vec<_> = named.iter().map(|(_, object)| *object).collect();
        let row = sqlx::query!(
            r#"
            select occurrence as "occurrence!", instance_status as "instance_status!",
                   instance_start_at as "instance_start_at!", instance_end_at as "instance_end_at!", ended_at,
                   scope as "scope!: Json<SentScope>", resource_id as "resource_id!", resource_type as "resource_type!",
                   resource_name as "resource_name!", resource_detail_id, resource_detail_name,
                   role_assignable as "role_assignable!", settings as "settings!: Json<Settings>",
                   multi_stage as "multi_stage!", item_count as "item_count!", item_prefix as "item_prefix!",
                   errors as "errors!: Json<Vec<InstanceError>>", instance_version as "instance_version!",
                   ordinal as "ordinal!", stage_count as "stage_count!", status as "status!", start_at as "start_at!",
                   end_at as "end_at!", decisions_that_will_move_to_next_stage as "moves!",
                   recommendations_enabled as "recommendations_enabled!", entry as "entry!", version as "version!",
                   scopes as "scopes!: Json<Vec<ScopeRow>>", missing as "missing!"
              from stage_to_update($1, $2, $3, $4, $5, $6)
            "#,
            tenant,
            definition.as_uuid(),
            instance.as_uuid(),
            stage.as_uuid(),
            &kinds,
            &objects,
        )
        .fetch_optional(self.connection()?)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let lists = lists_from_rows(row.scopes.0, &[ReviewerListId::of_stage(stage)])?.pop().unwrap_or_default();
        let missing = row.missing.into_iter().map(|position| {
            let named = usize::try_from(position - 1).ok().and_then(|position| named.get(position));
            named.map(|(form, _)| (*form).clone()).ok_or_else(|| corrupt("stage_to_update", "missing", position))
        });
        Ok(Some(StageToUpdate {
            instance: Instance::try_from(InstanceRow {
                instance_id: instance.as_uuid(),
                definition_id: definition.as_uuid(),
                occurrence: row.occurrence,
                status: row.instance_status,
                start_at: row.instance_start_at,
                end_at: row.instance_end_at,
                ended_at: row.ended_at,
                scope: row.scope,
                resource_id: row.resource_id,
                resource_type: row.resource_type,
                resource_name: row.resource_name,
                resource_detail_id: row.resource_detail_id,
                resource_detail_name: row.resource_detail_name,
                settings: row.settings,
                multi_stage: row.multi_stage,
                item_count: row.item_count,
                item_prefix: row.item_prefix,
                errors: row.errors,
                version: row.instance_version,
            })?,
            role_assignable: row.role_assignable,
            entry: StageEntry::try_from(StageRow {
                stage_id: stage.as_uuid(),
                instance_id: instance.as_uuid(),
                definition_id: definition.as_uuid(),
                ordinal: row.ordinal,
                stage_count: row.stage_count,
                status: row.status,
                start_at: row.start_at,
                end_at: row.end_at,
                decisions_that_will_move_to_next_stage: row.moves,
                recommendations_enabled: row.recommendations_enabled,
                entry: row.entry,
                version: row.version,
            })?,
            lists,
            missing: missing.collect::<Result<_, _>>()?,
        }))
    }

    async fn save(&mut self, change: StageChange<'_>) -> Result<bool, StoreError> {
        let (tenant, now) = (self.tenant.as_uuid(), self.now);
        let StageChange { stage, lists, events, reviewers } = change;
        let scopes = ScopeColumns::of(lists);
        let events: Vec<_> = events.iter().map(|(actor, event)| (actor, event)).collect();
        let events = EventColumns::of(&events);
        let settled = sqlx::query_scalar!(
            r#"
            select change_stage_reviewers(
                       $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
                       $25, $26, $27, $28, $29, $30, $31, $32, $33) as "settled!"
            "#,
            tenant,
            stage.instance_id.as_uuid(),
            stage.ordinal,
            ReviewerListId::of_stage(stage.id).as_uuid(),
            stage.version,
            now,
            &scopes.roles,
            &scopes.ordinals,
            &scopes.queries,
            &scopes.query_types,
            &scopes.query_roots as &[Option<String>],
            &scopes.normalised,
            &scopes.forms,
            &scopes.objects as &[Option<Uuid>],
            &scopes.user_types as &[Option<String>],
            &scopes.countries as &[Option<String>],
            &scopes.scope_types as &[Option<String>],
            &scopes.reviewers as &[Option<String>],
            &scopes.queries_sent,
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
            reviewers.map(|reviewers| reviewers.resource.as_uuid()),
            reviewers.map(|reviewers| reviewers.most),
            reviewers.and_then(|reviewers| reviewers.mail).map(MailKind::key),
        )
        .fetch_one(self.connection()?)
        .await?;
        Ok(settled)
    }
}

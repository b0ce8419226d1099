//! Occurrences of all-groups reviews: groups looked up and instances made in a fixed number of statements.

use async_trait::async_trait;
use sqlx::{Postgres, QueryBuilder, Row, types::Json};

use super::{PgUnitOfWork, definitions::moves_to_row, gathering::push_user_conditions};
use crate::{
    domain::{
        enumeration::OpenedOccurrence,
        ids::{DefinitionId, InstanceId, ObjectId, ReviewerListId, StageId},
        lifecycle::Entry,
        scope::{GroupEnumeration, UserKind},
        stage::PlannedStage,
    },
    store::{
        StoreError,
        occurrences::{FoundGroup, GroupSearch, NewInstance, OccurrenceRepository},
    },
};

impl PgUnitOfWork {
    /// Gives each of `targets` a list like the stored one of `source`.
    async fn copy_list(&mut self, source: ReviewerListId, targets: &[uuid::Uuid]) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            "insert into reviewer_lists (tenant_id, reviewer_list_id) select $1, target from unnest($2::uuid[]) as target",
            tenant,
            targets,
        )
        .execute(self.connection()?)
        .await?;
        sqlx::query!(
            r#"
            insert into reviewer_scopes
                (tenant_id, reviewer_list_id, role, ordinal, query, query_type, query_root, normalised_form, form,
                 object_id, owner_user_type, owner_country, scope_type, reviewer_id, query_sent)
            select s.tenant_id, target, s.role, s.ordinal, s.query, s.query_type, s.query_root, s.normalised_form, s.form,
                   s.object_id, s.owner_user_type, s.owner_country, s.scope_type, s.reviewer_id, s.query_sent
              from reviewer_scopes s
             cross join unnest($3::uuid[]) as target
             where s.tenant_id = $1
               and s.reviewer_list_id = $2
            "#,
            tenant,
            source.as_uuid(),
            targets,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn insert_instances(&mut self, first: &NewInstance, instances: &[NewInstance]) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let ids: Vec<_> = instances.iter().map(|new| new.instance.id.as_uuid()).collect();
        let lists: Vec<_> =
            instances.iter().map(|new| ReviewerListId::of_instance(new.instance.id).as_uuid()).collect();
        let resources: Vec<_> = instances.iter().map(|new| new.instance.resource.id.as_uuid()).collect();
        let names: Vec<_> = instances.iter().map(|new| new.instance.resource.display_name.clone()).collect();
        let prefixes: Vec<_> = instances.iter().map(|new| new.instance.item_prefix.as_uuid()).collect();
        let scopes: Vec<_> = instances.iter().map(|new| Json(&new.instance.scope.sent)).collect();
        let queries: Vec<_> =
            instances.iter().map(|new| new.instance.scope.sent.query_text().map(str::to_owned)).collect();
        let instance = &first.instance;
        sqlx::query!(
            r#"
            insert into instances
                (tenant_id, instance_id, definition_id, occurrence, status, start_at, end_at, scope, scope_query,
                 resource_id, resource_type, resource_name, settings, multi_stage, reviewer_list_id, item_prefix, created_at)
            select $1, new.instance_id, $2, $3, $4, $5, $6, new.scope, new.scope_query, new.resource_id, $7,
                   new.resource_name, $8, $9, new.reviewer_list_id, new.item_prefix, $10
              from unnest($11::uuid[], $12::jsonb[], $13::text[], $14::uuid[], $15::text[], $16::uuid[], $17::uuid[])
                   as new (instance_id, scope, scope_query, resource_id, resource_name, reviewer_list_id, item_prefix)
            "#,
            tenant,
            instance.definition_id.as_uuid(),
            instance.occurrence,
            instance.status.as_str(),
            instance.start_at,
            instance.end_at,
            instance.resource.kind.as_str(),
            Json(&instance.settings) as _,
            instance.multi_stage,
            now,
            &ids,
            &scopes as _,
            &queries as &[Option<String>],
            &resources,
            &names,
            &lists,
            &prefixes,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn insert_plans(&mut self, instances: &[InstanceId], planned: &[PlannedStage]) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let ids: Vec<_> = instances.iter().map(|id| id.as_uuid()).collect();
        for stage in planned {
            let lists: Vec<_> =
                instances.iter().map(|id| ReviewerListId::of_planned_stage(*id, stage.ordinal).as_uuid()).collect();
            let look_back = stage.look_back.map(|duration| duration.to_string());
            sqlx::query!(
                r#"
                insert into planned_stages
                    (tenant_id, instance_id, ordinal, ends_after_days, decisions_that_will_move_to_next_stage,
                     recommendations_enabled, recommendation_look_back_duration, reviewer_list_id)
                select $1, new.instance_id, $2, $3, $4, $5, $6, new.reviewer_list_id
                  from unnest($7::uuid[], $8::uuid[]) as new (instance_id, reviewer_list_id)
                "#,
                tenant,
                stage.ordinal,
                i32::try_from(stage.ends_after_days).unwrap_or(i32::MAX),
                &moves_to_row(&stage.moves),
                stage.recommendations_enabled,
                look_back,
                &ids,
                &lists,
            )
            .execute(self.connection()?)
            .await?;
        }
        Ok(())
    }

    async fn insert_first_stages(&mut self, first: &NewInstance, instances: &[NewInstance]) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let ids: Vec<_> = instances.iter().map(|new| new.instance.id.as_uuid()).collect();
        let stages: Vec<_> = instances.iter().map(|new| new.first_stage.id.as_uuid()).collect();
        let lists: Vec<_> =
            instances.iter().map(|new| ReviewerListId::of_stage(new.first_stage.id).as_uuid()).collect();
        let stage = &first.first_stage;
        sqlx::query!(
            r#"
            insert into stages
                (tenant_id, instance_id, ordinal, stage_id, stage_count, status, start_at, end_at, reviewer_list_id,
                 decisions_that_will_move_to_next_stage, recommendations_enabled, entry)
            select $1, new.instance_id, $2, new.stage_id, $3, $4, $5, $6, new.reviewer_list_id, $7, $8, $9
              from unnest($10::uuid[], $11::uuid[], $12::uuid[]) as new (instance_id, stage_id, reviewer_list_id)
            "#,
            tenant,
            stage.ordinal,
            stage.stage_count,
            stage.status.as_str(),
            stage.start_at,
            stage.end_at,
            &moves_to_row(&stage.moves),
            stage.recommendations_enabled,
            Entry::All.as_str(),
            &ids,
            &stages,
            &lists,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }
}

#[async_trait]
impl OccurrenceRepository for PgUnitOfWork {
    async fn groups(&mut self, search: &GroupSearch, limit: i64) -> Result<Vec<FoundGroup>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let mut query = QueryBuilder::<Postgres>::new(
            "select g.group_id, g.display_name from groups g where not g.is_assignable_to_role \
             and not g.group_types @> '{DynamicMembership}' and g.tenant_id = ",
        );
        query.push_bind(tenant);
        match search.groups {
            GroupEnumeration::Microsoft365Groups => {
                query.push(" and g.group_types @> '{Unified}'");
            }
            GroupEnumeration::Teams => {
                query.push(" and g.group_types @> '{Unified}' and g.resource_provisioning_options @> '{Team}'");
            }
            GroupEnumeration::AllGroups => {}
        }
        query.push(" and exists (select from group_members m join users u on u.tenant_id = m.tenant_id ");
        query.push("and u.user_id = m.member_id where m.tenant_id = ").push_bind(tenant);
        query.push(" and m.group_id = g.group_id and m.member_type = 'user'");
        push_user_conditions(&mut query, search.members == UserKind::Guests, search.inactive_before);
        query.push(") order by g.group_id limit ").push_bind(limit);
        let rows = query.build().fetch_all(self.connection()?).await?;
        rows.iter()
            .map(|row| Ok(FoundGroup { id: ObjectId::new(row.try_get(0)?), display_name: row.try_get(1)? }))
            .collect()
    }

    async fn open(
        &mut self,
        definition: DefinitionId,
        opened: &OpenedOccurrence,
        instances: &[NewInstance],
        planned: &[PlannedStage],
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let recorded = sqlx::query!(
            r#"
            insert into enumerated_occurrences (tenant_id, definition_id, occurrence, opened_at, group_count, failure)
            values ($1, $2, $3, $4, $5, $6)
            on conflict do nothing
            "#,
            tenant,
            definition.as_uuid(),
            opened.occurrence,
            now,
            opened.group_count,
            opened.failure,
        )
        .execute(self.connection()?)
        .await?;
        if recorded.rows_affected() == 0 {
            return Ok(false);
        }
        let Some(first) = instances.first() else { return Ok(true) };
        let ids: Vec<InstanceId> = instances.iter().map(|new| new.instance.id).collect();
        let stages: Vec<StageId> = instances.iter().map(|new| new.first_stage.id).collect();
        let own_lists: Vec<_> = ids.iter().map(|id| ReviewerListId::of_instance(*id).as_uuid()).collect();
        self.copy_list(ReviewerListId::of_definition(definition), &own_lists).await?;
        for stage in planned {
            let source = match first.instance.multi_stage {
                true => ReviewerListId::of_stage_settings(definition, stage.ordinal),
                false => ReviewerListId::of_definition(definition),
            };
            let mut targets: Vec<_> =
                ids.iter().map(|id| ReviewerListId::of_planned_stage(*id, stage.ordinal).as_uuid()).collect();
            if stage.ordinal == first.first_stage.ordinal {
                targets.extend(stages.iter().map(|id| ReviewerListId::of_stage(*id).as_uuid()));
            }
            self.copy_list(source, &targets).await?;
        }
        self.insert_instances(first, instances).await?;
        self.insert_plans(&ids, planned).await?;
        self.insert_first_stages(first, instances).await?;
        Ok(true)
    }

    async fn last_opened(&mut self, definition: DefinitionId) -> Result<Option<OpenedOccurrence>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query!(
            r#"
            select occurrence, group_count, failure
              from enumerated_occurrences
             where tenant_id = $1
               and definition_id = $2
             order by occurrence desc
             limit 1
            "#,
            tenant,
            definition.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(row.map(|row| OpenedOccurrence {
            occurrence: row.occurrence,
            group_count: row.group_count,
            failure: row.failure,
        }))
    }
}

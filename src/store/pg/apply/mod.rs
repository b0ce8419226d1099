//! Carrying decisions out on the directory: facts, removals and results, a range of items at a time. One file for each kind of
//! resource.
//!
//! What the directory does not hold cannot be known here: restricted management units (LC-APPLY-04), and what an access package gave
//! beside its assignment.

mod access_package;
mod application;
mod group;
mod role;
mod team;

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use self::access_package::PackageScope;
use super::{PgUnitOfWork, error::corrupt, items::principal_kind};
use crate::{
    domain::{
        apply::{Access, ApplyResult, Obstacle},
        decision::Verdict,
        definition::Identity,
        ids::{DefinitionId, InstanceId, ItemSeq, ObjectId},
        instance::Instance,
        scope::ScopeForm,
    },
    store::{
        Principal, StoreError,
        apply::{
            AppliedStep, ApplyRepository, ApplyRun, BlockedAccount, ItemToApply, PendingDeletion, RemovedItem,
            SettledVerdict, StepSize, StepToApply,
        },
    },
};

impl PgUnitOfWork {
    /// How principals hold access to what is under review now. The one place that knows the kinds of resources, with
    /// [`Self::remove_from`] below; what each of them does is in the file of its kind.
    async fn access_to(
        &mut self,
        instance: &Instance,
        principals: &[Uuid],
    ) -> Result<HashMap<Uuid, Access>, StoreError> {
        match &instance.scope.form {
            ScopeForm::GroupMembers { group, .. } => self.access_to_group(*group, principals).await,
            ScopeForm::TeamAndSharedChannels { team } => self.access_to_team(*team, principals).await,
            ScopeForm::ApplicationAssignments { service_principal, .. } => {
                self.access_to_application(*service_principal, principals).await
            }
            ScopeForm::RoleHolders { role, holders } => self.access_to_role(*role, *holders, principals).await,
            ScopeForm::AccessPackageAssignments { access_package, assignment_policy, catalog, holders: _ } => {
                let package = PackageScope { policy: *assignment_policy, package: *access_package, catalog: *catalog };
                self.access_to_package(package, principals).await
            }
            // No instance has it; if one had, this would be the answer. LC-APPLY-13
            ScopeForm::EveryGroupMembers { .. } => {
                let unconnected = Access::Direct { also: None, obstacle: Some(Obstacle::NoConnector) };
                Ok(principals.iter().map(|principal| (*principal, unconnected)).collect())
            }
        }
    }

    /// Takes principals' own assignments away; returns whose. Rows are locked in one order, so that two reviews of one resource
    /// wait for each other instead of deadlocking.
    async fn remove_from(&mut self, instance: &Instance, principals: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
        match &instance.scope.form {
            ScopeForm::GroupMembers { group, .. } => self.remove_from_group(*group, principals).await,
            ScopeForm::TeamAndSharedChannels { team } => self.remove_from_team(*team, principals).await,
            ScopeForm::ApplicationAssignments { service_principal, .. } => {
                self.remove_from_application(*service_principal, principals).await
            }
            ScopeForm::RoleHolders { role, holders } => self.remove_from_role(*role, *holders, principals).await,
            ScopeForm::AccessPackageAssignments { access_package, assignment_policy, catalog, holders: _ } => {
                let package = PackageScope { policy: *assignment_policy, package: *access_package, catalog: *catalog };
                self.remove_from_package(package, principals).await
            }
            ScopeForm::EveryGroupMembers { .. } => Ok(Vec::new()),
        }
    }
}

#[async_trait]
impl ApplyRepository for PgUnitOfWork {
    async fn begin_run(&mut self, instance: InstanceId, by: &Identity) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            r#"
            insert into apply_runs
                (tenant_id, instance_id, requested_by_id, requested_by_name, requested_by_user_principal_name)
            values ($1, $2, $3, $4, $5)
            "#,
            tenant,
            instance.as_uuid(),
            by.id.as_uuid(),
            by.display_name,
            by.user_principal_name,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn find_run(&mut self, instance: InstanceId) -> Result<Option<ApplyRun>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query!(
            r#"
            select requested_by_id, requested_by_name, requested_by_user_principal_name, applied_through
              from apply_runs
             where tenant_id = $1
               and instance_id = $2
            "#,
            tenant,
            instance.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(row.map(|row| ApplyRun {
            by: Identity {
                id: ObjectId::new(row.requested_by_id),
                display_name: row.requested_by_name,
                user_principal_name: row.requested_by_user_principal_name,
            },
            applied_through: row.applied_through,
        }))
    }

    async fn next_step(
        &mut self,
        instance: &Instance,
        run: &ApplyRun,
        size: StepSize,
        settled: &[SettledVerdict],
    ) -> Result<StepToApply, StoreError> {
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let verdicts: Vec<_> = settled.iter().map(|settled| settled.verdict.as_str().to_owned()).collect();
        let words: Vec<_> =
            settled.iter().map(|settled| settled.result.map(|(result, _)| result.as_str().to_owned())).collect();
        let descriptions: Vec<_> =
            settled.iter().map(|settled| settled.result.and_then(|(_, text)| text).map(str::to_owned)).collect();
        // What was not decided is not looked at: the primary key leads from one decision to the next, in its own order and without a
        // sort, for which all that are left would have to be read. The last item looked at may have more of them, so it is the next
        // step's.
        let rows = sqlx::query!(
            r#"
            with settled as (
                select *
                  from unnest($6::text[], $7::text[], $8::text[]) as s (verdict, result, description)
            ), looked_at as materialized (
                select d.seq, d.ordinal, d.decision
                  from decisions d
                 where d.tenant_id = $1
                   and d.instance_id = $2
                   and d.seq > $3
                   and (d.seq in (select r.seq from removed_items r where r.tenant_id = $1 and r.instance_id = $2)) is not true
                 order by d.seq, d.ordinal
                 limit $4::integer
            ), decided as materialized (
                select distinct on (d.seq) d.seq, d.decision
                  from looked_at d
                 where (select count(*) from looked_at) < $4
                    or d.seq < (select max(seq) from looked_at)
                 order by d.seq, d.ordinal desc
            ), open as materialized (
                select d.seq, d.decision
                  from decided d
                 where d.decision <> all($6)
                 order by d.seq
                 limit $5::integer
            ), step as materialized (
                select least(
                           case when (select count(*) from open) = $5 then (select max(seq) from open) end,
                           case when (select count(*) from looked_at) = $4 then (select max(seq) from decided) end,
                           $9::integer) as through
            ), recorded as (
                insert into apply_results
                    (tenant_id, instance_id, seq, result, description, applied_by_id, applied_by_name,
                     applied_by_user_principal_name, applied_at)
                select $1, $2, d.seq, s.result, s.description, $10, $11, $12, $13
                  from decided d
                  join settled s on s.verdict = d.decision
                 where s.result is not null
                   and d.seq <= (select through from step)
            )
            select step.through as "through!", open.seq as "seq?", open.decision as "decision?", i.principal_id as "principal_id?",
                   i.principal_type as "principal_type?", i.principal_name as "principal_name?",
                   i.principal_detail as "principal_detail?"
              from step
              left join open on open.seq <= step.through
              left join lateral (
                       select x.*
                         from decision_items x
                        where x.tenant_id = $1
                          and x.instance_id = $2
                          and x.seq = open.seq
                        limit 1) as i on true
             order by open.seq
            "#,
            tenant,
            instance.id.as_uuid(),
            run.applied_through,
            size.decided,
            size.open,
            &verdicts,
            &words as &[Option<String>],
            &descriptions as &[Option<String>],
            instance.item_count,
            run.by.id.as_uuid(),
            run.by.display_name,
            run.by.user_principal_name,
            now,
        )
        .fetch_all(self.connection()?)
        .await?;
        let through = rows.first().map_or(instance.item_count, |row| row.through);
        let principals: Vec<_> = rows.iter().filter_map(|row| row.principal_id).collect();
        let access = match principals.as_slice() {
            [] => HashMap::new(),
            principals => self.access_to(instance, principals).await?,
        };
        let items = rows.into_iter().filter_map(|row| {
            let seq = row.seq?;
            let missing = || corrupt("decision_items", "principal_id", seq);
            let read = || {
                let principal = row.principal_id.ok_or_else(missing)?;
                Ok(ItemToApply {
                    seq,
                    principal: Principal {
                        id: ObjectId::new(principal),
                        kind: principal_kind(&row.principal_type.ok_or_else(missing)?, seq)?,
                        display_name: row.principal_name.ok_or_else(missing)?,
                        detail: row.principal_detail.ok_or_else(missing)?,
                    },
                    decision: row
                        .decision
                        .as_deref()
                        .and_then(Verdict::parse)
                        .ok_or_else(|| corrupt("decisions", "decision", seq))?,
                    access: access.get(&principal).copied().unwrap_or(Access::Gone),
                })
            };
            Some(read())
        });
        Ok(StepToApply { through, items: items.collect::<Result<_, StoreError>>()? })
    }

    async fn remove(&mut self, instance: &Instance, principals: &[ObjectId]) -> Result<Vec<ObjectId>, StoreError> {
        let removed = self.remove_from(instance, &uuids(principals)).await?;
        Ok(removed.into_iter().map(ObjectId::new).collect())
    }

    async fn record(&mut self, step: &AppliedStep<'_>) -> Result<(), StoreError> {
        let AppliedStep { instance, by, results, through, actor, events } = *step;
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let seqs: Vec<_> = results.iter().map(|item| item.seq).collect();
        let words: Vec<_> = results.iter().map(|item| item.result.as_str()).collect();
        let descriptions: Vec<_> = results.iter().map(|item| item.description).collect();
        let activities: Vec<_> = events.iter().map(|event| event.activity.as_str()).collect();
        let definitions: Vec<_> = events.iter().map(|event| event.definition_id.map(|id| id.as_uuid())).collect();
        let instances: Vec<_> = events.iter().map(|event| event.instance_id.map(|id| id.as_uuid())).collect();
        let stages: Vec<_> = events.iter().map(|event| event.stage_id.map(|id| id.as_uuid())).collect();
        let items: Vec<_> = events.iter().map(|event| event.item_seq).collect();
        let before: Vec<_> = events.iter().map(|event| event.before.as_ref().map(Json)).collect();
        let after: Vec<_> = events.iter().map(|event| event.after.as_ref().map(Json)).collect();
        sqlx::query!(
            r#"
            with recorded as (
                insert into apply_results
                    (tenant_id, instance_id, seq, result, description, applied_by_id, applied_by_name,
                     applied_by_user_principal_name, applied_at)
                select $1, $2, seq, result, description, $6, $7, $8, $9
                  from unnest($3::integer[], $4::text[], $5::text[]) as item (seq, result, description)
            ), advanced as (
                update apply_runs
                   set applied_through = $10::integer
                 where tenant_id = $1
                   and instance_id = $2
                   and $10::integer is not null
            )
            insert into events
                (tenant_id, at, activity, actor_kind, actor_id, actor_name, request_id, definition_id, instance_id,
                 stage_id, item_seq, before, after)
            select $1, $9, activity, $11, $12, $13, $14, definition_id, instance_id, stage_id, item_seq, before, after
              from unnest($15::text[], $16::uuid[], $17::uuid[], $18::uuid[], $19::integer[], $20::jsonb[], $21::jsonb[])
                   with ordinality
                   as event (activity, definition_id, instance_id, stage_id, item_seq, before, after, position)
             order by position
            "#,
            tenant,
            instance.as_uuid(),
            &seqs,
            &words as &[&str],
            &descriptions as &[Option<&str>],
            by.id.as_uuid(),
            by.display_name,
            by.user_principal_name,
            now,
            through,
            actor.kind.as_str(),
            actor.id.as_uuid(),
            actor.name,
            actor.request_id,
            &activities as &[&str],
            &definitions as &[Option<Uuid>],
            &instances as &[Option<Uuid>],
            &stages as &[Option<Uuid>],
            &items as &[Option<i32>],
            &before as &[Option<Json<&Value>>],
            &after as &[Option<Json<&Value>>],
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn tally(&mut self, instance: InstanceId) -> Result<Vec<(ApplyResult, i64)>, StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            r#"
            select result, count(*) as "count!"
              from apply_results
             where tenant_id = $1
               and instance_id = $2
             group by result
             order by result
            "#,
            tenant,
            instance.as_uuid(),
        )
        .fetch_all(self.connection()?)
        .await?
        .into_iter()
        .map(|row| {
            let result = ApplyResult::parse(&row.result).ok_or_else(|| corrupt("apply_results", "result", instance))?;
            Ok((result, row.count))
        })
        .collect()
    }

    async fn block(&mut self, users: &[ObjectId]) -> Result<Vec<ObjectId>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let blocked = sqlx::query_scalar!(
            r#"
            with held as materialized (
                select user_id
                  from users
                 where tenant_id = $1
                   and user_id = any($2)
                 order by user_id
                   for no key update
            )
            update users u
               set account_enabled = false
              from held h
             where u.tenant_id = $1
               and u.user_id = h.user_id
            returning u.user_id
            "#,
            tenant,
            &uuids(users),
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(blocked.into_iter().map(ObjectId::new).collect())
    }

    async fn await_deletions(
        &mut self,
        instance: InstanceId,
        items: &[(ItemSeq, ObjectId)],
        due_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        let (seqs, users): (Vec<_>, Vec<_>) = items.iter().map(|(seq, user)| (*seq, user.as_uuid())).unzip();
        sqlx::query!(
            r#"
            insert into pending_deletions (tenant_id, instance_id, seq, user_id, due_at)
            select $1, $2, seq, user_id, $5
              from unnest($3::integer[], $4::uuid[]) as item (seq, user_id)
            "#,
            tenant,
            instance.as_uuid(),
            &seqs,
            &users,
            due_at,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn next_deletion(&mut self, instance: InstanceId) -> Result<Option<DateTime<Utc>>, StoreError> {
        let tenant = self.tenant.as_uuid();
        Ok(sqlx::query_scalar!(
            "select min(due_at) from pending_deletions where tenant_id = $1 and instance_id = $2",
            tenant,
            instance.as_uuid(),
        )
        .fetch_one(self.connection()?)
        .await?)
    }

    async fn due_deletions(
        &mut self,
        instance: InstanceId,
        limit: i64,
    ) -> Result<Vec<(PendingDeletion, BlockedAccount)>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let now = self.now;
        let rows = sqlx::query!(
            r#"
            with due as (
                select seq, user_id
                  from pending_deletions
                 where tenant_id = $1
                   and instance_id = $2
                   and due_at <= $3
                 order by seq
                 limit $4
            ), held as materialized (
                select u.user_id, u.account_enabled
                  from users u
                 where u.tenant_id = $1
                   and u.user_id in (select user_id from due)
                 order by u.user_id
                   for update
            )
            select d.seq, d.user_id, h.account_enabled as "account_enabled?"
              from due d
              left join held h on h.user_id = d.user_id
             order by d.seq
            "#,
            tenant,
            instance.as_uuid(),
            now,
            limit,
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let account = match row.account_enabled {
                    Some(false) => BlockedAccount::StillBlocked,
                    Some(true) => BlockedAccount::Unblocked,
                    None => BlockedAccount::Gone,
                };
                (PendingDeletion { instance, seq: row.seq, user: ObjectId::new(row.user_id) }, account)
            })
            .collect())
    }

    async fn remove_items_of(&mut self, users: &[ObjectId]) -> Result<Vec<RemovedItem>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let rows = sqlx::query!(
            r#"
            with running as materialized (
                select n.instance_id, n.definition_id
                  from instances n
                 where n.tenant_id = $1
                   and n.status in ('Starting', 'InProgress', 'Completing')
            ), removed as (
                insert into removed_items (tenant_id, instance_id, seq)
                select i.tenant_id, i.instance_id, i.seq
                  from running n
                 cross join unnest($2::uuid[]) as gone (user_id)
                 cross join lateral items_of_principal($1, n.instance_id, gone.user_id) as found
                  join decision_items i
                    on i.tenant_id = $1
                   and i.instance_id = n.instance_id
                   and i.seq = found.seq
                   and i.principal_type = 'user'
                    on conflict do nothing
                returning instance_id, seq
            )
            select n.definition_id, n.instance_id, r.seq, i.principal_id
              from removed r
              join running n on n.instance_id = r.instance_id
              join decision_items i on i.tenant_id = $1 and i.instance_id = r.instance_id and i.seq = r.seq
             order by n.instance_id, r.seq
            "#,
            tenant,
            &uuids(users),
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| RemovedItem {
                definition: DefinitionId::new(row.definition_id),
                instance: InstanceId::new(row.instance_id),
                seq: row.seq,
                user: ObjectId::new(row.principal_id),
            })
            .collect())
    }

    async fn delete_users(&mut self, users: &[ObjectId]) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            r#"
            with memberships as (
                delete from group_members where tenant_id = $1 and member_id = any($2)
            ), ownerships as (
                delete from group_owners where tenant_id = $1 and owner_id = any($2)
            ), owner_eligibilities as (
                delete from group_eligible_owners where tenant_id = $1 and owner_id = any($2)
            ), applications as (
                delete from service_principal_owners where tenant_id = $1 and owner_id = any($2)
            ), application_roles as (
                delete from app_role_assignments where tenant_id = $1 and principal_id = any($2)
            ), roles as (
                delete from role_assignments where tenant_id = $1 and principal_id = any($2)
            ), eligibilities as (
                delete from role_eligibilities where tenant_id = $1 and principal_id = any($2)
            ), channels as (
                delete from shared_channel_members where tenant_id = $1 and member_id = any($2)
            ), packages as (
                delete from access_package_assignments where tenant_id = $1 and target_id = any($2)
            ), sponsorships as (
                delete from user_sponsors where tenant_id = $1 and sponsor_id = any($2)
            ), reports as (
                update users
                   set manager_id = null
                 where tenant_id = $1
                   and manager_id = any($2)
                   and user_id <> all($2)
            )
            delete from users
             where tenant_id = $1
               and user_id = any($2)
            "#,
            tenant,
            &uuids(users),
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn settle_deletions(&mut self, instance: InstanceId, items: &[ItemSeq]) -> Result<(), StoreError> {
        let tenant = self.tenant.as_uuid();
        sqlx::query!(
            "delete from pending_deletions where tenant_id = $1 and instance_id = $2 and seq = any($3)",
            tenant,
            instance.as_uuid(),
            items,
        )
        .execute(self.connection()?)
        .await?;
        Ok(())
    }

    async fn pending_deletions(&mut self, definition: DefinitionId) -> Result<Vec<PendingDeletion>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let rows = sqlx::query!(
            r#"
            select p.instance_id, p.seq, p.user_id
              from instances i
              join pending_deletions p on p.tenant_id = i.tenant_id and p.instance_id = i.instance_id
             where i.tenant_id = $1
               and i.definition_id = $2
             order by p.instance_id, p.seq
            "#,
            tenant,
            definition.as_uuid(),
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| PendingDeletion {
                instance: InstanceId::new(row.instance_id),
                seq: row.seq,
                user: ObjectId::new(row.user_id),
            })
            .collect())
    }
}

fn uuids(ids: &[ObjectId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.as_uuid()).collect()
}

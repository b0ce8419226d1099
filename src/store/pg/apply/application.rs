//! Who is assigned to an application. All roles of a principal are one item, so all his own assignments go.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    domain::{
        apply::{Access, Through},
        ids::ObjectId,
    },
    store::{StoreError, pg::PgUnitOfWork},
};

impl PgUnitOfWork {
    /// LC-APPLY-04, LC-APPLY-05: an assigned group gives access to its direct members only.
    pub(super) async fn access_to_application(
        &mut self,
        service_principal: ObjectId,
        principals: &[Uuid],
    ) -> Result<HashMap<Uuid, Access>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let rows = sqlx::query!(
            r#"
            with assigned_groups as (
                select distinct a.principal_id as group_id
                  from app_role_assignments a
                 where a.tenant_id = $1
                   and a.service_principal_id = $2
                   and a.principal_type = 'group'
            )
            select p.principal_id as "principal_id!",
                   exists (
                       select
                         from app_role_assignments a
                        where a.tenant_id = $1
                          and a.service_principal_id = $2
                          and a.principal_id = p.principal_id) as "own!",
                   exists (
                       select
                         from assigned_groups g
                         join group_members m
                           on m.tenant_id = $1
                          and m.group_id = g.group_id
                          and m.member_id = p.principal_id) as "through_group!"
              from unnest($3::uuid[]) as p (principal_id)
            "#,
            tenant,
            service_principal.as_uuid(),
            principals,
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let through = row.through_group.then_some(Through::AssignedGroup);
                (row.principal_id, Access::of(row.own, through, None))
            })
            .collect())
    }

    pub(super) async fn remove_from_application(
        &mut self,
        service_principal: ObjectId,
        principals: &[Uuid],
    ) -> Result<Vec<Uuid>, StoreError> {
        let tenant = self.tenant.as_uuid();
        Ok(sqlx::query_scalar!(
            r#"
            with held as materialized (
                select assignment_id
                  from app_role_assignments
                 where tenant_id = $1
                   and service_principal_id = $2
                   and principal_id = any($3)
                 order by assignment_id
                   for update
            )
            delete from app_role_assignments a
             using held h
             where a.tenant_id = $1
               and a.service_principal_id = $2
               and a.assignment_id = h.assignment_id
            returning a.principal_id
            "#,
            tenant,
            service_principal.as_uuid(),
            principals,
        )
        .fetch_all(self.connection()?)
        .await?)
    }
}

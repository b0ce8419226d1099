//! Who holds a directory role, or may activate it: whichever of both is under review. LC-INST-13

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    domain::{
        apply::{Access, Through},
        ids::ObjectId,
        scope::RoleHolders,
    },
    store::{StoreError, pg::PgUnitOfWork},
};

impl PgUnitOfWork {
    /// LC-APPLY-04: a group that holds the role gives it to its direct members; as an item of its own it holds the role itself.
    pub(super) async fn access_to_role(
        &mut self,
        role: ObjectId,
        holders: RoleHolders,
        principals: &[Uuid],
    ) -> Result<HashMap<Uuid, Access>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let rows = sqlx::query!(
            r#"
            with role as (
                select role_id
                  from directory_roles
                 where tenant_id = $1
                   and $2 in (role_id, role_template_id)
            ), role_groups as (
                select a.principal_id as group_id
                  from role
                  join role_assignments a on a.tenant_id = $1 and a.role_id = role.role_id and a.principal_type = 'group'
                 where $4::boolean
                 union
                select e.principal_id
                  from role
                  join role_eligibilities e on e.tenant_id = $1 and e.role_id = role.role_id and e.principal_type = 'group'
                 where $5::boolean
            )
            select p.principal_id as "principal_id!",
                   exists (
                       select
                         from role
                         join role_assignments a
                           on a.tenant_id = $1
                          and a.role_id = role.role_id
                          and a.principal_id = p.principal_id
                        where $4::boolean) as "assigned!",
                   exists (
                       select
                         from role
                         join role_eligibilities e
                           on e.tenant_id = $1
                          and e.role_id = role.role_id
                          and e.principal_id = p.principal_id
                        where $5::boolean) as "eligible!",
                   exists (
                       select
                         from role_groups g
                         join group_members m
                           on m.tenant_id = $1
                          and m.group_id = g.group_id
                          and m.member_id = p.principal_id) as "through_group!"
              from unnest($3::uuid[]) as p (principal_id)
            "#,
            tenant,
            role.as_uuid(),
            principals,
            holders.counts_assigned(),
            holders.counts_eligible(),
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let through = row.through_group.then_some(Through::RoleGroup);
                (row.principal_id, Access::of(row.assigned || row.eligible, through, None))
            })
            .collect())
    }

    pub(super) async fn remove_from_role(
        &mut self,
        role: ObjectId,
        holders: RoleHolders,
        principals: &[Uuid],
    ) -> Result<Vec<Uuid>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let mut removed = Vec::new();
        if holders.counts_assigned() {
            removed.extend(
                sqlx::query_scalar!(
                    r#"
                    with held as materialized (
                        select a.role_id, a.principal_id
                          from role_assignments a
                         where a.tenant_id = $1
                           and a.role_id in (
                                   select role_id
                                     from directory_roles
                                    where tenant_id = $1
                                      and $2 in (role_id, role_template_id))
                           and a.principal_id = any($3)
                         order by a.role_id, a.principal_id
                           for update
                    )
                    delete from role_assignments a
                     using held h
                     where a.tenant_id = $1
                       and a.role_id = h.role_id
                       and a.principal_id = h.principal_id
                    returning a.principal_id
                    "#,
                    tenant,
                    role.as_uuid(),
                    principals,
                )
                .fetch_all(self.connection()?)
                .await?,
            );
        }
        if holders.counts_eligible() {
            removed.extend(
                sqlx::query_scalar!(
                    r#"
                    with held as materialized (
                        select e.role_id, e.principal_id
                          from role_eligibilities e
                         where e.tenant_id = $1
                           and e.role_id in (
                                   select role_id
                                     from directory_roles
                                    where tenant_id = $1
                                      and $2 in (role_id, role_template_id))
                           and e.principal_id = any($3)
                         order by e.role_id, e.principal_id
                           for update
                    )
                    delete from role_eligibilities e
                     using held h
                     where e.tenant_id = $1
                       and e.role_id = h.role_id
                       and e.principal_id = h.principal_id
                    returning e.principal_id
                    "#,
                    tenant,
                    role.as_uuid(),
                    principals,
                )
                .fetch_all(self.connection()?)
                .await?,
            );
        }
        Ok(removed)
    }
}

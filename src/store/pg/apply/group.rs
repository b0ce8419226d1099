//! Members of a group.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    domain::{
        apply::{Access, Obstacle, Through},
        ids::ObjectId,
    },
    store::{StoreError, pg::PgUnitOfWork},
};

impl PgUnitOfWork {
    /// LC-APPLY-04, LC-APPLY-05
    pub(super) async fn access_to_group(
        &mut self,
        group: ObjectId,
        principals: &[Uuid],
    ) -> Result<HashMap<Uuid, Access>, StoreError> {
        let tenant = self.tenant.as_uuid();
        // Each principal is asked for by an index: planned for so many of them, and without `limit 1`, all members of the group are read.
        // What is left of the step touches no more rows than it names.
        self.keep_plans().await?;
        let rows = sqlx::query!(
            r#"
            with recursive nested (group_id) as (
                select m.member_id
                  from group_members m
                 where m.tenant_id = $1
                   and m.group_id = $2
                   and m.member_type = 'group'
                 union
                select m.member_id
                  from nested n
                  join group_members m
                    on m.tenant_id = $1
                   and m.group_id = n.group_id
                   and m.member_type = 'group'
            )
            select p.principal_id as "principal_id!",
                   'DynamicMembership' = any(g.group_types) as "dynamic!",
                   g.on_premises_sync_enabled as "on_premises!",
                   g.mail_enabled and 'Unified' <> all(g.group_types) as "mail_enabled!",
                   (select true
                      from group_members m
                     where m.tenant_id = $1
                       and m.group_id = $2
                       and m.member_id = p.principal_id
                     limit 1) is true as "direct!",
                   exists (select from nested) and exists (
                       select
                         from nested n
                         join group_members m
                           on m.tenant_id = $1
                          and m.group_id = n.group_id
                          and m.member_id = p.principal_id) as "nested!"
              from unnest($3::uuid[]) as p (principal_id)
              join groups g on g.tenant_id = $1 and g.group_id = $2
            "#,
            tenant,
            group.as_uuid(),
            principals,
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let obstacle = match row {
                    _ if row.dynamic => Some(Obstacle::DynamicGroup),
                    _ if row.on_premises => Some(Obstacle::OnPremisesGroup),
                    _ if row.mail_enabled => Some(Obstacle::MailEnabledGroup),
                    _ => None,
                };
                let through = row.nested.then_some(Through::NestedGroup);
                (row.principal_id, Access::of(row.direct, through, obstacle))
            })
            .collect())
    }

    pub(super) async fn remove_from_group(
        &mut self,
        group: ObjectId,
        principals: &[Uuid],
    ) -> Result<Vec<Uuid>, StoreError> {
        let tenant = self.tenant.as_uuid();
        self.keep_plans().await?;
        let removed = sqlx::query_scalar!(
            r#"
            with held as materialized (
                select member_id
                  from group_members
                 where tenant_id = $1
                   and group_id = $2
                   and member_id = any($3)
                 order by member_id
                   for update
            )
            delete from group_members m
             using held h
             where m.tenant_id = $1
               and m.group_id = $2
               and m.member_id = h.member_id
            returning m.member_id
            "#,
            tenant,
            group.as_uuid(),
            principals,
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(removed)
    }
}

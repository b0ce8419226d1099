//! A team and its shared channels: whoever is denied, a person or another team, loses the membership and every shared channel of the
//! team. LC-APPLY-16

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    domain::{apply::Access, ids::ObjectId},
    store::{StoreError, pg::PgUnitOfWork},
};

impl PgUnitOfWork {
    /// Who is in a channel has something of his own to lose, whatever keeps the team's members where they are.
    pub(super) async fn access_to_team(
        &mut self,
        team: ObjectId,
        principals: &[Uuid],
    ) -> Result<HashMap<Uuid, Access>, StoreError> {
        let mut access = self.access_to_group(team, principals).await?;
        let tenant = self.tenant.as_uuid();
        let in_channels = sqlx::query_scalar!(
            r#"
            select p.principal_id as "principal_id!"
              from unnest($3::uuid[]) as p (principal_id)
             where exists (
                       select
                         from shared_channel_members c
                        where c.tenant_id = $1
                          and c.group_id = $2
                          and c.member_id = p.principal_id)
            "#,
            tenant,
            team.as_uuid(),
            principals,
        )
        .fetch_all(self.connection()?)
        .await?;
        for principal in in_channels {
            let access = access.entry(principal).or_insert(Access::Gone);
            *access = match *access {
                Access::Gone => Access::of(true, None, None),
                Access::Only(through) => Access::of(true, Some(through), None),
                member @ Access::Direct { .. } => member,
            };
        }
        Ok(access)
    }

    pub(super) async fn remove_from_team(
        &mut self,
        team: ObjectId,
        principals: &[Uuid],
    ) -> Result<Vec<Uuid>, StoreError> {
        let mut removed = self.remove_from_group(team, principals).await?;
        let tenant = self.tenant.as_uuid();
        let from_channels = sqlx::query_scalar!(
            r#"
            with held as materialized (
                select channel_id, member_id
                  from shared_channel_members
                 where tenant_id = $1
                   and group_id = $2
                   and member_id = any($3)
                 order by channel_id, member_id
                   for update
            )
            delete from shared_channel_members c
             using held h
             where c.tenant_id = $1
               and c.group_id = $2
               and c.channel_id = h.channel_id
               and c.member_id = h.member_id
            returning c.member_id
            "#,
            tenant,
            team.as_uuid(),
            principals,
        )
        .fetch_all(self.connection()?)
        .await?;
        removed.extend(from_channels);
        Ok(removed)
    }
}

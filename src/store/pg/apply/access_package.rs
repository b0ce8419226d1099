//! Who holds an access package under the policy under review; assignments under other policies stay.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    domain::{apply::Access, ids::ObjectId},
    store::{StoreError, pg::PgUnitOfWork},
};

/// Which assignments are under review: those that were gathered.
#[derive(Clone, Copy)]
pub(super) struct PackageScope {
    pub policy: ObjectId,
    pub package: Option<ObjectId>,
    pub catalog: Option<ObjectId>,
}

impl PgUnitOfWork {
    /// An access package is never held through somebody else.
    pub(super) async fn access_to_package(
        &mut self,
        scope: PackageScope,
        principals: &[Uuid],
    ) -> Result<HashMap<Uuid, Access>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let rows = sqlx::query_scalar!(
            r#"
            select p.principal_id as "principal_id!"
              from unnest($5::uuid[]) as p (principal_id)
             where exists (
                       select
                         from access_package_assignments a
                        where a.tenant_id = $1
                          and a.target_id = p.principal_id
                          and a.policy_id = $2
                          and ($3::uuid is null or a.access_package_id = $3)
                          and ($4::uuid is null or exists (
                                  select
                                    from access_packages k
                                   where k.tenant_id = $1
                                     and k.access_package_id = a.access_package_id
                                     and k.catalog_id = $4)))
            "#,
            tenant,
            scope.policy.as_uuid(),
            scope.package.map(|id| id.as_uuid()),
            scope.catalog.map(|id| id.as_uuid()),
            principals,
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(rows.into_iter().map(|principal| (principal, Access::of(true, None, None))).collect())
    }

    pub(super) async fn remove_from_package(
        &mut self,
        scope: PackageScope,
        principals: &[Uuid],
    ) -> Result<Vec<Uuid>, StoreError> {
        let tenant = self.tenant.as_uuid();
        Ok(sqlx::query_scalar!(
            r#"
            with held as materialized (
                select a.access_package_id, a.assignment_id
                  from access_package_assignments a
                 where a.tenant_id = $1
                   and a.target_id = any($5)
                   and a.policy_id = $2
                   and ($3::uuid is null or a.access_package_id = $3)
                   and ($4::uuid is null or exists (
                           select
                             from access_packages k
                            where k.tenant_id = $1
                              and k.access_package_id = a.access_package_id
                              and k.catalog_id = $4))
                 order by a.access_package_id, a.assignment_id
                   for update of a
            )
            delete from access_package_assignments a
             using held h
             where a.tenant_id = $1
               and a.access_package_id = h.access_package_id
               and a.assignment_id = h.assignment_id
            returning a.target_id
            "#,
            tenant,
            scope.policy.as_uuid(),
            scope.package.map(|id| id.as_uuid()),
            scope.catalog.map(|id| id.as_uuid()),
            principals,
        )
        .fetch_all(self.connection()?)
        .await?)
    }
}

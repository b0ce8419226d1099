//! Looking things up in the directory.

use async_trait::async_trait;
use uuid::Uuid;

use super::PgUnitOfWork;
use crate::{
    domain::{
        definition::Identity,
        ids::ObjectId,
        instance::{Resource, ResourceDetail},
        reviewer_scope::ReviewerForm,
        scope::ScopeForm,
    },
    store::{DirectoryRepository, GroupFacts, MailAddress, StoreError},
};

#[async_trait]
impl DirectoryRepository for PgUnitOfWork {
    async fn missing(&mut self, forms: &[ReviewerForm]) -> Result<Vec<usize>, StoreError> {
        if forms.is_empty() {
            return Ok(Vec::new());
        }
        let tenant = self.tenant.as_uuid();
        let kinds: Vec<_> = forms.iter().map(|form| form.kind().to_owned()).collect();
        let objects: Vec<_> = forms.iter().map(|form| form.object_id().map(ObjectId::as_uuid)).collect();
        let positions = sqlx::query_scalar!(
            r#"
            select position as "position!"
              from unnest($2::text[], $3::uuid[]) with ordinality as named (kind, object_id, position)
             where object_id is not null
               and not case kind
                           when 'user' then exists (
                               select from users where tenant_id = $1 and user_id = object_id)
                           when 'servicePrincipalOwners' then exists (
                               select from service_principals where tenant_id = $1 and service_principal_id = object_id)
                           else exists (
                               select from groups where tenant_id = $1 and group_id = object_id)
                       end
             order by position
            "#,
            tenant,
            &kinds,
            &objects as &[Option<Uuid>],
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(positions.into_iter().filter_map(|position| usize::try_from(position - 1).ok()).collect())
    }

    async fn resource(&mut self, form: &ScopeForm) -> Result<Option<Resource>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let Some(id) = form.resource() else { return Ok(None) };
        let kind = form.resource_kind();
        let (access_package, catalog) = match form {
            ScopeForm::AccessPackageAssignments { access_package, catalog, .. } => (*access_package, *catalog),
            ScopeForm::GroupMembers { .. }
            | ScopeForm::EveryGroupMembers { .. }
            | ScopeForm::TeamAndSharedChannels { .. }
            | ScopeForm::ApplicationAssignments { .. }
            | ScopeForm::RoleHolders { .. } => (None, None),
        };
        let row = sqlx::query!(
            r#"
            select display_name as "display_name!", detail_id, detail_name as "detail_name!"
              from (select display_name, null::uuid as detail_id, '' as detail_name
                      from groups
                     where $3 = 'Group'
                       and tenant_id = $1
                       and group_id = $2
                     union all
                    select display_name, app_id, ''
                      from service_principals
                     where $3 = 'ServicePrincipal'
                       and tenant_id = $1
                       and service_principal_id = $2
                     union all
                    select display_name, null, ''
                      from directory_roles
                     where $3 = 'DirectoryRole'
                       and tenant_id = $1
                       and (role_id = $2 or role_template_id = $2)
                     union all
                    select policy.display_name, package.access_package_id, package.display_name
                      from access_package_policies as policy
                      join access_packages as package
                        on package.tenant_id = policy.tenant_id
                       and package.access_package_id = policy.access_package_id
                     where $3 = 'AccessPackageAssignmentPolicy'
                       and policy.tenant_id = $1
                       and policy.policy_id = $2
                       and ($4::uuid is null or package.access_package_id = $4)
                       and ($5::uuid is null or package.catalog_id = $5)) as known
             limit 1
            "#,
            tenant,
            id.as_uuid(),
            kind.as_str(),
            access_package.map(ObjectId::as_uuid),
            catalog.map(ObjectId::as_uuid),
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(row.map(|row| Resource {
            id,
            display_name: row.display_name,
            kind,
            detail: row
                .detail_id
                .map(|detail| ResourceDetail { id: ObjectId::new(detail), display_name: row.detail_name }),
        }))
    }

    async fn group(&mut self, id: ObjectId) -> Result<Option<GroupFacts>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query!(
            "select display_name, is_assignable_to_role from groups where tenant_id = $1 and group_id = $2",
            tenant,
            id.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(row
            .map(|row| GroupFacts { display_name: row.display_name, is_assignable_to_role: row.is_assignable_to_role }))
    }

    async fn role_assignable(&mut self, groups: &[ObjectId]) -> Result<Vec<ObjectId>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let groups: Vec<_> = groups.iter().map(|id| id.as_uuid()).collect();
        let ids = sqlx::query_scalar!(
            "select group_id from groups where tenant_id = $1 and group_id = any($2) and is_assignable_to_role",
            tenant,
            &groups,
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(ids.into_iter().map(ObjectId::new).collect())
    }

    async fn under_privileged_access(&mut self, groups: &[ObjectId]) -> Result<Vec<ObjectId>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let groups: Vec<_> = groups.iter().map(|id| id.as_uuid()).collect();
        let found = sqlx::query_scalar!(
            r#"
            select group_id
              from groups
             where tenant_id = $1
               and group_id = any($2)
               and privileged_access
            "#,
            tenant,
            &groups,
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(found.into_iter().map(ObjectId::new).collect())
    }

    async fn identity(&mut self, id: ObjectId) -> Result<Option<Identity>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query!(
            r#"
            select display_name as "display_name!", user_principal_name as "user_principal_name!"
              from (select display_name, user_principal_name
                      from users
                     where tenant_id = $1
                       and user_id = $2
                     union all
                    select display_name, ''
                      from service_principals
                     where tenant_id = $1
                       and service_principal_id = $2) as known
            "#,
            tenant,
            id.as_uuid(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(row.map(|row| Identity { id, display_name: row.display_name, user_principal_name: row.user_principal_name }))
    }

    async fn find_user(&mut self, name_or_id: &str) -> Result<Option<Identity>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let row = sqlx::query!(
            r#"
            select user_id, display_name, user_principal_name
              from users
             where tenant_id = $1
               and (lower(user_principal_name) = lower($2) or user_id = $3)
             order by user_id = $3 desc nulls last
             limit 1
            "#,
            tenant,
            name_or_id,
            Uuid::parse_str(name_or_id).ok(),
        )
        .fetch_optional(self.connection()?)
        .await?;
        Ok(row.map(|row| Identity {
            id: ObjectId::new(row.user_id),
            display_name: row.display_name,
            user_principal_name: row.user_principal_name,
        }))
    }

    async fn find_applications(&mut self, name_or_id: &str) -> Result<Vec<Identity>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let rows = sqlx::query!(
            r#"
            select service_principal_id, display_name
              from service_principals
             where tenant_id = $1
               and (display_name = $2 or app_id = $3 or service_principal_id = $3)
             order by service_principal_id
             limit 2
            "#,
            tenant,
            name_or_id,
            Uuid::parse_str(name_or_id).ok(),
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| Identity {
                id: ObjectId::new(row.service_principal_id),
                display_name: row.display_name,
                user_principal_name: String::new(),
            })
            .collect())
    }

    async fn role_templates_of(&mut self, id: ObjectId) -> Result<Vec<Uuid>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let templates = sqlx::query_scalar!(
            r#"
            select distinct r.role_template_id as "role_template_id!"
              from role_assignments a
              join directory_roles r on r.tenant_id = a.tenant_id and r.role_id = a.role_id
             where a.tenant_id = $1
               and r.role_template_id is not null
               and (a.principal_id = $2
                    or a.principal_id in (
                           select m.group_id
                             from group_members m
                             join groups g on g.tenant_id = m.tenant_id and g.group_id = m.group_id
                            where m.tenant_id = $1
                              and m.member_id = $2
                              and g.is_assignable_to_role))
            "#,
            tenant,
            id.as_uuid(),
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(templates)
    }

    async fn mail_addresses(&mut self, ids: &[ObjectId]) -> Result<Vec<MailAddress>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let ids: Vec<_> = ids.iter().map(|id| id.as_uuid()).collect();
        let rows = sqlx::query!(
            r#"
            select user_id, display_name, mail as "mail!"
              from users
             where tenant_id = $1
               and user_id = any($2)
               and mail is not null
               and account_enabled
               and external_user_state is distinct from 'PendingAcceptance'
             order by user_id
            "#,
            tenant,
            &ids,
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| MailAddress {
                id: ObjectId::new(row.user_id),
                display_name: row.display_name,
                address: row.mail,
            })
            .collect())
    }

    async fn people(&mut self, form: &ReviewerForm, only: Option<ObjectId>) -> Result<Vec<ObjectId>, StoreError> {
        let tenant = self.tenant.as_uuid();
        let ids = sqlx::query_scalar!(
            r#"
            with recursive nested (group_id) as (
                select $3::uuid where $2 = 'groupMembers'
                 union
                select m.member_id
                  from nested n
                  join group_members m
                    on m.tenant_id = $1
                   and m.group_id = n.group_id
                   and m.member_type = 'group'
            )
            select distinct u.user_id as "user_id!"
              from (select $3::uuid as user_id where $2 = 'user'
                     union all
                    select m.member_id
                      from nested n
                      join group_members m on m.tenant_id = $1 and m.group_id = n.group_id and m.member_type = 'user'
                     union all
                    select o.owner_id
                      from group_owners o
                     where $2 = 'groupOwners'
                       and o.tenant_id = $1
                       and o.group_id = $3
                       and o.owner_type = 'user') as named
              join users u on u.tenant_id = $1 and u.user_id = named.user_id
             where u.account_enabled
               and ($4::uuid is null or u.user_id = $4)
            "#,
            tenant,
            form.kind(),
            form.object_id().map(ObjectId::as_uuid),
            only.map(ObjectId::as_uuid),
        )
        .fetch_all(self.connection()?)
        .await?;
        Ok(ids.into_iter().map(ObjectId::new).collect())
    }
}

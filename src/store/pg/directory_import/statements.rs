//! The SQL of an import. Staging tables live for one transaction, so that the compile-time check of queries cannot see them.
//!
//! In staging tables a null means "not told", except where a column `…_told` says so.

/// Where records are put aside.
pub(super) const CREATE_STAGING: &str = "
    create temp table staged_objects (line bigint not null, id uuid not null, kind text not null) on commit drop;
    create temp table staged_users (
        line bigint not null,
        id uuid not null,
        user_principal_name text,
        display_name text,
        mail_told boolean not null,
        mail text,
        user_type text,
        account_enabled boolean,
        department_told boolean not null,
        department text,
        job_title_told boolean not null,
        job_title text,
        country_told boolean not null,
        country text,
        manager_told boolean not null,
        manager_id uuid,
        created_at_told boolean not null,
        created_at timestamptz,
        sign_in_known boolean,
        last_sign_in_at timestamptz,
        external_user_state_told boolean not null,
        external_user_state text,
        sponsors_told boolean not null
    ) on commit drop;
    create temp table staged_groups (
        line bigint not null,
        id uuid not null,
        display_name text,
        group_types text[],
        resource_provisioning_options text[],
        is_assignable_to_role boolean,
        on_premises_sync_enabled boolean,
        mail_enabled boolean,
        security_enabled boolean,
        privileged_access boolean,
        members_told boolean not null,
        owners_told boolean not null,
        eligible_owners_told boolean not null,
        shared_channels_told boolean not null
    ) on commit drop;
    create temp table staged_service_principals (
        line bigint not null,
        id uuid not null,
        app_id_told boolean not null,
        app_id uuid,
        display_name text,
        owners_told boolean not null,
        app_roles_told boolean not null,
        assignments_told boolean not null,
        sign_ins_told boolean not null
    ) on commit drop;
    create temp table staged_directory_roles (
        line bigint not null,
        id uuid not null,
        role_template_id_told boolean not null,
        role_template_id uuid,
        display_name text,
        members_told boolean not null,
        eligible_members_told boolean not null
    ) on commit drop;
    create temp table staged_access_packages (
        line bigint not null,
        id uuid not null,
        display_name text,
        catalog_id_told boolean not null,
        catalog_id uuid,
        catalog_name_told boolean not null,
        catalog_name text,
        policies_told boolean not null,
        assignments_told boolean not null
    ) on commit drop;
    create temp table staged_user_sponsors (object_id uuid not null, entry_id uuid not null) on commit drop;
    create temp table staged_group_members (object_id uuid not null, entry_id uuid not null) on commit drop;
    create temp table staged_group_owners (object_id uuid not null, entry_id uuid not null) on commit drop;
    create temp table staged_group_eligible_owners (object_id uuid not null, entry_id uuid not null) on commit drop;
    create temp table staged_service_principal_owners (object_id uuid not null, entry_id uuid not null) on commit drop;
    create temp table staged_role_members (object_id uuid not null, entry_id uuid not null) on commit drop;
    create temp table staged_eligible_members (object_id uuid not null, entry_id uuid not null) on commit drop;
    create temp table staged_app_roles (
        object_id uuid not null,
        app_role_id uuid not null,
        display_name text not null,
        value text
    ) on commit drop;
    create temp table staged_channels (
        object_id uuid not null,
        channel_id text not null,
        display_name text not null
    ) on commit drop;
    create temp table staged_channel_members (
        object_id uuid not null,
        channel_id text not null,
        entry_id uuid not null
    ) on commit drop;
    create temp table staged_policies (
        object_id uuid not null,
        policy_id uuid not null,
        display_name text not null
    ) on commit drop;
    create temp table staged_package_assignments (
        object_id uuid not null,
        assignment_id text not null,
        policy_id uuid not null,
        entry_id uuid not null
    ) on commit drop;
    create temp table staged_assignments (
        object_id uuid not null,
        assignment_id text not null,
        entry_id uuid not null,
        app_role_id uuid not null
    ) on commit drop;
    create temp table staged_application_sign_ins (
        object_id uuid not null,
        entry_id uuid not null,
        last_sign_in_at timestamptz
    ) on commit drop;
    create temp table staged_references (id uuid not null, kind text) on commit drop;
";

pub(super) const COPY_OBJECTS: &str = "copy staged_objects from stdin (format binary)";
pub(super) const COPY_USERS: &str = "copy staged_users from stdin (format binary)";
pub(super) const COPY_GROUPS: &str = "copy staged_groups from stdin (format binary)";
pub(super) const COPY_SERVICE_PRINCIPALS: &str = "copy staged_service_principals from stdin (format binary)";
pub(super) const COPY_DIRECTORY_ROLES: &str = "copy staged_directory_roles from stdin (format binary)";
pub(super) const COPY_GROUP_MEMBERS: &str = "copy staged_group_members from stdin (format binary)";
pub(super) const COPY_USER_SPONSORS: &str = "copy staged_user_sponsors from stdin (format binary)";
pub(super) const COPY_GROUP_OWNERS: &str = "copy staged_group_owners from stdin (format binary)";
pub(super) const COPY_GROUP_ELIGIBLE_OWNERS: &str = "copy staged_group_eligible_owners from stdin (format binary)";
pub(super) const COPY_SERVICE_PRINCIPAL_OWNERS: &str =
    "copy staged_service_principal_owners from stdin (format binary)";
pub(super) const COPY_ROLE_MEMBERS: &str = "copy staged_role_members from stdin (format binary)";
pub(super) const COPY_ELIGIBLE_MEMBERS: &str = "copy staged_eligible_members from stdin (format binary)";
pub(super) const COPY_APP_ROLES: &str = "copy staged_app_roles from stdin (format binary)";
pub(super) const COPY_CHANNELS: &str = "copy staged_channels from stdin (format binary)";
pub(super) const COPY_CHANNEL_MEMBERS: &str = "copy staged_channel_members from stdin (format binary)";
pub(super) const COPY_ACCESS_PACKAGES: &str = "copy staged_access_packages from stdin (format binary)";
pub(super) const COPY_POLICIES: &str = "copy staged_policies from stdin (format binary)";
pub(super) const COPY_PACKAGE_ASSIGNMENTS: &str = "copy staged_package_assignments from stdin (format binary)";
pub(super) const COPY_ASSIGNMENTS: &str = "copy staged_assignments from stdin (format binary)";
pub(super) const COPY_APPLICATION_SIGN_INS: &str = "copy staged_application_sign_ins from stdin (format binary)";

/// What the statements below need to be fast whatever the planner believes.
///
/// A temporary table has no statistics until it is told to. And what the planner knows of a tenant's rows is old or nothing
/// right after the tenant's first import, so that it may choose to look up every one of a million rows: then there must be
/// an index to look it up in.
pub(super) const INDEX_STAGING: &str = "
    create index on staged_objects (id);
    create index on staged_users (id);
    create index on staged_users (lower(user_principal_name));
    create index on staged_groups (id);
    create index on staged_service_principals (id);
    create index on staged_directory_roles (id);
    create index on staged_user_sponsors (object_id, entry_id);
    create index on staged_group_members (object_id, entry_id);
    create index on staged_group_owners (object_id, entry_id);
    create index on staged_group_eligible_owners (object_id, entry_id);
    create index on staged_service_principal_owners (object_id, entry_id);
    create index on staged_role_members (object_id, entry_id);
    create index on staged_assignments (object_id, assignment_id);
    create index on staged_eligible_members (object_id, entry_id);
    create index on staged_application_sign_ins (object_id, entry_id);
    create index on staged_app_roles (object_id, app_role_id);
    create index on staged_channels (object_id, channel_id);
    create index on staged_channel_members (object_id, channel_id, entry_id);
    create index on staged_access_packages (id);
    create index on staged_policies (object_id, policy_id);
    create index on staged_package_assignments (object_id, assignment_id);
    analyze staged_objects, staged_users, staged_groups, staged_service_principals, staged_directory_roles,
        staged_access_packages, staged_user_sponsors, staged_group_members, staged_group_owners, staged_service_principal_owners,
        staged_role_members, staged_eligible_members, staged_assignments, staged_app_roles, staged_channels,
        staged_channel_members, staged_policies, staged_package_assignments, staged_group_eligible_owners,
        staged_application_sign_ins;
";

/// The database compares nothing across tenants, so the tenant is part of the name of the lock.
pub(super) const LOCK_TENANT: &str =
    "select pg_advisory_xact_lock(hashtextextended('attestry.directory_import.' || $1::text, 0))";

/// One id, two lines.
pub(super) const SAME_ID: &str = "
    select line, earlier, id
      from (select line, id, lag(line) over (partition by id order by line) as earlier from staged_objects) as told
     where earlier is not null
     order by line
     limit $1
";

/// One id, in the directory as another kind.
pub(super) const OTHER_KIND: &str = "
    select told.line, told.id, told.kind, stored.kind as stored_kind
      from staged_objects as told
      join (
               select user_id as id, 'user' as kind from users where tenant_id = $1
               union all
               select group_id, 'group' from groups where tenant_id = $1
               union all
               select service_principal_id, 'servicePrincipal' from service_principals where tenant_id = $1
               union all
               select role_id, 'directoryRole' from directory_roles where tenant_id = $1
               union all
               select access_package_id, 'accessPackage' from access_packages where tenant_id = $1
           ) as stored
        on stored.id = told.id
       and stored.kind <> told.kind
     order by told.line
     limit $2
";

/// New objects without the names every object has.
pub(super) const REQUIRED: &str = "
    select line, id, property
      from (
               select told.line, told.id, missing.property
                 from staged_users as told
                cross join lateral (values ('userPrincipalName', told.user_principal_name), ('displayName', told.display_name))
                      as missing (property, value)
                where missing.value is null
                  and not exists (select from users as u where u.tenant_id = $1 and u.user_id = told.id)
               union all
               select told.line, told.id, 'displayName'
                 from staged_groups as told
                where told.display_name is null
                  and not exists (select from groups as g where g.tenant_id = $1 and g.group_id = told.id)
               union all
               select told.line, told.id, 'displayName'
                 from staged_service_principals as told
                where told.display_name is null
                  and not exists (
                          select from service_principals as p
                           where p.tenant_id = $1 and p.service_principal_id = told.id
                      )
               union all
               select told.line, told.id, 'displayName'
                 from staged_directory_roles as told
                where told.display_name is null
                  and not exists (select from directory_roles as r where r.tenant_id = $1 and r.role_id = told.id)
               union all
               select told.line, told.id, 'displayName'
                 from staged_access_packages as told
                where told.display_name is null
                  and not exists (select from access_packages as a where a.tenant_id = $1 and a.access_package_id = told.id)
           ) as missing
     order by line, property desc
     limit $2
";

/// What every id that is referred to is: told in the file, else stored, else nothing.
pub(super) const FIND_REFERENCES: &str = "
    insert into staged_references (id, kind)
    select told.id,
           coalesce(
               o.kind,
               case
                   when u.user_id is not null then 'user'
                   when g.group_id is not null then 'group'
                   when p.service_principal_id is not null then 'servicePrincipal'
                   when r.role_id is not null then 'directoryRole'
                   when a.access_package_id is not null then 'accessPackage'
               end
           )
      from (
               select manager_id as id from staged_users where manager_id is not null
               union
               select entry_id from staged_user_sponsors
               union
               select entry_id from staged_group_members
               union
               select entry_id from staged_group_owners
               union
               select entry_id from staged_group_eligible_owners
               union
               select entry_id from staged_service_principal_owners
               union
               select entry_id from staged_role_members
               union
               select entry_id from staged_eligible_members
               union
               select entry_id from staged_assignments
               union
               select entry_id from staged_channel_members
               union
               select entry_id from staged_package_assignments
               union
               select entry_id from staged_application_sign_ins
           ) as told
      left join staged_objects as o on o.id = told.id
      left join users as u on u.tenant_id = $1 and u.user_id = told.id
      left join groups as g on g.tenant_id = $1 and g.group_id = told.id
      left join service_principals as p on p.tenant_id = $1 and p.service_principal_id = told.id
      left join directory_roles as r on r.tenant_id = $1 and r.role_id = told.id
      left join access_packages as a on a.tenant_id = $1 and a.access_package_id = told.id
";

/// As for the other staging tables.
pub(super) const INDEX_REFERENCES: &str = "
    create unique index on staged_references (id);
    analyze staged_references;
";

/// References that lead nowhere, or where they may not.
pub(super) const BAD_REFERENCES: &str = "
    select o.line, told.property, told.entry_id as id, found.kind
      from (
               select id as object_id, 'manager' as property, manager_id as entry_id, array['user'] as allowed
                 from staged_users
                where manager_id is not null
               union all
               select object_id, 'sponsors', entry_id, array['user'] from staged_user_sponsors
               union all
               select object_id, 'members', entry_id, array['user', 'group', 'servicePrincipal'] from staged_group_members
               union all
               select object_id, 'owners', entry_id, array['user', 'servicePrincipal'] from staged_group_owners
               union all
               select object_id, 'eligibleOwners', entry_id, array['user', 'servicePrincipal']
                 from staged_group_eligible_owners
               union all
               select object_id, 'owners', entry_id, array['user', 'servicePrincipal'] from staged_service_principal_owners
               union all
               select object_id, 'members', entry_id, array['user', 'group', 'servicePrincipal'] from staged_role_members
               union all
               select object_id, 'eligibleMembers', entry_id, array['user', 'group', 'servicePrincipal']
                 from staged_eligible_members
               union all
               select object_id, 'appRoleAssignedTo.principalId', entry_id, array['user', 'group', 'servicePrincipal']
                 from staged_assignments
               union all
               select object_id, 'sharedChannels.members', entry_id, array['user', 'group'] from staged_channel_members
               union all
               select object_id, 'signIns.userId', entry_id, array['user'] from staged_application_sign_ins
               union all
               select object_id, 'assignments.targetId', entry_id, array['user', 'servicePrincipal']
                 from staged_package_assignments
           ) as told
      join staged_references as found on found.id = told.entry_id
      join staged_objects as o on o.id = told.object_id
     where found.kind is null
        or found.kind <> all (told.allowed)
     order by o.line, told.property, told.entry_id
     limit $1
";

/// Assignments under a policy that their access package will not have.
pub(super) const UNKNOWN_POLICY: &str = "
    select distinct object.line, told.policy_id
      from staged_package_assignments as told
      join staged_access_packages as object on object.id = told.object_id
     where not exists (
               select from staged_policies as policy
                where policy.object_id = told.object_id and policy.policy_id = told.policy_id
           )
       and (
               object.policies_told
               or not exists (
                      select from access_package_policies as policy
                       where policy.tenant_id = $1
                         and policy.access_package_id = told.object_id
                         and policy.policy_id = told.policy_id
                  )
           )
     order by object.line, told.policy_id
     limit $2
";

/// One user principal name, two lines.
pub(super) const SAME_USER_PRINCIPAL_NAME: &str = "
    select line, earlier, user_principal_name
      from (
               select line, user_principal_name,
                      lag(line) over (partition by lower(user_principal_name) order by line) as earlier
                 from staged_users
                where user_principal_name is not null
           ) as told
     where earlier is not null
     order by line
     limit $1
";

/// A user principal name of somebody whose name the file does not tell.
pub(super) const USER_PRINCIPAL_NAME_TAKEN: &str = "
    select told.line, told.user_principal_name, holder.user_id
      from staged_users as told
      join users as holder
        on holder.tenant_id = $1
       and lower(holder.user_principal_name) = lower(told.user_principal_name)
       and holder.user_id <> told.id
     where not exists (
               select from staged_users as renamed
                where renamed.id = holder.user_id and renamed.user_principal_name is not null
           )
     order by told.line
     limit $2
";

/// `union` drops what was seen, so that a circle ends the climb and no edge is followed twice.
pub(super) const MANAGER_EDGES: &str = "
    with recursive chain (user_id, manager_id) as (
        select id, manager_id from staged_users where manager_id is not null
        union
        select above.user_id, above.manager_id
          from chain
          join users as above
            on above.tenant_id = $1
           and above.user_id = chain.manager_id
           and above.manager_id is not null
           and not exists (select from staged_users as told where told.id = above.user_id and told.manager_told)
    )
    select user_id, manager_id from chain
";

/// Two users may swap names in one file, but the unique index looks at one row at a time: who gives up a name that somebody
/// else in the file takes gets one that nobody can have, until the next statement.
pub(super) const PARK_USER_PRINCIPAL_NAMES: &str = "
    update users as u
       set user_principal_name = chr(1) || u.user_id::text
      from staged_users as told
     where u.tenant_id = $1
       and u.user_id = told.id
       and lower(told.user_principal_name) <> lower(u.user_principal_name)
       and exists (
               select from staged_users as taker
                where lower(taker.user_principal_name) = lower(u.user_principal_name) and taker.id <> u.user_id
           )
";

/// Only rows that change are written.
pub(super) const UPDATE_USERS: &str = "
    update users as u
       set user_principal_name = coalesce(told.user_principal_name, u.user_principal_name),
           display_name = coalesce(told.display_name, u.display_name),
           mail = case when told.mail_told then told.mail else u.mail end,
           user_type = coalesce(told.user_type, u.user_type),
           account_enabled = coalesce(told.account_enabled, u.account_enabled),
           department = case when told.department_told then told.department else u.department end,
           job_title = case when told.job_title_told then told.job_title else u.job_title end,
           country = case when told.country_told then told.country else u.country end,
           manager_id = case when told.manager_told then told.manager_id else u.manager_id end,
           created_at = case when told.created_at_told then told.created_at else u.created_at end,
           sign_in_known = coalesce(told.sign_in_known, u.sign_in_known),
           last_sign_in_at = case when told.sign_in_known is null then u.last_sign_in_at else told.last_sign_in_at end,
           external_user_state =
               case when told.external_user_state_told then told.external_user_state else u.external_user_state end
      from staged_users as told
     where u.tenant_id = $1
       and u.user_id = told.id
       and (
               told.user_principal_name <> u.user_principal_name
               or told.display_name <> u.display_name
               or told.mail_told and told.mail is distinct from u.mail
               or told.user_type <> u.user_type
               or told.account_enabled <> u.account_enabled
               or told.department_told and told.department is distinct from u.department
               or told.job_title_told and told.job_title is distinct from u.job_title
               or told.country_told and told.country is distinct from u.country
               or told.manager_told and told.manager_id is distinct from u.manager_id
               or told.created_at_told and told.created_at is distinct from u.created_at
               or told.sign_in_known <> u.sign_in_known
               or told.sign_in_known is not null and told.last_sign_in_at is distinct from u.last_sign_in_at
               or told.external_user_state_told and told.external_user_state is distinct from u.external_user_state
           )
";

pub(super) const INSERT_USERS: &str = "
    insert into users (
        tenant_id, user_id, user_principal_name, display_name, mail, user_type, account_enabled, department, job_title,
        country, manager_id, created_at, sign_in_known, last_sign_in_at, external_user_state
    )
    select $1, told.id, told.user_principal_name, told.display_name, told.mail, coalesce(told.user_type, 'Member'),
           coalesce(told.account_enabled, true), told.department, told.job_title, told.country, told.manager_id,
           told.created_at, coalesce(told.sign_in_known, false), told.last_sign_in_at, told.external_user_state
      from staged_users as told
     where not exists (select from users as u where u.tenant_id = $1 and u.user_id = told.id)
";

/// Only rows that change are written.
pub(super) const UPDATE_GROUPS: &str = "
    update groups as g
       set display_name = coalesce(told.display_name, g.display_name),
           group_types = coalesce(told.group_types, g.group_types),
           resource_provisioning_options = coalesce(told.resource_provisioning_options, g.resource_provisioning_options),
           is_assignable_to_role = coalesce(told.is_assignable_to_role, g.is_assignable_to_role),
           on_premises_sync_enabled = coalesce(told.on_premises_sync_enabled, g.on_premises_sync_enabled),
           mail_enabled = coalesce(told.mail_enabled, g.mail_enabled),
           security_enabled = coalesce(told.security_enabled, g.security_enabled),
           privileged_access = coalesce(told.privileged_access, g.privileged_access)
      from staged_groups as told
     where g.tenant_id = $1
       and g.group_id = told.id
       and (
               told.display_name <> g.display_name
               or told.group_types <> g.group_types
               or told.resource_provisioning_options <> g.resource_provisioning_options
               or told.is_assignable_to_role <> g.is_assignable_to_role
               or told.on_premises_sync_enabled <> g.on_premises_sync_enabled
               or told.mail_enabled <> g.mail_enabled
               or told.security_enabled <> g.security_enabled
               or told.privileged_access <> g.privileged_access
           )
";

pub(super) const INSERT_GROUPS: &str = "
    insert into groups (
        tenant_id, group_id, display_name, group_types, resource_provisioning_options, is_assignable_to_role,
        on_premises_sync_enabled, mail_enabled, security_enabled, privileged_access
    )
    select $1, told.id, told.display_name, coalesce(told.group_types, '{}'),
           coalesce(told.resource_provisioning_options, '{}'), coalesce(told.is_assignable_to_role, false),
           coalesce(told.on_premises_sync_enabled, false), coalesce(told.mail_enabled, false),
           coalesce(told.security_enabled, true), coalesce(told.privileged_access, false)
      from staged_groups as told
     where not exists (select from groups as g where g.tenant_id = $1 and g.group_id = told.id)
";

/// Only rows that change are written.
pub(super) const UPDATE_SERVICE_PRINCIPALS: &str = "
    update service_principals as p
       set display_name = coalesce(told.display_name, p.display_name),
           app_id = case when told.app_id_told then told.app_id else p.app_id end
      from staged_service_principals as told
     where p.tenant_id = $1
       and p.service_principal_id = told.id
       and (told.display_name <> p.display_name or told.app_id_told and told.app_id is distinct from p.app_id)
";

pub(super) const INSERT_SERVICE_PRINCIPALS: &str = "
    insert into service_principals (tenant_id, service_principal_id, app_id, display_name)
    select $1, told.id, told.app_id, told.display_name
      from staged_service_principals as told
     where not exists (
               select from service_principals as p where p.tenant_id = $1 and p.service_principal_id = told.id
           )
";

/// Only rows that change are written.
pub(super) const UPDATE_DIRECTORY_ROLES: &str = "
    update directory_roles as r
       set display_name = coalesce(told.display_name, r.display_name),
           role_template_id = case when told.role_template_id_told then told.role_template_id else r.role_template_id end
      from staged_directory_roles as told
     where r.tenant_id = $1
       and r.role_id = told.id
       and (
               told.display_name <> r.display_name
               or told.role_template_id_told and told.role_template_id is distinct from r.role_template_id
           )
";

pub(super) const INSERT_DIRECTORY_ROLES: &str = "
    insert into directory_roles (tenant_id, role_id, role_template_id, display_name)
    select $1, told.id, told.role_template_id, told.display_name
      from staged_directory_roles as told
     where not exists (select from directory_roles as r where r.tenant_id = $1 and r.role_id = told.id)
";

/// Only rows that change are written.
pub(super) const UPDATE_ACCESS_PACKAGES: &str = "
    update access_packages as a
       set display_name = coalesce(told.display_name, a.display_name),
           catalog_id = case when told.catalog_id_told then told.catalog_id else a.catalog_id end,
           catalog_name = case when told.catalog_name_told then told.catalog_name else a.catalog_name end
      from staged_access_packages as told
     where a.tenant_id = $1
       and a.access_package_id = told.id
       and (
               told.display_name <> a.display_name
               or told.catalog_id_told and told.catalog_id is distinct from a.catalog_id
               or told.catalog_name_told and told.catalog_name is distinct from a.catalog_name
           )
";

pub(super) const INSERT_ACCESS_PACKAGES: &str = "
    insert into access_packages (tenant_id, access_package_id, display_name, catalog_id, catalog_name)
    select $1, told.id, told.display_name, told.catalog_id, told.catalog_name
      from staged_access_packages as told
     where not exists (select from access_packages as a where a.tenant_id = $1 and a.access_package_id = told.id)
";

/// What the file told, in one row.
pub(super) const COUNT_STAGED: &str = "
    select (select count(*) from staged_users) as users,
           (select count(*) from staged_groups) as groups,
           (select count(*) from staged_service_principals) as service_principals,
           (select count(*) from staged_directory_roles) as directory_roles,
           (select count(*) from staged_user_sponsors) as user_sponsors,
           (select count(*) from staged_group_members) as group_members,
           (select count(*) from staged_group_owners) as group_owners,
           (select count(*) from staged_group_eligible_owners) as group_eligible_owners,
           (select count(*) from staged_service_principal_owners) as service_principal_owners,
           (select count(*) from staged_assignments) as app_role_assignments,
           (select count(*) from staged_application_sign_ins) as application_sign_ins,
           (select count(*) from staged_role_members) as role_members,
           (select count(*) from staged_eligible_members) as role_eligible_members,
           (select count(*) from staged_app_roles) as app_roles,
           (select count(*) from staged_channels) as shared_channels,
           (select count(*) from staged_channel_members) as shared_channel_members,
           (select count(*) from staged_access_packages) as access_packages,
           (select count(*) from staged_policies) as access_package_policies,
           (select count(*) from staged_package_assignments) as access_package_assignments
";

/// The event stands at the tenant's clock.
pub(super) const APPEND_EVENT: &str = "
    insert into events (tenant_id, at, activity, actor_kind, actor_id, actor_name, after)
    select tenant_id, now() + clock_offset, 'Directory imported', 'system', $2, 'System', $3
      from tenants
     where tenant_id = $1
";

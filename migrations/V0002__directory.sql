-- The directory as it was last told by import. Reviews read it set-wise when an instance or a stage opens.
create table users (
    tenant_id uuid not null references tenants,
    user_id uuid not null,
    user_principal_name text not null,
    display_name text not null,
    mail text,
    user_type text not null default 'Member',
    account_enabled boolean not null default true,
    department text,
    job_title text,
    country text,
    manager_id uuid,
    created_at timestamptz,
    -- false: no information; true without last_sign_in_at: known, and never signed in
    sign_in_known boolean not null default false,
    last_sign_in_at timestamptz,
    primary key (tenant_id, user_id),
    constraint users_manager_exists foreign key (tenant_id, manager_id) references users deferrable initially deferred,
    constraint users_user_type check (user_type in ('Member', 'Guest')),
    constraint users_sign_in_needs_knowledge check (sign_in_known or last_sign_in_at is null)
);
create unique index users_by_user_principal_name on users (tenant_id, lower(user_principal_name));
create index users_by_manager on users (tenant_id, manager_id) where manager_id is not null;

create table groups (
    tenant_id uuid not null references tenants,
    group_id uuid not null,
    display_name text not null,
    group_types text[] not null default '{}',
    resource_provisioning_options text[] not null default '{}',
    is_assignable_to_role boolean not null default false,
    on_premises_sync_enabled boolean not null default false,
    primary key (tenant_id, group_id)
);

-- A member or an owner is a user, a group or a service principal; the import checks that it exists.
create table group_members (
    tenant_id uuid not null,
    group_id uuid not null,
    member_id uuid not null,
    member_type text not null,
    primary key (tenant_id, group_id, member_id),
    foreign key (tenant_id, group_id) references groups on delete cascade,
    constraint group_members_member_type check (member_type in ('user', 'group', 'servicePrincipal'))
);
create index group_members_by_member on group_members (tenant_id, member_id, group_id);

create table group_owners (
    tenant_id uuid not null,
    group_id uuid not null,
    owner_id uuid not null,
    owner_type text not null,
    primary key (tenant_id, group_id, owner_id),
    foreign key (tenant_id, group_id) references groups on delete cascade,
    constraint group_owners_owner_type check (owner_type in ('user', 'servicePrincipal'))
);
create index group_owners_by_owner on group_owners (tenant_id, owner_id, group_id);

create table service_principals (
    tenant_id uuid not null references tenants,
    service_principal_id uuid not null,
    app_id uuid,
    display_name text not null,
    primary key (tenant_id, service_principal_id)
);

create table service_principal_owners (
    tenant_id uuid not null,
    service_principal_id uuid not null,
    owner_id uuid not null,
    owner_type text not null,
    primary key (tenant_id, service_principal_id, owner_id),
    foreign key (tenant_id, service_principal_id) references service_principals on delete cascade,
    constraint service_principal_owners_owner_type check (owner_type in ('user', 'servicePrincipal'))
);

create table app_role_assignments (
    tenant_id uuid not null,
    service_principal_id uuid not null,
    assignment_id text not null,
    principal_id uuid not null,
    principal_type text not null,
    app_role_id uuid not null,
    primary key (tenant_id, service_principal_id, assignment_id),
    foreign key (tenant_id, service_principal_id) references service_principals on delete cascade,
    constraint app_role_assignments_principal_type check (principal_type in ('user', 'group', 'servicePrincipal'))
);
create index app_role_assignments_by_principal on app_role_assignments (tenant_id, principal_id);

create table directory_roles (
    tenant_id uuid not null references tenants,
    role_id uuid not null,
    role_template_id uuid,
    display_name text not null,
    primary key (tenant_id, role_id)
);

create table role_assignments (
    tenant_id uuid not null,
    role_id uuid not null,
    principal_id uuid not null,
    principal_type text not null,
    primary key (tenant_id, role_id, principal_id),
    foreign key (tenant_id, role_id) references directory_roles on delete cascade,
    constraint role_assignments_principal_type check (principal_type in ('user', 'group', 'servicePrincipal'))
);
create index role_assignments_by_principal on role_assignments (tenant_id, principal_id);

-- What the directory has to know so that applications, directory roles, access packages and teams with shared channels can be
-- reviewed, and who of a team's channels comes from elsewhere.
alter table users
    -- how far an invitation has come; null: nobody was invited (LC-REV-10)
    add column external_user_state text,
    add constraint users_external_user_state check (external_user_state in ('PendingAcceptance', 'Accepted'));

-- A group with mail that is not a Microsoft 365 group is managed elsewhere (LC-APPLY-04).
alter table groups
    add column mail_enabled boolean not null default false,
    add column security_enabled boolean not null default true;

-- What is known of an application's roles; an assignment may name a role that is not among them.
create table app_roles (
    tenant_id uuid not null,
    service_principal_id uuid not null,
    app_role_id uuid not null,
    display_name text not null,
    value text,
    primary key (tenant_id, service_principal_id, app_role_id),
    foreign key (tenant_id, service_principal_id) references service_principals on delete cascade
);
select raise_tenant_wall('app_roles');

-- Who may activate a directory role; role_assignments holds who has it.
create table role_eligibilities (
    tenant_id uuid not null,
    role_id uuid not null,
    principal_id uuid not null,
    principal_type text not null,
    primary key (tenant_id, role_id, principal_id),
    foreign key (tenant_id, role_id) references directory_roles on delete cascade,
    constraint role_eligibilities_principal_type check (principal_type in ('user', 'group', 'servicePrincipal'))
);
create index role_eligibilities_by_principal on role_eligibilities (tenant_id, principal_id);
select raise_tenant_wall('role_eligibilities');

-- Shared channels of a team. A member who is not a member of the team is there by B2B direct connect.
create table shared_channels (
    tenant_id uuid not null,
    group_id uuid not null,
    channel_id text not null,
    display_name text not null,
    primary key (tenant_id, group_id, channel_id),
    foreign key (tenant_id, group_id) references groups on delete cascade
);
select raise_tenant_wall('shared_channels');

create table shared_channel_members (
    tenant_id uuid not null,
    group_id uuid not null,
    channel_id text not null,
    member_id uuid not null,
    member_type text not null,
    primary key (tenant_id, group_id, channel_id, member_id),
    foreign key (tenant_id, group_id, channel_id) references shared_channels on delete cascade,
    constraint shared_channel_members_member_type check (member_type = 'user')
);
create index shared_channel_members_by_member on shared_channel_members (tenant_id, member_id, group_id);
select raise_tenant_wall('shared_channel_members');

create table access_packages (
    tenant_id uuid not null references tenants,
    access_package_id uuid not null,
    display_name text not null,
    catalog_id uuid,
    catalog_name text,
    primary key (tenant_id, access_package_id)
);
select raise_tenant_wall('access_packages');

create table access_package_policies (
    tenant_id uuid not null,
    access_package_id uuid not null,
    policy_id uuid not null,
    display_name text not null,
    primary key (tenant_id, access_package_id, policy_id),
    foreign key (tenant_id, access_package_id) references access_packages on delete cascade
);
select raise_tenant_wall('access_package_policies');

create table access_package_assignments (
    tenant_id uuid not null,
    access_package_id uuid not null,
    policy_id uuid not null,
    assignment_id text not null,
    target_id uuid not null,
    target_type text not null,
    primary key (tenant_id, access_package_id, assignment_id),
    foreign key (tenant_id, access_package_id, policy_id) references access_package_policies on delete cascade,
    constraint access_package_assignments_target_type check (target_type in ('user', 'servicePrincipal'))
);
create index access_package_assignments_by_policy on access_package_assignments (tenant_id, access_package_id, policy_id);
create index access_package_assignments_by_target on access_package_assignments (tenant_id, target_id);
select raise_tenant_wall('access_package_assignments');

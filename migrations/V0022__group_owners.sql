-- What group owners may do: whether a tenant lets them review their own groups (LC-AUTH-02), which reviews are of one group, and
-- who may become an owner under privileged-access management without being one yet (LC-REV-08).

-- No row: every setting is as it is by default.
create table review_settings (
    tenant_id uuid primary key references tenants,
    group_owners_may_review boolean not null default false,
    modified_at timestamptz not null
);
select raise_tenant_wall('review_settings');

alter table groups add column privileged_access boolean not null default false;

create table group_eligible_owners (
    tenant_id uuid not null,
    group_id uuid not null,
    owner_id uuid not null,
    owner_type text not null,
    primary key (tenant_id, group_id, owner_id),
    foreign key (tenant_id, group_id) references groups on delete cascade,
    constraint group_eligible_owners_owner_type check (owner_type in ('user', 'servicePrincipal'))
);
create index group_eligible_owners_by_owner on group_eligible_owners (tenant_id, owner_id, group_id);
select raise_tenant_wall('group_eligible_owners');

-- The one group under review; null of everything else, also of a review of many groups. A scope never changes (LC-DEF-25). The
-- rewrite by `using` reaches every row, also where row-level security is forced on the owner who migrates: what is stored names
-- its group in an absolute query, in the enumeration beside a relative one, or as a typed resource.
alter table definitions add column group_id uuid;
alter table definitions
    alter column group_id type uuid using coalesce(
        substring(scope::text from '/groups/([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})'),
        substring(instance_enumeration_scope from '^(?:/v1.0|/beta)?/groups/([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})/?$'),
        case scope #>> '{resourceScopes,0,scopeType}' when 'group' then scope #>> '{resourceScopes,0,resourceId}' end
    )::uuid;
create index definitions_by_group on definitions (tenant_id, group_id, definition_id) where group_id is not null;

-- Whom the users, groups and owners of a stored list name now: reviewers of every item. Only enabled accounts count, and of the
-- invited only those who accepted (LC-REV-01, LC-REV-05, LC-REV-08, LC-REV-10). `resource` is the group or the application whose
-- owners `./owners` asks.
--
-- `offset 0`, `limit 1` and `materialized` hold the planner to probes of primary keys: of a tenant imported a moment ago it has no
-- statistics, takes it for empty, and reads all members of all groups once per user.
create function named_reviewers(tenant uuid, list uuid, resource uuid) returns table (role text, user_id uuid)
    language sql stable
as $$
    with recursive scopes as (
        select s.role, s.form, s.object_id, s.owner_user_type, s.owner_country
          from reviewer_scopes s
         where s.tenant_id = tenant
           and s.reviewer_list_id = list
    ), nested (role, group_id) as (
        select s.role, s.object_id
          from scopes s
         where s.form = 'groupMembers'
         union
        select n.role, m.member_id
          from nested n
         cross join lateral (
                   select g.member_id
                     from group_members g
                    where g.tenant_id = tenant
                      and g.group_id = n.group_id
                      and g.member_type = 'group'
                   offset 0) as m
    ), named as materialized (
        select s.role, s.object_id as person, null::text as user_type, null::text as country
          from scopes s
         where s.form = 'user'
         union all
        select n.role, m.member_id, null, null
          from nested n
         cross join lateral (
                   select g.member_id
                     from group_members g
                    where g.tenant_id = tenant
                      and g.group_id = n.group_id
                      and g.member_type = 'user'
                   offset 0) as m
         union all
        select s.role, o.owner_id, s.owner_user_type, s.owner_country
          from scopes s
          join group_owners o
            on o.tenant_id = tenant
           and o.group_id = case s.form when 'groupOwners' then s.object_id else resource end
           and o.owner_type = 'user'
         where s.form in ('groupOwners', 'resourceOwners')
         union all
        select s.role, o.owner_id, null, null
          from scopes s
          join service_principal_owners o
            on o.tenant_id = tenant
           and o.service_principal_id = case s.form when 'servicePrincipalOwners' then s.object_id else resource end
           and o.owner_type = 'user'
         where s.form in ('servicePrincipalOwners', 'resourceOwners')
    )
    select distinct n.role, u.user_id
      from named n
     cross join lateral (
               select p.user_id, p.user_type, p.country, p.account_enabled, p.external_user_state
                 from users p
                where p.tenant_id = tenant
                  and p.user_id = n.person
                limit 1) as u
     where u.account_enabled
       and u.external_user_state is distinct from 'PendingAcceptance'
       and (n.user_type is null or n.user_type = u.user_type)
       and (n.country is null or n.country = u.country)
$$;

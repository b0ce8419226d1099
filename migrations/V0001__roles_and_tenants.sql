-- Who connects, and who is a tenant. The service works as a role that owns nothing, so that neither a bug nor an injected
-- statement can get around row-level security or rewrite events. Roles belong to the whole cluster: making them is
-- idempotent, also when several databases are migrated at once.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['attestry_service', 'attestry_worker'] loop
        begin
            if not exists (select from pg_roles where rolname = wanted) then
                execute format('create role %I nologin nosuperuser nobypassrls nocreatedb nocreaterole', wanted);
            end if;
        exception
            when duplicate_object or unique_violation then null;
        end;
        begin
            if not pg_has_role(current_user, wanted, 'member') then
                execute format('grant %I to %I', wanted, current_user);
            end if;
        exception
            when duplicate_object or unique_violation then null;
        end;
    end loop;
end
$$;

grant usage on schema public to attestry_service, attestry_worker;

-- The tenant of the running transaction; null, and so no row at all, when none was set.
create function attestry_tenant() returns uuid
    language sql stable parallel safe
    return nullif(current_setting('attestry.tenant', true), '')::uuid;

create table tenants (
    tenant_id uuid primary key,
    slug text not null constraint tenants_slug_key unique,
    display_name text not null,
    sandbox boolean not null default false,
    -- how far a sandbox tenant's clock runs ahead of the database's
    clock_offset interval not null default interval '0',
    -- seals continuation tokens, so that a client can neither forge nor carry one to another query
    page_key bytea not null,
    created_at timestamptz not null default now(),
    constraint tenants_slug_form check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    constraint tenants_only_a_sandbox_clock_moves check (sandbox or clock_offset = interval '0'),
    constraint tenants_clock_never_behind check (clock_offset >= interval '0')
);

create table tenant_issuers (
    tenant_id uuid not null references tenants,
    issuer text not null,
    audience text not null,
    -- development issuers count only while ATTESTRY_DEV_ISSUER=1
    development boolean not null default false,
    jwks jsonb not null,
    algorithms text[] not null,
    created_at timestamptz not null default now(),
    primary key (tenant_id, issuer),
    constraint tenant_issuers_speak_for_one_tenant unique (issuer)
);

-- The private half of the built-in development issuer. The service's role has no right to it.
create table development_keys (
    tenant_id uuid primary key references tenants,
    key_id text not null,
    private_key text not null,
    created_at timestamptz not null default now()
);

grant select on tenants, tenant_issuers to attestry_service;
grant update (clock_offset) on tenants to attestry_service;

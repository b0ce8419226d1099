-- Issuers that a tenant registers itself, beside the built-in one: who they are, how their claims name a caller, and what
-- they give. Their keys are fetched, so only the built-in issuer has keys here.
alter table tenant_issuers
    add column issuer_id uuid,
    add column display_name text not null default '',
    add column audiences text[],
    add column discovery_url text,
    add column tenant_claim text,
    add column tenant_value text not null default '',
    add column claims jsonb,
    add column grants jsonb not null default '[]',
    add column revision bigint not null default 1,
    add column modified_at timestamptz not null default now(),
    alter column jwks drop not null;

-- The built-in issuer names the tenant in `tid`, and there is one of a tenant.
update tenant_issuers
   set issuer_id = tenant_id,
       audiences = array[audience],
       tenant_claim = 'tid',
       tenant_value = tenant_id::text;

alter table tenant_issuers
    drop column audience,
    alter column audiences set not null,
    alter column issuer_id set not null,
    -- One issuer may serve tenants of several, each under another value of one claim. That the claim is the same, and that
    -- nobody registers the issuer without one beside them, is the application's rule, under a lock on the name.
    drop constraint tenant_issuers_speak_for_one_tenant,
    add constraint tenant_issuers_speak_for_one_tenant unique (issuer, tenant_value),
    add constraint tenant_issuers_keys check (development = (jwks is not null)),
    add constraint tenant_issuers_mapping check (development = (claims is null)),
    add constraint tenant_issuers_tenant_claim check ((tenant_claim is null) = (tenant_value = ''));

create unique index tenant_issuers_by_id on tenant_issuers (tenant_id, issuer_id);

-- Everybody's are read, for a token comes before its tenant is known; written are only those of the tenant that is set, and never the
-- built-in one, which is the owner's. The owner is not bound: no `force`.
alter table tenant_issuers enable row level security;
create policy issuers_are_looked_up on tenant_issuers for select to attestry_service using (true);
create policy tenants_write_their_own on tenant_issuers for all to attestry_service
    using (tenant_id = attestry_tenant() and not development)
    with check (tenant_id = attestry_tenant() and not development);
grant insert, update, delete on tenant_issuers to attestry_service;

-- A caller may be found by his mail address.
create index users_by_mail on users (tenant_id, lower(mail)) where mail is not null;

-- What changed, by whom, before and after. The service's role may add and read; nobody but the owner could do more.
create table events (
    tenant_id uuid not null references tenants,
    event_id bigint generated always as identity,
    -- the tenant's clock, and the database's, which a sandbox does not move
    at timestamptz not null,
    recorded_at timestamptz not null default clock_timestamp(),
    activity text not null,
    actor_kind text not null,
    actor_id uuid not null,
    actor_name text not null,
    request_id uuid,
    -- no foreign keys: events outlive what they tell of (LC-AUD-02)
    definition_id uuid,
    instance_id uuid,
    stage_id uuid,
    item_seq integer,
    before jsonb,
    after jsonb,
    primary key (tenant_id, event_id),
    constraint events_actor_kind check (actor_kind in ('user', 'application', 'system'))
);
create index events_by_definition on events (tenant_id, definition_id, event_id);
create index events_by_instance on events (tenant_id, instance_id, event_id);

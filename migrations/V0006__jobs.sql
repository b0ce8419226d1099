-- Due work of all tenants: one plain table, so that one statement claims for everybody. Workers take the role that sees all
-- rows of this table and of no other.
create table jobs (
    tenant_id uuid not null references tenants,
    job_id uuid not null,
    kind text not null,
    -- the same effect is enqueued once: (instance, what) for transitions, the mail key for mail (LC-NOTE-08)
    key text not null,
    payload jsonb not null,
    -- in the tenant's time; run_at is the same instant in the database's time
    due_at timestamptz not null,
    run_at timestamptz not null,
    attempts integer not null default 0,
    leased_until timestamptz,
    lease_id uuid,
    last_error text,
    finished_at timestamptz,
    outcome text,
    created_at timestamptz not null default now(),
    primary key (tenant_id, job_id),
    constraint jobs_key_once unique (tenant_id, kind, key),
    constraint jobs_outcome check ((finished_at is null) = (outcome is null))
);
create index jobs_due on jobs (run_at, tenant_id, job_id) where finished_at is null;
create index jobs_pending_by_tenant on jobs (tenant_id, due_at, job_id) where finished_at is null;

-- What was answered to creates that carried a key: for 24 hours the same key with the same body is answered the same, so that a
-- client whose connection broke can repeat itself. Written in the transaction that creates. LC-CONC-09
create table first_answers (
    tenant_id uuid not null references tenants,
    caller_id uuid not null,
    creates text not null,
    key text not null,
    body_digest bytea not null,
    -- json, not jsonb: told again letter by letter
    answer json not null,
    kept_at timestamptz not null,
    primary key (tenant_id, caller_id, creates, key),
    constraint first_answers_creates check (creates in ('definition', 'historyDefinition')),
    constraint first_answers_body_digest check (octet_length(body_digest) = 32)
);
create index first_answers_by_age on first_answers (tenant_id, kept_at);
select raise_tenant_wall('first_answers');

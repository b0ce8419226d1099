-- Reports of decisions ("history"): who asked for what, its runs, and the finished report as ready text. A run freezes what it
-- found, so that later decisions, and the deletion of a review, leave the report alone (LC-HIST-13, LC-DEF-32). The text is kept in
-- pieces of bounded size: a download reads one piece at a time, in a transaction of its own, however slow the reader is.
create table history_definitions (
    tenant_id uuid not null references tenants,
    history_definition_id uuid not null,
    display_name text not null,
    status text not null,
    created_at timestamptz not null,
    created_by_id uuid not null,
    created_by_name text not null,
    created_by_user_principal_name text not null,
    -- kinds of reviews that the creator could read when he asked: the report shows no others, except those he created (A-39)
    readable_kinds text[] not null,
    decisions text[] not null,
    scopes jsonb not null,
    -- the window of a one-time report, or of the first run of a recurring one
    period_start timestamptz not null,
    period_end timestamptz not null,
    -- recurrence and range of a recurring report
    schedule jsonb,
    -- from then on it is gone; null while runs are to come
    expires_at timestamptz,
    primary key (tenant_id, history_definition_id),
    constraint history_definitions_status check (status in ('requested', 'inprogress', 'done', 'error')),
    constraint history_definitions_period check (period_end >= period_start),
    constraint history_definitions_end_of_one_time_reports check (schedule is not null or expires_at is not null)
);
create index history_definitions_by_created_at on history_definitions (tenant_id, created_at desc, history_definition_id);
create index history_definitions_by_creator
    on history_definitions (tenant_id, created_by_id, created_at desc, history_definition_id);
select raise_tenant_wall('history_definitions');

create table history_instances (
    tenant_id uuid not null,
    history_instance_id uuid not null,
    history_definition_id uuid not null,
    occurrence integer not null,
    status text not null,
    period_start timestamptz not null,
    period_end timestamptz not null,
    run_at timestamptz not null,
    fulfilled_at timestamptz,
    expires_at timestamptz not null,
    -- until then the link that was made last is shown
    link_expires_at timestamptz,
    -- of the finished text
    row_count bigint,
    byte_count bigint,
    piece_count integer,
    primary key (tenant_id, history_instance_id),
    foreign key (tenant_id, history_definition_id) references history_definitions on delete cascade,
    constraint history_instances_one_per_occurrence unique (tenant_id, history_definition_id, occurrence),
    constraint history_instances_status check (status in ('requested', 'inprogress', 'done', 'error')),
    constraint history_instances_done check (
        (status = 'done') = (fulfilled_at is not null)
        and (status = 'done') = (row_count is not null)
        and (status = 'done') = (byte_count is not null)
        and (status = 'done') = (piece_count is not null)),
    constraint history_instances_only_done_is_linked check (link_expires_at is null or status = 'done'),
    constraint history_instances_link_ends_first check (link_expires_at <= expires_at)
);
select raise_tenant_wall('history_instances');

-- Whole rows of CSV, about 64 KiB a piece. No foreign key: a report that is being written must not keep its definition from being
-- deleted; the writer looks at its instance last, and takes back what it wrote when that is gone.
create table history_pieces (
    tenant_id uuid not null references tenants,
    history_instance_id uuid not null,
    number integer not null,
    content bytea not null,
    primary key (tenant_id, history_instance_id, number)
);
select raise_tenant_wall('history_pieces');

-- When a mail about the stage got through to the reviewer; null: never. Items of reviewers who were never told are `notNotified`.
alter table contacted_reviewers add column mailed_at timestamptz;

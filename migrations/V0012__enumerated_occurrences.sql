-- Reviews of applications, directory roles, access packages and of every group: what an item and an instance show of them, and
-- which occurrences of an all-groups review were opened.
alter table decision_items
    -- what grants access to an application; with several roles the first one's id and every name
    add column app_role_id uuid,
    add column app_role_name text,
    -- a user of a team's shared channel who is not in the team
    add column direct_connect boolean not null default false;

alter table instances
    -- the application of a service principal, or the access package of an assignment policy
    add column resource_detail_id uuid,
    add column resource_detail_name text;

-- One row per occurrence of an all-groups review whose groups were looked up. There may be none to review, so instances cannot
-- tell (LC-INST-08, LC-INST-09).
create table enumerated_occurrences (
    tenant_id uuid not null,
    definition_id uuid not null,
    occurrence integer not null,
    opened_at timestamptz not null,
    group_count integer not null,
    -- why it has no instances although there are groups (LC-REV-13)
    failure text,
    primary key (tenant_id, definition_id, occurrence),
    foreign key (tenant_id, definition_id) references definitions on delete cascade
);
select raise_tenant_wall('enumerated_occurrences');

-- The latest occurrence that has an instance of a status: all that a definition's status is derived from, in one probe each,
-- however many instances there are.
create index instances_by_status_and_occurrence on instances (tenant_id, definition_id, status, occurrence);

-- A running review: instances, stages, items, who reviews what, and what was decided.
create table instances (
    tenant_id uuid not null,
    instance_id uuid not null,
    definition_id uuid not null,
    occurrence integer not null,
    status text not null,
    start_at timestamptz not null,
    end_at timestamptz not null,
    scope_query text not null,
    scope_query_type text not null,
    scope_query_root text,
    scope_inactive_duration text,
    resource_id uuid not null,
    resource_type text not null,
    resource_name text not null,
    -- the definition's settings as they were when the instance was made (LC-DEF-22)
    settings jsonb not null,
    multi_stage boolean not null,
    reviewer_list_id uuid not null,
    item_count integer not null default 0,
    item_prefix uuid not null,
    errors jsonb not null default '[]',
    created_at timestamptz not null,
    version bigint not null default 1,
    primary key (tenant_id, instance_id),
    foreign key (tenant_id, definition_id) references definitions on delete cascade,
    foreign key (tenant_id, reviewer_list_id) references reviewer_lists,
    constraint instances_one_per_occurrence_and_resource unique (tenant_id, definition_id, occurrence, resource_id),
    constraint instances_status check (status in ('NotStarted', 'Initializing', 'Starting', 'InProgress', 'Completing',
        'Completed', 'AutoReviewing', 'AutoReviewed', 'Applying', 'Applied', 'Failed')),
    constraint instances_end_after_start check (end_at >= start_at)
);
create index instances_by_start on instances (tenant_id, definition_id, start_at, instance_id);
create index instances_by_status on instances (tenant_id, definition_id, status, instance_id);

-- Every instance has one to three stages; the one of a single-stage review is not listed under /stages.
create table stages (
    tenant_id uuid not null,
    instance_id uuid not null,
    ordinal smallint not null,
    stage_id uuid not null,
    stage_count smallint not null,
    status text not null,
    start_at timestamptz not null,
    end_at timestamptz not null,
    reviewer_list_id uuid not null,
    decisions_that_will_move_to_next_stage text[] not null,
    recommendations_enabled boolean not null,
    -- how the stage's items are told: every item; every item but those an earlier stage kept; those listed in stage_items
    entry text not null default 'all',
    version bigint not null default 1,
    primary key (tenant_id, instance_id, ordinal),
    foreign key (tenant_id, instance_id) references instances on delete cascade,
    foreign key (tenant_id, reviewer_list_id) references reviewer_lists,
    constraint stages_stage_id_key unique (tenant_id, stage_id),
    constraint stages_ordinal check (ordinal between 1 and stage_count and stage_count <= 3),
    constraint stages_entry check (entry in ('all', 'remaining', 'listed')),
    constraint stages_status check (status in ('NotStarted', 'Initializing', 'Starting', 'InProgress', 'Completing',
        'Completed', 'AutoReviewing', 'AutoReviewed'))
);
-- LC-STAGE-07, LC-INV-02
create unique index stages_one_open_per_instance on stages (tenant_id, instance_id)
    where status in ('Initializing', 'Starting', 'InProgress', 'Completing');

-- The stages to come, as the definition's settings were when the instance was made: later changes do not reach them
-- (LC-SUPD-30).
create table planned_stages (
    tenant_id uuid not null,
    instance_id uuid not null,
    ordinal smallint not null,
    ends_after_days integer not null,
    decisions_that_will_move_to_next_stage text[] not null,
    recommendations_enabled boolean not null,
    recommendation_look_back_duration text,
    reviewer_list_id uuid not null,
    primary key (tenant_id, instance_id, ordinal),
    foreign key (tenant_id, instance_id) references instances on delete cascade,
    foreign key (tenant_id, reviewer_list_id) references reviewer_lists,
    constraint planned_stages_ordinal check (ordinal between 1 and 3)
);

-- Immutable. One row per principal; the item's id is computed from the instance's prefix and seq.
create table decision_items (
    tenant_id uuid not null,
    instance_id uuid not null,
    seq integer not null,
    principal_id uuid not null,
    principal_type text not null,
    principal_name text not null,
    -- user principal name of a user, application id of a service principal
    principal_detail text not null,
    -- items whose reviewers cannot differ in any stage share a cohort, numbered from 1
    cohort integer not null,
    -- one code per stage, then the one the default decision uses: 0 no information, 1 approve, 2 deny
    recommendations smallint[] not null,
    primary key (tenant_id, instance_id, seq),
    foreign key (tenant_id, instance_id) references instances on delete cascade,
    constraint decision_items_principal_type check (principal_type in ('user', 'group', 'servicePrincipal'))
);
-- Without seq: an index that covered it would be taken for lookups by seq, which it serves badly.
create index decision_items_by_cohort on decision_items (tenant_id, instance_id, cohort);

-- What was decided, per stage; no row means NotReviewed. Stage 0 is the system's default decision.
create table decisions (
    tenant_id uuid not null,
    instance_id uuid not null,
    ordinal smallint not null,
    seq integer not null,
    decision text not null,
    justification text not null,
    decided_by_id uuid not null,
    decided_by_name text not null,
    decided_by_user_principal_name text not null,
    decided_at timestamptz not null,
    moves_on boolean not null,
    -- the item before the stage: the newest decision of an item is one probe
    primary key (tenant_id, instance_id, seq, ordinal),
    foreign key (tenant_id, instance_id) references instances on delete cascade,
    constraint decisions_decision check (decision in ('Approve', 'Deny', 'DontKnow'))
);

-- Materialised only where a narrow set moves on.
create table stage_items (
    tenant_id uuid not null,
    instance_id uuid not null,
    ordinal smallint not null,
    seq integer not null,
    primary key (tenant_id, instance_id, ordinal, seq),
    foreign key (tenant_id, instance_id) references instances on delete cascade
);

-- Reviewer sets. Cohort 0 means every item of the stage.
create table stage_reviewers (
    tenant_id uuid not null,
    instance_id uuid not null,
    ordinal smallint not null,
    reviewer_id uuid not null,
    cohort integer not null,
    primary key (tenant_id, instance_id, ordinal, cohort, reviewer_id),
    foreign key (tenant_id, instance_id) references instances on delete cascade
);
create index stage_reviewers_by_reviewer on stage_reviewers (tenant_id, reviewer_id, instance_id, ordinal, cohort);

create table stage_fallbacks (
    tenant_id uuid not null,
    instance_id uuid not null,
    ordinal smallint not null,
    reviewer_id uuid not null,
    cohort integer not null,
    primary key (tenant_id, instance_id, ordinal, cohort, reviewer_id),
    foreign key (tenant_id, instance_id) references instances on delete cascade
);
create index stage_fallbacks_by_reviewer on stage_fallbacks (tenant_id, reviewer_id, instance_id, ordinal, cohort);

-- Cohorts of a stage whose primary scopes name nobody; these, and only these, go to the fallback reviewers (LC-REV-04).
create table stage_unassigned_cohorts (
    tenant_id uuid not null,
    instance_id uuid not null,
    ordinal smallint not null,
    cohort integer not null,
    primary key (tenant_id, instance_id, ordinal, cohort),
    foreign key (tenant_id, instance_id) references instances on delete cascade
);

-- Sparse: one item of a stage with another per-item reviewer than its cohort has, because a manager changed between stages.
-- The zero UUID means that it has none.
create table item_overrides (
    tenant_id uuid not null,
    instance_id uuid not null,
    ordinal smallint not null,
    role text not null,
    seq integer not null,
    reviewer_id uuid not null,
    primary key (tenant_id, instance_id, ordinal, seq, role, reviewer_id),
    foreign key (tenant_id, instance_id) references instances on delete cascade,
    constraint item_overrides_role check (role in ('primary', 'fallback'))
);
create index item_overrides_by_reviewer on item_overrides (tenant_id, reviewer_id, instance_id, ordinal, role, seq);

create table contacted_reviewers (
    tenant_id uuid not null,
    instance_id uuid not null,
    reviewer_id uuid not null,
    ordinal smallint not null,
    contacted_at timestamptz not null,
    primary key (tenant_id, instance_id, reviewer_id, ordinal),
    foreign key (tenant_id, instance_id) references instances on delete cascade
);

-- Whether somebody reviews one item of a stage: the primary reviewers, or where those are nobody the fallback reviewers
-- (LC-REV-04). A cohort's reviewers count unless the item has its own. Every part is one probe of a primary key.
-- In PL/pgSQL because its plan is kept from call to call: a function in SQL is planned anew, which takes longer than running it.
create function reviews_item(
    tenant uuid, instance uuid, stage smallint, item integer, item_cohort integer, person uuid
) returns boolean
    language plpgsql stable
as $$
begin
    return (
        with own as (
            select coalesce(bool_or(role = 'primary'), false) as has_primary,
                   coalesce(bool_or(role = 'primary' and reviewer_id <> '00000000-0000-0000-0000-000000000000'), false)
                       as has_primary_reviewer,
                   coalesce(bool_or(role = 'primary' and reviewer_id = person), false) as is_primary,
                   coalesce(bool_or(role = 'fallback'), false) as has_fallback,
                   coalesce(bool_or(role = 'fallback' and reviewer_id = person), false) as is_fallback
              from item_overrides o
             where o.tenant_id = tenant
               and o.instance_id = instance
               and o.ordinal = stage
               and o.seq = item
        )
        select case
                   when own.is_primary
                        or exists (
                            select
                              from stage_reviewers r
                             where r.tenant_id = tenant
                               and r.instance_id = instance
                               and r.ordinal = stage
                               and r.cohort = 0
                               and r.reviewer_id = person)
                        or not own.has_primary
                           and exists (
                            select
                              from stage_reviewers r
                             where r.tenant_id = tenant
                               and r.instance_id = instance
                               and r.ordinal = stage
                               and r.cohort = item_cohort
                               and r.reviewer_id = person)
                   then true
                   when own.has_primary_reviewer
                        or exists (
                            select
                              from stage_reviewers r
                             where r.tenant_id = tenant
                               and r.instance_id = instance
                               and r.ordinal = stage
                               and r.cohort = 0)
                        or not own.has_primary
                           and exists (
                            select
                              from stage_reviewers r
                             where r.tenant_id = tenant
                               and r.instance_id = instance
                               and r.ordinal = stage
                               and r.cohort = item_cohort)
                   then false
                   else own.is_fallback
                        or exists (
                            select
                              from stage_fallbacks f
                             where f.tenant_id = tenant
                               and f.instance_id = instance
                               and f.ordinal = stage
                               and f.cohort = 0
                               and f.reviewer_id = person)
                        or not own.has_fallback
                           and exists (
                            select
                              from stage_fallbacks f
                             where f.tenant_id = tenant
                               and f.instance_id = instance
                               and f.ordinal = stage
                               and f.cohort = item_cohort
                               and f.reviewer_id = person)
               end
          from own
    );
end
$$;

-- Whether a stage holds an item, by the stage's way of telling its items (LC-STAGE-36).
create function stage_holds_item(tenant uuid, instance uuid, stage smallint, entry text, item integer) returns boolean
    language sql stable
    return case entry
        when 'all' then true
        when 'remaining' then not exists (
            select
              from decisions d
             where d.tenant_id = tenant
               and d.instance_id = instance
               and d.ordinal between 1 and stage - 1
               and d.seq = item
               and not d.moves_on)
        else exists (
            select
              from stage_items s
             where s.tenant_id = tenant
               and s.instance_id = instance
               and s.ordinal = stage
               and s.seq = item)
    end;

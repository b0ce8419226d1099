-- Deciding in bulk, what a recommendation rests on, and carrying decisions out.

-- The decision that the last bulk write took the place of, as it was: an upsert can hand out what it found only through the row
-- it leaves. The evidence itself is in events (LC-DEC-14).
alter table decisions add column replaced jsonb;

-- Items of a stage that one answer is meant for: within somebody's reach (a domain value: everything, or cohorts but for some
-- items, and single items), of one principal when given. With each comes its recommendation's code in that stage.
create function selected_items(
    tenant uuid, instance uuid, stage smallint, entry text, every boolean, cohorts integer[], items integer[],
    except_items integer[], principal uuid
) returns table (seq integer, recommendation smallint)
    language sql stable
as $$
    select i.seq, coalesce(i.recommendations[stage], 0::smallint)
      from (
            select d.seq, d.principal_id, d.recommendations
              from decision_items d
             where d.tenant_id = tenant
               and d.instance_id = instance
               and every
             union all
            select d.seq, d.principal_id, d.recommendations
              from (
                    select c.seq
                      from unnest(cohorts) as wanted (cohort)
                      join decision_items c
                        on c.tenant_id = tenant
                       and c.instance_id = instance
                       and c.cohort = wanted.cohort
                     where c.seq not in (select unnest(except_items))
                     union
                    select unnest(items)) as reached
              join decision_items d
                on d.tenant_id = tenant
               and d.instance_id = instance
               and d.seq = reached.seq
             where not every) as i
     where (principal is null or i.principal_id = principal)
       and stage_holds_item(tenant, instance, stage, entry, i.seq)
$$;

-- The last sign-in as it was when the items were gathered (LC-RCM-02, LC-RCM-11). Null: no information; -infinity: known, and never.
alter table decision_items add column last_sign_in_at timestamptz;

-- An instance being applied, or applied: for whom, and how far. Items up to applied_through are done or await a deletion.
create table apply_runs (
    tenant_id uuid not null,
    instance_id uuid not null,
    requested_by_id uuid not null,
    requested_by_name text not null,
    requested_by_user_principal_name text not null,
    applied_through integer not null default 0,
    primary key (tenant_id, instance_id),
    foreign key (tenant_id, instance_id) references instances on delete cascade
);

-- What became of an item that was to be applied; no row means New (LC-APPLY-03).
create table apply_results (
    tenant_id uuid not null,
    instance_id uuid not null,
    seq integer not null,
    result text not null,
    description text,
    applied_by_id uuid not null,
    applied_by_name text not null,
    applied_by_user_principal_name text not null,
    applied_at timestamptz not null,
    primary key (tenant_id, instance_id, seq),
    foreign key (tenant_id, instance_id) references instances on delete cascade,
    constraint apply_results_result check (result in ('AppliedSuccessfully', 'AppliedWithUnknownFailure',
        'AppliedSuccessfullyButObjectNotFound', 'ApplyNotSupported'))
);

-- Accounts that were blocked and will be deleted if they still are by then (LC-APPLY-09).
create table pending_deletions (
    tenant_id uuid not null,
    instance_id uuid not null,
    seq integer not null,
    user_id uuid not null,
    due_at timestamptz not null,
    primary key (tenant_id, instance_id, seq),
    foreign key (tenant_id, instance_id) references instances on delete cascade
);

select raise_tenant_wall('apply_runs');
select raise_tenant_wall('apply_results');
select raise_tenant_wall('pending_deletions');

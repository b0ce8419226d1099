-- What is read most, each in one round trip: a request that begins, sets its tenant, asks and ends in four pays for the way and not
-- for the answer. Each function sets the tenant for row-level security itself, for the statement's own transaction only; the caller's
-- role binds it as everywhere. Their results are of one shape.

create type shown_item as (
    -- of the question it answers, from 1; of a page: of the row
    place integer,
    -- of the instance; on a page only in its first row
    definition_id uuid,
    start_at timestamptz,
    item_prefix uuid,
    item_count integer,
    last_ordinal smallint,
    resource_id uuid,
    resource_type text,
    resource_name text,
    resource_detail_id uuid,
    resource_detail_name text,
    role_assignable boolean,
    -- of the item; null when there is none
    seq integer,
    cohort integer,
    principal_id uuid,
    principal_type text,
    principal_name text,
    principal_detail text,
    app_role_id uuid,
    app_role_name text,
    recommendation_code smallint,
    sign_in_known boolean,
    last_sign_in_at timestamptz,
    application_sign_in_known boolean,
    application_sign_in_at timestamptz,
    outlier boolean,
    apply_result text,
    apply_description text,
    applied_by_id uuid,
    applied_by_name text,
    applied_by_user_principal_name text,
    applied_at timestamptz,
    decision text,
    justification text,
    decided_by_id uuid,
    decided_by_name text,
    decided_by_user_principal_name text,
    decided_at timestamptz,
    moves_on boolean
);

-- Single items with their effective decisions, of any number of tenants: those of one tenant must follow each other. A question about
-- an instance that is not there has no row; about an item that is not there, one without the item. LC-STAGE-40, LC-STAGE-41
--
-- In PL/pgSQL because its plans are kept, and because the tenant has to be set before the tables are looked at. `limit 1` holds the
-- planner to one probe of a primary key each. Generic plans: each call would be planned anew for the few questions it asks, which
-- takes seven times as long as answering them.
create function shown_items(asked_tenants uuid[], asked_instances uuid[], asked_items integer[]) returns setof shown_item
    language plpgsql stable
    set plan_cache_mode = force_generic_plan
as $$
declare
    asked_first integer := 1;
    asked_last integer;
    asked_count constant integer := cardinality(asked_tenants);
    asked_tenant uuid;
begin
    while asked_first <= asked_count loop
        asked_tenant := asked_tenants[asked_first];
        asked_last := asked_first;
        while asked_last < asked_count and asked_tenants[asked_last + 1] = asked_tenant loop
            asked_last := asked_last + 1;
        end loop;
        perform set_config('attestry.tenant', asked_tenant::text, true);
        return query
        select q.place, n.definition_id, n.start_at, n.item_prefix, n.item_count, s.ordinal, n.resource_id, n.resource_type, n.resource_name,
               n.resource_detail_id, n.resource_detail_name, coalesce(g.is_assignable_to_role, false),
               i.seq, i.cohort, i.principal_id, i.principal_type, i.principal_name, i.principal_detail, i.app_role_id,
               i.app_role_name, coalesce(i.recommendations[s.ordinal], 0::smallint),
               'tenantSignIn' = any(p.insights) and i.last_sign_in_at is not null,
               case when 'tenantSignIn' = any(p.insights) and isfinite(i.last_sign_in_at) then i.last_sign_in_at end,
               'applicationSignIn' = any(p.insights) and i.application_sign_in_at is not null,
               case
                   when 'applicationSignIn' = any(p.insights) and isfinite(i.application_sign_in_at)
                   then i.application_sign_in_at
               end,
               case when 'affiliation' = any(p.insights) then i.outlier end,
               a.result, a.description, a.applied_by_id, a.applied_by_name, a.applied_by_user_principal_name, a.applied_at,
               d.decision, d.justification, d.decided_by_id, d.decided_by_name, d.decided_by_user_principal_name,
               d.decided_at, d.moves_on
          from generate_series(asked_first, asked_last) as q (place)
         cross join lateral (
                   select x.*
                     from instances x
                    where x.tenant_id = asked_tenant
                      and x.instance_id = asked_instances[q.place]
                    limit 1) as n
          left join lateral (
                   select x.is_assignable_to_role
                     from groups x
                    where n.resource_type = 'Group'
                      and x.tenant_id = asked_tenant
                      and x.group_id = n.resource_id
                    limit 1) as g on true
          left join lateral (
                   select x.ordinal, x.recommendations_enabled
                     from stages x
                    where x.tenant_id = asked_tenant
                      and x.instance_id = n.instance_id
                    order by x.ordinal desc
                    limit 1) as s on true
          left join lateral (
                   select x.insights
                     from planned_stages x
                    where s.recommendations_enabled
                      and x.tenant_id = asked_tenant
                      and x.instance_id = n.instance_id
                      and x.ordinal = s.ordinal
                    limit 1) as p on true
          left join lateral (
                   select x.*
                     from decision_items x
                    where x.tenant_id = asked_tenant
                      and x.instance_id = n.instance_id
                      and x.seq = asked_items[q.place]
                      and not exists (
                              select
                                from removed_items r
                               where r.tenant_id = asked_tenant
                                 and r.instance_id = n.instance_id
                                 and r.seq = x.seq)
                    limit 1) as i on true
          left join lateral (
                   select x.*
                     from decisions x
                    where x.tenant_id = asked_tenant
                      and x.instance_id = n.instance_id
                      and x.seq = i.seq
                      and x.ordinal <= s.ordinal
                    order by x.ordinal desc
                    limit 1) as d on true
          left join lateral (
                   select x.*
                     from apply_results x
                    where x.tenant_id = asked_tenant
                      and x.instance_id = n.instance_id
                      and x.seq = i.seq
                    limit 1) as a on true;
        asked_first := asked_last + 1;
    end loop;
end
$$;

-- The first and the last item of a cohort. Cohorts are numbered in the order of the items, so a cohort's items follow each other: one
-- of them is found by the cohort, and the ends by steps that double and then halve, a few probes of the primary key each.
create function cohort_range(
    asked_tenant uuid, asked_instance uuid, wanted integer, out first_item integer, out last_item integer
)
    language plpgsql stable
as $$
declare
    inside integer;
    outside integer;
    middle integer;
    step integer;
begin
    select i.seq
      into first_item
      from decision_items i
     where i.tenant_id = asked_tenant
       and i.instance_id = asked_instance
       and i.cohort = wanted
     limit 1;
    if first_item is null then
        return;
    end if;
    last_item := first_item;
    foreach step in array array[-1, 1] loop
        inside := first_item;
        if step > 0 then
            inside := last_item;
        end if;
        loop
            outside := inside + step;
            perform
               from decision_items i
              where i.tenant_id = asked_tenant
                and i.instance_id = asked_instance
                and i.seq = outside
                and i.cohort = wanted;
            exit when not found;
            inside := outside;
            step := step * 2;
        end loop;
        while abs(outside - inside) > 1 loop
            middle := inside + (outside - inside) / 2;
            perform
               from decision_items i
              where i.tenant_id = asked_tenant
                and i.instance_id = asked_instance
                and i.seq = middle
                and i.cohort = wanted;
            if found then
                inside := middle;
            else
                outside := middle;
            end if;
        end loop;
        if step < 0 then
            first_item := inside;
        else
            last_item := inside;
        end if;
    end loop;
end
$$;

-- A page of a stage's items, or of an instance's, in their order, without filter: `counting` are the stages whose decisions count,
-- the newest of which is shown; `masked` shows what became of an item only where the newest of all decisions is the one that is shown
-- (LC-STAGE-51). Of the instance's columns none is filled. Costs what the page holds, wherever it begins.
create function shown_item_page(
    asked_tenant uuid, asked_instance uuid, asked_stage smallint, asked_entry text, counting smallint[], masked boolean,
    every_item boolean, asked_cohorts integer[], asked_after integer, asked_skip integer, asked_limit integer
) returns setof shown_item
    language plpgsql stable
    set plan_cache_mode = force_generic_plan
as $$
declare
    shown_insights text[];
    has_removed boolean;
    has_results boolean;
    lows integer[];
    highs integer[];
begin
    perform set_config('attestry.tenant', asked_tenant::text, true);
    select exists (select from removed_items x where x.tenant_id = asked_tenant and x.instance_id = asked_instance),
           exists (select from apply_results x where x.tenant_id = asked_tenant and x.instance_id = asked_instance)
      into has_removed, has_results;
    select p.insights
      into shown_insights
      from stages s
      join planned_stages p
        on p.tenant_id = s.tenant_id
       and p.instance_id = s.instance_id
       and p.ordinal = s.ordinal
     where s.tenant_id = asked_tenant
       and s.instance_id = asked_instance
       and s.ordinal = asked_stage
       and s.recommendations_enabled;
    -- Where nothing is left out the place of an item is its number.
    if every_item and asked_entry = 'all' and not has_removed and asked_after = 0 then
        asked_after := asked_skip;
        asked_skip := 0;
    end if;
    if every_item then
        lows := array[asked_after + 1];
        highs := array[2147483647];
    else
        select array_agg(greatest(r.first_item, asked_after + 1)), array_agg(r.last_item)
          into lows, highs
          from unnest(asked_cohorts) as c (cohort)
         cross join lateral cohort_range(asked_tenant, asked_instance, c.cohort) as r
         where r.last_item > asked_after;
    end if;
    return query
    with page as materialized (
        select i.*
          from unnest(lows, highs) as range (low, high)
         cross join lateral (
                   select x.*
                     from decision_items x
                    where x.tenant_id = asked_tenant
                      and x.instance_id = asked_instance
                      and x.seq between range.low and range.high
                      and (not has_removed
                           or not exists (
                              select
                                from removed_items r
                               where r.tenant_id = asked_tenant
                                 and r.instance_id = asked_instance
                                 and r.seq = x.seq))
                      and (asked_entry = 'all'
                           or stage_holds_item(asked_tenant, asked_instance, asked_stage, asked_entry, x.seq))
                    order by x.seq
                    limit asked_limit + asked_skip) as i
         order by i.seq
         limit asked_limit
        offset asked_skip
    )
    select null::integer, null::uuid, null::timestamptz, null::uuid, null::integer, null::smallint, null::uuid, null::text, null::text,
           null::uuid, null::text, null::boolean,
           i.seq, i.cohort, i.principal_id, i.principal_type, i.principal_name, i.principal_detail, i.app_role_id,
           i.app_role_name, coalesce(i.recommendations[asked_stage], 0::smallint),
           'tenantSignIn' = any(shown_insights) and i.last_sign_in_at is not null,
           case when 'tenantSignIn' = any(shown_insights) and isfinite(i.last_sign_in_at) then i.last_sign_in_at end,
           'applicationSignIn' = any(shown_insights) and i.application_sign_in_at is not null,
           case
               when 'applicationSignIn' = any(shown_insights) and isfinite(i.application_sign_in_at)
               then i.application_sign_in_at
           end,
           case when 'affiliation' = any(shown_insights) then i.outlier end,
           a.result, a.description, a.applied_by_id, a.applied_by_name, a.applied_by_user_principal_name, a.applied_at,
           d.decision, d.justification, d.decided_by_id, d.decided_by_name, d.decided_by_user_principal_name,
           d.decided_at, d.moves_on
      from page as i
      left join lateral (
               select x.*
                 from decisions x
                where x.tenant_id = asked_tenant
                  and x.instance_id = asked_instance
                  and x.seq = i.seq
                  and x.ordinal = any(counting)
                order by x.ordinal desc
                limit 1) as d on true
      left join lateral (
               select x.*
                 from apply_results x
                where has_results
                  and x.tenant_id = asked_tenant
                  and x.instance_id = asked_instance
                  and x.seq = i.seq
                  and (not masked
                       or d.ordinal = (
                          select max(k.ordinal)
                            from decisions k
                           where k.tenant_id = asked_tenant
                             and k.instance_id = asked_instance
                             and k.seq = i.seq))
                limit 1) as a on true
     order by i.seq;
end
$$;

-- The stages of an instance, highest first, and which items of each somebody reviews; a stage of which he reviews nothing has a row, too.
create function reviewer_reaches(asked_tenant uuid, asked_instance uuid, person uuid) returns table (
    ordinal smallint, entry text, every_item boolean, cohorts integer[], items integer[], excepted integer[]
)
    language plpgsql stable
as $$
begin
    return query
    select s.ordinal, s.entry,
           exists (
               select
                 from stage_reviewers r
                where r.tenant_id = asked_tenant
                  and r.instance_id = asked_instance
                  and r.ordinal = s.ordinal
                  and r.reviewer_id = person
                  and r.cohort = 0),
           array(
               select r.cohort
                 from stage_reviewers r
                where r.tenant_id = asked_tenant
                  and r.instance_id = asked_instance
                  and r.ordinal = s.ordinal
                  and r.reviewer_id = person
                  and r.cohort > 0
                union
               select u.cohort
                 from stage_fallbacks f
                 join stage_unassigned_cohorts u
                   on u.tenant_id = f.tenant_id
                  and u.instance_id = f.instance_id
                  and u.ordinal = f.ordinal
                  and f.cohort in (0, u.cohort)
                where f.tenant_id = asked_tenant
                  and f.instance_id = asked_instance
                  and f.ordinal = s.ordinal
                  and f.reviewer_id = person),
           own.items, own.excepted
      from stages s
     cross join lateral (
               select coalesce(array_agg(judged.seq) filter (where judged.mine), '{}') as items,
                      coalesce(array_agg(judged.seq) filter (where not judged.mine), '{}') as excepted
                 from (select i.seq, reviews_item(asked_tenant, asked_instance, s.ordinal, i.seq, i.cohort, person) as mine
                         from (select distinct o.seq
                                 from item_overrides o
                                where o.tenant_id = asked_tenant
                                  and o.instance_id = asked_instance
                                  and o.ordinal = s.ordinal) as touched
                        cross join lateral (
                               select d.seq, d.cohort
                                 from decision_items d
                                where d.tenant_id = asked_tenant
                                  and d.instance_id = asked_instance
                                  and d.seq = touched.seq
                                limit 1) as i
                        where exists (
                                  select
                                    from item_overrides o
                                   where o.tenant_id = asked_tenant
                                     and o.instance_id = asked_instance
                                     and o.ordinal = s.ordinal
                                     and o.seq = i.seq
                                     and o.reviewer_id = person)
                           or exists (
                                  select
                                    from stage_reviewers r
                                   where r.tenant_id = asked_tenant
                                     and r.instance_id = asked_instance
                                     and r.ordinal = s.ordinal
                                     and r.cohort = i.cohort
                                     and r.reviewer_id = person)
                           or exists (
                                  select
                                    from stage_fallbacks f
                                   where f.tenant_id = asked_tenant
                                     and f.instance_id = asked_instance
                                     and f.ordinal = s.ordinal
                                     and f.cohort in (0, i.cohort)
                                     and f.reviewer_id = person)) as judged) as own
     where s.tenant_id = asked_tenant
       and s.instance_id = asked_instance
     order by s.ordinal desc;
end
$$;

-- An instance and what one reviewer has in it: a row for each of its stages, highest first, each with the same columns of the instance;
-- no row when there is no such instance.
create function reviewed_instance(asked_tenant uuid, asked_instance uuid, person uuid) returns table (
    definition_id uuid, start_at timestamptz, item_prefix uuid, item_count integer, last_ordinal smallint, resource_id uuid,
    resource_type text, resource_name text, resource_detail_id uuid, resource_detail_name text, role_assignable boolean,
    histories boolean, ordinal smallint, entry text, every_item boolean, cohorts integer[], items integer[], excepted integer[]
)
    language plpgsql stable
as $$
begin
    perform set_config('attestry.tenant', asked_tenant::text, true);
    return query
    select n.definition_id, n.start_at, n.item_prefix, n.item_count, max(r.ordinal) over (), n.resource_id, n.resource_type, n.resource_name,
           n.resource_detail_id, n.resource_detail_name,
           coalesce(
               (select g.is_assignable_to_role
                  from groups g
                 where n.resource_type = 'Group'
                   and g.tenant_id = asked_tenant
                   and g.group_id = n.resource_id), false),
           coalesce((n.settings ->> 'decision_histories_for_reviewers_enabled')::boolean, false),
           r.ordinal, r.entry, r.every_item, r.cohorts, r.items, r.excepted
      from instances n
      left join lateral reviewer_reaches(asked_tenant, asked_instance, person) as r on true
     where n.tenant_id = asked_tenant
       and n.instance_id = asked_instance;
end
$$;

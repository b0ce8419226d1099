-- A page of items in one round trip, with the instance it belongs to; and pages that cost less.

-- The items of a cohort behind a place: the first of them, and the last one, or another of them that has at least so many before it as are
-- enough. Cohorts are numbered in the order of the items, so a cohort's items follow each other. Of a small one all are read; of a
-- large one the ends are found by steps that double and then halve, a few probes of the primary key each.
create function cohort_range(
    asked_tenant uuid, asked_instance uuid, wanted integer, asked_after integer, enough integer,
    out first_item integer, out last_item integer
)
    language plpgsql stable
as $$
declare
    few constant integer := 32;
    seen integer;
    -- the cohort of the item that is looked at: asked of the primary key alone, never of the index of cohorts
    met integer;
    inside integer;
    outside integer;
    middle integer;
    step integer;
begin
    select min(i.seq), max(i.seq), count(*)
      into first_item, last_item, seen
      from (select x.seq
              from decision_items x
             where x.tenant_id = asked_tenant
               and x.instance_id = asked_instance
               -- As a range, in its order: else the primary key may be thought to come upon them soon, and be passed over up to them.
               and x.cohort between wanted and wanted
             order by x.cohort
             limit few + 1) as i;
    if seen <= few then
        return;
    end if;
    if asked_after > 0 then
        -- A page that follows another one begins within the cohort, or is the first of this one.
        if (select i.cohort
              from decision_items i
             where i.tenant_id = asked_tenant
               and i.instance_id = asked_instance
               and i.seq = asked_after) = wanted
        then
            first_item := asked_after;
            last_item := greatest(last_item, asked_after);
        end if;
    end if;
    if first_item <> asked_after then
        inside := first_item;
        step := 1;
        loop
            outside := inside - step;
            met := (select i.cohort
                      from decision_items i
                     where i.tenant_id = asked_tenant
                       and i.instance_id = asked_instance
                       and i.seq = outside);
            exit when met is distinct from wanted;
            inside := outside;
            step := step * 2;
        end loop;
        while inside - outside > 1 loop
            middle := inside - (inside - outside) / 2;
            met := (select i.cohort
                      from decision_items i
                     where i.tenant_id = asked_tenant
                       and i.instance_id = asked_instance
                       and i.seq = middle);
            if met = wanted then
                inside := middle;
            else
                outside := middle;
            end if;
        end loop;
        first_item := inside;
    end if;
    inside := last_item;
    -- A page is short: where it ends is where to look first.
    step := case when enough <= 2000 then greatest(greatest(first_item, asked_after) + enough - inside, 1) else 1 end;
    loop
        -- Also behind a place before the cohort's first item its items are counted from that one.
        if inside::bigint - greatest(first_item, asked_after) >= enough then
            last_item := inside;
            return;
        end if;
        outside := least(inside::bigint + step, 2147483647);
        met := (select i.cohort
                  from decision_items i
                 where i.tenant_id = asked_tenant
                   and i.instance_id = asked_instance
                   and i.seq = outside);
        exit when met is distinct from wanted;
        inside := outside;
        step := step * 2;
    end loop;
    while outside - inside > 1 loop
        middle := inside + (outside - inside) / 2;
        met := (select i.cohort
                  from decision_items i
                 where i.tenant_id = asked_tenant
                   and i.instance_id = asked_instance
                   and i.seq = middle);
        if met = wanted then
            inside := middle;
        else
            outside := middle;
        end if;
    end loop;
    last_item := inside;
end
$$;

-- A page of a stage's items, or of an instance's, as before. Where no item is left out and nothing was applied, which is where most pages
-- are, items and decisions are read as two ranges side by side: a plan with fewer parts is also begun sooner.
create or replace function shown_item_page(
    asked_tenant uuid, asked_instance uuid, asked_stage smallint, asked_entry text, counting smallint[], masked boolean,
    every_item boolean, asked_cohorts integer[], asked_after integer, asked_skip integer, asked_limit integer
) returns setof shown_item
    language plpgsql stable
    set plan_cache_mode = force_generic_plan
as $$
declare
    shown_insights text[];
    shows_sign_in boolean;
    shows_application_sign_in boolean;
    shows_affiliation boolean;
    has_removed boolean;
    has_results boolean;
    lows integer[];
    highs integer[];
    -- Behind so many items of a cohort no page ends, where none is left out.
    enough integer := 2147483647;
    part_first integer;
    part_last integer;
    wanted integer := asked_limit;
begin
    perform set_config('attestry.tenant', asked_tenant::text, true);
    select exists (select from removed_items x where x.tenant_id = asked_tenant and x.instance_id = asked_instance),
           exists (select from apply_results x where x.tenant_id = asked_tenant and x.instance_id = asked_instance),
           (select p.insights
              from stages s
              join planned_stages p
                on p.tenant_id = s.tenant_id
               and p.instance_id = s.instance_id
               and p.ordinal = s.ordinal
             where s.tenant_id = asked_tenant
               and s.instance_id = asked_instance
               and s.ordinal = asked_stage
               and s.recommendations_enabled)
      into has_removed, has_results, shown_insights;
    -- Asked once, not of every item.
    shows_sign_in := 'tenantSignIn' = any(shown_insights);
    shows_application_sign_in := 'applicationSignIn' = any(shown_insights);
    shows_affiliation := 'affiliation' = any(shown_insights);
    if asked_entry = 'all' and not has_removed then
        enough := least(asked_skip::bigint + asked_limit, 2147483647);
    end if;
    -- The items asked for, first to last.
    if every_item then
        lows := array[asked_after + 1];
        -- more than there can be, and one more is still a number
        highs := array[2147483646];
    else
        select array_agg(greatest(r.first_item, asked_after + 1) order by r.first_item),
               array_agg(r.last_item order by r.first_item)
          into lows, highs
          from unnest(asked_cohorts) as c (cohort)
         cross join lateral cohort_range(asked_tenant, asked_instance, c.cohort, asked_after, enough) as r
         where r.last_item > asked_after;
    end if;
    if asked_entry = 'all' and not has_removed and not has_results then
        -- Numbers have no gaps, so how far a page reaches is arithmetic.
        for part in 1 .. coalesce(cardinality(lows), 0) loop
            part_first := least(lows[part]::bigint + asked_skip, highs[part]::bigint + 1);
            asked_skip := asked_skip - (part_first - lows[part]);
            part_last := least(part_first::bigint + wanted - 1, highs[part]);
            continue when part_last < part_first;
            wanted := wanted - (part_last - part_first + 1);
            return query
            select null::integer, null::uuid, null::timestamptz, null::uuid, null::integer, null::smallint, null::uuid, null::text, null::text,
                   null::uuid, null::text, null::boolean,
                   i.seq, i.cohort, i.principal_id, i.principal_type, i.principal_name, i.principal_detail, i.app_role_id,
                   i.app_role_name, coalesce(i.recommendations[asked_stage], 0::smallint),
                   shows_sign_in and i.last_sign_in_at is not null,
                   case when shows_sign_in and isfinite(i.last_sign_in_at) then i.last_sign_in_at end,
                   shows_application_sign_in and i.application_sign_in_at is not null,
                   case
                       when shows_application_sign_in and isfinite(i.application_sign_in_at)
                       then i.application_sign_in_at
                   end,
                   case when shows_affiliation then i.outlier end,
                   null::text, null::text, null::uuid, null::text, null::text, null::timestamptz,
                   d.decision, d.justification, d.decided_by_id, d.decided_by_name, d.decided_by_user_principal_name,
                   d.decided_at, d.moves_on
              from decision_items i
              left join (
                       select distinct on (x.seq) x.*
                         from decisions x
                        where x.tenant_id = asked_tenant
                          and x.instance_id = asked_instance
                          and x.seq between part_first and part_last
                          and x.ordinal = any(counting)
                        order by x.seq, x.ordinal desc) as d on d.seq = i.seq
             where i.tenant_id = asked_tenant
               and i.instance_id = asked_instance
               and i.seq between part_first and part_last
             order by i.seq;
            exit when wanted <= 0;
        end loop;
        return;
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
                    limit asked_limit::bigint + asked_skip) as i
         order by i.seq
         limit asked_limit
        offset asked_skip
    )
    select null::integer, null::uuid, null::timestamptz, null::uuid, null::integer, null::smallint, null::uuid, null::text, null::text,
           null::uuid, null::text, null::boolean,
           i.seq, i.cohort, i.principal_id, i.principal_type, i.principal_name, i.principal_detail, i.app_role_id,
           i.app_role_name, coalesce(i.recommendations[asked_stage], 0::smallint),
           shows_sign_in and i.last_sign_in_at is not null,
           case when shows_sign_in and isfinite(i.last_sign_in_at) then i.last_sign_in_at end,
           shows_application_sign_in and i.application_sign_in_at is not null,
           case
               when shows_application_sign_in and isfinite(i.application_sign_in_at)
               then i.application_sign_in_at
           end,
           case when shows_affiliation then i.outlier end,
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

-- The instance, and a page of its items: all of them, or those that a person reviews. The first row is the instance's; its place is 1 when
-- the page follows, and 0 when it does not, because this person reviews nothing here, items of several stages, single items, or more
-- cohorts than are read one after the other. No row at all: there is no such instance. LC-STAGE-41, LC-STAGE-50 to 52
create function decision_page(
    asked_tenant uuid, asked_instance uuid, person uuid, asked_after integer, asked_skip integer, asked_limit integer
) returns setof shown_item
    language plpgsql stable
    set plan_cache_mode = force_generic_plan
as $$
declare
    few constant integer := 8;
    head shown_item;
    histories boolean;
    stage record;
    every_item boolean;
    cohorts integer[];
    view_ordinal smallint;
    view_entry text;
    view_every boolean;
    view_cohorts integer[];
    counting smallint[];
begin
    perform set_config('attestry.tenant', asked_tenant::text, true);
    select 1, n.definition_id, n.start_at, n.item_prefix, n.item_count,
           (select max(s.ordinal) from stages s where s.tenant_id = asked_tenant and s.instance_id = asked_instance),
           n.resource_id, n.resource_type, n.resource_name, n.resource_detail_id, n.resource_detail_name,
           coalesce(
               (select g.is_assignable_to_role
                  from groups g
                 where n.resource_type = 'Group'
                   and g.tenant_id = asked_tenant
                   and g.group_id = n.resource_id), false),
           coalesce((n.settings ->> 'decision_histories_for_reviewers_enabled')::boolean, false)
      into head.place, head.definition_id, head.start_at, head.item_prefix, head.item_count, head.last_ordinal, head.resource_id,
           head.resource_type, head.resource_name, head.resource_detail_id, head.resource_detail_name, head.role_assignable,
           histories
      from instances n
     where n.tenant_id = asked_tenant
       and n.instance_id = asked_instance;
    if not found then
        return;
    end if;
    if person is null then
        view_ordinal := coalesce(head.last_ordinal, 1);
        return next head;
        return query
        select p.*
          from shown_item_page(asked_tenant, asked_instance, view_ordinal, 'all',
                               array(select g.ordinal::smallint from generate_series(0, view_ordinal) as g (ordinal)),
                               false, true, '{}', asked_after, asked_skip, asked_limit) as p;
        return;
    end if;
    for stage in
        select s.ordinal, s.entry,
               exists (
                   select
                     from item_overrides o
                    where o.tenant_id = asked_tenant
                      and o.instance_id = asked_instance
                      and o.ordinal = s.ordinal) as is_mixed
          from stages s
         where s.tenant_id = asked_tenant
           and s.instance_id = asked_instance
    loop
        select exists (
                   select
                     from stage_reviewers r
                    where r.tenant_id = asked_tenant
                      and r.reviewer_id = person
                      and r.instance_id = asked_instance
                      and r.ordinal = stage.ordinal
                      and r.cohort = 0),
               array(
                   select r.cohort
                     from stage_reviewers r
                    where r.tenant_id = asked_tenant
                      and r.reviewer_id = person
                      and r.instance_id = asked_instance
                      and r.ordinal = stage.ordinal
                      and r.cohort > 0
                    union
                   select u.cohort
                     from stage_fallbacks f
                     join stage_unassigned_cohorts u
                       on u.tenant_id = asked_tenant
                      and u.instance_id = asked_instance
                      and u.ordinal = f.ordinal
                      and f.cohort in (0, u.cohort)
                    where f.tenant_id = asked_tenant
                      and f.reviewer_id = person
                      and f.instance_id = asked_instance
                      and f.ordinal = stage.ordinal
                    limit few + 1)
          into every_item, cohorts;
        if stage.is_mixed then
            head.place := 0;
        elsif every_item or cohorts <> '{}' then
            if view_ordinal is not null or stage.entry = 'listed' or not every_item and cardinality(cohorts) > few then
                head.place := 0;
            end if;
            view_ordinal := stage.ordinal;
            view_entry := stage.entry;
            view_every := every_item;
            view_cohorts := cohorts;
        end if;
        exit when head.place = 0;
    end loop;
    if view_ordinal is null then
        head.place := 0;
    end if;
    return next head;
    if head.place = 1 then
        counting := array[0, view_ordinal];
        if histories then
            counting := array(select g.ordinal::smallint from generate_series(0, view_ordinal) as g (ordinal));
        end if;
        return query
        select p.*
          from shown_item_page(asked_tenant, asked_instance, view_ordinal, view_entry, counting, true, view_every, view_cohorts,
                               asked_after, asked_skip, asked_limit) as p;
    end if;
end
$$;

drop function reviewed_instance(uuid, uuid, uuid);
drop function cohort_range(uuid, uuid, integer);

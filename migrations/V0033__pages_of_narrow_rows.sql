-- A page of items costs less: its rows have no columns of the instance, which only the first one fills, nor of what was applied one by
-- one; and they are put together once, not handed on by a function within a function.

-- An instance as answers about its items need it.
create type found_instance as (
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
    -- whether its page follows
    has_page boolean
);

-- What became of an item.
create type shown_result as (
    result text,
    description text,
    applied_by_id uuid,
    applied_by_name text,
    applied_by_user_principal_name text,
    applied_at timestamptz
);

-- A row of a page: the first one is the instance's and has nothing else, all others are items.
create type page_row as (
    instance found_instance,
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
    applied shown_result,
    decision text,
    justification text,
    decided_by_id uuid,
    decided_by_name text,
    decided_by_user_principal_name text,
    decided_at timestamptz,
    moves_on boolean
);

drop function decision_page(uuid, uuid, uuid, integer, integer, integer);
drop function shown_item_page(uuid, uuid, smallint, text, smallint[], boolean, boolean, integer[], integer, integer, integer);

-- The instance, and a page of its items: all of them, or those that a person reviews. No page follows when this person reviews nothing
-- here, items of several stages, single items, or more cohorts than are read one after the other. No row at all: there is no such
-- instance. LC-STAGE-41, LC-STAGE-50 to 52
--
-- Where no item is left out and nothing was applied, which is where most pages are, items and decisions are read as two ranges side by
-- side: a plan with fewer parts is also begun sooner.
create function decision_page(
    asked_tenant uuid, asked_instance uuid, person uuid, asked_after integer, asked_skip integer, asked_limit integer
) returns setof page_row
    language plpgsql stable
    set plan_cache_mode = force_generic_plan
as $$
declare
    few constant integer := 8;
    every_ordinal constant smallint[] := '{0,1,2,3}';
    head page_row;
    shown found_instance;
    histories boolean;
    has_removed boolean;
    has_results boolean;
    stage record;
    every_item boolean;
    cohorts integer[];
    view_ordinal smallint;
    view_entry text := 'all';
    view_every boolean := true;
    view_cohorts integer[];
    counting smallint[];
    shown_insights text[];
    shows_sign_in boolean;
    shows_application_sign_in boolean;
    shows_affiliation boolean;
    lows integer[];
    highs integer[];
    -- Behind so many items of a cohort no page ends, where none is left out.
    enough integer := 2147483647;
    part_first integer;
    part_last integer;
    wanted integer := asked_limit;
begin
    perform set_config('attestry.tenant', asked_tenant::text, true);
    select n.definition_id, n.start_at, n.item_prefix, n.item_count, newest.ordinal, n.resource_id, n.resource_type, n.resource_name,
           n.resource_detail_id, n.resource_detail_name,
           coalesce(
               (select g.is_assignable_to_role
                  from groups g
                 where n.resource_type = 'Group'
                   and g.tenant_id = asked_tenant
                   and g.group_id = n.resource_id), false),
           coalesce((n.settings ->> 'decision_histories_for_reviewers_enabled')::boolean, false),
           newest.insights,
           exists (select from removed_items x where x.tenant_id = asked_tenant and x.instance_id = asked_instance),
           exists (select from apply_results x where x.tenant_id = asked_tenant and x.instance_id = asked_instance)
      into shown.definition_id, shown.start_at, shown.item_prefix, shown.item_count, shown.last_ordinal, shown.resource_id,
           shown.resource_type, shown.resource_name, shown.resource_detail_id, shown.resource_detail_name, shown.role_assignable,
           histories, shown_insights, has_removed, has_results
      from instances n
      left join lateral (
               select s.ordinal,
                      case
                          when s.recommendations_enabled
                          then (select p.insights
                                  from planned_stages p
                                 where p.tenant_id = asked_tenant
                                   and p.instance_id = asked_instance
                                   and p.ordinal = s.ordinal)
                      end as insights
                 from stages s
                where s.tenant_id = asked_tenant
                  and s.instance_id = asked_instance
                order by s.ordinal desc
                limit 1) as newest on true
     where n.tenant_id = asked_tenant
       and n.instance_id = asked_instance;
    if not found then
        return;
    end if;
    shown.has_page := true;
    if person is null then
        view_ordinal := coalesce(shown.last_ordinal, 1);
        counting := every_ordinal[1:view_ordinal + 1];
    else
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
                shown.has_page := false;
            elsif every_item or cohorts <> '{}' then
                if view_ordinal is not null or stage.entry = 'listed' or not every_item and cardinality(cohorts) > few then
                    shown.has_page := false;
                end if;
                view_ordinal := stage.ordinal;
                view_entry := stage.entry;
                view_every := every_item;
                view_cohorts := cohorts;
            end if;
            exit when not shown.has_page;
        end loop;
        shown.has_page := shown.has_page and view_ordinal is not null;
        counting := case when histories then every_ordinal[1:view_ordinal + 1] else array[0::smallint, view_ordinal] end;
    end if;
    head.instance := shown;
    return next head;
    if not shown.has_page then
        return;
    end if;
    if view_ordinal <> shown.last_ordinal then
        shown_insights := (
            select p.insights
              from stages s
              join planned_stages p
                on p.tenant_id = s.tenant_id
               and p.instance_id = s.instance_id
               and p.ordinal = s.ordinal
             where s.tenant_id = asked_tenant
               and s.instance_id = asked_instance
               and s.ordinal = view_ordinal
               and s.recommendations_enabled);
    end if;
    -- Asked once, not of every item.
    shows_sign_in := 'tenantSignIn' = any(shown_insights);
    shows_application_sign_in := 'applicationSignIn' = any(shown_insights);
    shows_affiliation := 'affiliation' = any(shown_insights);
    if view_entry = 'all' and not has_removed then
        enough := least(asked_skip::bigint + asked_limit, 2147483647);
    end if;
    -- The items asked for, first to last.
    if view_every then
        lows := array[asked_after + 1];
        -- more than there can be, and one more is still a number
        highs := array[2147483646];
    else
        select array_agg(greatest(r.first_item, asked_after + 1) order by r.first_item),
               array_agg(r.last_item order by r.first_item)
          into lows, highs
          from unnest(view_cohorts) as c (cohort)
         cross join lateral cohort_range(asked_tenant, asked_instance, c.cohort, asked_after, enough) as r
         where r.last_item > asked_after;
    end if;
    if view_entry = 'all' and not has_removed and not has_results then
        -- Numbers have no gaps, so how far a page reaches is arithmetic.
        for part in 1 .. coalesce(cardinality(lows), 0) loop
            part_first := least(lows[part]::bigint + asked_skip, highs[part]::bigint + 1);
            asked_skip := asked_skip - (part_first - lows[part]);
            part_last := least(part_first::bigint + wanted - 1, highs[part]);
            continue when part_last < part_first;
            wanted := wanted - (part_last - part_first + 1);
            if cardinality(counting) = 2 then
                -- An item has one decision among those of one stage and the default one: that is made where there is no other.
                return query
                select null::found_instance,
                       i.seq, i.cohort, i.principal_id, i.principal_type, i.principal_name, i.principal_detail, i.app_role_id,
                       i.app_role_name, coalesce(i.recommendations[view_ordinal], 0::smallint),
                       shows_sign_in and i.last_sign_in_at is not null,
                       case when shows_sign_in and isfinite(i.last_sign_in_at) then i.last_sign_in_at end,
                       shows_application_sign_in and i.application_sign_in_at is not null,
                       case
                           when shows_application_sign_in and isfinite(i.application_sign_in_at)
                           then i.application_sign_in_at
                       end,
                       case when shows_affiliation then i.outlier end,
                       null::shown_result,
                       d.decision, d.justification, d.decided_by_id, d.decided_by_name, d.decided_by_user_principal_name,
                       d.decided_at, d.moves_on
                  from decision_items i
                  left join decisions d
                    on d.tenant_id = asked_tenant
                   and d.instance_id = asked_instance
                   and d.seq = i.seq
                   and d.seq between part_first and part_last
                   and d.ordinal = any(counting)
                 where i.tenant_id = asked_tenant
                   and i.instance_id = asked_instance
                   and i.seq between part_first and part_last
                 order by i.seq;
            else
                return query
                select null::found_instance,
                       i.seq, i.cohort, i.principal_id, i.principal_type, i.principal_name, i.principal_detail, i.app_role_id,
                       i.app_role_name, coalesce(i.recommendations[view_ordinal], 0::smallint),
                       shows_sign_in and i.last_sign_in_at is not null,
                       case when shows_sign_in and isfinite(i.last_sign_in_at) then i.last_sign_in_at end,
                       shows_application_sign_in and i.application_sign_in_at is not null,
                       case
                           when shows_application_sign_in and isfinite(i.application_sign_in_at)
                           then i.application_sign_in_at
                       end,
                       case when shows_affiliation then i.outlier end,
                       null::shown_result,
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
            end if;
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
                      and (view_entry = 'all'
                           or stage_holds_item(asked_tenant, asked_instance, view_ordinal, view_entry, x.seq))
                    order by x.seq
                    limit asked_limit::bigint + asked_skip) as i
         order by i.seq
         limit asked_limit
        offset asked_skip
    )
    select null::found_instance,
           i.seq, i.cohort, i.principal_id, i.principal_type, i.principal_name, i.principal_detail, i.app_role_id,
           i.app_role_name, coalesce(i.recommendations[view_ordinal], 0::smallint),
           shows_sign_in and i.last_sign_in_at is not null,
           case when shows_sign_in and isfinite(i.last_sign_in_at) then i.last_sign_in_at end,
           shows_application_sign_in and i.application_sign_in_at is not null,
           case
               when shows_application_sign_in and isfinite(i.application_sign_in_at)
               then i.application_sign_in_at
           end,
           case when shows_affiliation then i.outlier end,
           case
               when a.seq is not null
               then row(a.result, a.description, a.applied_by_id, a.applied_by_name, a.applied_by_user_principal_name,
                        a.applied_at)::shown_result
           end,
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
                  -- A reviewer sees it only where the decision he sees is the one that was applied. LC-STAGE-51
                  and (person is null
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

-- Pages of columns once more. What is aggregated costs two calls a value where it is sent by itself and one where it is text already, and
-- what a plan has beside that is begun with every page, asked for or not: texts are put together as texts, two numbers are one, and roles
-- and facts are read where there are any.

drop function decision_page(uuid, uuid, uuid, integer, integer, integer, boolean);
drop function decision_bytes(integer, text, text, uuid, text, text, timestamptz, boolean);
drop type page_part;

-- A part of a page: items that follow each other. The first row of a page is the instance's and has nothing else.
--
-- Numbers, ids and times stand as PostgreSQL sends them. Between texts stands the character U+001F, which hardly any contains: whoever
-- finds more texts than items reads the page in another way.
create type page_part as (
    instance found_instance,
    -- Of every item. Its number and its recommendation are one number of eight bytes.
    numbers_and_recommendations bytea,
    principal_ids bytea,
    principal_types text,
    principal_names text,
    principal_details text,
    -- Of some items, in any order, each behind the number of its item: see `role_bytes` and so on.
    roles bytea,
    facts bytea,
    results bytea,
    -- Of the items that have a decision, in any order. The item's number and whether it moves on are one number of eight bytes.
    decided_numbers bytea,
    verdicts text,
    justifications text,
    decider_ids bytea,
    decider_names text,
    decider_user_principal_names text,
    decision_times bytea
);

-- The instance, and a page of its items: all of them, or those that a person reviews. No page follows when this person reviews nothing
-- here, items of several stages, single items, or more cohorts than are read one after the other. No row at all: there is no such
-- instance. Facts come only where they are asked for. LC-STAGE-41, LC-STAGE-50 to 52
--
-- Where no item is left out and nothing was applied, which is where most pages are, items and decisions are read as two ranges, each for
-- itself: a plan with fewer parts is also begun sooner.
create function decision_page(
    asked_tenant uuid, asked_instance uuid, person uuid, asked_after integer, asked_skip integer, asked_limit integer,
    with_facts boolean
) returns setof page_part
    language plpgsql stable
    set plan_cache_mode = force_generic_plan
as $$
declare
    few constant integer := 8;
    every_ordinal constant smallint[] := '{0,1,2,3}';
    head page_part;
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
    between_texts constant text := e'\x1f';
    counting smallint[];
    shown_insights text[];
    shows_sign_in boolean;
    shows_application_sign_in boolean;
    shows_affiliation boolean;
    shows_facts boolean;
    lows integer[];
    highs integer[];
    part_first integer;
    part_last integer;
    part_roles bytea;
    part_facts bytea;
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
    shows_facts := with_facts and (shows_sign_in or shows_application_sign_in or shows_affiliation);
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
         cross join lateral cohort_range(asked_tenant, asked_instance, c.cohort) as r
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
            -- In a statement of their own, as most pages have neither.
            if shown.resource_type = 'ServicePrincipal' then
                select string_agg(role_bytes(i.seq, i.app_role_id, i.app_role_name), ''::bytea)
                  into part_roles
                  from decision_items i
                 where i.tenant_id = asked_tenant
                   and i.instance_id = asked_instance
                   and i.seq between part_first and part_last
                   and i.app_role_id is not null;
            end if;
            if shows_facts then
                select string_agg(
                           facts_bytes(
                               i.seq,
                               case when shows_sign_in then i.last_sign_in_at end,
                               case when shows_application_sign_in then i.application_sign_in_at end,
                               case when shows_affiliation then i.outlier end), ''::bytea)
                  into part_facts
                  from decision_items i
                 where i.tenant_id = asked_tenant
                   and i.instance_id = asked_instance
                   and i.seq between part_first and part_last;
            end if;
            return query
            select null::found_instance, of_items.*, part_roles, part_facts, null::bytea, of_decisions.*
              from (
                           select string_agg(int8send((x.seq::bigint << 32) + x.recommendation), ''::bytea),
                                  string_agg(uuid_send(x.principal_id), ''::bytea),
                                  string_agg(x.principal_type, between_texts),
                                  string_agg(x.principal_name, between_texts),
                                  string_agg(x.principal_detail, between_texts)
                             from (
                                      select i.seq, i.principal_id, i.principal_type, i.principal_name, i.principal_detail,
                                             recommendation_in(i.recommendations, view_ordinal) as recommendation
                                        from decision_items i
                                       where i.tenant_id = asked_tenant
                                         and i.instance_id = asked_instance
                                         and i.seq between part_first and part_last
                                       order by i.seq) as x) as of_items
             cross join (
                           select string_agg(int8send((y.seq::bigint << 32) + y.moves_on::integer), ''::bytea),
                                  string_agg(y.decision, between_texts),
                                  string_agg(y.justification, between_texts),
                                  string_agg(uuid_send(y.decided_by_id), ''::bytea),
                                  string_agg(y.decided_by_name, between_texts),
                                  string_agg(y.decided_by_user_principal_name, between_texts),
                                  string_agg(timestamptz_send(y.decided_at), ''::bytea)
                             from (
                                      select distinct on (d.seq) d.*
                                        from decisions d
                                       where d.tenant_id = asked_tenant
                                         and d.instance_id = asked_instance
                                         and d.seq between part_first and part_last
                                         and d.ordinal = any(counting)
                                       order by d.seq desc, d.ordinal desc) as y) as of_decisions;
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
           string_agg(int8send((x.seq::bigint << 32) + x.recommendation), ''::bytea),
           string_agg(uuid_send(x.principal_id), ''::bytea),
           string_agg(x.principal_type, between_texts),
           string_agg(x.principal_name, between_texts),
           string_agg(x.principal_detail, between_texts),
           string_agg(case when x.app_role_id is not null then role_bytes(x.seq, x.app_role_id, x.app_role_name) end, ''::bytea),
           string_agg(
               case
                   when shows_facts then facts_bytes(x.seq, x.last_sign_in_at, x.application_sign_in_at, x.outlier)
               end, ''::bytea),
           string_agg(
               result_bytes(
                   x.applied_seq, x.result, x.description, x.applied_by_id, x.applied_by_name, x.applied_by_user_principal_name,
                   x.applied_at), ''::bytea),
           -- nothing where there is no decision
           string_agg(int8send((x.decided_seq::bigint << 32) + x.moves_on::integer), ''::bytea),
           string_agg(x.decision, between_texts),
           string_agg(x.justification, between_texts),
           string_agg(uuid_send(x.decided_by_id), ''::bytea),
           string_agg(x.decided_by_name, between_texts),
           string_agg(x.decided_by_user_principal_name, between_texts),
           string_agg(timestamptz_send(x.decided_at), ''::bytea)
      from (
                   select i.seq, i.principal_id, i.principal_type, i.principal_name, i.principal_detail,
                          i.app_role_id, i.app_role_name, recommendation_in(i.recommendations, view_ordinal) as recommendation,
                          case when shows_sign_in then i.last_sign_in_at end as last_sign_in_at,
                          case when shows_application_sign_in then i.application_sign_in_at end as application_sign_in_at,
                          case when shows_affiliation then i.outlier end as outlier,
                          d.seq as decided_seq, d.decision, d.justification, d.decided_by_id, d.decided_by_name,
                          d.decided_by_user_principal_name, d.decided_at, d.moves_on,
                          a.seq as applied_seq, a.result, a.description, a.applied_by_id, a.applied_by_name,
                          a.applied_by_user_principal_name, a.applied_at
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
                    order by i.seq) as x;
end
$$;

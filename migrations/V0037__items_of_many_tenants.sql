-- Single items that were asked for together by callers of many tenants cost less: there a join of nine tables was begun for each tenant, to
-- read one row of each, and beginning it took longer than reading them. Where a tenant asks for one item, each row is now read by its key
-- with a statement that is begun sooner, and only if it can matter; where it asks for more than two, they share the join as before.

create or replace function shown_items(asked_tenants uuid[], asked_instances uuid[], asked_items integer[]) returns setof shown_item
    language plpgsql stable
    set plan_cache_mode = force_generic_plan
as $$
declare
    asked_first integer := 1;
    asked_last integer;
    asked_count constant integer := cardinality(asked_tenants);
    asked_tenant uuid;
    asked_instance uuid;
    asked_item integer;
    shown shown_item;
    instance_status text;
    recommends boolean;
    recommendations smallint;
    signed_in_at timestamptz;
    application_signed_in_at timestamptz;
    is_outlier boolean;
    insights text[];
begin
    while asked_first <= asked_count loop
        asked_tenant := asked_tenants[asked_first];
        asked_last := asked_first;
        while asked_last < asked_count and asked_tenants[asked_last + 1] = asked_tenant loop
            asked_last := asked_last + 1;
        end loop;
        perform set_config('attestry.tenant', asked_tenant::text, true);
        if asked_last > asked_first + 1 then
            return query
            select q.place, n.definition_id, n.start_at, n.item_prefix, n.item_count, s.ordinal, n.resource_id, n.resource_type,
                   n.resource_name, n.resource_detail_id, n.resource_detail_name, coalesce(g.is_assignable_to_role, false),
                   i.seq, i.cohort, i.principal_id, i.principal_type, i.principal_name, i.principal_detail, i.app_role_id,
                   i.app_role_name, recommendation_in(i.recommendations, s.ordinal),
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
            continue;
        end if;
        asked_instance := asked_instances[asked_first];
        asked_item := asked_items[asked_first];
        shown := null;
        shown.place := asked_first;
        asked_first := asked_first + 1;
        select x.definition_id, x.start_at, x.item_prefix, x.item_count, x.resource_id, x.resource_type, x.resource_name,
               x.resource_detail_id, x.resource_detail_name, x.status
          into shown.definition_id, shown.start_at, shown.item_prefix, shown.item_count, shown.resource_id, shown.resource_type,
               shown.resource_name, shown.resource_detail_id, shown.resource_detail_name, instance_status
          from instances x
         where x.tenant_id = asked_tenant
           and x.instance_id = asked_instance;
        continue when not found;
        if shown.resource_type = 'Group' then
            select x.is_assignable_to_role
              into shown.role_assignable
              from groups x
             where x.tenant_id = asked_tenant
               and x.group_id = shown.resource_id;
        end if;
        shown.role_assignable := coalesce(shown.role_assignable, false);
        select x.ordinal, x.recommendations_enabled
          into shown.last_ordinal, recommends
          from stages x
         where x.tenant_id = asked_tenant
           and x.instance_id = asked_instance
         order by x.ordinal desc
         limit 1;
        select x.seq, x.cohort, x.principal_id, x.principal_type, x.principal_name, x.principal_detail, x.app_role_id, x.app_role_name,
               x.recommendations, x.last_sign_in_at, x.application_sign_in_at, x.outlier
          into shown.seq, shown.cohort, shown.principal_id, shown.principal_type, shown.principal_name, shown.principal_detail,
               shown.app_role_id, shown.app_role_name, recommendations, signed_in_at, application_signed_in_at, is_outlier
          from decision_items x
         where x.tenant_id = asked_tenant
           and x.instance_id = asked_instance
           and x.seq = asked_item
           and not exists (
                   select
                     from removed_items r
                    where r.tenant_id = asked_tenant
                      and r.instance_id = asked_instance
                      and r.seq = asked_item);
        if not found then
            return next shown;
            continue;
        end if;
        shown.recommendation_code := recommendation_in(recommendations, shown.last_ordinal);
        if recommends and (signed_in_at is not null or application_signed_in_at is not null or is_outlier is not null) then
            select x.insights
              into insights
              from planned_stages x
             where x.tenant_id = asked_tenant
               and x.instance_id = asked_instance
               and x.ordinal = shown.last_ordinal;
            shown.sign_in_known := 'tenantSignIn' = any(insights) and signed_in_at is not null;
            if shown.sign_in_known and isfinite(signed_in_at) then
                shown.last_sign_in_at := signed_in_at;
            end if;
            shown.application_sign_in_known := 'applicationSignIn' = any(insights) and application_signed_in_at is not null;
            if shown.application_sign_in_known and isfinite(application_signed_in_at) then
                shown.application_sign_in_at := application_signed_in_at;
            end if;
            if 'affiliation' = any(insights) then
                shown.outlier := is_outlier;
            end if;
        end if;
        select x.decision, x.justification, x.decided_by_id, x.decided_by_name, x.decided_by_user_principal_name, x.decided_at,
               x.moves_on
          into shown.decision, shown.justification, shown.decided_by_id, shown.decided_by_name, shown.decided_by_user_principal_name,
               shown.decided_at, shown.moves_on
          from decisions x
         where x.tenant_id = asked_tenant
           and x.instance_id = asked_instance
           and x.seq = asked_item
           and x.ordinal <= shown.last_ordinal
         order by x.ordinal desc
         limit 1;
        -- Nothing is applied before the review has ended.
        if instance_status <> 'InProgress' then
            select x.result, x.description, x.applied_by_id, x.applied_by_name, x.applied_by_user_principal_name, x.applied_at
              into shown.apply_result, shown.apply_description, shown.applied_by_id, shown.applied_by_name,
                   shown.applied_by_user_principal_name, shown.applied_at
              from apply_results x
             where x.tenant_id = asked_tenant
               and x.instance_id = asked_instance
               and x.seq = asked_item;
        end if;
        return next shown;
    end loop;
end
$$;

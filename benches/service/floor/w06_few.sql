-- The items of a reviewer with few of them. That he reviews anything in the instance lets him see it; whether he is a fallback, or
-- an item has reviewers of its own, is asked but leads nowhere here.
\set manager random(1, :reviewers) * :stride
\startpipeline
select set_config('attestry.tenant', :tenant, true);
with person as materialized (
    select (lpad(to_hex(:manager::bigint * :step), 8, '0') || '-0000-4000-8000-'
            || lpad(to_hex(:manager::bigint), 12, '0'))::uuid as id
), found as materialized (
    select n.tenant_id, n.instance_id, n.item_prefix, n.resource_id, n.resource_type, n.resource_name, n.settings,
           g.is_assignable_to_role
      from instances n
      left join groups g on g.tenant_id = n.tenant_id and g.group_id = n.resource_id
     where n.tenant_id = :tenant
       and n.instance_id = :instance
       and n.definition_id = :definition
), reach as materialized (
    select r.ordinal, array_agg(r.cohort) as cohorts
      from stage_reviewers r
     where r.tenant_id = :tenant
       and r.reviewer_id = (select id from person)
       and r.instance_id = :instance
     group by r.ordinal
     order by r.ordinal desc
     limit 1
), more as materialized (
    select exists (
               select from stage_fallbacks f
                where f.tenant_id = :tenant and f.reviewer_id = (select id from person) and f.instance_id = :instance) as falls_back,
           exists (
               select from item_overrides o
                where o.tenant_id = :tenant and o.instance_id = :instance and o.ordinal = (select ordinal from reach)) as overrides
), shown as materialized (
    select case when s.recommendations_enabled then p.insights end as insights
      from stages s
      join planned_stages p using (tenant_id, instance_id, ordinal)
     where s.tenant_id = :tenant
       and s.instance_id = :instance
       and s.ordinal = (select ordinal from reach)
), page as materialized (
    select i.*
      from unnest((select cohorts from reach)::integer[]) as c (cohort)
     cross join lateral cohort_range(:tenant, :instance, c.cohort) as r
     cross join lateral (
               select x.*
                 from decision_items x
                where x.tenant_id = :tenant
                  and x.instance_id = :instance
                  and x.seq between r.first_item and r.last_item
                  and not exists (
                          select
                            from removed_items r
                           where r.tenant_id = :tenant
                             and r.instance_id = :instance
                             and r.seq = x.seq)
                order by x.seq
                limit 101) as i
     order by i.seq
     limit 101
)
select n.item_prefix, n.resource_id, n.resource_type, n.resource_name, n.is_assignable_to_role, m.falls_back, m.overrides, i.seq,
       i.principal_id, i.principal_type, i.principal_name, i.principal_detail, i.app_role_id, i.app_role_name,
       recommendation_in(i.recommendations, reach.ordinal), s.insights, i.last_sign_in_at, i.application_sign_in_at, i.outlier, d.decision,
       d.justification, d.decided_by_id, d.decided_by_name, d.decided_by_user_principal_name, d.decided_at, d.moves_on, a.result,
       a.description, a.applied_by_id, a.applied_by_name, a.applied_by_user_principal_name, a.applied_at
  from found n
 cross join reach
 cross join more m
 cross join shown s
 cross join page i
  left join lateral (
           select d.*
             from decisions d
            where d.tenant_id = :tenant
              and d.instance_id = :instance
              and d.seq = i.seq
              and d.ordinal in (0, reach.ordinal)
            order by d.ordinal desc
            limit 1) as d
    on true
  left join apply_results a on a.tenant_id = :tenant and a.instance_id = :instance and a.seq = i.seq
 order by i.seq;
\endpipeline

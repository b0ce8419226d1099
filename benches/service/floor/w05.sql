-- A page of 100 items after a place, and whether there is one more: the same authorization as for one item. Decisions and results are
-- read as ranges, not item by item.
\startpipeline
select set_config('attestry.tenant', :tenant, true);
select n.item_prefix, n.resource_id, n.resource_type, n.resource_name, n.settings, g.is_assignable_to_role
  from instances n
  left join groups g
    on g.tenant_id = n.tenant_id
   and g.group_id = n.resource_id
 where n.tenant_id = :tenant
   and n.instance_id = :instance
   and n.definition_id = :definition;
with newest as materialized (
    select s.ordinal, case when s.recommendations_enabled then p.insights end as insights
      from stages s
      join planned_stages p using (tenant_id, instance_id, ordinal)
     where s.tenant_id = :tenant
       and s.instance_id = :instance
     order by s.ordinal desc
     limit 1
), page as materialized (
    select i.*
      from decision_items i
     where i.tenant_id = :tenant
       and i.instance_id = :instance
       and i.seq > :after
       and not exists (
               select
                 from removed_items r
                where r.tenant_id = :tenant
                  and r.instance_id = :instance
                  and r.seq = i.seq)
     order by i.seq
     limit 101
), decided as (
    select distinct on (d.seq) d.*
      from decisions d
     where d.tenant_id = :tenant
       and d.instance_id = :instance
       and d.seq between (select min(seq) from page) and (select max(seq) from page)
     order by d.seq, d.ordinal desc
), applied as (
    select a.*
      from apply_results a
     where a.tenant_id = :tenant
       and a.instance_id = :instance
       and a.seq between (select min(seq) from page) and (select max(seq) from page)
)
select i.seq, i.principal_id, i.principal_type, i.principal_name, i.principal_detail, i.app_role_id, i.app_role_name,
       recommendation_in(i.recommendations, s.ordinal), s.insights, i.last_sign_in_at, i.application_sign_in_at, i.outlier, d.decision,
       d.justification, d.decided_by_id, d.decided_by_name, d.decided_by_user_principal_name, d.decided_at, d.moves_on, a.result,
       a.description, a.applied_by_id, a.applied_by_name, a.applied_by_user_principal_name, a.applied_at
  from page i
 cross join newest s
  left join decided d on d.seq = i.seq
  left join applied a on a.seq = i.seq
 order by i.seq;
\endpipeline

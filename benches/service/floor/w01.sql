-- One item as it is answered: the instance and the group's kind for the authorization, the newest decision, what became of it,
-- what the newest stage recommends and shows.
\set seq random(1, :items)
\startpipeline
select set_config('attestry.tenant', :tenant, true);
select n.item_prefix, n.resource_id, n.resource_type, n.resource_name, g.is_assignable_to_role, i.principal_id, i.principal_type,
       i.principal_name, i.principal_detail, i.app_role_id, i.app_role_name, i.recommendations[s.ordinal], s.insights,
       i.last_sign_in_at, i.application_sign_in_at, i.outlier, d.decision, d.justification, d.decided_by_id, d.decided_by_name,
       d.decided_by_user_principal_name, d.decided_at, d.moves_on, a.result, a.description, a.applied_by_id, a.applied_by_name,
       a.applied_by_user_principal_name, a.applied_at
  from instances n
  left join groups g
    on g.tenant_id = n.tenant_id
   and g.group_id = n.resource_id
 cross join lateral (
           select s.ordinal, case when s.recommendations_enabled then p.insights end as insights
             from stages s
             join planned_stages p
               on p.tenant_id = s.tenant_id
              and p.instance_id = s.instance_id
              and p.ordinal = s.ordinal
            where s.tenant_id = n.tenant_id
              and s.instance_id = n.instance_id
            order by s.ordinal desc
            limit 1) as s
  join decision_items i
    on i.tenant_id = n.tenant_id
   and i.instance_id = n.instance_id
   and i.seq = :seq
  left join lateral (
           select d.*
             from decisions d
            where d.tenant_id = i.tenant_id
              and d.instance_id = i.instance_id
              and d.seq = i.seq
            order by d.ordinal desc
            limit 1) as d
    on true
  left join apply_results a
    on a.tenant_id = i.tenant_id
   and a.instance_id = i.instance_id
   and a.seq = i.seq
 where n.tenant_id = :tenant
   and n.instance_id = :instance
   and n.definition_id = :definition
   and not exists (
           select
             from removed_items r
            where r.tenant_id = i.tenant_id
              and r.instance_id = i.instance_id
              and r.seq = i.seq);
\endpipeline

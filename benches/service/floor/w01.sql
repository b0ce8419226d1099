-- One item as it is answered: the instance and the group's kind for the authorization, what the newest stage recommends and shows, the
-- item, the newest decision, what became of it. Single statements in one pipeline: a join of all of them takes a fifth longer, a
-- function as long as that.
\set seq random(1, :items)
\startpipeline
select set_config('attestry.tenant', :tenant, true);
select n.item_prefix, n.resource_id, n.resource_type, n.resource_name,
       (select g.is_assignable_to_role from groups g where g.tenant_id = :tenant and g.group_id = n.resource_id)
  from instances n
 where n.tenant_id = :tenant
   and n.instance_id = :instance
   and n.definition_id = :definition;
select s.ordinal, case when s.recommendations_enabled then p.insights end
  from stages s
  join planned_stages p using (tenant_id, instance_id, ordinal)
 where s.tenant_id = :tenant
   and s.instance_id = :instance
 order by s.ordinal desc
 limit 1;
select i.principal_id, i.principal_type, i.principal_name, i.principal_detail, i.app_role_id, i.app_role_name, i.recommendations,
       i.last_sign_in_at, i.application_sign_in_at, i.outlier
  from decision_items i
 where i.tenant_id = :tenant
   and i.instance_id = :instance
   and i.seq = :seq
   and not exists (
           select
             from removed_items r
            where r.tenant_id = :tenant
              and r.instance_id = :instance
              and r.seq = :seq);
select d.decision, d.justification, d.decided_by_id, d.decided_by_name, d.decided_by_user_principal_name, d.decided_at, d.moves_on
  from decisions d
 where d.tenant_id = :tenant
   and d.instance_id = :instance
   and d.seq = :seq
 order by d.ordinal desc
 limit 1;
select a.result, a.description, a.applied_by_id, a.applied_by_name, a.applied_by_user_principal_name, a.applied_at
  from apply_results a
 where a.tenant_id = :tenant
   and a.instance_id = :instance
   and a.seq = :seq;
\endpipeline

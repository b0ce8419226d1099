-- $1 tenant, $2 definition, $3 instance, $4 group: who was removed from the group is a member again, and the review has only ended.
with forgotten as (
    delete from apply_results where tenant_id = $1 and instance_id = $3
), ended as (
    delete from apply_runs where tenant_id = $1 and instance_id = $3
), jobs_gone as (
    delete from jobs where tenant_id = $1 and kind = 'apply_decisions' and (payload ->> 'instance')::uuid = $3
), completed as (
    update instances set status = 'Completed' where tenant_id = $1 and instance_id = $3
), derived as (
    update definitions set status = 'Completed' where tenant_id = $1 and definition_id = $2
)
insert into group_members (tenant_id, group_id, member_id, member_type)
select i.tenant_id, $4, i.principal_id, 'user'
  from decisions d
  join decision_items i using (tenant_id, instance_id, seq)
 where d.tenant_id = $1
   and d.instance_id = $3
   and d.decision = 'Deny'
    on conflict do nothing

-- Carries the decisions of an ended review out: memberships of who was denied are removed, results and events recorded; all in one
-- transaction, which nobody could resume.
begin;
select set_config('attestry.tenant', :tenant, true);
select from definitions where tenant_id = :tenant and definition_id = :definition for no key update;
select from instances where tenant_id = :tenant and instance_id = :instance and status = 'Completed' for no key update;
update instances set status = 'Applying', version = version + 1 where tenant_id = :tenant and instance_id = :instance;
insert into apply_runs
    (tenant_id, instance_id, requested_by_id, requested_by_name, requested_by_user_principal_name, applied_through)
values (:tenant, :instance, :administrator, 'Administrator 1', 'administrator1@large.example', :items);
with recursive nested (group_id) as (
    select m.member_id
      from group_members m
     where m.tenant_id = :tenant and m.group_id = :group and m.member_type = 'group'
     union
    select m.member_id
      from nested n
      join group_members m on m.tenant_id = :tenant and m.group_id = n.group_id and m.member_type = 'group'
), decided as materialized (
    select distinct on (d.seq) d.seq, d.decision
      from decisions d
     where d.tenant_id = :tenant
       and d.instance_id = :instance
       and not exists (select from removed_items r where r.tenant_id = :tenant and r.instance_id = :instance and r.seq = d.seq)
     order by d.seq, d.ordinal desc
), denied as materialized (
    select d.seq, i.principal_id
      from decided d
      join decision_items i on i.tenant_id = :tenant and i.instance_id = :instance and i.seq = d.seq
     where d.decision = 'Deny'
       and exists (
               select from groups g
                where g.tenant_id = :tenant and g.group_id = :group
                  and 'DynamicMembership' <> all(g.group_types) and not g.on_premises_sync_enabled
                  and (not g.mail_enabled or 'Unified' = any(g.group_types)))
       and not exists (
               select from nested n
                 join group_members m on m.tenant_id = :tenant and m.group_id = n.group_id and m.member_id = i.principal_id)
), removed as (
    delete from group_members m
     using denied d
     where m.tenant_id = :tenant and m.group_id = :group and m.member_id = d.principal_id
    returning d.seq
), approved as (
    insert into apply_results
        (tenant_id, instance_id, seq, result, applied_by_id, applied_by_name, applied_by_user_principal_name, applied_at)
    select :tenant, :instance, d.seq, 'AppliedSuccessfully', :administrator, 'Administrator 1', 'administrator1@large.example', now()
      from decided d
     where d.decision = 'Approve'
), results as (
    insert into apply_results
        (tenant_id, instance_id, seq, result, applied_by_id, applied_by_name, applied_by_user_principal_name, applied_at)
    select :tenant, :instance, d.seq,
           case when r.seq is null then 'AppliedSuccessfullyButObjectNotFound' else 'AppliedSuccessfully' end,
           :administrator, 'Administrator 1', 'administrator1@large.example', now()
      from denied d
      left join removed r using (seq)
    returning seq, result
)
insert into events (tenant_id, at, activity, actor_kind, actor_id, actor_name, definition_id, instance_id, item_seq, after)
select :tenant, now(), 'Apply decision', 'system', :tenant, 'system', :definition, :instance, seq,
       jsonb_build_object('applyResult', result, 'applyDescription', null, 'appliedBy', :administrator::uuid)
  from results;
update instances set status = 'Applied', version = version + 1 where tenant_id = :tenant and instance_id = :instance;
update definitions set status = 'Applied' where tenant_id = :tenant and definition_id = :definition;
insert into events (tenant_id, at, activity, actor_kind, actor_id, actor_name, definition_id, instance_id, after)
select :tenant, now(), 'Apply review', 'system', :tenant, 'system', :definition, :instance, jsonb_object_agg(result, counted)
  from (select result, count(*) as counted
          from apply_results
         where tenant_id = :tenant and instance_id = :instance
         group by result) as tally;
commit;

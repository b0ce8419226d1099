-- Decides all items of a review's first stage at once: what the stage and the instance allow is read, the stage is held, and who did it
-- to how many is written down. The tenant and the identifiers are put in before it runs.
begin;
select set_config('attestry.tenant', '{tenant}', true);
select n.settings, n.resource_id from instances n where n.tenant_id = '{tenant}' and n.instance_id = '{instance}';
select s.stage_id, s.status, s.end_at
  from stages s
 where s.tenant_id = '{tenant}'
   and s.instance_id = '{instance}'
   and s.ordinal = 1
   and s.status = 'InProgress'
   for share;
with recorded as (
    insert into decisions
        (tenant_id, instance_id, ordinal, seq, decision, justification, decided_by_id, decided_by_name,
         decided_by_user_principal_name, decided_at, moves_on)
    select i.tenant_id, i.instance_id, 1, i.seq, 'Approve', 'All of them still work on it', '{actor}', 'The floor', '', now(), true
      from decision_items i
     where i.tenant_id = '{tenant}'
       and i.instance_id = '{instance}'
    returning 1
)
insert into events
    (tenant_id, at, activity, actor_kind, actor_id, actor_name, request_id, definition_id, instance_id, stage_id, after)
select '{tenant}', now(), 'Bulk approve decisions', 'application', '{actor}', 'The floor', gen_random_uuid(), '{definition}',
       '{instance}', '{stage}', jsonb_build_object('decision', 'Approve', 'items', count(*))
  from recorded;
commit;

-- Records a decision as a reviewer: everything the operation needs in one round trip, with plans that are kept.
--
-- The stage is held so that it cannot close between the check and the commit; the row that is replaced is told in the event.
create or replace function benchmark.record_decision(
    tenant uuid, definition uuid, instance uuid, item integer, person uuid, person_name text, person_user_principal_name text,
    verdict text, reason text
) returns boolean
    language plpgsql
as $$
declare
    found_instance record;
    found_stage record;
    found_item record;
    existing decisions;
    told jsonb;
    instant timestamptz;
begin
    perform set_config('attestry.tenant', tenant::text, true);
    select now() + t.clock_offset into instant from tenants t where t.tenant_id = tenant;
    select n.settings, n.resource_id into found_instance
      from instances n
     where n.tenant_id = tenant and n.instance_id = instance and n.definition_id = definition;
    select s.stage_id, s.ordinal, s.entry, s.status, s.end_at, s.decisions_that_will_move_to_next_stage as moves into found_stage
      from stages s
     where s.tenant_id = tenant and s.instance_id = instance and s.status = 'InProgress'
       for share;
    if found_stage.stage_id is null or found_stage.end_at <= instant then
        raise exception 'the stage takes no decisions';
    end if;
    select i.recommendations, i.cohort into found_item
      from decision_items i
     where i.tenant_id = tenant and i.instance_id = instance and i.seq = item
       and not exists (
               select from removed_items r where r.tenant_id = tenant and r.instance_id = instance and r.seq = item);
    if not reviews_item(tenant, instance, found_stage.ordinal, item, found_item.cohort, person) then
        raise exception 'not a reviewer of item %', item;
    end if;
    insert into decisions
        (tenant_id, instance_id, ordinal, seq, decision, justification, decided_by_id, decided_by_name,
         decided_by_user_principal_name, decided_at, moves_on)
    values (tenant, instance, found_stage.ordinal, item, verdict, reason, person, person_name, person_user_principal_name,
            instant, cardinality(found_stage.moves) = 0 or verdict = any(found_stage.moves))
    on conflict (tenant_id, instance_id, seq, ordinal) do nothing;
    if not found then
        select * into existing
          from decisions d
         where d.tenant_id = tenant and d.instance_id = instance and d.ordinal = found_stage.ordinal and d.seq = item
           for no key update;
        told := jsonb_build_object('decision', existing.decision, 'justification', existing.justification,
                                   'reviewedBy', existing.decided_by_id, 'reviewedDateTime', existing.decided_at);
        update decisions d
           set decision = verdict, justification = reason, decided_by_id = person, decided_by_name = person_name,
               decided_by_user_principal_name = person_user_principal_name, decided_at = instant,
               moves_on = cardinality(found_stage.moves) = 0 or verdict = any(found_stage.moves), replaced = null
         where d.tenant_id = tenant and d.instance_id = instance and d.ordinal = found_stage.ordinal and d.seq = item;
    end if;
    insert into events
        (tenant_id, at, activity, actor_kind, actor_id, actor_name, request_id, definition_id, instance_id, stage_id, item_seq,
         before, after)
    values (tenant, instant, case verdict when 'Approve' then 'Approve decision' else 'Deny decision' end, 'user', person,
            person_name, gen_random_uuid(), definition, instance, found_stage.stage_id, item, told,
            jsonb_build_object('decision', verdict, 'justification', reason, 'reviewedBy', person,
                               'reviewedDateTime', instant));
    return true;
end
$$;

-- From the first stage to the second: the first one closes, the second opens for its named reviewer. With `listed` only what was
-- denied moves on.
begin;
select set_config('attestry.tenant', :tenant, true);
select from definitions where tenant_id = :tenant and definition_id = :definition for no key update;
select from instances where tenant_id = :tenant and instance_id = :instance and status = 'InProgress' for no key update;
select from stages where tenant_id = :tenant and instance_id = :instance and ordinal = 1 and status = 'InProgress' for no key update;
update stages set status = 'Completed', version = version + 1 where tenant_id = :tenant and instance_id = :instance and ordinal = 1;
\if :listed
insert into stage_items (tenant_id, instance_id, ordinal, seq)
select :tenant, :instance, 2, d.seq
  from decisions d
 where d.tenant_id = :tenant
   and d.instance_id = :instance
   and d.ordinal = 1
   and d.decision = 'Deny';
\endif
insert into stages
    (tenant_id, instance_id, ordinal, stage_id, stage_count, status, start_at, end_at, reviewer_list_id,
     decisions_that_will_move_to_next_stage, recommendations_enabled, entry)
select tenant_id, instance_id, 2, gen_random_uuid(), stage_count, 'InProgress', now(), now() + interval '20 days', reviewer_list_id,
       decisions_that_will_move_to_next_stage, recommendations_enabled, case :listed::boolean when true then 'listed' else 'all' end
  from stages
 where tenant_id = :tenant and instance_id = :instance and ordinal = 1;
insert into stage_reviewers (tenant_id, instance_id, ordinal, reviewer_id, cohort) values (:tenant, :instance, 2, :reviewer, 0);
insert into stage_fallbacks (tenant_id, instance_id, ordinal, reviewer_id, cohort) values (:tenant, :instance, 2, :fallback, 0);
insert into contacted_reviewers (tenant_id, instance_id, reviewer_id, ordinal, contacted_at)
values (:tenant, :instance, :reviewer, 2, now());
update instances set version = version + 1 where tenant_id = :tenant and instance_id = :instance;
insert into jobs (tenant_id, job_id, kind, key, payload, due_at, run_at)
values (:tenant, gen_random_uuid(), 'close_stage', gen_random_uuid(), jsonb_build_object('instance', :instance::uuid),
        now() + interval '20 days', now() + interval '20 days');
insert into events (tenant_id, at, activity, actor_kind, actor_id, actor_name, definition_id, instance_id, before, after)
select :tenant, now(), 'Stage status changed', 'user', :reviewer, 'Administrator 1', :definition, :instance,
       '{"status": "Starting"}', '{"status": "InProgress"}'
  from generate_series(1, 7);
commit;

-- Opens an instance over all members of a group, nested ones included: its items, numbered by manager; the managers as reviewers, and
-- which cohorts are left to the fallback reviewer; who was told; the events. Every set is one insert-select.
begin;
select set_config('attestry.tenant', :tenant, true);
select from definitions where tenant_id = :tenant and definition_id = :definition for no key update;
select from instances where tenant_id = :tenant and instance_id = :instance and status = 'NotStarted' for no key update;
select from stages where tenant_id = :tenant and instance_id = :instance and ordinal = 1 for no key update;
with recursive reachable (group_id) as (
    select :group::uuid
     union
    select m.member_id
      from reachable r
      join group_members m on m.group_id = r.group_id and m.member_type = 'group' and m.tenant_id = :tenant
), found as (
    select distinct m.member_id
      from reachable r
      join group_members m on m.group_id = r.group_id and m.member_type = 'user' and m.tenant_id = :tenant
)
insert into decision_items
    (tenant_id, instance_id, seq, principal_id, principal_type, principal_name, principal_detail, direct_connect, cohort,
     last_sign_in_at, recommendations)
select :tenant, :instance, row_number() over (order by u.manager_id nulls first, lower(u.display_name), u.user_id), u.user_id, 'user',
       u.display_name, u.user_principal_name, false, dense_rank() over (order by u.manager_id nulls first),
       case when u.sign_in_known then coalesce(u.last_sign_in_at, '-infinity') end,
       -- of the stage, and of the default decision
       65 * case
                when not u.sign_in_known then 0
                when u.last_sign_in_at is null then case when u.created_at < :cutoff::timestamptz then 2 else 0 end
                when u.last_sign_in_at < :cutoff::timestamptz then 2
                else 1
            end
  from found f
  join users u on u.user_id = f.member_id and u.tenant_id = :tenant;
select write_item_pages(:tenant, :instance);
-- Whose reviewees a cohort's items are is the manager of any of them: nobody has moved since.
with named as materialized (
    select unnest(c.first_items[1 : cardinality(c.first_items) - 1]) as seq
      from item_cohorts c
     where c.tenant_id = :tenant and c.instance_id = :instance
), resolved as materialized (
    select i.cohort, m.user_id
      from (select x.cohort, x.principal_id
              from decision_items x
             where x.tenant_id = :tenant and x.instance_id = :instance and (x.seq in (select seq from named)) is true) as i
      join users u on u.tenant_id = :tenant and u.user_id = i.principal_id
      left join users m
        on m.tenant_id = :tenant
       and m.user_id = u.manager_id
       and m.account_enabled
       and m.external_user_state is distinct from 'PendingAcceptance'
), unassigned as (
    insert into stage_unassigned_cohorts (tenant_id, instance_id, ordinal, cohort)
    select :tenant, :instance, 1, cohort from resolved where user_id is null
), told as (
    insert into contacted_reviewers (tenant_id, instance_id, reviewer_id, ordinal, contacted_at)
    select :tenant, :instance, user_id, 1, now()
      from (select user_id from resolved where user_id is not null
             union
            select :fallback::uuid where exists (select from resolved where user_id is null)) as person
        on conflict do nothing
)
insert into stage_reviewers (tenant_id, instance_id, ordinal, reviewer_id, cohort)
select :tenant, :instance, 1, user_id, cohort from resolved where user_id is not null;
insert into stage_fallbacks (tenant_id, instance_id, ordinal, reviewer_id, cohort)
values (:tenant, :instance, 1, :fallback, 0);
update stages set status = 'InProgress', version = version + 1 where tenant_id = :tenant and instance_id = :instance and ordinal = 1;
update instances
   set status = 'InProgress',
       item_count = (select max(seq) from decision_items where tenant_id = :tenant and instance_id = :instance),
       version = version + 1
 where tenant_id = :tenant and instance_id = :instance;
update definitions set status = 'InProgress' where tenant_id = :tenant and definition_id = :definition;
insert into jobs (tenant_id, job_id, kind, key, payload, due_at, run_at)
values (:tenant, gen_random_uuid(), 'close_stage', gen_random_uuid(), '{}', now() + interval '60 days', now() + interval '60 days');
insert into events (tenant_id, at, activity, actor_kind, actor_id, actor_name, definition_id, instance_id, before, after)
select :tenant, now(), 'Instance status changed', 'system', :tenant, 'system', :definition, :instance,
       '{"status": "Starting"}', '{"status": "InProgress"}'
  from generate_series(1, 8);
commit;

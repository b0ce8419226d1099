-- Replaces the reviewers of a running stage by users and adds fallback reviewers; false, with nothing written, when a fallback
-- reviewer would be dropped. Everything the operation needs in one round trip, with plans that are kept, and only what differs
-- is written.
create or replace function benchmark.change_reviewers(
    tenant uuid, definition uuid, instance uuid, stage uuid, list uuid, people uuid[], fallbacks uuid[], actor uuid, actor_name text
) returns boolean
    language plpgsql
as $$
declare
    found_stage record;
    instant timestamptz;
    reviewers_before jsonb;
    fallbacks_before jsonb;
    is_assignable boolean;
begin
    perform set_config('attestry.tenant', tenant::text, true);
    select now() + t.clock_offset into instant from tenants t where t.tenant_id = tenant;
    -- the kind of the review, for the authorization
    select g.is_assignable_to_role into is_assignable
      from instances n
      left join groups g on g.tenant_id = n.tenant_id and g.group_id = n.resource_id
     where n.tenant_id = tenant and n.instance_id = instance and n.definition_id = definition;
    select s.ordinal, s.status, s.end_at into found_stage
      from stages s
     where s.tenant_id = tenant and s.stage_id = stage and s.instance_id = instance
       for no key update;
    if found_stage.status <> 'InProgress' or found_stage.end_at <= instant then
        raise exception 'the stage cannot be changed';
    end if;
    select jsonb_agg(r.query order by r.ordinal) filter (where r.role = 'primary'),
           jsonb_agg(r.query order by r.ordinal) filter (where r.role = 'fallback')
      into reviewers_before, fallbacks_before
      from reviewer_scopes r
     where r.tenant_id = tenant and r.reviewer_list_id = list;
    if exists (
        select
          from reviewer_scopes r
         where r.tenant_id = tenant and r.reviewer_list_id = list and r.role = 'fallback' and r.object_id <> all(fallbacks)) then
        return false;
    end if;
    if exists (
        select
          from unnest(people || fallbacks) as named (id)
         where not exists (select from users u where u.tenant_id = tenant and u.user_id = named.id)) then
        raise exception 'somebody is not in the directory';
    end if;
    delete from reviewer_scopes r
     where r.tenant_id = tenant and r.reviewer_list_id = list and r.role = 'primary' and r.object_id <> all(people);
    insert into reviewer_scopes
        (tenant_id, reviewer_list_id, role, ordinal, query, query_type, normalised_form, form, object_id)
    select tenant, list, wanted.role, wanted.ordinal, '/users/' || wanted.id, 'MicrosoftGraph', '/users/' || wanted.id, 'user',
           wanted.id
      from (select 'primary' as role, p.id, (p.n - 1)::integer as ordinal from unnest(people) with ordinality as p (id, n)
             union all
            select 'fallback', f.id, (f.n - 1)::integer from unnest(fallbacks) with ordinality as f (id, n)) as wanted
    on conflict (tenant_id, reviewer_list_id, role, normalised_form)
    do update set ordinal = excluded.ordinal where reviewer_scopes.ordinal <> excluded.ordinal;
    update stages s
       set version = version + 1, lists_edited = true
     where s.tenant_id = tenant and s.instance_id = instance and s.ordinal = found_stage.ordinal;
    delete from stage_reviewers r
     where r.tenant_id = tenant and r.instance_id = instance and r.ordinal = found_stage.ordinal and r.reviewer_id <> all(people);
    insert into stage_reviewers (tenant_id, instance_id, ordinal, reviewer_id, cohort)
    select tenant, instance, found_stage.ordinal, u.user_id, 0
      from users u
     where u.tenant_id = tenant and u.user_id = any(people) and u.account_enabled
       and u.external_user_state is distinct from 'PendingAcceptance'
    on conflict do nothing;
    insert into stage_fallbacks (tenant_id, instance_id, ordinal, reviewer_id, cohort)
    select tenant, instance, found_stage.ordinal, u.user_id, 0
      from users u
     where u.tenant_id = tenant and u.user_id = any(fallbacks) and u.account_enabled
       and u.external_user_state is distinct from 'PendingAcceptance'
    on conflict do nothing;
    delete from stage_unassigned_cohorts c
     where c.tenant_id = tenant and c.instance_id = instance and c.ordinal = found_stage.ordinal;
    delete from item_overrides o
     where o.tenant_id = tenant and o.instance_id = instance and o.ordinal = found_stage.ordinal;
    insert into contacted_reviewers (tenant_id, instance_id, reviewer_id, ordinal, contacted_at)
    select tenant, instance, person, found_stage.ordinal, instant
      from unnest(people) as person
    on conflict do nothing;
    insert into events
        (tenant_id, at, activity, actor_kind, actor_id, actor_name, request_id, definition_id, instance_id, stage_id, before, after)
    values (tenant, instant, 'Reviewers changed', 'user', actor, actor_name, gen_random_uuid(), definition, instance, stage,
            jsonb_build_object('reviewers', reviewers_before, 'fallbackReviewers', fallbacks_before),
            jsonb_build_object('reviewers', (select jsonb_agg('/users/' || person) from unnest(people) as person),
                               'fallbackReviewers', (select jsonb_agg('/users/' || person) from unnest(fallbacks) as person)));
    return true;
end
$$;

-- Updating the reviewers of a stage asked two dozen short questions, one after the other: on the way there and back, and beginning and
-- ending each of them, it spent three times what they took. Now what is judged is locked and read by one function, and what was judged is
-- stored by another. Their plans are kept, and nothing is judged here.

-- Locks a stage, its instance's key before it, and reads what an update of its reviewers is judged by; no row when there is no such
-- stage. `named` are objects of the directory that the update names; `missing` the positions, from 1, of those that are not there.
--
-- The lists are read by a statement of its own, which sees what those left who held the lock before.
create function stage_to_update(
    asked_tenant uuid, asked_definition uuid, asked_instance uuid, asked_stage uuid, named_kinds text[], named_objects uuid[]
) returns table (
    occurrence integer, instance_status text, instance_start_at timestamptz, instance_end_at timestamptz, ended_at timestamptz,
    scope jsonb, resource_id uuid, resource_type text, resource_name text, resource_detail_id uuid, resource_detail_name text,
    role_assignable boolean, settings jsonb, multi_stage boolean, item_count integer, item_prefix uuid, errors jsonb,
    instance_version bigint,
    ordinal smallint, stage_count smallint, status text, start_at timestamptz, end_at timestamptz,
    decisions_that_will_move_to_next_stage text[], recommendations_enabled boolean, entry text, version bigint,
    scopes json, missing bigint[]
)
    language plpgsql
    set plan_cache_mode = force_generic_plan
as $$
declare
    locked record;
begin
    select i.occurrence, i.status as instance_status, i.start_at as instance_start_at, i.end_at as instance_end_at, i.ended_at,
           i.scope, i.resource_id, i.resource_type, i.resource_name, i.resource_detail_id, i.resource_detail_name, i.settings,
           i.multi_stage, i.item_count, i.item_prefix, i.errors, i.version as instance_version,
           s.ordinal, s.stage_count, s.status, s.start_at, s.end_at, s.decisions_that_will_move_to_next_stage,
           s.recommendations_enabled, s.entry, s.version, s.reviewer_list_id
      into locked
      from stages s
      join instances i on i.tenant_id = s.tenant_id and i.instance_id = s.instance_id
     where s.tenant_id = asked_tenant
       and s.stage_id = asked_stage
       and s.instance_id = asked_instance
       and i.definition_id = asked_definition
       for key share of i
       for no key update of s;
    if not found then
        return;
    end if;
    return query
    select locked.occurrence, locked.instance_status, locked.instance_start_at, locked.instance_end_at, locked.ended_at,
           locked.scope, locked.resource_id, locked.resource_type, locked.resource_name, locked.resource_detail_id,
           locked.resource_detail_name,
           coalesce(
               (select g.is_assignable_to_role
                  from groups g
                 where locked.resource_type = 'Group'
                   and g.tenant_id = asked_tenant
                   and g.group_id = locked.resource_id), false),
           locked.settings, locked.multi_stage, locked.item_count, locked.item_prefix, locked.errors, locked.instance_version,
           locked.ordinal, locked.stage_count, locked.status, locked.start_at, locked.end_at,
           locked.decisions_that_will_move_to_next_stage, locked.recommendations_enabled, locked.entry, locked.version,
           coalesce(
               (select json_agg(stored)
                  from (select r.reviewer_list_id, r.role, r.query, r.query_type, r.query_root, r.form, r.object_id,
                               r.owner_user_type, r.owner_country, r.scope_type, r.reviewer_id, r.query_sent
                          from reviewer_scopes r
                         where r.tenant_id = asked_tenant
                           and r.reviewer_list_id = locked.reviewer_list_id
                         order by r.role, r.ordinal) as stored), '[]'),
           array(
               select named.position
                 from unnest(named_kinds, named_objects) with ordinality as named (kind, object_id, position)
                where not case named.kind
                    when 'user' then exists (
                        select
                          from users u
                         where u.tenant_id = asked_tenant
                           and u.user_id = named.object_id)
                    when 'servicePrincipalOwners' then exists (
                        select
                          from service_principals p
                         where p.tenant_id = asked_tenant
                           and p.service_principal_id = named.object_id)
                    else exists (
                        select
                          from groups g
                         where g.tenant_id = asked_tenant
                           and g.group_id = named.object_id)
                    end);
end
$$;

-- Records everyone of these who was not recorded for the stage before, and returns how many that were. With `mail`, enqueues one mail of
-- that kind for each of them, at most once per stage and person. LC-SUPD-22, LC-NOTE-08
create function contact_people(
    asked_tenant uuid, asked_instance uuid, asked_ordinal smallint, people uuid[], asked_at timestamptz, mail text
) returns bigint
    language plpgsql
    set plan_cache_mode = force_generic_plan
as $$
declare
    newcomers uuid[];
begin
    with fresh as (
        insert into contacted_reviewers (tenant_id, instance_id, reviewer_id, ordinal, contacted_at)
        select asked_tenant, asked_instance, p.person, asked_ordinal, asked_at
          from unnest(people) as p (person)
        on conflict do nothing
        returning reviewer_id
    )
    select array_agg(fresh.reviewer_id) into newcomers from fresh;
    if mail is not null and newcomers is not null then
        insert into jobs (tenant_id, job_id, kind, key, payload, due_at, run_at)
        select asked_tenant, gen_random_uuid(), 'send_mail',
               concat_ws('/', mail, asked_instance, asked_ordinal, p.person),
               jsonb_build_object('kind', 'send_mail', 'mail', mail, 'instance', asked_instance, 'ordinal', asked_ordinal,
                                  'recipient', p.person),
               asked_at, now()
          from unnest(newcomers) as p (person)
        on conflict do nothing;
    end if;
    return coalesce(cardinality(newcomers), 0);
end
$$;

-- Makes the stored scopes of a list equal to these, but for fallback rows, which are never deleted while their owner lives (LC-INV-03).
-- Only what differs is written.
create function replace_reviewer_scopes(
    asked_tenant uuid, asked_list uuid, roles text[], ordinals integer[], queries text[], query_types text[], query_roots text[],
    normalised_forms text[], forms text[], objects uuid[], owner_user_types text[], owner_countries text[], scope_types text[],
    reviewers text[], queries_sent boolean[]
) returns void
    language plpgsql
    set plan_cache_mode = force_generic_plan
as $$
begin
    delete from reviewer_scopes r
     where r.tenant_id = asked_tenant
       and r.reviewer_list_id = asked_list
       and r.role = 'primary'
       and not exists (
               select
                 from unnest(roles, normalised_forms) as wanted (role, normalised_form)
                where wanted.role = 'primary'
                  and wanted.normalised_form = r.normalised_form);
    insert into reviewer_scopes
        (tenant_id, reviewer_list_id, role, ordinal, query, query_type, query_root, normalised_form, form, object_id,
         owner_user_type, owner_country, scope_type, reviewer_id, query_sent)
    select distinct on (wanted.role, wanted.normalised_form)
           asked_tenant, asked_list, wanted.role, wanted.ordinal, wanted.query, wanted.query_type, wanted.query_root,
           wanted.normalised_form, wanted.form, wanted.object_id, wanted.owner_user_type, wanted.owner_country,
           wanted.scope_type, wanted.reviewer_id, wanted.query_sent
      from unnest(roles, ordinals, queries, query_types, query_roots, normalised_forms, forms, objects, owner_user_types,
                  owner_countries, scope_types, reviewers, queries_sent)
           as wanted (role, ordinal, query, query_type, query_root, normalised_form, form, object_id, owner_user_type,
                      owner_country, scope_type, reviewer_id, query_sent)
     order by wanted.role, wanted.normalised_form, wanted.ordinal
    on conflict (tenant_id, reviewer_list_id, role, normalised_form)
    do update set ordinal = excluded.ordinal where reviewer_scopes.ordinal <> excluded.ordinal;
end
$$;

-- Stores the lists of a locked stage, its version and the events of the changes. With `most`, replaces the stage's reviewers by those
-- whom the lists name and records newcomers; to be asked for only where every item has the same reviewers. Returns whether the
-- reviewers are settled; not, and they stay as they were, without `most`, where nobody is named, and where more than `most` are.
create function change_stage_reviewers(
    asked_tenant uuid, asked_instance uuid, asked_ordinal smallint, asked_list uuid, asked_version bigint, asked_at timestamptz,
    roles text[], ordinals integer[], queries text[], query_types text[], query_roots text[], normalised_forms text[],
    forms text[], objects uuid[], owner_user_types text[], owner_countries text[], scope_types text[], reviewers text[],
    queries_sent boolean[],
    actor_kinds text[], actors uuid[], actor_names text[], requests uuid[], activities text[], definitions uuid[],
    instances uuid[], stages uuid[], items integer[], befores jsonb[], afters jsonb[],
    resource uuid, most bigint, mail text
) returns boolean
    language plpgsql
    set plan_cache_mode = force_generic_plan
as $$
declare
    primaries uuid[];
    fallbacks uuid[];
begin
    perform replace_reviewer_scopes(
        asked_tenant, asked_list, roles, ordinals, queries, query_types, query_roots, normalised_forms, forms, objects,
        owner_user_types, owner_countries, scope_types, reviewers, queries_sent);
    update stages s
       set version = asked_version,
           lists_edited = true
     where s.tenant_id = asked_tenant
       and s.instance_id = asked_instance
       and s.ordinal = asked_ordinal;
    insert into events
        (tenant_id, at, activity, actor_kind, actor_id, actor_name, request_id, definition_id, instance_id, stage_id, item_seq,
         before, after)
    select asked_tenant, asked_at, e.activity, e.actor_kind, e.actor_id, e.actor_name, e.request_id, e.definition_id,
           e.instance_id, e.stage_id, e.item_seq, e.before, e.after
      from unnest(actor_kinds, actors, actor_names, requests, activities, definitions, instances, stages, items, befores, afters)
           with ordinality
           as e (actor_kind, actor_id, actor_name, request_id, activity, definition_id, instance_id, stage_id, item_seq,
                 before, after, position)
     order by e.position;
    if most is null then
        return false;
    end if;
    select coalesce(array_agg(n.user_id) filter (where n.role = 'primary'), '{}'),
           coalesce(array_agg(n.user_id) filter (where n.role = 'fallback'), '{}')
      into primaries, fallbacks
      from named_reviewers(asked_tenant, asked_list, resource) as n;
    if cardinality(primaries) not between 1 and most or cardinality(fallbacks) > most then
        return false;
    end if;
    delete from stage_reviewers r
     where r.tenant_id = asked_tenant
       and r.instance_id = asked_instance
       and r.ordinal = asked_ordinal
       and (r.cohort <> 0 or r.reviewer_id <> all(primaries));
    insert into stage_reviewers (tenant_id, instance_id, ordinal, reviewer_id, cohort)
    select asked_tenant, asked_instance, asked_ordinal, p.person, 0
      from unnest(primaries) as p (person)
    on conflict do nothing;
    delete from stage_fallbacks f
     where f.tenant_id = asked_tenant
       and f.instance_id = asked_instance
       and f.ordinal = asked_ordinal
       and (f.cohort <> 0 or f.reviewer_id <> all(fallbacks));
    insert into stage_fallbacks (tenant_id, instance_id, ordinal, reviewer_id, cohort)
    select asked_tenant, asked_instance, asked_ordinal, p.person, 0
      from unnest(fallbacks) as p (person)
    on conflict do nothing;
    -- Where somebody reviews every item, nothing is left to fallback reviewers, and no item has reviewers of its own.
    delete from stage_unassigned_cohorts c
     where c.tenant_id = asked_tenant
       and c.instance_id = asked_instance
       and c.ordinal = asked_ordinal;
    delete from item_overrides o
     where o.tenant_id = asked_tenant
       and o.instance_id = asked_instance
       and o.ordinal = asked_ordinal;
    perform contact_people(asked_tenant, asked_instance, asked_ordinal, primaries, asked_at, mail);
    return true;
end
$$;

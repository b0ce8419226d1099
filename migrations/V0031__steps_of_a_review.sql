-- Moving a review along takes few round trips: a thousand stages may end within a second.

-- An event asked for its tenant once for each row. The unit of work that writes it has read its tenant, the wall admits rows of no other,
-- and nobody deletes a tenant.
alter table events drop constraint events_tenant_id_fkey;

-- Locks the definition, the instance and one of its stages, in this order, and reads what a step of the review needs, each as it is once
-- its lock is held: in PL/pgSQL every statement sees what was committed before it. The stage is told by its id or by its number; with
-- neither none is locked. No row when the definition or the instance is gone. Judges nothing.
--
-- Rows come as JSON, by the names of their columns. Generic plans: each statement touches few rows.
create function lock_review(tenant uuid, instance uuid, asked_stage uuid, asked_ordinal smallint, statuses text[])
    returns table (
        locked_definition json, stage_settings_of_it json, reviewer_scopes_of_it json, locked_instance json, locked_stage json,
        progress_of_others json
    )
    language plpgsql
    set plan_cache_mode = force_generic_plan
as $$
declare
    d definitions%rowtype;
    n instances%rowtype;
    s stages%rowtype;
begin
    select x.*
      into d
      from definitions x
     where x.tenant_id = tenant
       and x.definition_id = (select i.definition_id from instances i where i.tenant_id = tenant and i.instance_id = instance)
       for no key update of x;
    if not found then
        return;
    end if;
    select x.*
      into n
      from instances x
     where x.tenant_id = tenant
       and x.instance_id = instance
       for no key update;
    if not found then
        return;
    end if;
    if asked_stage is not null or asked_ordinal is not null then
        select x.*
          into s
          from stages x
         where x.tenant_id = tenant
           and x.instance_id = instance
           and (x.stage_id = asked_stage or x.ordinal = asked_ordinal)
           for no key update;
    end if;
    return query
    select row_to_json(d),
           (select json_agg(x order by x.ordinal)
              from stage_settings x
             where x.tenant_id = tenant
               and x.definition_id = d.definition_id),
           (select json_agg(x order by x.reviewer_list_id, x.role, x.ordinal)
              from reviewer_scopes x
             where x.tenant_id = tenant
               and x.reviewer_list_id = any(array(
                       select d.reviewer_list_id
                        union all
                       select l.reviewer_list_id
                         from stage_settings l
                        where l.tenant_id = tenant
                          and l.definition_id = d.definition_id))),
           row_to_json(n),
           case
               when s.stage_id is not null
               then (select row_to_json(x) from (select s.*, n.definition_id) as x)
           end,
           -- for every status that another instance has, the latest occurrence with one
           (select json_agg(json_build_object('occurrence', latest.occurrence, 'status', asked.status))
              from unnest(statuses) as asked (status)
             cross join lateral (
                       select x.occurrence
                         from instances x
                        where x.tenant_id = tenant
                          and x.definition_id = d.definition_id
                          and x.status = asked.status
                          and x.instance_id <> instance
                        order by x.occurrence desc
                        limit 1) as latest);
end
$$;

-- Which groups are members of a group was looked for among all its members; carrying decisions out asks that of every step.
create index group_members_that_are_groups on group_members (tenant_id, group_id, member_id) where member_type = 'group';

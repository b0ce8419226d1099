-- $1 tenant, $2 instance, $3 id of the copy: the same instance of the definition's next occurrence, as it was before it opened.
with copied as (
    insert into instances
    select made.*
      from instances i
     cross join lateral jsonb_populate_record(
                    i, jsonb_build_object('instance_id', $3, 'occurrence', i.occurrence + 1, 'status', 'NotStarted', 'item_count', 0,
                                          'version', 1)) as made
     where i.tenant_id = $1
       and i.instance_id = $2
    returning instance_id
), planned as (
    insert into planned_stages
    select made.*
      from planned_stages p
     cross join lateral jsonb_populate_record(p, jsonb_build_object('instance_id', $3)) as made
     where p.tenant_id = $1
       and p.instance_id = $2
)
insert into stages
select made.*
  from stages s
 cross join lateral jsonb_populate_record(
                s, jsonb_build_object('instance_id', $3, 'stage_id', gen_random_uuid(), 'status', 'NotStarted', 'version', 1)) as made
 where s.tenant_id = $1
   and s.instance_id = $2
   and s.ordinal = 1

-- $1 tenant. Where the floor finds the running stages of the small reviews.
insert into benchmark.small_stages (number, definition_id, instance_id, stage_id, reviewer_list_id)
select row_number() over (order by s.stage_id), i.definition_id, i.instance_id, s.stage_id, s.reviewer_list_id
  from definitions d
  join instances i using (tenant_id, definition_id)
  join stages s using (tenant_id, instance_id)
 where d.tenant_id = $1
   and d.display_name like 'small review %'
   and s.ordinal = 1

-- By how many seconds each instance of which the stage was to end was completed too late.
select extract(epoch from max(e.recorded_at) - d.ends_at)::double precision as late
  from benchmark.due d
  join events e on e.tenant_id = d.tenant_id and e.instance_id = d.instance_id
 where e.recorded_at > d.ends_at - interval '3 seconds'
 group by d.tenant_id, d.instance_id, d.ends_at
having bool_or(e.after ->> 'status' = 'Completed')
 order by late

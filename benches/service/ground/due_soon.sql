-- $1 how many stages, of as many tenants as can be, end within the second that begins in three seconds.
with soon as materialized (
    select now() + interval '3 seconds' as at
), chosen as materialized (
    select j.tenant_id, j.job_id, (j.payload ->> 'instance')::uuid as instance_id,
           soon.at + random() * interval '1 second' as ends_at
      from jobs j, soon
     where j.kind = 'close_stage'
       and j.finished_at is null
     order by random()
     limit $1
), stages_soon as (
    update stages s
       set end_at = c.ends_at
      from chosen c
     where s.tenant_id = c.tenant_id
       and s.instance_id = c.instance_id
), jobs_soon as (
    update jobs j
       set due_at = c.ends_at, run_at = c.ends_at
      from chosen c
     where j.tenant_id = c.tenant_id
       and j.job_id = c.job_id
    returning j.tenant_id
), forgotten as (
    delete from benchmark.due
)
insert into benchmark.due (tenant_id, instance_id, ends_at)
select tenant_id, instance_id, ends_at from chosen

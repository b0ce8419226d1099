-- Takes back that the second stage of an instance began.
do $$
declare
    tenant constant uuid := current_setting('benchmark.tenant')::uuid;
    instance constant uuid := current_setting('benchmark.instance')::uuid;
begin
    delete from jobs j
     where j.tenant_id = tenant
       and j.kind = 'close_stage'
       and j.finished_at is null
       and (j.payload ->> 'instance')::uuid = instance
       and (j.payload ->> 'stage')::uuid is distinct from (
               select stage_id from stages where tenant_id = tenant and instance_id = instance and ordinal = 1);
    delete from stage_items where tenant_id = tenant and instance_id = instance and ordinal = 2;
    delete from stage_reviewers where tenant_id = tenant and instance_id = instance and ordinal = 2;
    delete from stage_fallbacks where tenant_id = tenant and instance_id = instance and ordinal = 2;
    delete from contacted_reviewers where tenant_id = tenant and instance_id = instance and ordinal = 2;
    delete from stages where tenant_id = tenant and instance_id = instance and ordinal = 2;
    update stages set status = 'InProgress' where tenant_id = tenant and instance_id = instance and ordinal = 1;
end
$$

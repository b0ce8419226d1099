-- A filter on applyResult, and the order by it, find the few items with a rare result. Without seq, as decisions_by_verdict.
create index apply_results_by_result on apply_results (tenant_id, instance_id, result);

-- Items of principals who were deleted for good while the review was running: they are not shown any more, and nothing is decided
-- or applied for them; events keep them (LC-APPLY-15). Sparse. Items themselves are immutable.
create table removed_items (
    tenant_id uuid not null,
    instance_id uuid not null,
    seq integer not null,
    primary key (tenant_id, instance_id, seq),
    foreign key (tenant_id, instance_id) references instances on delete cascade
);
select raise_tenant_wall('removed_items');

-- Whether a stage holds an item, by the stage's way of telling its items (LC-STAGE-36), and unless it was removed.
create or replace function stage_holds_item(tenant uuid, instance uuid, stage smallint, entry text, item integer) returns boolean
    language sql stable
    return not exists (
        select
          from removed_items r
         where r.tenant_id = tenant
           and r.instance_id = instance
           and r.seq = item)
       and case entry
        when 'all' then true
        when 'remaining' then not exists (
            select
              from decisions d
             where d.tenant_id = tenant
               and d.instance_id = instance
               and d.ordinal between 1 and stage - 1
               and d.seq = item
               and not d.moves_on)
        else exists (
            select
              from stage_items s
             where s.tenant_id = tenant
               and s.instance_id = instance
               and s.ordinal = stage
               and s.seq = item)
    end;

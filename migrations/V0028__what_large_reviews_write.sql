-- What a large review writes for each of its items and decisions, made less.
--
-- A foreign key asks for its instance once for each row, which was a third of the time of deciding many items. These rows are written only
-- while their instance or their stage is locked, and whoever deletes an instance deletes them with it.
alter table decision_items drop constraint decision_items_tenant_id_instance_id_fkey;
alter table decisions drop constraint decisions_tenant_id_instance_id_fkey;
alter table stage_items drop constraint stage_items_tenant_id_instance_id_fkey;
alter table stage_reviewers drop constraint stage_reviewers_tenant_id_instance_id_fkey;
alter table item_overrides drop constraint item_overrides_tenant_id_instance_id_fkey;
alter table apply_results drop constraint apply_results_tenant_id_instance_id_fkey;

-- Filters by verdict and by who decided share one index: of a person's decisions it is asked once for each of the three verdicts.
drop index decisions_by_verdict;
drop index decisions_by_decider;
create index decisions_by_verdict on decisions (tenant_id, instance_id, decision, decided_by_id);

-- What happened to a single item is found by its instance.
drop index events_by_definition;
create index events_by_definition on events (tenant_id, definition_id, event_id) where item_seq is null;

-- Text of reports is compressed by the faster of the two ways, where the server has it.
do $$
begin
    alter table history_pieces alter column content set compression lz4;
exception
    when feature_not_supported then null;
end
$$;

-- As before, but what an item is held by is asked in the statement itself: a function for each item took ten times as long as reading it.
create or replace function selected_items(
    tenant uuid, instance uuid, stage smallint, entry text, every boolean, cohorts integer[], items integer[],
    except_items integer[], principal uuid
) returns table (seq integer, recommendation smallint)
    language sql stable
as $$
    select i.seq, coalesce(i.recommendations[stage], 0::smallint)
      from (
            select d.seq, d.principal_id, d.recommendations
              from decision_items d
             where d.tenant_id = tenant
               and d.instance_id = instance
               and every
             union all
            select d.seq, d.principal_id, d.recommendations
              from (
                    select c.seq
                      from unnest(cohorts) as wanted (cohort)
                      join decision_items c
                        on c.tenant_id = tenant
                       and c.instance_id = instance
                       and c.cohort = wanted.cohort
                     where c.seq not in (select unnest(except_items))
                     union
                    select unnest(items)) as reached
              join decision_items d
                on d.tenant_id = tenant
               and d.instance_id = instance
               and d.seq = reached.seq
             where not every) as i
     where (principal is null or i.principal_id = principal)
       and (i.seq in (select r.seq from removed_items r where r.tenant_id = tenant and r.instance_id = instance)) is not true
       -- LC-STAGE-36. For all items what is asked is looked up in a table that is made once; for a reviewer's own, one by one.
       and case
           when entry = 'all' then true
           when entry = 'remaining' and every then (i.seq in (
               select d.seq
                 from decisions d
                where d.tenant_id = tenant
                  and d.instance_id = instance
                  and d.ordinal between 1 and stage - 1
                  and not d.moves_on)) is not true
           when every then (i.seq in (
               select s.seq
                 from stage_items s
                where s.tenant_id = tenant
                  and s.instance_id = instance
                  and s.ordinal = stage)) is true
           else stage_holds_item(tenant, instance, stage, entry, i.seq)
       end
$$;

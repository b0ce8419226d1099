-- What a large review writes for each of its items and decisions, made less.
--
-- A foreign key asks for its instance once for each row, which was a third of the time of deciding many items. These rows are written only
-- while their instance or their stage is locked, and whoever deletes an instance deletes them with it.
alter table decision_items drop constraint decision_items_tenant_id_instance_id_fkey;
alter table decisions drop constraint decisions_tenant_id_instance_id_fkey;
alter table stage_items drop constraint stage_items_tenant_id_instance_id_fkey;
alter table stage_reviewers drop constraint stage_reviewers_tenant_id_instance_id_fkey;
alter table item_overrides drop constraint item_overrides_tenant_id_instance_id_fkey;

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

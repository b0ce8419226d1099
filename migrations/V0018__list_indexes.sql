-- What the filters and orders of lists are served by.
-- Names are compared and ordered without regard to case.
drop index definitions_by_display_name;
create index definitions_by_display_name on definitions (tenant_id, lower(display_name), definition_id);
create index definitions_by_modified_at on definitions (tenant_id, modified_at desc, definition_id);
create index instances_by_end on instances (tenant_id, definition_id, end_at, instance_id);
create index decision_items_by_principal on decision_items (tenant_id, instance_id, principal_id);
-- Without seq, as decision_items_by_cohort: many equal keys also pack into little space.
create index decisions_by_verdict on decisions (tenant_id, instance_id, decision);
create index decisions_by_decider on decisions (tenant_id, instance_id, decided_by_id);

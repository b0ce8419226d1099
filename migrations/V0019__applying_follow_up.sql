-- A filter on applyResult, and the order by it, find the few items with a rare result. Without seq, as decisions_by_verdict.
create index apply_results_by_result on apply_results (tenant_id, instance_id, result);

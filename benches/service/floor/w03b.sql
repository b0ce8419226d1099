-- Two reviewers out of fifty for one of a thousand stages.
\set number random(1, :stages)
\set first random(1, 50)
\set second (:first + random(1, 49) - 1) % 50 + 1
select benchmark.change_reviewers(
    :tenant, s.definition_id, s.instance_id, s.stage_id, s.reviewer_list_id,
    array[(lpad(to_hex(:first::bigint * :step), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(:first::bigint), 12, '0'))::uuid,
          (lpad(to_hex(:second::bigint * :step), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(:second::bigint), 12, '0'))::uuid],
    array[:fallback::uuid], :actor, 'Administrator 1')
  from benchmark.small_stages s
 where s.number = :number;

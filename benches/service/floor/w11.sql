-- Two reviewers out of some for the one stage of a tenant that has named reviewers.
\set first random(1, :people)
\set second (:first + random(1, :people - 1) - 1) % :people + 1
select benchmark.change_reviewers(
    :tenant, :named_definition, :named_instance, :stage, :list,
    array[(lpad(to_hex(:first::bigint * :step), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(:first::bigint), 12, '0'))::uuid,
          (lpad(to_hex(:second::bigint * :step), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(:second::bigint), 12, '0'))::uuid],
    array[:fallback::uuid], :actor, 'Administrator 1');

-- Two reviewers out of fifty for one and the same stage; one of eight forgets the fallback reviewer and is refused.
\set first random(1, 50)
\set second (:first + random(1, 49) - 1) % 50 + 1
\set drops random(0, 7)
select benchmark.change_reviewers(
    :tenant, :definition, :instance, :stage, :list,
    array[(lpad(to_hex(:first::bigint * :step), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(:first::bigint), 12, '0'))::uuid,
          (lpad(to_hex(:second::bigint * :step), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(:second::bigint), 12, '0'))::uuid],
    case :drops::integer when 0 then '{}' else array[:fallback::uuid] end,
    :actor, 'Administrator 1');

-- One decision of somebody's own item: half of them by the reviewer with the most items, half by any of many with few.
\set largest random(0, 1)
\if :largest
\set manager :small + 1
\set seq random(:first_of_largest, :items)
\else
\set manager random(1, :reviewers) * :stride
\set seq (:manager - 1) * :items_per_manager + random(1, :items_per_manager)
\endif
\set approves random(0, 9)
select benchmark.record_decision(:tenant, :definition, :instance, :seq,
                                 (lpad(to_hex(:manager::bigint * :step), 8, '0') || '-0000-4000-8000-'
                                  || lpad(to_hex(:manager::bigint), 12, '0'))::uuid,
                                 'User ' || :manager::text, :manager || '@large.example',
                                 case :approves::integer when 0 then 'Deny' else 'Approve' end, 'Still works on it');

-- $1 tenant, $2 how many, $3 managers with few of them (the next one has the rest), $4 how far apart the managers' ids are,
-- $5 how few
insert into users (tenant_id, user_id, user_principal_name, display_name, mail, department, job_title, created_at, manager_id,
                   sign_in_known, last_sign_in_at)
select $1, md5('member' || n)::uuid, 'member' || n || '@large.example', 'Member ' || n, 'member' || n || '@large.example',
       'Department ' || manager % 500, 'Engineer', now() - interval '2 years',
       (lpad(to_hex(manager * $4), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(manager), 12, '0'))::uuid,
       true, now() - n % 90 * interval '1 day'
  from (select n, least((n - 1) / $5 + 1, $3 + 1) as manager from generate_series(1::bigint, $2::bigint) as n) as member

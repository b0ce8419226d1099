-- $1 tenant, $2 how many, $3 how far apart the first eight digits of their ids are
insert into users (tenant_id, user_id, user_principal_name, display_name, mail, department, job_title, created_at,
                   sign_in_known, last_sign_in_at)
select $1, (lpad(to_hex(n * $3), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
       'manager' || n || '@large.example', 'Manager ' || n, 'manager' || n || '@large.example', 'Department ' || n % 500,
       'Manager', now() - interval '3 years', true, now() - n % 20 * interval '1 day'
  from generate_series(1::bigint, $2::bigint) as n

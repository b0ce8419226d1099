-- $1 tenant, $2 ids
insert into users (tenant_id, user_id, user_principal_name, display_name, mail, created_at, sign_in_known, last_sign_in_at)
select $1, id, 'administrator' || n || '@large.example', 'Administrator ' || n, 'administrator' || n || '@large.example',
       now() - interval '3 years', true, now() - interval '1 day'
  from unnest($2::uuid[]) with ordinality as administrator (id, n)

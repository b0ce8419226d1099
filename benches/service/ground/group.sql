-- $1 tenant, $2 group, $3 members
with made as (
    insert into groups (tenant_id, group_id, display_name, group_types) values ($1, $2, 'Everybody', '{Unified}')
    returning tenant_id, group_id
)
insert into group_members (tenant_id, group_id, member_id, member_type)
select tenant_id, group_id, md5('member' || n)::uuid, 'user'
  from made, generate_series(1::bigint, $3::bigint) as n

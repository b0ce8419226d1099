-- Copies of a tenant, numbered from `first` on: every row of every table, but for the tenant's id and names. Ids within a tenant stay
-- the same. Foreign keys are not looked at: a copy has what its original has.
drop function if exists benchmark.copy_tenant(uuid, text, bigint);
create or replace function benchmark.copy_tenant(original uuid, prefix text, copies bigint, first bigint default 1) returns void
    language plpgsql
as $$
declare
    copied record;
begin
    set local session_replication_role = replica;
    insert into tenants (tenant_id, slug, display_name, sandbox, clock_offset, page_key, created_at)
    select md5(prefix || n)::uuid, prefix || n, prefix || n, t.sandbox, t.clock_offset, t.page_key, t.created_at
      from tenants t, generate_series(first, first + copies - 1) as n
     where t.tenant_id = original;
    insert into tenant_issuers
    select made.*
      from tenant_issuers i
     cross join lateral (select md5(prefix || n)::uuid as tenant from generate_series(first, first + copies - 1) as n) as copy
     cross join lateral jsonb_populate_record(
                    i, jsonb_build_object('tenant_id', copy.tenant, 'issuer_id', copy.tenant, 'tenant_value', copy.tenant,
                                          'issuer', replace(i.issuer, original::text, copy.tenant::text))) as made
     where i.tenant_id = original;
    for copied in
        select c.oid::regclass as name,
               string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns
          from pg_class c
          join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attidentity = ''
         where c.relnamespace = 'public'::regnamespace
           and c.relkind = 'r'
           and c.relname not in ('tenants', 'tenant_issuers', 'development_keys')
           and a.attname <> 'tenant_id'
           and exists (select from pg_attribute t where t.attrelid = c.oid and t.attname = 'tenant_id')
         group by c.oid
         order by c.oid
    loop
        execute format('insert into %1$s (tenant_id, %2$s)
            select md5($2 || n)::uuid, %2$s from generate_series($3, $3 + $4 - 1) as n, %1$s where tenant_id = $1',
            copied.name, copied.columns) using original, prefix, first, copies;
    end loop;
end
$$;

-- The second layer of the wall between tenants: every query carries the tenant, and the database refuses the rest.
do $$
declare
    walled text;
begin
    for walled in
        select c.relname
          from pg_class c
          join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
         where c.relnamespace = 'public'::regnamespace
           and c.relkind in ('r', 'p')
           and c.relname not in ('tenants', 'tenant_issuers', 'development_keys')
    loop
        execute format('alter table %I enable row level security', walled);
        execute format('alter table %I force row level security', walled);
        execute format('create policy tenant_wall on %I for all to attestry_service
            using (tenant_id = attestry_tenant()) with check (tenant_id = attestry_tenant())', walled);
        execute format('grant select, insert, update, delete on %I to attestry_service', walled);
    end loop;
end
$$;

revoke update, delete on events from attestry_service;

-- Workers of all tenants claim from this one table; what a job does, it does as the service within its tenant.
create policy claimed_by_workers on jobs for all to attestry_worker using (true) with check (true);
grant select, update on jobs to attestry_worker;

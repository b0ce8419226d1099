-- For the tables that later migrations add: the same wall as V0007 builds around the first ones. Migrations call it; nobody else may.
create function raise_tenant_wall(walled regclass) returns void
    language plpgsql as $$
begin
    execute format('alter table %s enable row level security', walled);
    execute format('alter table %s force row level security', walled);
    execute format('create policy tenant_wall on %s for all to attestry_service
        using (tenant_id = attestry_tenant()) with check (tenant_id = attestry_tenant())', walled);
    execute format('grant select, insert, update, delete on %s to attestry_service', walled);
end
$$;
revoke all on function raise_tenant_wall(regclass) from public;

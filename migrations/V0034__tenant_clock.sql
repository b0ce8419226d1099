-- The tenant's clock, which every unit of work reads when it begins. In PL/pgSQL because its plan is kept: asked as text, the question is
-- planned anew each time, which takes several times as long as answering it. Null when there is no such tenant.
create function tenant_clock(tenant uuid) returns timestamptz
    language plpgsql stable
as $$
begin
    return (select now() + t.clock_offset from tenants t where t.tenant_id = tenant);
end
$$;

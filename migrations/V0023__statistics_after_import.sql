-- The planner must not take a directory imported a moment ago for an empty one until autovacuum comes by. The service owns no
-- table, so it may ask for this and nothing else. Also here: callers who are applications are looked up by their application id.
create function analyze_directory() returns void
    language plpgsql security definer
    set search_path = pg_catalog, public, pg_temp
as $$
begin
    analyze public.users, public.groups, public.group_members, public.group_owners, public.service_principals,
            public.service_principal_owners, public.app_role_assignments, public.role_assignments, public.role_eligibilities,
            public.application_sign_ins;
end
$$;
revoke all on function analyze_directory() from public;
grant execute on function analyze_directory() to attestry_service;

create index service_principals_by_app_id on service_principals (tenant_id, app_id);

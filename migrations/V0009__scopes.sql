-- Scopes of every type, not only queries: the value as it was sent is one JSON value, and scope_query is the copy of its query
-- that filters search. A scope that is no query has none (A-10).
-- The rewrite by `using` reaches every row, also where row-level security is forced on the owner who migrates.
alter table definitions add column scope jsonb;
alter table definitions
    alter column scope type jsonb using jsonb_build_object('kind', 'query', 'query', scope_query, 'queryRoot', scope_query_root,
                                                           'inactiveDuration', scope_inactive_duration),
    alter column scope_query drop not null;
alter table definitions
    alter column scope set not null,
    drop column scope_query_type,
    drop column scope_query_root,
    drop column scope_inactive_duration;

alter table instances add column scope jsonb;
alter table instances
    alter column scope type jsonb using jsonb_build_object('kind', 'query', 'query', scope_query, 'queryRoot', scope_query_root,
                                                           'inactiveDuration', scope_inactive_duration),
    alter column scope_query drop not null;
alter table instances
    alter column scope set not null,
    drop column scope_query_type,
    drop column scope_query_root,
    drop column scope_inactive_duration;

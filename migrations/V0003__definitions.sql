-- The blueprint. Columns for what is filtered, ordered or joined on; the rest of the settings is one JSON value.
create table reviewer_lists (
    tenant_id uuid not null references tenants,
    reviewer_list_id uuid not null,
    primary key (tenant_id, reviewer_list_id)
);

create table reviewer_scopes (
    tenant_id uuid not null,
    reviewer_list_id uuid not null,
    role text not null,
    ordinal integer not null,
    query text not null,
    query_type text not null,
    query_root text,
    -- what the query means, in one spelling: equal forms are the same reviewer (LC-SUPD-07)
    normalised_form text not null,
    -- the form's parts, for set-wise resolution
    form text not null,
    object_id uuid,
    owner_user_type text,
    owner_country text,
    primary key (tenant_id, reviewer_list_id, role, normalised_form),
    foreign key (tenant_id, reviewer_list_id) references reviewer_lists on delete cascade,
    constraint reviewer_scopes_role check (role in ('primary', 'fallback')),
    constraint reviewer_scopes_form check (form in
        ('user', 'groupMembers', 'groupOwners', 'resourceOwners', 'manager', 'servicePrincipalOwners')),
    constraint reviewer_scopes_object check ((object_id is null) = (form in ('resourceOwners', 'manager')))
);

create table definitions (
    tenant_id uuid not null references tenants,
    definition_id uuid not null,
    display_name text not null,
    description_for_admins text,
    description_for_reviewers text,
    status text not null,
    created_at timestamptz not null,
    modified_at timestamptz not null,
    created_by_id uuid not null,
    created_by_name text not null,
    created_by_user_principal_name text not null,
    scope_query text not null,
    scope_query_type text not null,
    scope_query_root text,
    -- present exactly on an inactive-users scope
    scope_inactive_duration text,
    instance_enumeration_scope text,
    reviewer_list_id uuid not null,
    settings jsonb not null,
    additional_notification_recipients jsonb not null,
    version bigint not null default 1,
    primary key (tenant_id, definition_id),
    foreign key (tenant_id, reviewer_list_id) references reviewer_lists
);
create index definitions_by_created_at on definitions (tenant_id, created_at desc, definition_id);
create index definitions_by_status on definitions (tenant_id, status, definition_id);
create index definitions_by_display_name on definitions (tenant_id, display_name, definition_id);
create index definitions_by_creator on definitions (tenant_id, created_by_id, definition_id);

create table stage_settings (
    tenant_id uuid not null,
    definition_id uuid not null,
    ordinal smallint not null,
    stage_id text not null,
    duration_in_days integer not null,
    recommendations_enabled boolean not null,
    recommendation_look_back_duration text,
    recommendation_insight_settings jsonb not null,
    decisions_that_will_move_to_next_stage text[] not null,
    reviewer_list_id uuid not null,
    primary key (tenant_id, definition_id, ordinal),
    foreign key (tenant_id, definition_id) references definitions on delete cascade,
    foreign key (tenant_id, reviewer_list_id) references reviewer_lists,
    constraint stage_settings_three_at_most check (ordinal between 1 and 3),
    constraint stage_settings_stage_id_key unique (tenant_id, definition_id, stage_id)
);

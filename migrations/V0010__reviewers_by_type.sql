-- Reviewers named by type (R-09), as they were sent; where no query came with them, `query` is the form's own spelling.
alter table reviewer_scopes
    add column scope_type text,
    add column reviewer_id text,
    add column query_sent boolean not null default true,
    drop constraint reviewer_scopes_form,
    drop constraint reviewer_scopes_object,
    add constraint reviewer_scopes_form check (form in
        ('user', 'groupMembers', 'groupOwners', 'resourceOwners', 'manager', 'servicePrincipalOwners', 'self', 'sponsor',
         'managerOrSponsor')),
    add constraint reviewer_scopes_object check ((object_id is null) =
        (form in ('resourceOwners', 'manager', 'self', 'sponsor', 'managerOrSponsor')));

-- Who answers for a user, mostly a guest. The import checks that they are users.
create table user_sponsors (
    tenant_id uuid not null,
    user_id uuid not null,
    sponsor_id uuid not null,
    sponsor_type text not null,
    primary key (tenant_id, user_id, sponsor_id),
    foreign key (tenant_id, user_id) references users on delete cascade,
    constraint user_sponsors_sponsor_type check (sponsor_type = 'user')
);
create index user_sponsors_by_sponsor on user_sponsors (tenant_id, sponsor_id, user_id);
select raise_tenant_wall('user_sponsors');

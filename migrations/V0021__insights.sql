-- What recommendations rest on beside the last sign-in to the tenant: sign-ins to one application, and a member's place in the
-- tree of managers (LC-RCM-04, LC-RCM-06). Each stage has insights of its own (LC-RCM-10).

-- What is known of somebody's sign-ins to an application: no row is no information, a row without a time is known and never.
create table application_sign_ins (
    tenant_id uuid not null,
    service_principal_id uuid not null,
    user_id uuid not null,
    last_sign_in_at timestamptz,
    primary key (tenant_id, service_principal_id, user_id),
    foreign key (tenant_id, service_principal_id) references service_principals on delete cascade,
    foreign key (tenant_id, user_id) references users on delete cascade
);
create index application_sign_ins_by_user on application_sign_ins (tenant_id, user_id);
select raise_tenant_wall('application_sign_ins');

-- The kinds of insight of a stage, and for each sign-in the look-back it has; null is P30D. What was planned before has the last
-- sign-in to the tenant with the stage's one look-back. The rewrite by `using` reaches every row, also where row-level security
-- is forced on the owner who migrates.
alter table planned_stages
    add column insights text[] not null default '{}',
    add column insight_look_backs text[] not null default '{}';
alter table planned_stages
    alter column insights type text[] using array['tenantSignIn'],
    alter column insight_look_backs type text[] using array[recommendation_look_back_duration];
alter table planned_stages
    alter column insights drop default,
    alter column insight_look_backs drop default,
    drop column recommendation_look_back_duration,
    add constraint planned_stages_insights
        check (insights <@ array['tenantSignIn', 'applicationSignIn', 'affiliation']
               and cardinality(insights) = cardinality(insight_look_backs));

-- As it was when the items were gathered, like last_sign_in_at: null is no information, -infinity is known and never.
alter table decision_items
    add column application_sign_in_at timestamptz,
    -- far from the other members in the tree of managers; null: not told, or not asked
    add column outlier boolean;

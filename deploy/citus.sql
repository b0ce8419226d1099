-- attestry on Citus (PostgreSQL 15 or newer, Citus 12 or newer): to be run once, as the owner, after `attestry migrate` and before
-- anything is stored. One database is enough for most; docs/performance.md says up to where.
--
-- Every primary key, unique index and foreign key carries the tenant, so all that belongs to one tenant lies on one shard and every
-- unit of work is of one node. Parents come before what refers to them.

-- Small, read by everybody and seldom written: on every node.
select create_reference_table('tenants');
select create_reference_table('tenant_issuers');
select create_reference_table('development_keys');

-- Due work of all tenants is one plain table on the coordinator, from which workers claim for everybody in one statement.
select citus_add_local_table_to_metadata('jobs');

-- All that belongs to a tenant, side by side.
select create_distributed_table('users', 'tenant_id', colocate_with => 'none');
select create_distributed_table('groups', 'tenant_id', colocate_with => 'users');
select create_distributed_table('group_members', 'tenant_id', colocate_with => 'users');
select create_distributed_table('group_owners', 'tenant_id', colocate_with => 'users');
select create_distributed_table('service_principals', 'tenant_id', colocate_with => 'users');
select create_distributed_table('service_principal_owners', 'tenant_id', colocate_with => 'users');
select create_distributed_table('app_role_assignments', 'tenant_id', colocate_with => 'users');
select create_distributed_table('directory_roles', 'tenant_id', colocate_with => 'users');
select create_distributed_table('role_assignments', 'tenant_id', colocate_with => 'users');
select create_distributed_table('reviewer_lists', 'tenant_id', colocate_with => 'users');
select create_distributed_table('reviewer_scopes', 'tenant_id', colocate_with => 'users');
select create_distributed_table('definitions', 'tenant_id', colocate_with => 'users');
select create_distributed_table('stage_settings', 'tenant_id', colocate_with => 'users');
select create_distributed_table('instances', 'tenant_id', colocate_with => 'users');
select create_distributed_table('stages', 'tenant_id', colocate_with => 'users');
select create_distributed_table('planned_stages', 'tenant_id', colocate_with => 'users');
select create_distributed_table('decision_items', 'tenant_id', colocate_with => 'users');
select create_distributed_table('item_cohorts', 'tenant_id', colocate_with => 'users');
select create_distributed_table('item_principals', 'tenant_id', colocate_with => 'users');
select create_distributed_table('decisions', 'tenant_id', colocate_with => 'users');
select create_distributed_table('stage_items', 'tenant_id', colocate_with => 'users');
select create_distributed_table('stage_reviewers', 'tenant_id', colocate_with => 'users');
select create_distributed_table('stage_fallbacks', 'tenant_id', colocate_with => 'users');
select create_distributed_table('stage_unassigned_cohorts', 'tenant_id', colocate_with => 'users');
select create_distributed_table('item_overrides', 'tenant_id', colocate_with => 'users');
select create_distributed_table('contacted_reviewers', 'tenant_id', colocate_with => 'users');
select create_distributed_table('events', 'tenant_id', colocate_with => 'users');
select create_distributed_table('user_sponsors', 'tenant_id', colocate_with => 'users');
select create_distributed_table('app_roles', 'tenant_id', colocate_with => 'users');
select create_distributed_table('role_eligibilities', 'tenant_id', colocate_with => 'users');
select create_distributed_table('shared_channels', 'tenant_id', colocate_with => 'users');
select create_distributed_table('shared_channel_members', 'tenant_id', colocate_with => 'users');
select create_distributed_table('access_packages', 'tenant_id', colocate_with => 'users');
select create_distributed_table('access_package_policies', 'tenant_id', colocate_with => 'users');
select create_distributed_table('access_package_assignments', 'tenant_id', colocate_with => 'users');
select create_distributed_table('enumerated_occurrences', 'tenant_id', colocate_with => 'users');
select create_distributed_table('apply_runs', 'tenant_id', colocate_with => 'users');
select create_distributed_table('apply_results', 'tenant_id', colocate_with => 'users');
select create_distributed_table('pending_deletions', 'tenant_id', colocate_with => 'users');
select create_distributed_table('first_answers', 'tenant_id', colocate_with => 'users');
select create_distributed_table('history_definitions', 'tenant_id', colocate_with => 'users');
select create_distributed_table('history_instances', 'tenant_id', colocate_with => 'users');
select create_distributed_table('history_pieces', 'tenant_id', colocate_with => 'users');
select create_distributed_table('removed_items', 'tenant_id', colocate_with => 'users');
select create_distributed_table('mail_templates', 'tenant_id', colocate_with => 'users');
select create_distributed_table('mail_settings', 'tenant_id', colocate_with => 'users');
select create_distributed_table('application_sign_ins', 'tenant_id', colocate_with => 'users');
select create_distributed_table('review_settings', 'tenant_id', colocate_with => 'users');
select create_distributed_table('group_eligible_owners', 'tenant_id', colocate_with => 'users');

-- What is read in one round trip runs where the tenant's rows are, so that the tenant it sets is set there.
select create_distributed_function(
    'decision_page(uuid, uuid, uuid, integer, integer, integer, boolean)', 'asked_tenant', colocate_with => 'users');
-- Still to be done before a distributed database is used: `shown_items` answers for items of several tenants in one statement and sets
-- one tenant after the other where it runs; there it has to be asked tenant by tenant, distributed as the one above.

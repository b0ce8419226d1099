-- What the benchmark keeps beside the service's tables.
create schema if not exists benchmark;
grant usage on schema benchmark to attestry_service;
create table if not exists benchmark.loaded (what text primary key, at timestamptz not null default now());
create table if not exists benchmark.small_stages (
    number integer primary key, definition_id uuid not null, instance_id uuid not null, stage_id uuid not null,
    reviewer_list_id uuid not null
);
grant select on benchmark.small_stages to attestry_service;
-- Stages that are to end soon, and when.
create table if not exists benchmark.due (
    tenant_id uuid not null, instance_id uuid not null, ends_at timestamptz not null, primary key (tenant_id, instance_id)
);

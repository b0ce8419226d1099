-- What a tenant may say about its mail: templates of its own in place of the built-in ones, and whom reminders go to (LC-NOTE-02).
-- A part that is null is the built-in one's.
create table mail_templates (
    tenant_id uuid not null references tenants,
    kind text not null,
    subject text,
    text text,
    html text,
    modified_at timestamptz not null,
    primary key (tenant_id, kind),
    constraint mail_templates_part check (num_nonnulls(subject, text, html) > 0)
);
select raise_tenant_wall('mail_templates');

create table mail_settings (
    tenant_id uuid not null references tenants,
    remind_everyone boolean not null default false,
    modified_at timestamptz not null,
    primary key (tenant_id)
);
select raise_tenant_wall('mail_settings');

-- Reviewers of a review of many groups are told of all their groups at once (LC-NOTE-06): when that was enqueued. Occurrences
-- that were opened before this was so told everybody group by group.
alter table enumerated_occurrences add column told_at timestamptz default now();
alter table enumerated_occurrences alter column told_at drop default;

-- Whether somebody reviews at least one item of a stage now: as a primary reviewer, as a fallback where those are nobody, or because
-- an item has reviewers of its own.
create function reviews_in_stage(tenant uuid, instance uuid, stage smallint, person uuid) returns boolean
    language plpgsql stable as $$
begin
    return exists (
               select
                 from stage_reviewers r
                where r.tenant_id = tenant
                  and r.instance_id = instance
                  and r.ordinal = stage
                  and r.reviewer_id = person)
        or exists (
               select
                 from stage_fallbacks f
                 join stage_unassigned_cohorts u
                   on u.tenant_id = f.tenant_id
                  and u.instance_id = f.instance_id
                  and u.ordinal = f.ordinal
                  and f.cohort in (0, u.cohort)
                where f.tenant_id = tenant
                  and f.instance_id = instance
                  and f.ordinal = stage
                  and f.reviewer_id = person)
        or exists (
               select
                 from item_overrides o
                 join decision_items i
                   on i.tenant_id = o.tenant_id
                  and i.instance_id = o.instance_id
                  and i.seq = o.seq
                where o.tenant_id = tenant
                  and o.instance_id = instance
                  and o.ordinal = stage
                  and o.reviewer_id in (person, '00000000-0000-0000-0000-000000000000')
                  and reviews_item(tenant, instance, stage, i.seq, i.cohort, person));
end
$$;

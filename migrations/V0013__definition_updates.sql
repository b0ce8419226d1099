-- Definitions change after their creation: a changed or resumed series counts its occurrences from another one than the first,
-- a stopped one has no further ones, and what an admin set on a waiting stage outlives a change of its definition (LC-DEF-23).
-- Admins have reviewers reminded, but not too often.
alter table definitions
    -- occurrence number and its start; null: the first one by creation and recurrence (LC-REC-03 to LC-REC-06)
    add column counted_from_occurrence integer,
    add column counted_from_at timestamptz,
    add column stopped_at timestamptz,
    add constraint definitions_counted_from check ((counted_from_occurrence is null) = (counted_from_at is null));

alter table stages
    add column lists_edited boolean not null default false;

alter table instances
    -- the latest manual reminder in the tenant's time, and how many there were: part of their mails' keys (LC-NOTE-08)
    add column reminded_at timestamptz,
    add column reminders integer not null default 0;

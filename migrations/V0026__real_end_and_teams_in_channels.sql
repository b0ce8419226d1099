-- When a review really ended: its planned end stays what it was when the review is stopped early, and a report is about reviews that
-- ended in its period (LC-HIST-03). Null while it has not ended.
alter table instances add column ended_at timestamptz;

-- Of the reviews there are the events tell. The owner who migrates is let through the walls for this statement, within this transaction.
alter table instances no force row level security;
alter table events no force row level security;
update instances i
   set ended_at = least(i.end_at, e.at)
  from (select tenant_id, instance_id, min(at) as at
          from events
         where activity = 'Instance status changed'
           and after ->> 'status' in ('Completing', 'Failed')
         group by tenant_id, instance_id) e
 where e.tenant_id = i.tenant_id
   and e.instance_id = i.instance_id
   and i.status not in ('NotStarted', 'Initializing', 'Starting', 'InProgress');
alter table events force row level security;
alter table instances force row level security;

-- A channel is shared with users, and with other teams as a whole (LC-APPLY-16).
alter table shared_channel_members
    drop constraint shared_channel_members_member_type,
    add constraint shared_channel_members_member_type check (member_type in ('user', 'group'));

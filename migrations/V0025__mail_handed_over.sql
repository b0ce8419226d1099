-- When somebody began to hand a mail over: from here on it may have gone out, so nobody else sends it, however the try ended
-- (LC-NOTE-08). Null again when the server said that it did not take it.
alter table jobs add column handed_over_at timestamptz;

-- Mail waits for its server in places of its own (LC-NOTE-09): whatever else is due is found without going through the mail before it.
create index jobs_due_but_mail on jobs (run_at, tenant_id, job_id)
    where finished_at is null and kind not in ('send_mail', 'send_combined_mail');

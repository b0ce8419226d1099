-- Mails that are due are found among mails: other work that is due, or will be, is not passed over.
create index jobs_due_mail on jobs (run_at, tenant_id, job_id)
    where finished_at is null and kind in ('send_mail', 'send_combined_mail');

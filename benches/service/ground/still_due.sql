-- Whether a stage that was to end has not ended.
select (select max(ends_at) > clock_timestamp() from benchmark.due)
    or exists (
           select
             from jobs j
            where j.finished_at is null
              and j.run_at <= statement_timestamp()
              and j.kind = 'close_stage')

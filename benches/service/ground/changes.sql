-- $1 tenant, $2 stage: how many changes there were, how many did not begin where the one before ended, and whether the stored lists
-- are those of the last.
with changes as (
    select event_id, before, after, lag(after) over (order by event_id) as left_before
      from events
     where tenant_id = $1
       and stage_id = $2
       and activity = 'Reviewers changed'
), newest as (
    select after from changes order by event_id desc limit 1
), stored as (
    select jsonb_build_object(
               'reviewers', coalesce(jsonb_agg(r.query order by r.ordinal) filter (where r.role = 'primary'), '[]'),
               'fallbackReviewers', coalesce(jsonb_agg(r.query order by r.ordinal) filter (where r.role = 'fallback'), '[]')) as lists
      from stages s
      join reviewer_scopes r using (tenant_id, reviewer_list_id)
     where s.tenant_id = $1
       and s.stage_id = $2
)
select (select count(*) from changes),
       (select count(*) from changes where left_before is not null and before <> left_before),
       coalesce((select stored.lists = newest.after from stored, newest), true)

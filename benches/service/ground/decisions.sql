-- What reviewers would have recorded through the service, with its events: three of ten items.
-- $1 tenant, $2 instance, $3 definition, $4 stage
with decided as (
    insert into decisions
        (tenant_id, instance_id, ordinal, seq, decision, justification, decided_by_id, decided_by_name,
         decided_by_user_principal_name, decided_at, moves_on)
    select i.tenant_id, i.instance_id, 1, i.seq, case i.seq % 10 when 0 then 'Deny' else 'Approve' end,
           'Still works on it', r.reviewer_id, u.display_name, u.user_principal_name, now(),
           s.decisions_that_will_move_to_next_stage in
               ('{}', '{Approve,Deny,DontKnow,NotReviewed}')
      from decision_items i
      join stages s using (tenant_id, instance_id)
      join stage_reviewers r using (tenant_id, instance_id, cohort)
      join users u on u.tenant_id = i.tenant_id and u.user_id = r.reviewer_id
     where i.tenant_id = $1
       and i.instance_id = $2
       and s.ordinal = 1
       and r.ordinal = 1
       and i.seq % 10 in (0, 3, 6)
    returning *
)
insert into events
    (tenant_id, at, activity, actor_kind, actor_id, actor_name, request_id, definition_id, instance_id, stage_id, item_seq, after)
select tenant_id, decided_at, case decision when 'Deny' then 'Deny decision' else 'Approve decision' end, 'user', decided_by_id,
       decided_by_name, gen_random_uuid(), $3, instance_id, $4, seq,
       jsonb_build_object('decision', decision, 'justification', justification, 'reviewedBy', decided_by_id,
                          'reviewedDateTime', decided_at)
  from decided

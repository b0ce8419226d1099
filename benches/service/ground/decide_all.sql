-- $1 tenant, $2 instance, $3 whether what is not denied is approved: one of a hundred items denied; without events.
insert into decisions
    (tenant_id, instance_id, ordinal, seq, decision, justification, decided_by_id, decided_by_name,
     decided_by_user_principal_name, decided_at, moves_on)
select i.tenant_id, i.instance_id, 1, i.seq, case i.seq % 100 when 0 then 'Deny' else 'Approve' end, 'Still works on it',
       r.reviewer_id, u.display_name, u.user_principal_name, now(), true
  from decision_items i
  join stage_reviewers r using (tenant_id, instance_id, cohort)
  join users u on u.tenant_id = i.tenant_id and u.user_id = r.reviewer_id
 where i.tenant_id = $1
   and i.instance_id = $2
   and r.ordinal = 1
   and (i.seq % 100 = 0 or $3)

-- The text of a report of one review, every item with its effective decision: what `copy (…) to stdout` takes. The tenant and the
-- identifiers are put in before it runs.
copy (
    with selected as materialized (
        select i.instance_id, i.resource_type, i.resource_name, i.resource_id, d.display_name as review_name, d.created_at, i.start_at,
               i.end_at, i.status, d.created_by_id, d.created_by_name, d.created_by_user_principal_name
          from definitions d
          join instances i on i.tenant_id = d.tenant_id and i.definition_id = d.definition_id
         where i.tenant_id = '{tenant}'
           and i.instance_id = '{instance}'
    ), effective as (
        select distinct on (k.seq) k.*
          from decisions k
         where k.tenant_id = '{tenant}'
           and k.instance_id = '{instance}'
         order by k.seq, k.ordinal desc
    )
    select s.instance_id, '00000000-0000-0000-0000-000000000000' as series, s.resource_type, s.resource_name, s.resource_id,
           s.review_name, s.created_at, s.start_at, s.end_at, s.status, s.created_by_id, s.created_by_name,
           s.created_by_user_principal_name, i.principal_id, i.principal_name, i.principal_detail, i.principal_type, d.decided_at,
           coalesce(d.decision, 'NotReviewed') as decision, d.justification, d.decided_by_id, d.decided_by_name,
           d.decided_by_user_principal_name, u.mail, a.applied_by_name, a.applied_by_user_principal_name, b.mail as applied_by_mail,
           a.applied_at,
           case recommendation_in(i.recommendations, 1) when 1 then 'Approve' when 2 then 'Deny' else 'NoInfoAvailable' end as recommendation,
           case a.result when 'AppliedSuccessfully' then 'applied' else 'not applied' end as applied
      from selected s
      join decision_items i on i.tenant_id = '{tenant}' and i.instance_id = s.instance_id
      left join effective d on d.seq = i.seq
      left join users u on u.tenant_id = '{tenant}' and u.user_id = d.decided_by_id
      left join apply_results a on a.tenant_id = '{tenant}' and a.instance_id = i.instance_id and a.seq = i.seq
      left join users b on b.tenant_id = '{tenant}' and b.user_id = a.applied_by_id
     where not exists (
               select from removed_items k where k.tenant_id = '{tenant}' and k.instance_id = i.instance_id and k.seq = i.seq)
     order by s.start_at, s.instance_id, i.seq
) to stdout with (format csv, header)

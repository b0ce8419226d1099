-- What the rivals read: decisions as the service answers them, as one view, which is what both of them recommend where a row is more
-- than one table's. It is read with the rights of who asks, so row-level security holds for every table of it.
create schema if not exists rivals;
create or replace view rivals.review_decisions with (security_invoker = true) as
select i.instance_id,
       i.seq,
       (left(n.item_prefix::text, 28) || lpad(to_hex(i.seq), 8, '0'))::uuid as id,
       coalesce(d.decision, 'NotReviewed') as decision,
       coalesce(d.justification, '') as justification,
       case recommendation_in(i.recommendations, s.ordinal) when 1 then 'Approve' when 2 then 'Deny' else 'NoInfoAvailable' end as recommendation,
       i.principal_id,
       i.principal_name,
       i.principal_type,
       n.resource_id,
       n.resource_name,
       d.decided_by_id as reviewed_by_id,
       d.decided_by_name as reviewed_by_name,
       d.decided_by_user_principal_name as reviewed_by_user_principal_name,
       d.decided_at as reviewed_date_time,
       coalesce(a.result, 'New') as apply_result
  from decision_items i
  join instances n using (tenant_id, instance_id)
 cross join lateral (
           select x.ordinal
             from stages x
            where x.tenant_id = i.tenant_id
              and x.instance_id = i.instance_id
            order by x.ordinal desc
            limit 1) s
  left join lateral (
           select x.*
             from decisions x
            where x.tenant_id = i.tenant_id
              and x.instance_id = i.instance_id
              and x.seq = i.seq
            order by x.ordinal desc
            limit 1) d on true
  left join apply_results a
    on a.tenant_id = i.tenant_id
   and a.instance_id = i.instance_id
   and a.seq = i.seq
 where not exists (
           select
             from removed_items r
            where r.tenant_id = i.tenant_id
              and r.instance_id = i.instance_id
              and r.seq = i.seq);
-- For PostGraphile, which learns keys from constraints, and a view has none.
comment on view rivals.review_decisions is '@primaryKey instance_id,seq';
grant usage on schema rivals to attestry_service;
grant select on rivals.review_decisions to attestry_service;

-- $1 tenant, $2 instance, $3 another one: how many of rows and their contents differ; 0 when both have the same.
with of_instance (instance, told) as (
    select instance_id, jsonb_build_array('item', seq, principal_id, principal_type, principal_name, principal_detail, direct_connect,
                                          cohort, last_sign_in_at, recommendations)
      from decision_items where tenant_id = $1 and instance_id in ($2, $3)
     union all
    select instance_id, jsonb_build_array('cohorts', page, first_items)
      from item_cohorts where tenant_id = $1 and instance_id in ($2, $3)
     union all
    select instance_id, jsonb_build_array('principals', least_hash, cardinality(hashes), cardinality(items))
      from item_principals where tenant_id = $1 and instance_id in ($2, $3)
     union all
    select instance_id, jsonb_build_array('reviewer', ordinal, cohort, reviewer_id)
      from stage_reviewers where tenant_id = $1 and instance_id in ($2, $3)
     union all
    select instance_id, jsonb_build_array('fallback', ordinal, cohort, reviewer_id)
      from stage_fallbacks where tenant_id = $1 and instance_id in ($2, $3)
     union all
    select instance_id, jsonb_build_array('unassigned', ordinal, cohort)
      from stage_unassigned_cohorts where tenant_id = $1 and instance_id in ($2, $3)
     union all
    select instance_id, jsonb_build_array('told', ordinal, reviewer_id)
      from contacted_reviewers where tenant_id = $1 and instance_id in ($2, $3)
     union all
    select instance_id, jsonb_build_array('stage', ordinal, status)
      from stages where tenant_id = $1 and instance_id in ($2, $3)
     union all
    select instance_id, jsonb_build_array('instance', status, item_count)
      from instances where tenant_id = $1 and instance_id in ($2, $3)
)
select count(*) - 1
  from (select distinct counted, told
          from (select count(*) as counted, sum(hashtextextended(told::text, 0)) as told from of_instance group by instance) as of_each)
       as different

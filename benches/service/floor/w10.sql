-- A page of 100 definitions, filtered and in the order of their names, with their stages and reviewers.
\set number random(1, :tenants)
\startpipeline
select set_config('attestry.tenant', md5(:prefix || :number::text), true);
with page as materialized (
    select d.*
      from definitions d
     where d.tenant_id = md5(:prefix || :number::text)::uuid
       and d.status = 'NotStarted'
       and strpos(lower(d.display_name), lower('5')) > 0
     order by lower(d.display_name), d.definition_id
     limit 101
)
select d.*, own.scopes, stages.settings
  from page d
 cross join lateral (
           select jsonb_agg(jsonb_build_array(r.role, r.query, r.query_type, r.query_root) order by r.role, r.ordinal) as scopes
             from reviewer_scopes r
            where r.tenant_id = md5(:prefix || :number::text)::uuid
              and r.reviewer_list_id = d.reviewer_list_id) as own
 cross join lateral (
           select jsonb_agg(jsonb_build_array(s.ordinal, s.stage_id, s.duration_in_days, s.recommendations_enabled)
                            order by s.ordinal) as settings
             from stage_settings s
            where s.tenant_id = md5(:prefix || :number::text)::uuid
              and s.definition_id = d.definition_id) as stages
 order by lower(d.display_name), d.definition_id;
\endpipeline

-- Opening a stage of a large review. The planner knows nothing of rows that the same transaction has written a moment ago and takes
-- them for a single one: one index is as good to it as another, and a loop over all rows of the stage is as good as a probe, so that
-- a join takes the square of the stage's size. These functions, which are put in line where they are called, and the statements that
-- call them leave it no choice: `(… in (select …)) is true` is looked up in a hash table made once, and is never turned into a join.

-- The items that a stage holds (LC-STAGE-36), but for those removed since (LC-APPLY-15): the same as `stage_holds_item()`, for all
-- of them in one pass.
create function items_of_stage(tenant uuid, instance uuid, stage smallint, entry text)
    returns table (seq integer, cohort integer, principal_id uuid, principal_type text, direct_connect boolean)
    language sql stable
as $$
    select i.seq, i.cohort, i.principal_id, i.principal_type, i.direct_connect
      from decision_items i
     where i.tenant_id = tenant
       and i.instance_id = instance
       and (i.seq in (select r.seq from removed_items r where r.tenant_id = tenant and r.instance_id = instance)) is not true
       and case entry
           when 'all' then true
           when 'remaining' then (i.seq in (
               select d.seq
                 from decisions d
                where d.tenant_id = tenant
                  and d.instance_id = instance
                  and d.ordinal between 1 and stage - 1
                  and not d.moves_on)) is not true
           else (i.seq in (
               select s.seq
                 from stage_items s
                where s.tenant_id = tenant
                  and s.instance_id = instance
                  and s.ordinal = stage)) is true
       end
$$;

-- Who is asked for an item where its list asks for managers or sponsors: those of them who can review, in the order of their ids. The
-- manager, with `manager`; the sponsors, with `sponsor`; with `either` the manager, or the sponsors of one without. R-09
create function people_of_stage(
    tenant uuid, instance uuid, stage smallint, entry text, manager boolean, sponsor boolean, either boolean
) returns table (seq integer, cohort integer, people uuid[])
    language sql stable
as $$
    select i.seq, i.cohort,
           array(
               select m.user_id
                 from users m
                where (manager or either)
                  and m.tenant_id = tenant
                  and m.user_id = u.manager_id
                  and m.account_enabled
                  and m.external_user_state is distinct from 'PendingAcceptance'
                union
               select p.user_id
                 from user_sponsors s
                 join users p
                   on p.tenant_id = tenant
                  and p.user_id = s.sponsor_id
                  and p.account_enabled
                  and p.external_user_state is distinct from 'PendingAcceptance'
                where (sponsor or either)
                  and s.tenant_id = tenant
                  and s.user_id = u.user_id
                  and (sponsor
                       or not exists (
                           select
                             from users m
                            where m.tenant_id = tenant
                              and m.user_id = u.manager_id
                              and m.account_enabled
                              and m.external_user_state is distinct from 'PendingAcceptance'))
                order by 1) as people
      from items_of_stage(tenant, instance, stage, entry) i
      left join users u
        on u.tenant_id = tenant
       and u.user_id = i.principal_id
       and i.principal_type = 'user'
     where not (i.direct_connect and (manager or either))
$$;

-- Items with one index. Those by cohort and by principal took as much room as the rows themselves, and writing the second, in the order of
-- ids that have none, took half of the time of opening a review. Items do not change, so both are pages now that are written once: where
-- each cohort begins, and where a principal is by the hash of its id.

-- Numbers of a cohort's items follow each other, so it is known by where it begins: 4 bytes a cohort.
create table item_cohorts (
    tenant_id uuid not null,
    instance_id uuid not null,
    -- 480 cohorts each, from 0: as many as stay in one row
    page integer not null,
    -- of each cohort, and of the one behind the page's last
    first_items integer[] not null,
    primary key (tenant_id, instance_id, page)
);
select raise_tenant_wall('item_cohorts');

-- 6 bytes an item.
create table item_principals (
    tenant_id uuid not null,
    instance_id uuid not null,
    -- of this page's principals; a hash is on one page
    least_hash integer not null,
    -- their last 16 bits; whose item it is the item tells
    hashes smallint[] not null,
    items integer[] not null,
    primary key (tenant_id, instance_id, least_hash)
);
select raise_tenant_wall('item_principals');

-- The function that distributes rows among partitions by hash, and as stable as these have to be.
create function principal_hash(principal uuid) returns integer
    language sql immutable parallel safe
    return (uuid_hash_extended(principal, 0) >> 32)::integer;

create function hash_on_page(hash integer) returns smallint
    language sql immutable parallel safe
    return ((hash & 65535) - 32768)::smallint;

-- Writes the pages of an instance whose items are all there; answers nothing. Items are numbered from 1 without gaps, and so are cohorts.
create function write_item_pages(asked_tenant uuid, asked_instance uuid) returns void
    language sql
    -- a million are sorted in memory
    set work_mem = '64MB'
as $$
    insert into item_cohorts (tenant_id, instance_id, page, first_items)
    select asked_tenant, asked_instance, (c.cohort - 1) / 480, array_agg(c.first_item order by c.cohort) || max(c.last_item) + 1
      from (select i.cohort, min(i.seq) as first_item, max(i.seq) as last_item
              from decision_items i
             where i.tenant_id = asked_tenant
               and i.instance_id = asked_instance
             group by i.cohort) as c
     group by (c.cohort - 1) / 480;
    -- Hashes are spread evenly: 250 to a page are hardly ever more than 318, and so many stay in one row.
    insert into item_principals (tenant_id, instance_id, least_hash, hashes, items)
    select asked_tenant, asked_instance, min(p.hash), array_agg(hash_on_page(p.hash)), array_agg(p.seq)
      from (select i.seq, principal_hash(i.principal_id) as hash,
                   (select max(k.seq) / 250 + 1
                      from decision_items k
                     where k.tenant_id = asked_tenant
                       and k.instance_id = asked_instance) as pages
              from decision_items i
             where i.tenant_id = asked_tenant
               and i.instance_id = asked_instance) as p
     group by ((p.hash + 2147483648) * p.pages) >> 32;
$$;

-- The first and the last item of a cohort; no row where there is no such cohort.
create function cohort_range(asked_tenant uuid, asked_instance uuid, wanted integer) returns table (first_item integer, last_item integer)
    language sql stable rows 1
as $$
    select c.first_items[(wanted - 1) % 480 + 1], c.first_items[(wanted - 1) % 480 + 2] - 1
      from item_cohorts c
     where c.tenant_id = asked_tenant
       and c.instance_id = asked_instance
       and c.page = (wanted - 1) / 480
       and wanted between 1 and c.page * 480 + cardinality(c.first_items) - 1
     -- a probe, whatever the planner thinks of the table
     limit 1
$$;

-- The items of a principal: one, but where it is under review for each of its roles.
create function items_of_principal(asked_tenant uuid, asked_instance uuid, asked_principal uuid) returns table (seq integer)
    language sql stable rows 1
as $$
    select i.seq
      from (select p.hashes, p.items
              from item_principals p
             where p.tenant_id = asked_tenant
               and p.instance_id = asked_instance
               and p.least_hash <= principal_hash(asked_principal)
             order by p.least_hash desc
             limit 1) as page
     cross join lateral unnest(array_positions(page.hashes, hash_on_page(principal_hash(asked_principal)))) as place
     cross join lateral (
               select x.seq
                 from decision_items x
                where x.tenant_id = asked_tenant
                  and x.instance_id = asked_instance
                  and x.seq = page.items[place]
                  and x.principal_id = asked_principal
                limit 1) as i
$$;

-- A recommendation takes two bits: the first six are the stages', then come those of the default decision.
create function recommendation_in(recommendations smallint, stage integer) returns smallint
    language sql immutable parallel safe
    return case when stage between 1 and 3 then (recommendations >> (2 * (stage - 1))) & 3::smallint else 0::smallint end;

create function recommendation_by_default(recommendations smallint) returns smallint
    language sql immutable parallel safe
    return (recommendations >> 6) & 3::smallint;

drop index decision_items_by_cohort;
drop index decision_items_by_principal;
-- Items come in their order and stay.
alter index decision_items_pkey set (fillfactor = 100);

-- The owner who migrates is let through the walls within this transaction.
alter table instances no force row level security;
alter table decision_items no force row level security;
alter table item_cohorts no force row level security;
alter table item_principals no force row level security;
alter table decision_items
    alter column recommendations type smallint using (
        case when cardinality(recommendations) > 1 then recommendations[1] else 0 end
        | (case when cardinality(recommendations) > 2 then recommendations[2] else 0 end << 2)
        | (case when cardinality(recommendations) > 3 then recommendations[3] else 0 end << 4)
        | (recommendations[cardinality(recommendations)] << 6));
select write_item_pages(n.tenant_id, n.instance_id)
  from instances n
 where n.item_count > 0;
alter table item_principals force row level security;
alter table item_cohorts force row level security;
alter table decision_items force row level security;
alter table instances force row level security;

-- What calls these is told anew in V0037 and V0038.
drop function cohort_range(uuid, uuid, integer, integer, integer);

-- As before, but a cohort's items are a range, and a principal's are looked up.
create or replace function selected_items(
    tenant uuid, instance uuid, stage smallint, entry text, every boolean, cohorts integer[], items integer[],
    except_items integer[], principal uuid
) returns table (seq integer, recommendation smallint)
    language sql stable
as $$
    select i.seq, recommendation_in(i.recommendations, stage)
      from (
            select d.seq, d.recommendations
              from decision_items d
             where d.tenant_id = tenant
               and d.instance_id = instance
               and every
               and principal is null
             union all
            select d.seq, d.recommendations
              from (
                    select k.seq
                      from unnest(cohorts) as wanted (cohort)
                     cross join lateral cohort_range(tenant, instance, wanted.cohort) as r
                     cross join lateral generate_series(r.first_item, r.last_item) as k (seq)
                     where principal is null
                       and not every
                       and k.seq not in (select unnest(except_items))
                     union
                    select k.seq
                      from unnest(items) as k (seq)
                     where principal is null
                       and not every
                     union
                    select p.seq
                      from items_of_principal(tenant, instance, principal) as p
                      join decision_items k
                        on k.tenant_id = tenant
                       and k.instance_id = instance
                       and k.seq = p.seq
                     where every
                        or p.seq = any(items)
                        or k.cohort = any(cohorts) and p.seq <> all(except_items)) as reached
              join decision_items d
                on d.tenant_id = tenant
               and d.instance_id = instance
               and d.seq = reached.seq) as i
     where (i.seq in (select r.seq from removed_items r where r.tenant_id = tenant and r.instance_id = instance)) is not true
       -- LC-STAGE-36. For all items what is asked is looked up in a table that is made once; for a reviewer's own, one by one.
       and case
           when entry = 'all' then true
           when entry = 'remaining' and every then (i.seq in (
               select d.seq
                 from decisions d
                where d.tenant_id = tenant
                  and d.instance_id = instance
                  and d.ordinal between 1 and stage - 1
                  and not d.moves_on)) is not true
           when every then (i.seq in (
               select s.seq
                 from stage_items s
                where s.tenant_id = tenant
                  and s.instance_id = instance
                  and s.ordinal = stage)) is true
           else stage_holds_item(tenant, instance, stage, entry, i.seq)
       end
$$;

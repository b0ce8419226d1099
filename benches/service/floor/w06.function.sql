-- The first item of a cohort. Items are numbered cohort by cohort, so the number is found by halving, without an index that has
-- both; an index scan by cohort alone would read all of a large one.
create or replace function benchmark.first_of_cohort(tenant uuid, instance uuid, wanted integer, items integer) returns integer
    language plpgsql stable
as $$
declare
    low integer := 1;
    high integer := items;
    middle integer;
    met integer;
begin
    while low < high loop
        middle := (low + high) / 2;
        select i.cohort into met
          from decision_items i
         where i.tenant_id = tenant and i.instance_id = instance and i.seq = middle;
        if met < wanted then
            low := middle + 1;
        else
            high := middle;
        end if;
    end loop;
    return low;
end
$$;

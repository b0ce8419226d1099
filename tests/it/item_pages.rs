//! Where a cohort's items begin and where a principal's are is read from pages, which say what the items themselves do.

use crate::support::Tenant;

/// A review of 2 500 items: a thousand cohorts of one and five hundred of three, and every fifth principal under review twice.
const MANY_ITEMS: &str = "
    delete from item_cohorts where tenant_id = '{tenant}';
    delete from item_principals where tenant_id = '{tenant}';
    create temporary table sample as select * from decision_items where tenant_id = '{tenant}' and seq = 1;
    delete from decision_items where tenant_id = '{tenant}';
    insert into decision_items
    select made.*
      from sample s, generate_series(1, 2500) as n
     cross join lateral jsonb_populate_record(s, jsonb_build_object(
                    'seq', n,
                    'cohort', case when n <= 1000 then n else 1000 + (n - 998) / 3 end,
                    'principal_id', md5('principal ' || n - (n % 5 = 0)::integer)::uuid)) as made;
    select write_item_pages('{tenant}', '{instance}');";

async fn numbers(t: &Tenant, sql: &str, instance: &str) -> Vec<Option<i64>> {
    let sql = sql.replace("{tenant}", &t.id.to_string()).replace("{instance}", instance);
    t.database.rows(&sql).await.iter().map(serde_json::Value::as_i64).collect()
}

#[tokio::test]
async fn pages_say_where_each_cohort_and_each_principal_is() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let instance = review.instance.as_str();
    t.database.execute(&MANY_ITEMS.replace("{tenant}", &t.id.to_string()).replace("{instance}", instance)).await;

    let wrong = numbers(
        &t,
        "select to_jsonb(c.cohort) as row
           from (select cohort, min(seq) as first_item, max(seq) as last_item, count(*) as items
                   from decision_items where tenant_id = '{tenant}' group by cohort) as c
           left join lateral cohort_range('{tenant}', '{instance}', c.cohort) as r on true
          where (r.first_item, r.last_item, c.items) is distinct from (c.first_item, c.last_item, c.last_item - c.first_item + 1::bigint)",
        instance,
    );
    assert_eq!(wrong.await, []);
    let no_cohorts = "select to_jsonb(r.first_item) as row
                        from unnest(array[-1, 0, 1501, 1502, 2000, 2147483647]) as c (cohort)
                       cross join lateral cohort_range('{tenant}', '{instance}', c.cohort) as r";
    assert_eq!(numbers(&t, no_cohorts, instance).await, []);

    let pages = "select to_jsonb(count(*)) as row from item_cohorts where tenant_id = '{tenant}'
                  union all select to_jsonb(count(*)) from item_principals where tenant_id = '{tenant}'";
    assert_eq!(numbers(&t, pages, instance).await, [Some(4), Some(11)], "of 480 cohorts, and of some 250 items");

    let wrong = numbers(
        &t,
        "select to_jsonb(p.items[1]) as row
           from (select principal_id, array_agg(seq order by seq) as items
                   from decision_items where tenant_id = '{tenant}' group by principal_id) as p
          where p.items <> array(select k.seq from items_of_principal('{tenant}', '{instance}', p.principal_id) as k order by 1)",
        instance,
    );
    assert_eq!(wrong.await, []);
    let nobody = "select to_jsonb(k.seq) as row from generate_series(1, 3000) as n
                   cross join lateral items_of_principal('{tenant}', '{instance}', md5('stranger ' || n)::uuid) as k";
    assert_eq!(numbers(&t, nobody, instance).await, []);
}

#[tokio::test]
async fn a_principal_is_found_among_many_and_only_he() {
    let t = Tenant::with_finance().await;
    let review = t.review().running().await;
    let instance = review.instance.as_str();
    t.database.execute(&MANY_ITEMS.replace("{tenant}", &t.id.to_string()).replace("{instance}", instance)).await;
    let admin = t.as_admin();
    let found = async |filter: &str| {
        let path = format!("{}/decisions?$filter={filter}&$select=id", review.instance_path());
        admin.get(&path).await.ok().rows().len()
    };
    let ids = t
        .database
        .rows(&format!(
            "select to_jsonb(principal_id) as row from decision_items where tenant_id = '{}' order by seq",
            t.id
        ))
        .await;
    let id = |seq: usize| ids[seq - 1].as_str().unwrap();

    assert_eq!(found(&format!("principal/id eq '{}'", id(1))).await, 1);
    assert_eq!(found(&format!("principal/id eq '{}'", id(2500))).await, 2);
    assert_eq!(found(&format!("principal/id eq '{}' or principal/id eq '{}'", id(4), id(7))).await, 3);
    assert_eq!(found(&format!("principal/id in ('{}','{}','{}')", id(1), id(5), t.id)).await, 3);
    assert_eq!(found(&format!("principal/id eq '{}'", t.id)).await, 0);
}

#[tokio::test]
async fn each_stage_and_the_default_decision_have_their_own_recommendation() {
    let t = Tenant::with_finance().await;
    let wrong = "select to_jsonb(one) as row
                   from generate_series(0, 2) as one, generate_series(0, 2) as two, generate_series(0, 2) as three,
                        generate_series(0, 2) as by_default
                  cross join lateral (select (one | (two << 2) | (three << 4) | (by_default << 6))::smallint as packed) as p
                  where (recommendation_in(packed, 1), recommendation_in(packed, 2), recommendation_in(packed, 3),
                         recommendation_by_default(packed), recommendation_in(packed, 0), recommendation_in(packed, 4))
                        is distinct from (one::smallint, two::smallint, three::smallint, by_default::smallint, 0::smallint, 0::smallint)";
    assert_eq!(numbers(&t, wrong, "").await, []);
}

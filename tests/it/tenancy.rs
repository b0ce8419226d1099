//! The wall between tenants: every table's own (row-level security), and what can be seen over it (nothing).

use attestry::domain::ids::TenantId;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::support::{
    Client, Company, Database, Review, Tenant, group_owners, history_body, manager, object_id, stage, user,
};

/// Tables with a tenant that have no policy: they say which tenants there are, before anybody is in one.
const UNWALLED: [&str; 3] = ["development_keys", "tenant_issuers", "tenants"];

/// Indexes that do not begin with the tenant, because who reads them works for all tenants or knows none yet.
const CROSS_TENANT_INDEXES: [&str; 5] =
    ["jobs_due", "jobs_due_but_mail", "jobs_due_mail", "tenant_issuers_speak_for_one_tenant", "tenants_slug_key"];

async fn texts(database: &Database, sql: &str) -> Vec<String> {
    database
        .rows(&format!("select to_jsonb(t.line) as row from ({sql}) as t (line) order by 1"))
        .await
        .into_iter()
        .map(|row| row.as_str().unwrap().to_owned())
        .collect()
}

/// Every table with a tenant, behind the wall or not.
async fn tenant_tables(database: &Database) -> Vec<String> {
    texts(
        database,
        "select c.relname from pg_class c
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
            and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)",
    )
    .await
}

async fn walled_tables(database: &Database) -> Vec<String> {
    tenant_tables(database).await.into_iter().filter(|table| !UNWALLED.contains(&table.as_str())).collect()
}

/// A transaction as the service's role, with the tenant set as a unit of work sets it.
async fn as_service(connection: &mut PgConnection, tenant: Option<TenantId>) {
    let tenant = tenant.map(|tenant| format!("set local attestry.tenant = '{tenant}'")).unwrap_or_default();
    run(connection, &format!("begin; set local role attestry_service; {tenant}")).await.unwrap();
}

async fn run(connection: &mut PgConnection, sql: &str) -> Result<u64, sqlx::Error> {
    Ok(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await?.rows_affected())
}

async fn number(connection: &mut PgConnection, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await.unwrap()
}

/// The SQLSTATE of the refusal; the transaction goes on as if the statement had not been tried.
async fn refusal(connection: &mut PgConnection, sql: &str) -> String {
    run(connection, "savepoint attempt").await.unwrap();
    let error = run(connection, sql).await.expect_err(sql);
    run(connection, "rollback to attempt").await.unwrap();
    error.as_database_error().unwrap().code().unwrap().into_owned()
}

const PERMISSION_DENIED: &str = "42501";

/// A company that leaves no directory table empty.
fn company() -> Company {
    Company::finance()
        .with(json!({ "type": "servicePrincipal", "id": object_id("payroll"), "displayName": "Payroll",
            "owners": [object_id("olga")], "appRoles": [{ "id": object_id("role"), "displayName": "Clerk" }],
            "appRoleAssignedTo": [{ "id": "one", "principalId": object_id("ana"), "appRoleId": object_id("role") }],
            "signIns": [{ "userId": object_id("ana"), "lastSignInDateTime": null }] }))
        .with(json!({ "type": "directoryRole", "id": object_id("readers"), "displayName": "Global Reader",
            "members": [object_id("rita")], "eligibleMembers": [object_id("carla")] }))
        .with(json!({ "type": "group", "id": object_id("team"), "displayName": "Team",
            "eligibleOwners": [object_id("sam")], "sharedChannels": [
            { "id": "19:one", "displayName": "One", "members": [object_id("zoe")] }] }))
        .with(json!({ "type": "accessPackage", "id": object_id("kit"), "displayName": "Starter kit",
            "assignmentPolicies": [{ "id": object_id("policy"), "displayName": "Staff" }],
            "assignments": [{ "id": "1", "assignmentPolicyId": object_id("policy"), "targetId": object_id("ana") }] }))
}

/// A tenant whose review is in its second stage and left rows in every table behind the wall.
async fn busy_tenant(database: &Database) -> (Tenant, Review) {
    let t = Tenant::on(database.clone(), std::sync::Arc::new(attestry::mail::NoMailer), true).await;
    company().import(&t).await;
    let review = t
        .review()
        .stages(&[
            stage(1, 3, &[manager()], &[user("sam")], &["Approve"]),
            stage(2, 7, &[manager(), group_owners("finance")], &[user("tom"), manager()], &[]),
        ])
        .running()
        .await;
    review.decide(&t.as_user("mia"), "ana", "Approve").await.is(204);
    review.decide(&t.as_user("mia"), "ben", "Approve").await.is(204);
    // Ben has another manager than his cohort in the second stage.
    t.import(&format!(
        "{}\n",
        json!({ "type": "user", "id": object_id("ben"), "manager": object_id("noor"),
        "sponsors": [object_id("mia")] })
    ))
    .await;
    t.advance("P3D").await;
    review.decide(&t.as_user("mia"), "ana", "Deny").await.is(204);
    apply_elsewhere(&t).await;
    let keyed = t.as_admin().request(reqwest::Method::POST, "/definitions").header("idempotency-key", "k");
    let keyed = crate::support::Answer::of(keyed.json(t.review().body()).send().await.unwrap()).await.is(201);
    t.as_admin().delete(&format!("/definitions/{}", keyed.text("id"))).await.is(204);
    t.as_admin().put("//attestry/v1/mailTemplates/reminder", &json!({ "subject": "mine" })).await.is(200);
    t.as_admin().patch("//attestry/v1/mailSettings", &json!({ "remindEveryone": true })).await.is(200);
    t.report(&t.as_admin(), &history_body(t.now().await)).await;
    t.as_admin().patch("//attestry/v1/reviewSettings", &json!({ "groupOwnersMayReview": true })).await.is(200);
    // Somebody disappeared from a review that is not looked at here.
    let removed = "insert into removed_items (tenant_id, instance_id, seq)
                   select tenant_id, instance_id, 1 from instances where status = 'Applying' and tenant_id =";
    t.database.execute(&format!("{removed} '{}'", t.id)).await;
    // What a review of all groups leaves, without another definition in every list.
    let looked_up = "insert into enumerated_occurrences (tenant_id, definition_id, occurrence, opened_at, group_count)
                     select tenant_id, definition_id, 0, now(), 0 from definitions where tenant_id =";
    t.database.execute(&format!("{looked_up} '{}'", t.id)).await;
    (t, review)
}

/// A second review, of guests, that ends with one of them denied and another approved, and begins to be applied.
async fn apply_elsewhere(t: &Tenant) {
    let guest = json!({ "type": "user", "id": object_id("gil"), "userPrincipalName": "gil@partner.example",
        "displayName": "Gil", "userType": "Guest" });
    Company::new().with(guest).group("partners", &[crate::support::GUEST, "gil"], &[]).import(t).await;
    let guests = format!(
        "/groups/{}/transitiveMembers/microsoft.graph.user/?$count=true&$filter=(userType eq 'Guest')",
        object_id("partners")
    );
    let delete = json!([{ "@odata.type": "#microsoft.graph.disableAndDeleteUserApplyAction" }]);
    let applied = t.review().scope(&guests).setting("applyActions", delete).running().await;
    applied.decide(&t.as_user("mia"), crate::support::GUEST, "Deny").await.is(204);
    applied.decide(&t.as_user("mia"), "gil", "Approve").await.is(204);
    t.as_admin().act(&format!("{}/stop", applied.instance_path())).await.is(204);
    t.as_admin().act(&format!("{}/applyDecisions", applied.instance_path())).await.is(204);
    t.run_jobs().await;
}

/// Every table that has rows of one tenant has as many of the other's.
async fn two_busy_tenants() -> (Database, [(Tenant, Review); 2]) {
    let database = Database::own().await;
    let tenants = [busy_tenant(&database).await, busy_tenant(&database).await];
    for table in walled_tables(&database).await {
        let mut connection = database.connection().await;
        for (tenant, _) in &tenants {
            let count = format!("select count(*) from {table} where tenant_id = '{}'", tenant.id);
            assert!(number(&mut connection, &count).await > 0, "{table} is empty: the test says nothing of it");
        }
    }
    (database, tenants)
}

#[tokio::test]
async fn every_table_with_a_tenant_enforces_row_level_security() {
    let database = Database::shared().await;
    let open = texts(
        &database,
        "select c.relname from pg_class c
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
            and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)
            and not (c.relrowsecurity and c.relforcerowsecurity)",
    )
    .await;
    assert_eq!(open, UNWALLED);

    let policies = texts(
        &database,
        "select format('%s %s %s %s %s | %s', tablename, cmd, permissive, roles, qual, with_check) from pg_policies
          where policyname <> 'claimed_by_workers' and tablename <> 'tenant_issuers'",
    )
    .await;
    let expected: Vec<_> = walled_tables(&database)
        .await
        .iter()
        .map(|table| {
            let tenant = "(tenant_id = attestry_tenant())";
            format!("{table} ALL PERMISSIVE {{attestry_service}} {tenant} | {tenant}")
        })
        .collect();
    assert_eq!(policies, expected);

    let others = texts(
        &database,
        "select format('%s %s', tablename, roles) from pg_policies where policyname = 'claimed_by_workers'",
    )
    .await;
    assert_eq!(others, ["jobs {attestry_worker}"], "workers of all tenants see one table");
}

#[tokio::test]
async fn every_table_but_the_history_of_migrations_has_a_tenant() {
    let database = Database::shared().await;
    let all = texts(
        &database,
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind not in ('i', 'S', 'c', 't')",
    )
    .await;
    let without: Vec<_> = {
        let with = tenant_tables(&database).await;
        all.into_iter().filter(|table| !with.contains(table)).collect()
    };
    assert_eq!(without, ["refinery_schema_history"]);
}

/// Section 3 of the design
/// What `deploy/citus.sql` distributes is what there is: a table that a migration adds has to be added there, too.
#[tokio::test]
async fn the_statements_for_a_distributed_engine_name_every_table_once_and_functions_that_exist() {
    let database = Database::shared().await;
    let tables = texts(
        &database,
        "select c.relname from pg_class c
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> 'refinery_schema_history'",
    )
    .await;

    let statements = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/citus.sql")).unwrap();
    let placed = |line: &str| {
        let call = ["create_reference_table('", "citus_add_local_table_to_metadata('", "create_distributed_table('"];
        let named = call.into_iter().find_map(|call| line.strip_prefix("select ")?.strip_prefix(call))?;
        Some(named.split_once('\'')?.0.to_owned())
    };
    let mut named: Vec<_> = statements.lines().filter_map(placed).collect();
    named.sort();

    assert_eq!(named, tables);

    let functions: Vec<_> = statements
        .split("create_distributed_function(")
        .skip(1)
        .map(|call| call.split('\'').nth(1).unwrap().to_owned())
        .collect();
    let existing = texts(
        &database,
        "select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'public'::regnamespace",
    )
    .await;
    assert!(!functions.is_empty());
    for function in functions {
        assert!(existing.contains(&function.replace(", ", ",")), "{function}");
    }
}

#[tokio::test]
async fn every_key_and_index_begins_with_the_tenant() {
    let database = Database::shared().await;

    let keyless = texts(
        &database,
        "select c.relname from pg_class c
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
            and not exists (select from pg_constraint k where k.conrelid = c.oid and k.contype = 'p')",
    )
    .await;
    assert_eq!(keyless, [""; 0], "no primary key");

    let elsewhere = texts(
        &database,
        "select i.indexrelid::regclass::text
           from pg_index i
           join pg_class t on t.oid = i.indrelid
           left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
          where t.relnamespace = 'public'::regnamespace
            and t.relname <> 'refinery_schema_history'
            and a.attname is distinct from 'tenant_id'",
    )
    .await;
    assert_eq!(elsewhere, CROSS_TENANT_INDEXES);

    let foreign_keys = texts(
        &database,
        "select format('%s.%s', k.conrelid::regclass, k.conname)
           from pg_constraint k
          where k.contype = 'f'
            and not exists (
                    select from unnest(k.conkey, k.confkey) as pair (own, other)
                      join pg_attribute a on a.attrelid = k.conrelid and a.attnum = pair.own and a.attname = 'tenant_id'
                      join pg_attribute b on b.attrelid = k.confrelid and b.attnum = pair.other and b.attname = 'tenant_id')",
    )
    .await;
    assert_eq!(foreign_keys, [""; 0], "foreign keys that could cross the wall");
}

#[tokio::test]
async fn the_service_owns_nothing_and_may_do_no_more_than_its_work() {
    let database = Database::shared().await;

    let roles = database
        .rows(
            "select jsonb_build_array(rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication, rolcanlogin)
                    as row
               from pg_roles where rolname in ('attestry_service', 'attestry_worker') order by rolname",
        )
        .await;
    let none = |name: &str| json!([name, false, false, false, false, false, false]);
    assert_eq!(roles, [none("attestry_service"), none("attestry_worker")]);

    let owned = texts(
        &database,
        "select relname from pg_class where relowner::regrole::text in ('attestry_service', 'attestry_worker')
          union all
         select proname from pg_proc where proowner::regrole::text in ('attestry_service', 'attestry_worker')",
    )
    .await;
    assert_eq!(owned, [""; 0]);
    let member_of = texts(
        &database,
        "select format('%s of %s', member::regrole, roleid::regrole) from pg_auth_members
          where member::regrole::text in ('attestry_service', 'attestry_worker')",
    )
    .await;
    assert_eq!(member_of, [""; 0]);

    let rights = async |role: &str| {
        texts(
            &database,
            &format!(
                "select format('%s %s', table_name, string_agg(lower(privilege_type), ' ' order by privilege_type))
                   from information_schema.role_table_grants where grantee = '{role}' group by table_name"
            ),
        )
        .await
    };
    let expected: Vec<_> = {
        let mut rights: Vec<_> = walled_tables(&database)
            .await
            .into_iter()
            .map(|table| match table.as_str() {
                "events" => "events insert select".to_owned(),
                table => format!("{table} delete insert select update"),
            })
            .collect();
        for readable in ["refinery_schema_history", "tenants"] {
            rights.push(format!("{readable} select"));
        }
        rights.push("tenant_issuers delete insert select update".to_owned());
        rights.sort();
        rights
    };
    let mut found = rights("attestry_service").await;
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(rights("attestry_worker").await, ["jobs select update"]);

    let columns = texts(
        &database,
        "select format('%s.%s', table_name, column_name) from information_schema.role_column_grants
          where grantee = 'attestry_service' and privilege_type = 'UPDATE' and table_name = 'tenants'",
    )
    .await;
    assert_eq!(columns, ["tenants.clock_offset"], "a sandbox clock is all the service may change about a tenant");
    let may_create = texts(
        &database,
        "select rolname from pg_roles
          where rolname in ('attestry_service', 'attestry_worker') and has_schema_privilege(rolname, 'public', 'CREATE')",
    )
    .await;
    assert_eq!(may_create, [""; 0]);
}

/// They are read before the tenant is known, so everybody's are seen; written are the tenant's own and never the built-in ones.
#[tokio::test]
async fn the_service_writes_only_the_issuers_that_the_tenant_registered_itself() {
    let database = Database::shared().await;
    let (a, b) = (Tenant::new().await, Tenant::new().await);
    let mut connection = database.connection().await;
    let add = |tenant: &Tenant, development: bool| {
        format!(
            "insert into tenant_issuers (tenant_id, issuer_id, issuer, audiences, algorithms, development, claims, jwks)
             values ('{}', gen_random_uuid(), 'https://' || gen_random_uuid(), '{{a}}', '{{RS256}}', {development}, {}, {})",
            tenant.id,
            if development { "null" } else { "'{}'" },
            if development { "'{}'" } else { "null" },
        )
    };
    run(&mut connection, &add(&b, false)).await.unwrap();

    as_service(&mut connection, Some(a.id)).await;
    assert_eq!(run(&mut connection, &add(&a, false)).await.unwrap(), 1);
    for foreign in [add(&b, false), add(&a, true)] {
        assert_eq!(refusal(&mut connection, &foreign).await, PERMISSION_DENIED, "{foreign}");
    }
    let of_both = format!("where tenant_id in ('{}', '{}')", a.id, b.id);
    assert_eq!(number(&mut connection, &format!("select count(*) from tenant_issuers {of_both}")).await, 4);
    for write in ["update tenant_issuers set revision = revision + 1", "delete from tenant_issuers"] {
        assert_eq!(run(&mut connection, &format!("{write} {of_both}")).await.unwrap(), 1, "{write}");
    }
    run(&mut connection, "rollback").await.unwrap();
}

/// But for one that reads nothing for whoever calls it, takes nothing from him and tells him nothing.
#[tokio::test]
async fn no_function_runs_with_its_owners_rights() {
    let database = Database::shared().await;
    let definers =
        texts(&database, "select proname from pg_proc where pronamespace = 'public'::regnamespace and prosecdef").await;
    assert_eq!(definers, ["analyze_directory"]);
    let told = "select format('%s %s %s', pronargs, prorettype::regtype, proconfig) from pg_proc where proname = 'analyze_directory'";
    assert_eq!(texts(&database, told).await, ["0 void {\"search_path=pg_catalog, public, pg_temp\"}"]);
}

#[tokio::test]
async fn statements_without_a_tenant_condition_touch_only_the_tenant_that_is_set() {
    let (database, [(a, _), (b, _)]) = two_busy_tenants().await;
    let mut connection = database.connection().await;

    for table in walled_tables(&database).await {
        let of = |tenant: &Tenant| format!("select count(*) from {table} where tenant_id = '{}'", tenant.id);
        let all = format!("select count(*) from {table}");
        let own = number(&mut connection, &of(&a)).await;

        as_service(&mut connection, Some(a.id)).await;
        assert_eq!(number(&mut connection, &all).await, own, "select {table}");
        assert_eq!(number(&mut connection, &of(&b)).await, 0, "select {table}");
        if table == "events" {
            for forbidden in ["update events set actor_name = ''", "delete from events", "truncate events"] {
                assert_eq!(refusal(&mut connection, forbidden).await, PERMISSION_DENIED, "{forbidden}");
            }
        } else {
            let touched = run(&mut connection, &format!("update {table} set tenant_id = tenant_id")).await.unwrap();
            assert_eq!(i64::try_from(touched).unwrap(), own, "update {table}");
            assert_eq!(
                refusal(&mut connection, &format!("truncate {table} cascade")).await,
                PERMISSION_DENIED,
                "{table}"
            );
            let moved = format!("update {table} set tenant_id = '{}'", b.id);
            assert_eq!(refusal(&mut connection, &moved).await, PERMISSION_DENIED, "{moved}");
        }
        run(&mut connection, "rollback").await.unwrap();
    }
}

#[tokio::test]
async fn deleting_everything_deletes_everything_of_one_tenant() {
    let (database, [(a, _), (b, _)]) = two_busy_tenants().await;
    let mut connection = database.connection().await;
    let tables: Vec<_> = walled_tables(&database).await.into_iter().filter(|table| table != "events").collect();
    let mut of_b = Vec::new();
    for table in &tables {
        of_b.push(number(&mut connection, &format!("select count(*) from {table} where tenant_id = '{}'", b.id)).await);
    }

    // Parents first: what cascades does so under the policies, too. A table that others hold on to has its turn later.
    as_service(&mut connection, Some(a.id)).await;
    let mut waiting = tables.clone();
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut still = Vec::new();
        for table in waiting {
            run(&mut connection, "savepoint attempt").await.unwrap();
            if run(&mut connection, &format!("delete from {table}")).await.is_err() {
                run(&mut connection, "rollback to attempt").await.unwrap();
                still.push(table);
            }
        }
        assert!(still.len() < before, "nothing can be deleted any more: {still:?}");
        waiting = still;
    }
    run(&mut connection, "commit").await.unwrap();

    for (table, count) in tables.iter().zip(of_b) {
        let left = async |connection: &mut PgConnection, tenant: &Tenant| {
            number(connection, &format!("select count(*) from {table} where tenant_id = '{}'", tenant.id)).await
        };
        assert_eq!(left(&mut connection, &a).await, 0, "{table}");
        assert_eq!(left(&mut connection, &b).await, count, "{table}");
    }
    assert!(number(&mut connection, &format!("select count(*) from events where tenant_id = '{}'", a.id)).await > 0);
}

#[tokio::test]
async fn a_row_of_another_tenant_is_refused() {
    let (database, [(a, _), (b, _)]) = two_busy_tenants().await;
    let mut connection = database.connection().await;

    for table in walled_tables(&database).await {
        let row: Value = sqlx::query_scalar(AssertSqlSafe(format!(
            "select to_jsonb(t) || jsonb_build_object('tenant_id', '{}') from {table} t where tenant_id = '{}' limit 1",
            b.id, a.id
        )))
        .fetch_one(&mut connection)
        .await
        .unwrap();

        as_service(&mut connection, Some(a.id)).await;
        let insert = format!(
            "insert into {table} overriding system value select * from jsonb_populate_record(null::{table}, $1)"
        );
        let error = sqlx::query(AssertSqlSafe(insert)).bind(&row).execute(&mut connection).await.unwrap_err();
        let error = error.as_database_error().unwrap();
        assert_eq!(error.code().unwrap(), PERMISSION_DENIED, "{table}: {error}");
        assert!(error.message().contains("row-level security"), "{table}: {error}");
        run(&mut connection, "rollback").await.unwrap();
    }
}

#[tokio::test]
async fn without_a_tenant_there_is_nothing() {
    let (database, [(a, _), _]) = two_busy_tenants().await;
    let mut connection = database.connection().await;

    for table in walled_tables(&database).await {
        as_service(&mut connection, None).await;
        assert_eq!(number(&mut connection, &format!("select count(*) from {table}")).await, 0, "{table}");
        if table != "events" {
            assert_eq!(run(&mut connection, &format!("delete from {table}")).await.unwrap(), 0, "{table}");
        }
        run(&mut connection, "rollback").await.unwrap();
    }

    // The setting ends with its transaction, whatever its end; also where the role stays.
    run(&mut connection, "set role attestry_service").await.unwrap();
    for end in ["commit", "rollback"] {
        as_service(&mut connection, Some(a.id)).await;
        assert!(number(&mut connection, "select count(*) from users").await > 0);
        run(&mut connection, end).await.unwrap();
        assert_eq!(number(&mut connection, "select count(*) from users").await, 0, "after {end}");
        let left =
            sqlx::query("select nullif(current_setting('attestry.tenant', true), '')").fetch_one(&mut connection);
        assert_eq!(left.await.unwrap().get::<Option<String>, _>(0), None, "after {end}");
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_worker_sees_the_jobs_of_all_tenants_and_nothing_else() {
    let (database, [(a, _), (b, _)]) = two_busy_tenants().await;
    let mut connection = database.connection().await;

    run(&mut connection, "begin; set local role attestry_worker").await.unwrap();
    assert_eq!(number(&mut connection, "select count(distinct tenant_id) from jobs").await, 2);
    for table in tenant_tables(&database).await.iter().filter(|table| *table != "jobs") {
        assert_eq!(refusal(&mut connection, &format!("select from {table}")).await, PERMISSION_DENIED, "{table}");
    }
    for statement in ["delete from jobs", "truncate jobs", "insert into jobs select * from jobs"] {
        assert_eq!(refusal(&mut connection, statement).await, PERMISSION_DENIED, "{statement}");
    }
    run(&mut connection, "rollback").await.unwrap();

    let claimed = a.services.queue.claim(Some(a.id), 100, 60).await.unwrap();
    assert!(claimed.iter().all(|job| job.tenant == a.id), "{claimed:?}");
    assert_ne!(a.id, b.id);
}

#[tokio::test]
async fn functions_see_no_further_than_their_caller() {
    let (database, [(a, review), (b, _)]) = two_busy_tenants().await;
    let mut connection = database.connection().await;
    let items =
        format!("from decision_items i where i.tenant_id = '{}' and i.instance_id = '{}'", a.id, review.instance);
    let of_a: Vec<(i32, i32)> = sqlx::query_as(AssertSqlSafe(format!("select i.seq, i.cohort {items}")))
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let mia = object_id("mia");
    let ask = async |connection: &mut PgConnection, tenant: TenantId| {
        as_service(connection, Some(tenant)).await;
        let mut found = (0, 0);
        for (seq, cohort) in &of_a {
            let question = format!(
                "select reviews_item('{0}', '{1}', 1::smallint, {seq}, {cohort}, '{mia}'),
                        stage_holds_item('{0}', '{1}', 2::smallint, 'listed', {seq})",
                a.id, review.instance,
            );
            let row = sqlx::query(AssertSqlSafe(question)).fetch_one(&mut *connection).await.unwrap();
            found.0 += i32::from(row.get::<bool, _>(0));
            found.1 += i32::from(row.get::<bool, _>(1));
        }
        run(connection, "rollback").await.unwrap();
        found
    };

    assert_eq!(ask(&mut connection, a.id).await, (4, 2), "mia has four reports, two of them moved on");
    assert_eq!(ask(&mut connection, b.id).await, (0, 0));
}

/// Who may do everything, somebody who reviews, and an application.
fn callers(t: &Tenant) -> [Client; 3] {
    [t.as_admin(), t.as_user("mia"), t.as_application()]
}

/// LC-AUTH-07
#[tokio::test]
async fn every_route_answers_404_for_the_review_of_another_tenant() {
    let (_, [(a, review), (b, _)]) = two_busy_tenants().await;
    let definition = review.path();
    let instance = review.instance_path();
    let stage = review.stage_path(2).await;
    let item = review.item_id("ana").await;
    let decision = json!({ "decision": "Approve", "justification": "because" });
    let reviewers = json!({ "reviewers": [user("sam")] });
    let mine = "filterByCurrentUser(on='reviewer')";
    let before = a.events().await.len();
    let calls = [
        (Method::GET, definition.clone(), None),
        (Method::GET, format!("{definition}/instances"), None),
        (Method::GET, format!("{definition}/instances/{mine}"), None),
        (Method::GET, instance.clone(), None),
        (Method::GET, format!("{instance}/stages"), None),
        (Method::GET, format!("{instance}/stages/{mine}"), None),
        (Method::GET, stage.clone(), None),
        (Method::GET, format!("{instance}/decisions"), None),
        (Method::GET, format!("{instance}/decisions/{mine}"), None),
        (Method::GET, format!("{instance}/decisions/{item}"), None),
        (Method::GET, format!("{stage}/decisions"), None),
        (Method::GET, format!("{stage}/decisions/{mine}"), None),
        (Method::GET, format!("{stage}/decisions/{item}"), None),
        (Method::GET, format!("{instance}/contactedReviewers"), None),
        (Method::GET, format!("{instance}/contactedReviewers/{}", object_id("mia")), None),
        (Method::PATCH, definition.clone(), Some(&reviewers)),
        (Method::PUT, definition.clone(), Some(&reviewers)),
        (Method::POST, format!("{definition}/stop"), None),
        (Method::PATCH, instance.clone(), Some(&reviewers)),
        (Method::PUT, instance.clone(), Some(&reviewers)),
        (Method::POST, format!("{instance}/sendReminder"), None),
        (Method::PATCH, stage.clone(), Some(&reviewers)),
        (Method::PATCH, format!("{instance}/decisions/{item}"), Some(&decision)),
        (Method::PATCH, format!("{stage}/decisions/{item}"), Some(&decision)),
        (Method::POST, format!("{stage}/stop"), None),
        (Method::POST, format!("{instance}/stop"), None),
        (Method::DELETE, definition.clone(), None),
    ];

    for (method, path, body) in &calls {
        for caller in callers(&b) {
            caller.send(method.clone(), path, *body).await.refused(404, "ResourceNotFound");
        }
    }

    assert_eq!(a.events().await.len(), before, "something was done");
    assert_eq!(review.status().await, "InProgress");
    assert_eq!(review.item("ana").await["decision"], "Deny");
    // The same calls are none that nobody could make.
    for (method, path, body) in calls.iter().filter(|(method, ..)| *method == Method::GET) {
        a.as_admin().send(method.clone(), path, *body).await.is(200);
    }
}

#[tokio::test]
async fn parts_of_two_tenants_do_not_fit_together() {
    let (_, [(a, of_a), (b, of_b)]) = two_busy_tenants().await;
    let foreign_item = of_a.item_id("ana").await;
    let foreign_stage = of_a.stage_path(2).await;
    let foreign_stage = foreign_stage.rsplit_once('/').unwrap().1;
    let admin = b.as_admin();

    admin.get(&format!("{}/instances/{}", of_b.path(), of_a.instance)).await.refused(404, "ResourceNotFound");
    admin.get(&format!("{}/decisions/{foreign_item}", of_b.instance_path())).await.refused(404, "ResourceNotFound");
    admin.get(&format!("{}/stages/{foreign_stage}", of_b.instance_path())).await.refused(404, "ResourceNotFound");
    let decision = json!({ "decision": "Approve", "justification": "because" });
    let foreign = format!("{}/decisions/{foreign_item}", of_b.instance_path());
    b.as_user("mia").patch(&foreign, &decision).await.refused(404, "ResourceNotFound");

    assert_eq!(of_a.item("ana").await["decision"], "Deny");
    drop(a);
}

/// LC-AUTH-07
#[tokio::test]
async fn lists_show_only_the_own_tenant() {
    let (_, [(a, of_a), (b, of_b)]) = two_busy_tenants().await;

    for (t, own) in [(&a, &of_a), (&b, &of_b)] {
        let stored = t.table("definitions").await;
        let mut ids: Vec<_> = stored.iter().map(|row| row["definition_id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        assert!(ids.contains(&own.definition.as_str()));
        for (caller, path) in [
            (t.as_admin(), "/definitions?$count=true"),
            (t.as_application(), "/definitions?$count=true"),
            (t.as_user("mia"), "/definitions/filterByCurrentUser(on='reviewer')?$count=true"),
        ] {
            let answer = caller.get(path).await.is(200);
            let mut listed: Vec<_> = answer.rows().iter().map(|row| row["id"].as_str().unwrap()).collect();
            listed.sort_unstable();
            assert_eq!(listed, ids, "{path}");
            assert_eq!(answer.body["@odata.count"], ids.len(), "{path}");
        }
        assert_eq!(own.items().await.len(), 7);
    }
}

/// A-09, CL-25
#[tokio::test]
async fn a_continuation_of_another_tenant_is_refused() {
    let (_, [(a, _), (b, _)]) = two_busy_tenants().await;
    for t in [&a, &b] {
        t.review().create().await;
        t.review().create().await;
    }
    let link = a.as_admin().get("/definitions?$top=1").await.is(200).text("@odata.nextLink");

    a.as_admin().get(&link).await.is(200);
    b.as_admin().get(&link).await.refused(400, "InvalidSkipToken");
    a.as_reader().get(&link).await.refused(400, "InvalidSkipToken");
}

#[tokio::test]
async fn a_token_speaks_for_the_tenant_of_its_issuer_only() {
    let (_, [(a, review), (b, _)]) = two_busy_tenants().await;
    let request = attestry::app::development_tokens::TokenRequest::new(
        attestry::app::development_tokens::Subject::User {
            id: crate::support::id_of("carla"),
            display_name: "carla".to_owned(),
            user_principal_name: "carla@acme.example".to_owned(),
        },
        &["Identity Governance Administrator".to_owned()],
        &[],
        "PT1H".parse().unwrap(),
    )
    .unwrap();

    // One service, two tenants: the token of each reaches its own tenant, wherever it is sent.
    let with_token_of = |t: &Tenant| b.with_authorization(Some(&format!("Bearer {}", t.token(&request))));
    with_token_of(&a).get(&review.path()).await.is(200);
    with_token_of(&b).get(&review.path()).await.refused(404, "ResourceNotFound");
}

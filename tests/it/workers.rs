//! Several workers on one database: what is due happens once, whoever runs it and whoever dies in it. LC-CONC-06, LC-CONC-07

use std::{sync::Arc, time::Duration};

use attestry::{
    app::{
        Refused, Services,
        run_job::{Ran, run_job},
    },
    domain::status::Status,
    jobs::{Worker, WorkerSettings},
    mail::NoMailer,
    store::{Job, LaneSizes, StoreError, pg::PgStore},
};
use serde_json::Value;
use tokio::sync::Notify;

use crate::support::{Blocker, Company, Database, Tenant, eventually, stage, user};

const URL: &str = "https://reviews.example";

fn services(database: &Database) -> Services {
    let store = PgStore::connect(&database.url, LaneSizes::each(8)).unwrap();
    let limits = attestry::domain::limits::ReviewLimits::default();
    Services::new(Arc::new(store.clone()), Arc::new(store), Arc::new(NoMailer), Arc::new(Notify::new()), limits)
}

async fn number(database: &Database, sql: &str) -> i64 {
    database.rows(&format!("select to_jsonb(({sql})) as row")).await[0].as_i64().unwrap()
}

/// LC-CONC-07
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_with_hundreds_of_due_jobs_of_several_tenants_do_each_once() {
    const TENANTS: usize = 4;
    const REVIEWS: usize = 15;
    let database = Database::own().await;
    let mut tenants = Vec::new();
    for _ in 0..TENANTS {
        let t = Tenant::on(database.clone(), Arc::new(NoMailer), true).await;
        Company::finance().import(&t).await;
        for _ in 0..REVIEWS {
            let stages = [
                stage(1, 3, &[user("mia")], &[], &[]),
                stage(2, 3, &[user("noor")], &[], &[]),
                stage(3, 4, &[user("olga")], &[], &[]),
            ];
            t.review().stages(&stages).create().await;
        }
        tenants.push(t);
    }
    let settings = WorkerSettings {
        concurrency: 3,
        lease_seconds: 30,
        poll: Duration::from_millis(20),
        ..WorkerSettings::default()
    };
    let workers: Vec<_> = (0..2).map(|_| Worker::spawn(services(&database), URL.to_owned(), settings)).collect();
    let all = i64::try_from(TENANTS * REVIEWS).unwrap();
    eventually("every review runs", async || {
        number(&database, "select count(*) from instances where status = 'InProgress'").await == all
    })
    .await;
    for (step, closed) in [("P3D", all), ("P3D", 2 * all), ("P4D", 3 * all)] {
        for t in &tenants {
            t.advance_without_jobs(step).await;
        }
        eventually("every stage whose time is over is closed", async || {
            number(&database, "select count(*) from stages where status = 'Completed'").await == closed
        })
        .await;
    }
    eventually("every review is over", async || {
        number(&database, "select count(*) from instances where status = 'Completed'").await == all
    })
    .await;
    eventually("nothing is left to do", async || {
        number(&database, "select count(*) from jobs where finished_at is null").await == 0
    })
    .await;
    for worker in workers {
        worker.shutdown().await;
    }

    assert_eq!(number(&database, "select count(*) from jobs where kind = 'open_instance'").await, all);
    assert_eq!(number(&database, "select count(*) from jobs where kind = 'close_stage'").await, 3 * all);
    let odd: Vec<Value> =
        database.rows("select to_jsonb(j) as row from jobs j where outcome <> 'done' or attempts <> 1").await;
    assert!(odd.is_empty(), "{odd:#?}");
    // Each step of each object has one event.
    let twice = database
        .rows(
            "select jsonb_agg(e) as row from events e where activity in ('Stage status changed', 'Stage created',
                 'Instance status changed')
              group by tenant_id, activity, instance_id, stage_id, after ->> 'status' having count(*) > 1",
        )
        .await;
    assert!(twice.is_empty(), "{twice:#?}");
    let completed =
        "select count(*) from events where activity = 'Stage status changed' and after ->> 'status' = 'Completed'";
    assert_eq!(number(&database, completed).await, 3 * all);
    assert_eq!(number(&database, "select count(*) from stages").await, 3 * all);
}

/// LC-CONC-06
#[tokio::test]
async fn a_worker_whose_lease_has_ended_cannot_end_the_job_and_what_it_did_is_undone() {
    let t = Tenant::with_finance().await;
    let review = t.review().create().await;
    let mut jobs = t.services.queue.claim(Some(t.id), 1, 0).await.unwrap();
    let slow = jobs.pop().unwrap();
    let next = t.services.queue.claim(Some(t.id), 1, 60).await.unwrap().pop().unwrap();
    assert_eq!((next.id, next.attempt), (slow.id, 2));
    assert!(t.services.queue.claim(Some(t.id), 1, 60).await.unwrap().is_empty());

    let refused = run_job(&t.services, &slow, URL).await.unwrap_err();

    assert!(matches!(refused, Refused::Store(StoreError::LeaseLost)), "{refused:?}");
    // The first of its two transactions only said that it began; the second is undone.
    assert_eq!(review.status().await, "Initializing");
    assert!(review.items().await.is_empty());
    assert!(!t.services.queue.renew(&slow, 60).await.unwrap());
    t.services.queue.release(&slow, 0, "of no effect").await.unwrap();

    assert!(matches!(run_job(&t.services, &next, URL).await.unwrap(), Ran::Finished));
    assert_eq!(review.status().await, "InProgress");
    assert_eq!(review.items().await.len(), 7);
}

/// LC-CONC-04: two timers.
#[tokio::test]
async fn a_stage_that_two_workers_believe_to_be_theirs_closes_once() {
    let t = Arc::new(Tenant::with_finance().await);
    let stages = [stage(1, 3, &[user("mia")], &[], &[]), stage(2, 3, &[user("noor")], &[], &[])];
    let review = t.review().stages(&stages).running().await;
    t.advance_without_jobs("P3D").await;
    let slow = t.services.queue.claim(Some(t.id), 1, 0).await.unwrap().pop().unwrap();
    let next = t.services.queue.claim(Some(t.id), 1, 60).await.unwrap().pop().unwrap();
    assert!(matches!(next.job, Job::CloseStage { .. }));
    assert_eq!(next.id, slow.id);
    let sql = format!("select from stages where tenant_id = '{}' for update", t.id);
    let mut blocker = Blocker::hold(&t.database, &sql).await;

    let run = |job| {
        let t = Arc::clone(&t);
        tokio::spawn(async move { run_job(&t.services, &job, URL).await })
    };
    let one = run(slow);
    blocker.wait_until_blocked(1).await;
    let other = run(next);
    blocker.wait_until_blocked(2).await;
    blocker.rollback().await;

    assert!(matches!(one.await.unwrap().unwrap_err(), Refused::Store(StoreError::LeaseLost)));
    assert!(matches!(other.await.unwrap().unwrap(), Ran::Finished));
    assert_eq!(review.stage_statuses().await, ["Completed", "InProgress"]);
    let completed: Vec<_> = t.events_of("Stage status changed").await;
    let completed = completed.iter().filter(|event| event["after"]["status"] == Status::Completed.as_str()).count();
    assert_eq!(completed, 1);
}

/// IN-02, IN-03, LC-CONC-06
#[tokio::test]
async fn a_review_whose_opening_was_interrupted_is_opened_by_the_next_worker() {
    let t = Arc::new(Tenant::on(Database::own().await, Arc::new(NoMailer), true).await);
    Company::finance().import(&t).await;
    let review = t.review().create().await;
    // Gathering has to wait, so the worker can be stopped between its two transactions.
    let mut blocker = Blocker::hold(&t.database, "lock table decision_items in exclusive mode").await;
    let job = t.services.queue.claim(Some(t.id), 1, 0).await.unwrap().pop().unwrap();
    let dying = tokio::spawn({
        let t = Arc::clone(&t);
        async move { run_job(&t.services, &job, URL).await.map(|_| ()) }
    });
    blocker.wait_until_blocked(1).await;
    assert_eq!(review.status().await, "Initializing");

    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    blocker.rollback().await;
    t.run_jobs().await;

    assert_eq!(review.status().await, "InProgress");
    assert_eq!(review.items().await.len(), 7);
    let walked: Vec<_> =
        t.events_of("Instance status changed").await.iter().map(|event| event["after"]["status"].clone()).collect();
    assert_eq!(walked, ["NotStarted", "Initializing", "Starting", "InProgress"]);
}

/// The statements that take due jobs, as they are compiled into the service.
fn claims() -> Vec<String> {
    let statements = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.sqlx")).unwrap().map(|file| {
        let metadata: Value = serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
        metadata["query"].as_str().unwrap().to_owned()
    });
    statements.filter(|text| text.contains("skip locked") && text.contains("run_at <=")).collect()
}

/// What is not due yet costs nothing, however much of it there is: a worker asks twice a second.
#[tokio::test]
async fn due_work_is_found_without_passing_over_what_is_not_due() {
    let database = Database::own().await;
    let t = Tenant::on(database.clone(), Arc::new(NoMailer), true).await;
    database
        .execute(&format!(
            "insert into jobs (tenant_id, job_id, kind, key, payload, due_at, run_at)
             select '{}', gen_random_uuid(), 'close_stage', n::text, '{{}}', now() + interval '30 days', now() + interval '30 days'
               from generate_series(1, 5000) as n;
             analyze jobs",
            t.id
        ))
        .await;
    let claims = claims();
    assert_eq!(claims.len(), 3, "one for each choice of kinds");
    for claim in claims {
        let mut connection = database.connection().await;
        let prepare = format!(
            "set plan_cache_mode = force_generic_plan; prepare claim (bigint, double precision, uuid) as {claim}"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(prepare)).execute(&mut connection).await.unwrap();
        let plan: Vec<String> =
            sqlx::query_scalar("explain execute claim(4, 9, null)").fetch_all(&mut connection).await.unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains("Index Cond: (run_at <=") && !plan.contains("Sort"), "{claim}\n{plan}");
    }
}

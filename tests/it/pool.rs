//! What is cancelled half way must not reach the next borrower of its connection: no open transaction, no tenant, no role.
//! Rule 2 of concurrency

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use attestry::{
    app::{Services, ids},
    domain::{
        event::{Activity, Event},
        ids::{DefinitionId, TenantId},
    },
    mail::NoMailer,
    store::{Actor, JobQueue, Lane, LaneSizes, Store, StoreError, pg::PgStore},
};
use serde_json::json;
use tokio::sync::Notify;

use crate::support::{Database, Tenant, eventually};

/// More often than anything here has to be polled.
const POLLS: usize = 60;

/// Polls a future so many times and then drops it; what it answered, if it came so far.
async fn polled<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            // The next poll comes when there is something new, except that the last one is not waited for.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

fn marker(id: uuid::Uuid) -> Event {
    Event { definition_id: Some(DefinitionId::new(id)), after: Some(json!({})), ..Event::new(Activity::ClockAdvanced) }
}

/// Writes two events in one unit of work.
async fn two_events(store: &PgStore, lane: Lane, tenant: TenantId, mark: uuid::Uuid) -> Result<(), StoreError> {
    let mut uow = store.begin(tenant, lane).await?;
    uow.events().append(&Actor::system(), &[marker(mark)]).await?;
    uow.events().append(&Actor::system(), &[marker(mark)]).await?;
    uow.commit().await
}

async fn count(database: &Database, tenant: TenantId, mark: uuid::Uuid) -> usize {
    let sql =
        format!("select to_jsonb(1) as row from events where tenant_id = '{tenant}' and definition_id = '{mark}'");
    database.rows(&sql).await.len()
}

/// The states of the service's sessions on this database that are in a transaction.
async fn in_transaction(database: &Database) -> Vec<serde_json::Value> {
    database
        .rows(
            "select to_jsonb(state) as row from pg_stat_activity
              where datname = current_database() and application_name = 'attestry' and xact_start is not null",
        )
        .await
}

#[tokio::test]
async fn a_unit_of_work_cancelled_anywhere_is_done_as_a_whole_or_not_at_all_and_leaves_nothing_to_the_next() {
    let database = Database::own().await;
    let one = Tenant::on(database.clone(), Arc::new(NoMailer), true).await;
    let other = Tenant::on(database.clone(), Arc::new(NoMailer), true).await;
    let mut seen = [false; 2];
    for times in 1..POLLS {
        let store = PgStore::connect(&database.url, LaneSizes::each(1)).unwrap();
        if times % 2 == 0 {
            // Also with a connection that is there already.
            store.begin(other.id, Lane::Interactive).await.unwrap().commit().await.unwrap();
        }
        let (lost, kept) = (ids::tenant().as_uuid(), ids::tenant().as_uuid());

        let ended = polled(times, two_events(&store, Lane::Interactive, one.id, lost)).await;
        let mut uow = store.begin(other.id, Lane::Interactive).await.unwrap();
        assert_eq!(uow.tenants().current().await.unwrap().id, other.id);
        uow.events().append(&Actor::system(), &[marker(kept)]).await.unwrap();
        uow.commit().await.unwrap();

        let done = count(&database, one.id, lost).await;
        let came_through = ended.is_some();
        match ended {
            Some(result) => {
                result.unwrap();
                assert_eq!(done, 2, "after {times} polls");
            }
            None => assert!([0, 2].contains(&done), "{done} events after {times} polls"),
        }
        assert_eq!(count(&database, other.id, lost).await, 0);
        assert_eq!(count(&database, other.id, kept).await, 1);
        assert_eq!(count(&database, one.id, kept).await, 0);
        eventually("nothing is open", async || in_transaction(&database).await.is_empty()).await;
        seen[usize::from(came_through)] = true;
        store.close().await;
    }
    assert_eq!(seen, [true, true], "some were cancelled and some were not");
}

#[tokio::test]
async fn a_unit_of_work_that_is_dropped_is_rolled_back_before_its_connection_is_lent_again() {
    let database = Database::own().await;
    let one = Tenant::on(database.clone(), Arc::new(NoMailer), true).await;
    let other = Tenant::on(database.clone(), Arc::new(NoMailer), true).await;
    let store = PgStore::connect(&database.url, LaneSizes::each(1)).unwrap();
    let mark = ids::tenant().as_uuid();

    let mut uow = store.begin(one.id, Lane::Interactive).await.unwrap();
    uow.events().append(&Actor::system(), &[marker(mark)]).await.unwrap();
    drop(uow);
    store.begin(other.id, Lane::Interactive).await.unwrap().commit().await.unwrap();

    assert_eq!(count(&database, one.id, mark).await, 0);
    assert!(in_transaction(&database).await.is_empty());
}

#[tokio::test]
async fn a_unit_of_work_dropped_with_its_runtime_leaves_nothing_open() {
    let database = Database::own().await;
    let one = Tenant::on(database.clone(), Arc::new(NoMailer), true).await;
    let store = PgStore::connect(&database.url, LaneSizes::each(1)).unwrap();
    let mark = ids::tenant().as_uuid();

    let (asked, tenant) = (store.clone(), one.id);
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut uow = asked.begin(tenant, Lane::Interactive).await.unwrap();
            uow.events().append(&Actor::system(), &[marker(mark)]).await.unwrap();
        });
        // Nobody polls what the drop left to do.
        drop(runtime);
    })
    .await
    .unwrap();
    store.begin(one.id, Lane::Interactive).await.unwrap().commit().await.unwrap();

    assert_eq!(count(&database, one.id, mark).await, 0);
    assert!(in_transaction(&database).await.is_empty());
}

#[tokio::test]
async fn a_claim_cancelled_anywhere_leaves_neither_its_role_nor_a_transaction_to_the_next() {
    let database = Database::own().await;
    let one = Tenant::on(database.clone(), Arc::new(NoMailer), true).await;
    let mut seen = [false; 2];
    for times in 1..POLLS {
        let store = PgStore::connect(&database.url, LaneSizes::each(1)).unwrap();
        if times % 2 == 0 {
            store.begin(one.id, Lane::Scheduler).await.unwrap().commit().await.unwrap();
        }
        let mark = ids::tenant().as_uuid();

        let ended = polled(times, store.claim(None, 1, 60)).await;
        eventually("nothing is open", async || in_transaction(&database).await.is_empty()).await;
        // The workers' role could not write this.
        two_events(&store, Lane::Scheduler, one.id, mark).await.unwrap();

        assert_eq!(count(&database, one.id, mark).await, 2, "after {times} polls");
        seen[usize::from(ended.is_some())] = true;
        store.close().await;
    }
    assert_eq!(seen, [true, true], "some were cancelled and some were not");
}

/// A service on one connection whose clients leave in the middle.
#[tokio::test]
async fn clients_that_leave_at_any_moment_do_not_disturb_the_next_one() {
    let t = Tenant::on(Database::own().await, Arc::new(NoMailer), true).await;
    crate::support::Company::finance().import(&t).await;
    let review = t.review().running().await;
    let store = PgStore::connect(&t.database.url, LaneSizes::each(1)).unwrap();
    let limits = attestry::domain::limits::ReviewLimits::default();
    let queue = Arc::new(store.clone());
    let services = Services::new(Arc::new(store.clone()), queue, Arc::new(NoMailer), Arc::new(Notify::new()), limits);
    let narrow = t.served_by(services);
    let item = format!("{}/decisions/{}", review.instance_path(), review.item_id("ana").await);
    let mia = t.as_user("mia").at(&narrow.url());
    for times in 1..POLLS {
        let body = json!({ "decision": "Approve", "justification": format!("{times}") });
        let left = polled(times % 12 + 1, mia.patch(&item, &body)).await;
        if let Some(answer) = left {
            answer.is(204);
        }
        mia.get(&item).await.is(200);
    }
    eventually("nothing is open", async || in_transaction(&t.database).await.is_empty()).await;
    let told = t.events_of("Approve decision").await;
    assert_eq!(review.item("ana").await["justification"], told.last().unwrap()["after"]["justification"]);
}

//! When every connection is in use tenants take turns, and nobody's long work is in the way of somebody's short one. The order is
//! the tests': locks are held and units kept open until the others are seen to wait.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use attestry::{
    app::Services,
    domain::limits::ReviewLimits,
    mail::NoMailer,
    store::{JobQueue, Lane, LaneSizes, Readiness, Store, StoreError, pg::PgStore},
};
use serde_json::json;
use tokio::sync::Notify;

use crate::support::{Answer, Blocker, Tenant, eventually};

fn services(store: &PgStore) -> Services {
    let (queue, mailer) = (Arc::new(store.clone()), Arc::new(NoMailer));
    Services::new(Arc::new(store.clone()), queue, mailer, Arc::new(Notify::new()), ReviewLimits::default())
}

async fn is_ready<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
}

#[tokio::test]
async fn one_request_of_a_tenant_is_served_before_hundreds_that_another_has_waiting() {
    const WAITING: u32 = 200;
    let noisy = Tenant::with_finance().await;
    let quiet = Tenant::with_finance().await;
    let store = PgStore::connect(&noisy.database.url, LaneSizes::each(2)).unwrap();
    let first = store.begin(noisy.id, Lane::Interactive).await.unwrap();
    let second = store.begin(noisy.id, Lane::Interactive).await.unwrap();
    let waiting: Vec<_> = (0..WAITING)
        .map(|_| {
            let (store, tenant) = (store.clone(), noisy.id);
            tokio::spawn(async move {
                let uow = store.begin(tenant, Lane::Interactive).await.unwrap();
                uow.commit().await.unwrap();
            })
        })
        .collect();
    eventually("all of them wait", async || store.load(Lane::Interactive).waiting == WAITING).await;
    let mut asked = pin!(store.begin(quiet.id, Lane::Interactive));
    assert!(!is_ready(asked.as_mut()).await);

    drop(first);
    let served = asked.await.unwrap();

    assert_eq!(store.load(Lane::Interactive).waiting, WAITING, "nobody was served before");
    assert_eq!(served.tenant(), quiet.id);
    drop((second, served));
    for task in waiting {
        task.await.unwrap();
    }
    eventually("all is given back", async || {
        let load = store.load(Lane::Interactive);
        (load.in_use, load.waiting) == (0, 0)
    })
    .await;
    store.close().await;
}

#[tokio::test]
async fn a_tenant_whose_units_all_wait_for_a_lock_keeps_nobody_else_out() {
    const REQUESTS: usize = 12;
    let noisy = Tenant::with_finance().await;
    let quiet = Tenant::with_finance().await;
    let store = PgStore::connect(&noisy.database.url, LaneSizes::each(4)).unwrap();
    let service = noisy.served_by(services(&store));
    let review = noisy.review().running().await;
    let item = format!("{}/decisions/{}", review.instance_path(), review.item_id("ana").await);
    let held = format!("select from stages where tenant_id = '{}' for update", noisy.id);
    let mut blocker = Blocker::hold(&noisy.database, &held).await;
    let answers: Vec<_> = (0..REQUESTS)
        .map(|number| {
            let (client, item) = (noisy.as_user("mia").at(&service.url()), item.clone());
            let body = json!({ "decision": "Approve", "justification": number.to_string() });
            // With an entity tag each is recorded alone.
            let request = client.request(reqwest::Method::PATCH, &item).header("if-match", "*").json(&body);
            tokio::spawn(async move { Answer::of(request.send().await.unwrap()).await })
        })
        .collect();
    // Three of the four connections; the fourth is kept for others.
    blocker.wait_until_blocked(3).await;
    eventually("the rest waits", async || store.load(Lane::Interactive).waiting > 0).await;

    quiet.as_admin().at(&service.url()).get("/definitions").await.is(200);

    assert!(store.load(Lane::Interactive).waiting > 0);
    assert_eq!(store.ready().await.unwrap(), Readiness::Ready);
    blocker.commit().await;
    for answer in answers {
        answer.await.unwrap().is(204);
    }
}

#[tokio::test]
async fn no_lane_takes_the_connections_of_another() {
    let t = Tenant::with_finance().await;
    let store = PgStore::connect(&t.database.url, LaneSizes::each(1)).unwrap();
    for (busy, others) in [
        (Lane::Interactive, [Lane::Bulk, Lane::Scheduler]),
        (Lane::Bulk, [Lane::Interactive, Lane::Scheduler]),
        (Lane::Scheduler, [Lane::Interactive, Lane::Bulk]),
    ] {
        let held = store.begin(t.id, busy).await.unwrap();
        assert!(!is_ready(pin!(store.begin(t.id, busy))).await);
        for free in others {
            store.begin(t.id, free).await.unwrap().commit().await.unwrap();
        }
        held.commit().await.unwrap();
    }
    store.claim(Some(t.id), 1, 1).await.unwrap();
    assert!(store.load(Lane::Scheduler).open > 0);
    store.close().await;
}

#[tokio::test]
async fn a_tenant_with_too_many_waiting_is_told_to_come_back_and_others_are_not() {
    const MOST_WAITING: usize = 1_000;
    let noisy = Tenant::without_sandbox().await;
    let quiet = Tenant::without_sandbox().await;
    let store = PgStore::connect(&noisy.database.url, LaneSizes::each(1)).unwrap();
    let held = store.begin(noisy.id, Lane::Interactive).await.unwrap();
    let mut waiting: Vec<_> = (0..MOST_WAITING).map(|_| Box::pin(store.begin(noisy.id, Lane::Interactive))).collect();
    for one in &mut waiting {
        assert!(!is_ready(one.as_mut()).await);
    }

    let refused = store.begin(noisy.id, Lane::Interactive).await;

    assert!(matches!(refused.map(|_| ()), Err(StoreError::Busy(_))));
    let mut other = pin!(store.begin(quiet.id, Lane::Interactive));
    assert!(!is_ready(other.as_mut()).await, "it waits, but is not refused");
    drop(waiting);
    assert_eq!(store.load(Lane::Interactive).waiting, 1, "who stops waiting leaves the queue");
    drop(held);
    other.await.unwrap().commit().await.unwrap();
    store.close().await;
}

//! The worker against a queue and a store made for it: what it does when work fails, panics, lasts or ends.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use proptest::prelude::*;
use tokio::{sync::Notify, time::timeout};
use uuid::Uuid;

use super::*;
use crate::{
    app::give_up::TRIES,
    domain::ids::{InstanceId, JobId, ObjectId},
    mail::NoMailer,
    store::{
        Backlog, ItemCursor, Job, JobQueue, Lane, Page, Plans, Readiness, Store, UnitOfWork,
        frequent_reads::{AskedItem, FoundPage, FrequentReads, ShownItem},
        issuers::StoredIssuer,
    },
};

#[test]
fn the_rest_after_a_failure_doubles_from_one_second_to_five_minutes() {
    let rests: Vec<_> =
        (1..=10).map(|attempt| backoff(FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS, attempt)).collect();
    assert_eq!(rests, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
}

/// LC-NOTE-09
#[test]
fn the_rest_after_a_failed_mail_doubles_from_thirty_seconds() {
    let rests: Vec<_> =
        (1..=8).map(|attempt| backoff(FIRST_MAIL_BACKOFF_SECONDS, LONGEST_MAIL_BACKOFF_SECONDS, attempt)).collect();
    assert_eq!(rests, [30, 60, 120, 240, 480, 960, 1_920, 3_600]);
}

proptest! {
    #[test]
    fn no_attempt_number_makes_the_rest_overflow(attempt: i32) {
        prop_assert!((1..=300).contains(&backoff(1, 300, attempt)));
    }

    #[test]
    fn waiting_lasts_as_long_as_asked_and_at_most_half_as_long_again(millis in 0_u64..10_000) {
        let pause = Duration::from_millis(millis);
        prop_assert!((pause..=pause * 3 / 2).contains(&jittered(pause)));
    }
}

/// What happens when a job asks the store for its unit of work.
#[derive(Clone, Copy, PartialEq)]
enum Begin {
    Fails,
    Panics,
    LosesTheLease,
    WaitsForPermission,
}

/// A store that never gives a unit of work, and a queue that keeps what it is told.
struct Stage {
    begin: Begin,
    waiting: Mutex<VecDeque<ClaimedJob>>,
    /// Seconds to rest and the reason.
    released: Mutex<Vec<(i32, String)>>,
    renewed: AtomicUsize,
    lease_holds: bool,
    begun: Notify,
    permission: Notify,
    progress: Notify,
}

impl Stage {
    fn new(begin: Begin, attempts: &[i32]) -> Arc<Self> {
        let waiting = attempts
            .iter()
            .map(|attempt| ClaimedJob {
                tenant: TenantId::new(Uuid::from_u128(1)),
                id: JobId::new(Uuid::from_u128(2)),
                job: Job::OpenInstance { instance: InstanceId::new(Uuid::from_u128(3)) },
                due_at: DateTime::UNIX_EPOCH,
                attempt: *attempt,
                interrupted: false,
                late_by: 0.0,
                lease: Uuid::from_u128(4),
            })
            .collect();
        Arc::new(Self {
            begin,
            waiting: Mutex::new(waiting),
            released: Mutex::default(),
            renewed: AtomicUsize::new(0),
            lease_holds: true,
            begun: Notify::new(),
            permission: Notify::new(),
            progress: Notify::new(),
        })
    }

    fn services(self: &Arc<Self>) -> Services {
        let limits = crate::domain::limits::ReviewLimits::default();
        Services::new(self.clone(), self.clone(), Arc::new(NoMailer), Arc::new(Notify::new()), limits)
    }

    fn released(&self) -> Vec<(i32, String)> {
        self.released.lock().unwrap().clone()
    }

    /// Waits until so many jobs were given back.
    async fn has_released(&self, count: usize) {
        timeout(Duration::from_secs(20), async {
            while self.released.lock().unwrap().len() < count {
                self.progress.notified().await;
            }
        })
        .await
        .expect("the jobs are given back");
    }
}

fn unreachable() -> StoreError {
    StoreError::Unavailable("no route to host".into())
}

/// Jobs read nothing this way.
#[async_trait]
impl FrequentReads for Stage {
    async fn shown_items(&self, _: &[AskedItem]) -> Result<Vec<Option<ShownItem>>, StoreError> {
        Err(unreachable())
    }

    async fn decision_page(
        &self,
        _: TenantId,
        _: InstanceId,
        _: Option<ObjectId>,
        _: &Page<ItemCursor>,
        _: bool,
    ) -> Result<Option<FoundPage>, StoreError> {
        Err(unreachable())
    }
}

#[async_trait]
impl Store for Stage {
    async fn begin_with(&self, _: TenantId, _: Lane, _: Plans) -> Result<Box<dyn UnitOfWork>, StoreError> {
        self.begun.notify_one();
        match self.begin {
            Begin::Fails => Err(unreachable()),
            Begin::Panics => panic!("a bug"),
            Begin::LosesTheLease => Err(StoreError::LeaseLost),
            Begin::WaitsForPermission => {
                self.permission.notified().await;
                Err(unreachable())
            }
        }
    }

    async fn page_key(&self, _: TenantId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    async fn issuers(&self, _: &str) -> Result<Vec<StoredIssuer>, StoreError> {
        Ok(Vec::new())
    }

    async fn ready(&self) -> Result<Readiness, StoreError> {
        Ok(Readiness::Ready)
    }
}

#[async_trait]
impl JobQueue for Stage {
    async fn claim_kinds(
        &self,
        kinds: JobKinds,
        _: Option<TenantId>,
        limit: i64,
        _: i32,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        let mut waiting = self.waiting.lock().unwrap();
        let limit = usize::try_from(limit).unwrap();
        let (wanted, others): (Vec<_>, Vec<_>) = waiting.drain(..).partition(|waiting| kinds.include(&waiting.job));
        waiting.extend(others);
        waiting.extend(wanted.iter().skip(limit).cloned());
        Ok(wanted.into_iter().take(limit).collect())
    }

    async fn claim_resting(&self, _: TenantId, _: i32) -> Result<Option<ClaimedJob>, StoreError> {
        Ok(None)
    }

    async fn renew(&self, _: &ClaimedJob, _: i32) -> Result<bool, StoreError> {
        if self.renewed.fetch_add(1, Ordering::SeqCst) == 1 {
            self.permission.notify_one();
        }
        Ok(self.lease_holds)
    }

    async fn hand_over(&self, _: &ClaimedJob) -> Result<bool, StoreError> {
        Ok(self.lease_holds)
    }

    async fn take_back(&self, _: &ClaimedJob) -> Result<(), StoreError> {
        Ok(())
    }

    async fn release(&self, _: &ClaimedJob, delay_seconds: i32, error: &str) -> Result<(), StoreError> {
        self.released.lock().unwrap().push((delay_seconds, error.to_owned()));
        self.progress.notify_one();
        Ok(())
    }

    async fn put_back(&self, _: &ClaimedJob, _: i32, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn next_due(&self, _: TenantId) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(None)
    }

    async fn due_elsewhere(&self, _: JobKinds, _: TenantId) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        Ok(Backlog::default())
    }
}

const LINKS: &str = "https://reviews.example";

#[tokio::test]
async fn a_failed_job_is_given_back_with_its_reason_and_rests_longer_after_each_try() {
    let stage = Stage::new(Begin::Fails, &[1, 4, 20]);

    let ran = run_due_jobs(&stage.services(), None, LINKS).await.expect("work can be claimed");

    assert_eq!(ran, 3);
    let reason = "the database is not reachable: no route to host".to_owned();
    assert_eq!(stage.released(), [(1, reason.clone()), (8, reason.clone()), (300, reason)]);
}

#[tokio::test]
async fn a_job_that_panics_does_not_end_the_worker() {
    let stage = Stage::new(Begin::Panics, &[1, 2]);
    let settings = WorkerSettings { concurrency: 1, ..WorkerSettings::default() };
    let worker = Worker::spawn(stage.services(), LINKS.to_owned(), settings);

    stage.has_released(2).await;
    worker.shutdown().await;

    assert!(stage.released().iter().all(|(_, reason)| reason.contains("panicked")));
}

/// IN-15: giving it up panics, too.
#[tokio::test]
async fn a_job_that_panics_for_ever_does_not_end_the_worker_either() {
    let stage = Stage::new(Begin::Panics, &[TRIES, i32::MAX]);

    run_due_jobs(&stage.services(), None, LINKS).await.expect("work can be claimed");

    let rests: Vec<_> = stage.released().into_iter().map(|(rest, _)| rest).collect();
    assert_eq!(rests, [300, 300]);
}

/// LC-CONC-06
#[tokio::test]
async fn a_job_whose_lease_was_lost_is_left_to_its_new_holder() {
    let stage = Stage::new(Begin::LosesTheLease, &[1]);

    run_due_jobs(&stage.services(), None, LINKS).await.expect("work can be claimed");

    assert_eq!(stage.released(), []);
}

#[tokio::test]
async fn a_lease_is_renewed_for_as_long_as_its_job_runs() {
    let stage = Stage::new(Begin::WaitsForPermission, &[1]);
    let settings = WorkerSettings { lease_seconds: 0, ..WorkerSettings::default() };
    let worker = Worker::spawn(stage.services(), LINKS.to_owned(), settings);

    // Permission comes with the second renewal.
    stage.has_released(1).await;
    worker.shutdown().await;

    assert!(stage.renewed.load(Ordering::SeqCst) >= 2);
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_finishes_what_it_holds_and_takes_no_more() {
    let stage = Stage::new(Begin::WaitsForPermission, &[1, 1]);
    let settings = WorkerSettings { concurrency: 1, ..WorkerSettings::default() };
    let worker = Worker::spawn(stage.services(), LINKS.to_owned(), settings);
    stage.begun.notified().await;

    let mut ending = tokio::spawn(worker.shutdown());
    assert!(timeout(Duration::from_millis(50), &mut ending).await.is_err(), "it waits for the job");
    stage.permission.notify_one();
    ending.await.expect("it ends");

    assert_eq!(stage.released().len(), 1);
    assert_eq!(stage.waiting.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn new_work_wakes_a_worker_that_waits() {
    let stage = Stage::new(Begin::Fails, &[]);
    let services = stage.services();
    let settings = WorkerSettings { poll: Duration::from_secs(3_600), ..WorkerSettings::default() };
    let worker = Worker::spawn(services.clone(), LINKS.to_owned(), settings);
    tokio::task::yield_now().await;

    let job = Stage::new(Begin::Fails, &[1]).waiting.lock().unwrap().pop_front().unwrap();
    stage.waiting.lock().unwrap().push_back(job);
    timeout(Duration::from_secs(20), async {
        while stage.released().is_empty() {
            services.work.notify_waiters();
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the call is heard");
    worker.shutdown().await;
}

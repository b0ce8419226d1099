//! A store and a queue whose commits fail when they are told to: the database goes away in the middle of an act, and the process lives
//! on.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use attestry::{
    domain::ids::{InstanceId, ObjectId, TenantId},
    store::{
        Backlog, ClaimedJob, ContactedReviewerRepository, DecisionRepository, DefinitionRepository,
        DefinitionUpdateRepository, DirectoryRepository, EventRepository, InstanceRepository, ItemCursor,
        ItemRepository, JobKinds, JobQueue, JobRepository, Lane, MailRepository, Page, Plans, Readiness,
        ReminderRepository, ReviewerListRepository, ReviewerRepository, StageRepository, Store, StoreError,
        TenantRepository, UnitOfWork,
        apply::ApplyRepository,
        bulk::BulkDecisionRepository,
        first_answers::FirstAnswerRepository,
        frequent_reads::{AskedItem, FoundPage, FrequentReads, ShownItem},
        history::HistoryRepository,
        issuers::{CallerRepository, IssuerRepository, StoredIssuer},
        occurrences::OccurrenceRepository,
        pg::PgStore,
        review_settings::ReviewSettingsRepository,
        review_steps::ReviewStepRepository,
        stage_updates::StageUpdateRepository,
    },
};
use chrono::{DateTime, Utc};

/// Which commit fails, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Commits that succeed before.
    pub after: usize,
    /// Whether it happened, and only the answer got lost.
    pub happened: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.happened { "the answer of the commit is lost" } else { "the commit fails" };
        write!(f, "{what}, after {} that succeed", self.after)
    }
}

/// The fault to come, if any.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Option<Fault>>>);

impl Faults {
    /// Has a commit fail.
    pub fn plan(&self, fault: Fault) {
        *self.0.lock().unwrap() = Some(fault);
    }

    /// No commit fails any more; whether one did.
    pub fn end(&self) -> bool {
        self.0.lock().unwrap().take().is_none()
    }

    /// Whether this commit is the one.
    fn strikes(&self) -> Option<Fault> {
        let mut planned = self.0.lock().unwrap();
        match planned.as_mut() {
            Some(fault) if fault.after > 0 => {
                fault.after -= 1;
                None
            }
            _ => planned.take(),
        }
    }

    /// Commits, unless this commit is the one.
    async fn commit<T: Send>(
        &self,
        commit: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match self.strikes() {
            None => commit.await,
            Some(Fault { happened: true, .. }) => {
                commit.await?;
                Err(StoreError::Unknown("the answer got lost".into()))
            }
            Some(Fault { happened: false, .. }) => Err(StoreError::Unavailable("the connection broke".into())),
        }
    }
}

/// [`PgStore`] with faults.
pub struct FaultyStore {
    pub store: PgStore,
    pub faults: Faults,
}

/// Nothing is committed there.
#[async_trait]
impl FrequentReads for FaultyStore {
    async fn shown_items(&self, asked: &[AskedItem]) -> Result<Vec<Option<ShownItem>>, StoreError> {
        self.store.shown_items(asked).await
    }

    async fn decision_page(
        &self,
        tenant: TenantId,
        instance: InstanceId,
        reviewer: Option<ObjectId>,
        page: &Page<ItemCursor>,
        with_facts: bool,
    ) -> Result<Option<FoundPage>, StoreError> {
        self.store.decision_page(tenant, instance, reviewer, page, with_facts).await
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn begin_with(&self, tenant: TenantId, lane: Lane, plans: Plans) -> Result<Box<dyn UnitOfWork>, StoreError> {
        let unit = self.store.begin_with(tenant, lane, plans).await?;
        Ok(Box::new(FaultyUnit { unit, faults: self.faults.clone() }))
    }

    async fn page_key(&self, tenant: TenantId) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.page_key(tenant).await
    }

    async fn issuers(&self, issuer: &str) -> Result<Vec<StoredIssuer>, StoreError> {
        self.store.issuers(issuer).await
    }

    async fn ready(&self) -> Result<Readiness, StoreError> {
        self.store.ready().await
    }
}

struct FaultyUnit {
    unit: Box<dyn UnitOfWork>,
    faults: Faults,
}

/// The repositories are those of the unit within.
macro_rules! repositories {
    ($($name:ident: $repository:ident),* $(,)?) => {
        $(fn $name(&mut self) -> &mut dyn $repository {
            self.unit.$name()
        })*
    };
}

#[async_trait]
impl UnitOfWork for FaultyUnit {
    fn tenant(&self) -> TenantId {
        self.unit.tenant()
    }

    fn now(&self) -> DateTime<Utc> {
        self.unit.now()
    }

    async fn plan_anew(&mut self) -> Result<(), StoreError> {
        self.unit.plan_anew().await
    }

    repositories! {
        definitions: DefinitionRepository,
        instances: InstanceRepository,
        stages: StageRepository,
        stage_updates: StageUpdateRepository,
        reviewer_lists: ReviewerListRepository,
        reviewers: ReviewerRepository,
        items: ItemRepository,
        decisions: DecisionRepository,
        apply: ApplyRepository,
        bulk_decisions: BulkDecisionRepository,
        directory: DirectoryRepository,
        events: EventRepository,
        jobs: JobRepository,
        first_answers: FirstAnswerRepository,
        tenants: TenantRepository,
        history: HistoryRepository,
        issuers: IssuerRepository,
        callers: CallerRepository,
        occurrences: OccurrenceRepository,
        definition_updates: DefinitionUpdateRepository,
        reminders: ReminderRepository,
        contacted_reviewers: ContactedReviewerRepository,
        review_settings: ReviewSettingsRepository,
        review_steps: ReviewStepRepository,
        mail: MailRepository,
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { unit, faults } = *self;
        faults.commit(unit.commit()).await
    }

    async fn commit_unwaited(self: Box<Self>) -> Result<(), StoreError> {
        let Self { unit, faults } = *self;
        faults.commit(unit.commit_unwaited()).await
    }
}

/// The queue of [`PgStore`], with faults in what belongs to an act: the mark of a mail. Claiming and giving back do not.
pub struct FaultyQueue {
    pub store: PgStore,
    pub faults: Faults,
}

#[async_trait]
impl JobQueue for FaultyQueue {
    async fn claim_kinds(
        &self,
        kinds: JobKinds,
        tenant: Option<TenantId>,
        limit: i64,
        lease_seconds: i32,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        self.store.claim_kinds(kinds, tenant, limit, lease_seconds).await
    }

    async fn claim_resting(&self, tenant: TenantId, lease_seconds: i32) -> Result<Option<ClaimedJob>, StoreError> {
        self.store.claim_resting(tenant, lease_seconds).await
    }

    async fn renew(&self, job: &ClaimedJob, lease_seconds: i32) -> Result<bool, StoreError> {
        self.store.renew(job, lease_seconds).await
    }

    async fn hand_over(&self, job: &ClaimedJob) -> Result<bool, StoreError> {
        self.faults.commit(self.store.hand_over(job)).await
    }

    async fn take_back(&self, job: &ClaimedJob) -> Result<(), StoreError> {
        self.faults.commit(self.store.take_back(job)).await
    }

    async fn release(&self, job: &ClaimedJob, delay_seconds: i32, error: &str) -> Result<(), StoreError> {
        self.store.release(job, delay_seconds, error).await
    }

    async fn put_back(&self, job: &ClaimedJob, delay_seconds: i32, reason: &str) -> Result<(), StoreError> {
        self.store.put_back(job, delay_seconds, reason).await
    }

    async fn next_due(&self, tenant: TenantId) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.store.next_due(tenant).await
    }

    async fn due_elsewhere(&self, kinds: JobKinds, tenant: TenantId) -> Result<bool, StoreError> {
        self.store.due_elsewhere(kinds, tenant).await
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.store.backlog().await
    }
}

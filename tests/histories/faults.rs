//! A store whose commits fail when they are told to: the database goes away in the middle of an act, and the process lives on.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use attestry::{
    domain::ids::{InstanceId, ObjectId, TenantId},
    store::{
        ContactedReviewerRepository, DecisionRepository, DefinitionRepository, DefinitionUpdateRepository,
        DirectoryRepository, EventRepository, InstanceRepository, ItemCursor, ItemRepository, ItemRow, JobRepository,
        Lane, MailRepository, Page, Readiness, ReminderRepository, ReviewerListRepository, ReviewerRepository, Slice,
        StageRepository, Store, StoreError, TenantRepository, UnitOfWork,
        apply::ApplyRepository,
        bulk::BulkDecisionRepository,
        first_answers::FirstAnswerRepository,
        frequent_reads::{AskedItem, FrequentReads, InstanceOfReviewer, PlainView, ShownItem},
        history::HistoryRepository,
        issuers::{CallerRepository, IssuerRepository, StoredIssuer},
        occurrences::OccurrenceRepository,
        pg::PgStore,
        review_settings::ReviewSettingsRepository,
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

    async fn instance_of_reviewer(
        &self,
        tenant: TenantId,
        instance: InstanceId,
        person: ObjectId,
    ) -> Result<Option<InstanceOfReviewer>, StoreError> {
        self.store.instance_of_reviewer(tenant, instance, person).await
    }

    async fn item_page(
        &self,
        tenant: TenantId,
        instance: InstanceId,
        view: &PlainView,
        page: &Page<ItemCursor>,
    ) -> Result<Slice<ItemRow, ItemCursor>, StoreError> {
        self.store.item_page(tenant, instance, view, page).await
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn begin(&self, tenant: TenantId, lane: Lane) -> Result<Box<dyn UnitOfWork>, StoreError> {
        let unit = self.store.begin(tenant, lane).await?;
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

    repositories! {
        definitions: DefinitionRepository,
        instances: InstanceRepository,
        stages: StageRepository,
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
        mail: MailRepository,
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { unit, faults } = *self;
        match faults.strikes() {
            None => unit.commit().await,
            Some(Fault { happened: true, .. }) => {
                unit.commit().await?;
                Err(StoreError::Unknown("the answer got lost".into()))
            }
            Some(Fault { happened: false, .. }) => {
                drop(unit);
                Err(StoreError::Unavailable("the connection broke".into()))
            }
        }
    }
}

//! The application itself: its use cases and its jobs, on a real database, in a tenant of the history's own.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use attestry::{
    app::{
        BulkPath, Call, Refused, Services, StagePath,
        accept_recommendations::accept_recommendations,
        apply_decisions::apply_decisions,
        batch_record_decisions::{BatchAnswer, batch_record_decisions},
        create_definition::create_definition,
        delete_definition::delete_definition,
        ids,
        list_decisions::{DecisionList, list_decisions, list_stage_decisions},
        listing::ListRequest,
        record_decision::{DecisionPath, record_decision},
        reset_decisions::reset_decisions,
        run_job::{Ran, run_job},
        send_reminder::send_reminder,
        stop_instance::stop_instance,
        stop_stage::stop_stage,
        update_definition::update_definition,
        update_instance::update_instance,
        update_stage::update_stage,
    },
    domain::{
        authorization::{Caller, CallerKind, DirectoryRole, Permission, RoleSet},
        decision::{Answer as ReviewerAnswer, Verdict},
        definition::Identity,
        ids::{DefinitionId, InstanceId, ItemPrefix, ObjectId, StageId, TenantId},
        limits::ReviewLimits,
        precondition::Precondition,
        stage_update::StageUpdateRequest,
    },
    http::definitions::{body::parse_create, update::replace},
    store::{ClaimedJob, Lane, LaneSizes, StoreError, pg::PgStore},
};
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    command::{Act, Answer, At, By, ListChange},
    company::{CARLA, Change, Directory, FINANCE, Name, SYNC},
    faults::{Fault, Faults, FaultyQueue, FaultyStore},
    observed::{Known, Observed},
    postbox::{Postbox, Server},
    review::Reviewer,
};

/// Longer than any history waits for anything.
const LEASE_SECONDS: i32 = 600;
/// Two at once have one each, who looks has one, and what was cancelled is still being rolled back.
const CONNECTIONS: u32 = 4;
/// How long a mail rests that the server did not take, in seconds.
const MAIL_REST: i32 = 30;
/// Jobs that a worker takes at a time.
const HAND: i64 = 100;
/// Longer than any connection needs to come back, shorter than anybody's patience.
const PATIENCE: Duration = Duration::from_secs(10);

/// A rule that is broken on purpose, to see that it is found.
#[derive(Clone, Copy, Debug)]
pub enum Sabotage {
    /// Who updates reviewers loses a fallback reviewer. LC-INV-03
    FallbackLost,
    /// An answer after the end is accepted. LC-CONC-02
    AnswerAfterTheEnd,
}

/// What all histories of a thread share: connections.
pub struct Place {
    store: PgStore,
    owner: PgConnection,
    sabotage: Option<Sabotage>,
}

impl Place {
    /// A connection remembers every statement and how it is run: planning tiny tenants' queries again and again would be most of the
    /// work.
    pub async fn new(url: &str) -> Self {
        let url = url.replace("options=", "options=-c%20plan_cache_mode%3Dforce_generic_plan%20");
        let url = format!("{url}&statement-cache-capacity=1000");
        Self {
            store: PgStore::connect(&url, LaneSizes::each(CONNECTIONS)).unwrap(),
            owner: PgConnection::connect(&url).await.unwrap(),
            sabotage: None,
        }
    }

    /// Removes every tenant with everything it has; answers in how many tables that was.
    pub async fn clear(url: &str) -> usize {
        let mut owner = PgConnection::connect(url).await.unwrap();
        let tables = Self::tables(&mut owner).await;
        let statement = format!("truncate {} cascade", tables.join(", "));
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut owner).await.unwrap();
        tables.len()
    }

    /// Tables of tenants in which there is a row.
    pub async fn tables_in_use(url: &str) -> Vec<String> {
        let mut owner = PgConnection::connect(url).await.unwrap();
        let mut used = Vec::new();
        for table in Self::tables(&mut owner).await {
            let statement = format!("select exists (select from {table})");
            if sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&mut owner).await.unwrap() {
                used.push(table);
            }
        }
        used
    }

    async fn tables(owner: &mut PgConnection) -> Vec<String> {
        sqlx::query_scalar(
            "select table_name::text from information_schema.columns where table_schema = 'public' and column_name = 'tenant_id'",
        )
        .fetch_all(owner)
        .await
        .unwrap()
    }

    /// A place where this rule is broken.
    pub async fn sabotaged(url: &str, sabotage: Sabotage) -> Self {
        Self { sabotage: Some(sabotage), ..Self::new(url).await }
    }
}

/// A tenant.
pub struct World<'a> {
    place: &'a mut Place,
    pub tenant: TenantId,
    services: Services,
    postbox: Postbox,
    faults: Faults,
    /// Whether a mail may rest until it is tried again.
    rests: Arc<AtomicBool>,
    pub known: Known,
    /// Jobs a worker holds and has not begun.
    hand: Vec<ClaimedJob>,
    last_event: i64,
}

impl<'a> World<'a> {
    pub async fn new(place: &'a mut Place, directory: &Directory) -> Self {
        let tenant = ids::tenant();
        let (postbox, faults) = (Postbox::default(), Faults::default());
        let store = Arc::new(FaultyStore { store: place.store.clone(), faults: faults.clone() });
        let (queue, mailer) =
            (Arc::new(FaultyQueue { store: place.store.clone(), faults: faults.clone() }), Arc::new(postbox.clone()));
        let services = Services::new(store, queue, mailer, Arc::new(Notify::new()), ReviewLimits::default());
        let mut world = Self {
            place,
            tenant,
            services,
            postbox,
            faults,
            rests: Arc::default(),
            known: Known::default(),
            hand: Vec::new(),
            last_event: 0,
        };
        world.execute(directory.statements(tenant)).await;
        world
    }

    /// Leaves nothing that is due behind: claims of other histories would look through it, each longer than the one before.
    pub async fn leave(&mut self) {
        let tenant = self.tenant;
        self.execute(format!("delete from jobs where tenant_id = '{tenant}'")).await;
    }

    async fn execute(&mut self, sql: String) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.place.owner).await.unwrap();
    }

    pub async fn change(&mut self, change: Change) {
        self.execute(change.statement(self.tenant)).await;
    }

    pub fn server_is(&self, server: Server) {
        self.postbox.is(server);
    }

    /// Has one of the commits to come fail.
    pub fn plan(&self, fault: Fault) {
        self.faults.plan(fault);
    }

    /// No commit fails any more; whether one did.
    pub fn end_of_faults(&self) -> bool {
        self.faults.end()
    }

    /// Breaks the rule that is to be broken, if this act is the occasion, and tells what came of the act.
    pub async fn sabotaged(&mut self, act: &Act, told: Told) -> Told {
        let tenant = self.tenant;
        match (self.place.sabotage, act, &told.answer) {
            (
                Some(Sabotage::FallbackLost),
                Act::UpdateStage { at, .. } | Act::UpdateInstance { at, .. },
                Answer::Done,
            ) => {
                let stage = if let Act::UpdateStage { stage, .. } = act { *stage } else { 1 };
                let stage = self.stage(*at, stage);
                self.execute(format!(
                    "delete from reviewer_scopes
                      where ctid = any(array(
                            select r.ctid
                              from stages s
                              join reviewer_scopes r
                                on r.tenant_id = s.tenant_id
                               and r.reviewer_list_id = s.reviewer_list_id
                               and r.role = 'fallback'
                             where s.tenant_id = '{tenant}'
                               and s.stage_id = '{stage}'
                             order by r.ordinal
                             limit 1))"
                ))
                .await;
                told
            }
            (Some(Sabotage::AnswerAfterTheEnd), Act::Decide { at, item, verdict, .. }, Answer::WrongState)
                if *verdict != Verdict::NotReviewed =>
            {
                let instance = self.instance(*at);
                let (item, verdict) = (item.id(), verdict.as_str());
                self.execute(format!(
                    "insert into decisions (tenant_id, instance_id, ordinal, seq, decision, justification, decided_by_id,
                                            decided_by_name, decided_by_user_principal_name, decided_at, moves_on)
                     select tenant_id, instance_id, 1, seq, '{verdict}', '', principal_id, '', '', now(), true
                       from decision_items
                      where tenant_id = '{tenant}' and instance_id = '{instance}' and principal_id = '{item}'
                         on conflict do nothing"
                ))
                .await;
                Told { answer: Answer::Done, text: String::new() }
            }
            _ => told,
        }
    }

    /// Sets the tenant's clock as the service does. What rests by the clock of the database, which stands still, has rested enough.
    pub async fn set_clock(&mut self, to: DateTime<Utc>) {
        let mut uow = self.services.store.begin(self.tenant, Lane::Interactive).await.unwrap();
        let now = uow.tenants().advance_clock_to(to).await.unwrap();
        uow.commit().await.unwrap();
        assert_eq!(now, to, "the clock stands where it was put");
        if self.rests.swap(false, Ordering::Relaxed) {
            let sql =
                "update jobs set run_at = now() where last_error is not null and finished_at is null and tenant_id =";
            self.execute(format!("{sql} '{}'", self.tenant)).await;
        }
    }

    pub async fn observe(&mut self) -> Observed {
        let mails = self.postbox.left();
        let seen = Observed::read(&mut self.place.owner, self.tenant, &mut self.known, &mails, self.last_event).await;
        self.last_event = seen.events.last().map_or(self.last_event, |event| event.id);
        seen
    }

    // --- workers ---------------------------------------------------------------------------------------------------------------

    /// One of the jobs that are due, held; in an order that does not depend on ids.
    pub async fn take_job(&mut self, which: u8) -> Option<ClaimedJob> {
        if self.hand.is_empty() {
            self.hand = self.services.queue.claim(Some(self.tenant), HAND, LEASE_SECONDS).await.unwrap();
            let known = &self.known;
            self.hand.sort_by_cached_key(|job| (job.due_at, known.work(&job.job)));
        }
        match self.hand.len() {
            0 => None,
            held => Some(self.hand.remove(usize::from(which) % held)),
        }
    }

    /// The holder of a job is not heard of any more.
    pub async fn end_lease(&mut self, job: &ClaimedJob) {
        let sql = format!(
            "update jobs set leased_until = '-infinity'
              where tenant_id = '{}' and job_id = '{}' and finished_at is null",
            self.tenant, job.id
        );
        self.execute(sql).await;
    }

    /// The same job for another worker, whoever held it before.
    pub async fn take_over(&mut self, job: &ClaimedJob) -> ClaimedJob {
        self.end_lease(job).await;
        let taken = self.services.queue.claim(Some(self.tenant), HAND, LEASE_SECONDS).await.unwrap();
        let (mut same, others): (Vec<_>, _) = taken.into_iter().partition(|taken| taken.id == job.id);
        self.hand.extend(others);
        same.pop().expect("a job whose lease has ended is there to be taken")
    }

    /// Whether somebody waits for a lock; another thread's histories count, too, which only makes two run together sooner.
    pub async fn somebody_waits(&mut self) -> bool {
        let waiting = "select exists (select from pg_stat_activity
                                       where datname = current_database() and wait_event_type = 'Lock')";
        sqlx::query_scalar(waiting).fetch_one(&mut self.place.owner).await.unwrap()
    }

    /// Returns when nothing is under way any more: what was cancelled has been rolled back, and what goes on without its caller has ended.
    pub async fn settle(&self) -> Result<(), String> {
        let began = Instant::now();
        let in_use = || Lane::ALL.into_iter().any(|lane| self.place.store.load(lane).in_use > 0);
        while self.services.is_answering_together() || in_use() {
            if began.elapsed() > PATIENCE {
                return Err("a connection did not come back, or a round did not end".to_owned());
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        Ok(())
    }

    // --- acts ------------------------------------------------------------------------------------------------------------------

    fn call(&self, by: By) -> Call {
        let (name, kind, roles) = match by {
            By::Admin => (CARLA, CallerKind::User, RoleSet::of(&[DirectoryRole::IdentityGovernanceAdministrator])),
            By::Person(name) => (name, CallerKind::User, RoleSet::EMPTY),
            By::Application => (SYNC, CallerKind::Application, RoleSet::EMPTY),
        };
        Call {
            caller: Arc::new(Caller {
                tenant_id: self.tenant,
                identity: Identity {
                    id: name.id(),
                    display_name: name.to_string(),
                    user_principal_name: String::new(),
                },
                kind,
                permission: Some(Permission::ReadWrite),
                identity_provider_permission: None,
                roles,
            }),
            request_id: None,
            precondition: Precondition::default(),
            repeat_key: None,
        }
    }

    fn definition(&self, review: usize) -> DefinitionId {
        DefinitionId::new(self.known.review_id(review).unwrap_or(Uuid::max()))
    }

    fn instance(&self, at: At) -> InstanceId {
        InstanceId::new(self.known.instance_id(at).unwrap_or(Uuid::max()))
    }

    fn stage(&self, at: At, stage: usize) -> StageId {
        StageId::new(self.known.stage_id(at, stage).unwrap_or(Uuid::max()))
    }

    fn item(&self, at: At, item: Name) -> Uuid {
        let prefix = self.known.prefixes.get(&at).copied().unwrap_or(Uuid::max());
        let seq = self.known.items.get(&(at, item)).copied().unwrap_or(9_999);
        ItemPrefix::from_uuid(prefix).item_id(seq)
    }

    fn bulk(&self, at: At, stage: Option<usize>) -> BulkPath {
        BulkPath {
            definition: self.definition(at.review),
            instance: self.instance(at),
            stage: stage.map(|stage| self.stage(at, stage)),
        }
    }

    fn stage_path(&self, at: At, stage: usize) -> StagePath {
        StagePath { definition: self.definition(at.review), instance: self.instance(at), stage: self.stage(at, stage) }
    }

    /// A call as it is made; nothing happens before it is polled. `created_at` is when the review it is about was created.
    pub fn perform(&self, act: &Act, created_at: DateTime<Utc>) -> impl Future<Output = Told> + use<> {
        let services = self.services.clone();
        let by = match act {
            Act::Create { .. } | Act::Work { .. } => By::Admin,
            Act::Decide { by, .. }
            | Act::Batch { by, .. }
            | Act::Accept { by, .. }
            | Act::Reset { by, .. }
            | Act::UpdateStage { by, .. }
            | Act::UpdateInstance { by, .. }
            | Act::StopStage { by, .. }
            | Act::StopInstance { by, .. }
            | Act::UpdateDefinition { by, .. }
            | Act::Delete { by, .. }
            | Act::Apply { by, .. }
            | Act::Remind { by, .. } => *by,
        };
        let call = self.call(by);
        let reason = |justified: bool| justified.then(|| "because".to_owned());
        let work: std::pin::Pin<Box<dyn Future<Output = Result<(), Refused>>>> = match act {
            Act::Create { review, draft } => match parse_create(&draft.json(&format!("r{review}"), created_at)) {
                Ok(draft) => Box::pin(async move {
                    let tell = |_: &_| json!({});
                    create_definition(&services, &call, draft, tell).await.map(|_| ())
                }),
                Err(violations) => Box::pin(async move { Err(Refused::Invalid(violations)) }),
            },
            Act::Decide { at, stage, item, verdict, justified, .. } => {
                let path = DecisionPath {
                    definition: self.definition(at.review),
                    instance: self.instance(*at),
                    stage: stage.map(|stage| self.stage(*at, stage)),
                    item: self.item(*at, *item),
                };
                let answer = ReviewerAnswer { verdict: *verdict, justification: reason(*justified) };
                Box::pin(async move { record_decision(&services, &call, path, answer).await })
            }
            Act::Batch { at, stage, verdict, justified, principal, elsewhere, .. } => {
                let path = self.bulk(*at, *stage);
                let request = BatchAnswer {
                    answer: ReviewerAnswer { verdict: *verdict, justification: reason(*justified) },
                    principal: principal.map(Name::id),
                    resource: Some(if *elsewhere { ObjectId::new(Uuid::max()) } else { FINANCE.id() }),
                };
                Box::pin(async move { batch_record_decisions(&services, &call, path, request).await })
            }
            Act::Accept { at, stage, .. } => {
                let path = self.bulk(*at, *stage);
                Box::pin(async move { accept_recommendations(&services, &call, path).await })
            }
            Act::Reset { at, .. } => {
                let (definition, instance) = (self.definition(at.review), self.instance(*at));
                Box::pin(async move { reset_decisions(&services, &call, definition, instance).await })
            }
            Act::UpdateStage { at, stage, change, .. } => {
                let (path, request) = (self.stage_path(*at, *stage), requested(change));
                Box::pin(async move { update_stage(&services, &call, path, &request).await.map(|_| ()) })
            }
            Act::UpdateInstance { at, change, .. } => {
                let (definition, instance) = (self.definition(at.review), self.instance(*at));
                let request = requested(change);
                Box::pin(async move {
                    let wanted = Box::new(move |_: &_| Ok(request));
                    update_instance(&services, &call, definition, instance, wanted).await.map(|_| ())
                })
            }
            Act::StopStage { at, stage, .. } => {
                let path = self.stage_path(*at, *stage);
                Box::pin(async move { stop_stage(&services, &call, path).await })
            }
            Act::StopInstance { at, .. } => {
                let (definition, instance) = (self.definition(at.review), self.instance(*at));
                Box::pin(async move { stop_instance(&services, &call, definition, instance).await })
            }
            Act::UpdateDefinition { review, draft, .. } => {
                let (definition, body) = (self.definition(*review), draft.json(&format!("r{review}"), created_at));
                Box::pin(async move {
                    let wanted = Box::new(move |stored: &_| replace(&body, stored));
                    update_definition(&services, &call, definition, wanted).await
                })
            }
            Act::Delete { review, .. } => {
                let definition = self.definition(*review);
                Box::pin(async move { delete_definition(&services, &call, definition).await })
            }
            Act::Apply { at, .. } => {
                let (definition, instance) = (self.definition(at.review), self.instance(*at));
                Box::pin(async move { apply_decisions(&services, &call, definition, instance).await })
            }
            Act::Remind { at, .. } => {
                let (definition, instance) = (self.definition(at.review), self.instance(*at));
                Box::pin(async move { send_reminder(&services, &call, definition, instance).await })
            }
            Act::Work { .. } => panic!("work is done by `World::run`"),
        };
        async move { told(work.await) }
    }

    /// A job as a worker runs it, and gives it back when it failed. A mail rests until time passes; anything else is due again.
    pub fn run(&self, job: ClaimedJob) -> impl Future<Output = Told> + use<> {
        let (services, rests) = (self.services.clone(), Arc::clone(&self.rests));
        async move {
            match run_job(&services, &job, "https://reviews.example").await {
                Ok(Ran::Finished) => told(Ok(())),
                Ok(Ran::MailNotTried(_)) => unreachable!("the mail server of the histories never rests"),
                Ok(Ran::MailAgain(error)) => {
                    rests.store(true, Ordering::Relaxed);
                    services.queue.release(&job, MAIL_REST, &error.to_string()).await.unwrap();
                    Told { answer: Answer::Again, text: format!(" ({error})") }
                }
                Err(refused @ Refused::Store(StoreError::LeaseLost)) => told(Err(refused)),
                Err(refused) => {
                    services.queue.release(&job, 0, &refused.to_string()).await.unwrap();
                    told(Err(refused))
                }
            }
        }
    }

    // --- eyes ------------------------------------------------------------------------------------------------------------------

    /// The items somebody finds as those he reviews, in the instance or in a stage. LC-AUTH-04
    pub async fn found_by(&self, person: Name, at: At, stage: Option<usize>) -> Result<Vec<(Name, Verdict)>, Answer> {
        self.list(By::Person(person), at, stage, DecisionList::Mine).await
    }

    /// Every item of an instance with its effective decision, as an admin sees it. LC-STAGE-40
    pub async fn effective(&self, at: At) -> Result<Vec<(Name, Verdict)>, Answer> {
        self.list(By::Admin, at, None, DecisionList::All).await
    }

    async fn list(
        &self,
        by: By,
        at: At,
        stage: Option<usize>,
        list: DecisionList,
    ) -> Result<Vec<(Name, Verdict)>, Answer> {
        let (call, request) = (self.call(by), ListRequest::first(100));
        let page = match stage {
            None => {
                let (definition, instance) = (self.definition(at.review), self.instance(at));
                list_decisions(&self.services, &call, definition, instance, list, &request, true).await
            }
            Some(stage) => {
                let path = self.stage_path(at, stage);
                list_stage_decisions(&self.services, &call, path, list, &request).await
            }
        };
        let (_, listed) = page.map_err(|refused| told(Err(refused)).answer)?;
        let shown = |decision: &attestry::domain::decision::Decision| decision.verdict;
        Ok(listed
            .slice
            .rows
            .iter()
            .map(|row| {
                let verdict = row.decision.as_ref().map_or(Verdict::NotReviewed, shown);
                (Name::of(row.principal.id.as_uuid()), verdict)
            })
            .collect())
    }
}

fn requested(change: &ListChange) -> StageUpdateRequest {
    let scopes = |list: &Option<std::collections::BTreeSet<Reviewer>>| {
        list.as_ref().map(|reviewers| reviewers.iter().map(|reviewer| reviewer.scope()).collect())
    };
    StageUpdateRequest {
        reviewers: scopes(&change.reviewers),
        fallback_reviewers: scopes(&change.fallbacks),
        ..StageUpdateRequest::default()
    }
}

/// An answer, and the words it came with.
#[derive(Clone, Debug)]
pub struct Told {
    pub answer: Answer,
    pub text: String,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}{}", self.answer, self.text)
    }
}

fn told(result: Result<(), Refused>) -> Told {
    let Err(refused) = result else { return Told { answer: Answer::Done, text: String::new() } };
    let text = match &refused {
        Refused::Invalid(violations) => format!(" ({violations:?})"),
        Refused::Store(error) => format!(" ({error:?})"),
        other => format!(" ({other})"),
    };
    let answer = match refused {
        Refused::NotFound => Answer::Absent,
        Refused::Forbidden(_) => Answer::Forbidden,
        Refused::InvalidState(_) => Answer::WrongState,
        Refused::Invalid(_) => Answer::Invalid,
        Refused::Conflict(_) => Answer::Conflict,
        Refused::TooOften(_) => Answer::TooOften,
        Refused::Store(StoreError::LeaseLost) => Answer::LeaseLost,
        Refused::Gone(_) | Refused::Unsupported { .. } | Refused::PreconditionFailed(_) | Refused::Store(_) => {
            Answer::Failure
        }
    };
    Told { answer, text }
}

//! What the use cases ask of storage: the unit of work, one repository trait per kind of object, one error.
//!
//! Comments on the traits are obligations for every implementation; `pg` is the only one. Reads return domain values, absence is
//! `None`, also when the row belongs to another tenant. Storage is told ids, times and statuses; it invents none.

pub mod apply;
pub mod bulk;
pub mod contacted_reviewers;
pub mod definition_updates;
pub mod directory_import;
pub mod filter;
pub mod first_answers;
pub mod frequent_reads;
pub mod history;
pub mod issuers;
mod lane;
pub mod mail;
pub mod occurrences;
pub mod pg;
pub mod reminders;
pub mod review_settings;
pub mod review_steps;
pub mod stage_updates;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use contacted_reviewers::{ContactedReviewerCursor, ContactedReviewerFilter, ContactedReviewerRepository};
pub use definition_updates::DefinitionUpdateRepository;
pub use lane::{Lane, LaneSizes};
pub use mail::MailRepository;
pub use reminders::ReminderRepository;

use crate::domain::{
    affiliation::{Affiliation, ManagedPerson},
    apply::Applied,
    decision::{Decision, Verdict},
    definition::{Definition, Identity},
    event::Event,
    ids::{DefinitionId, HistoryInstanceId, InstanceId, ItemSeq, JobId, ObjectId, ReviewerListId, StageId, TenantId},
    insight::ShownFacts,
    instance::{Instance, Resource},
    lifecycle::{Entry, InstanceProgress},
    mail::MailKind,
    recommendation::{Recommendation, RecommendationRule},
    reviewer_reach::ReviewerReach,
    reviewer_scope::{ReviewerForm, ReviewerLists},
    scope::ScopeForm,
    stage::{PlannedStage, Stage, StageOrdinal},
};

/// What the database driver said.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why storage did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else holds a lock too long, or two units waited for each other. Nothing was written; try again.
    #[error("the database is busy")]
    Busy(#[source] Cause),
    /// No connection could be had, or it broke before anything was committed.
    #[error("the database is not reachable")]
    Unavailable(#[source] Cause),
    /// The commit was sent and its answer never came: the work may or may not be done.
    #[error("the outcome of the commit is unknown")]
    Unknown(#[source] Cause),
    /// A constraint refused the row.
    #[error("constraint `{constraint}` refused the change")]
    Refused { constraint: String },
    /// A stored row fits no domain value.
    #[error("{table}.{column} of {id} holds what no rule allows")]
    Corrupt { table: &'static str, column: &'static str, id: String },
    /// A lease on a job ended before its work was committed; somebody else does it.
    #[error("the lease on the job was lost")]
    LeaseLost,
    /// Anything else: a bug or a broken schema.
    #[error("the database answered with an error")]
    Other(#[source] Cause),
}

/// A page of a list and where the next one begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice<T, C> {
    pub rows: Vec<T>,
    /// `None` on the last page; then no further row exists. CL-24
    pub next: Option<C>,
}

impl<T, C> Slice<T, C> {
    /// No rows.
    pub fn empty() -> Self {
        Self { rows: Vec::new(), next: None }
    }
}

/// The values of the last row's sort keys as text, in the order of the keys; null is `None`.
pub type CursorKeys = Vec<Option<String>>;

/// Which page is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<C> {
    /// Rows at most, 1 to 999.
    pub limit: i64,
    /// Rows to leave out first, 0 to 10 000; only without `after`.
    pub skip: i64,
    /// Continue behind this row.
    pub after: Option<C>,
}

/// One transaction of one tenant. Dropping it without [`UnitOfWork::commit`] rolls everything back.
#[async_trait]
pub trait UnitOfWork: Send {
    /// The tenant everything in here belongs to.
    fn tenant(&self) -> TenantId;
    /// The instant that everything in here sees as now, read when the unit began. UTC.
    fn now(&self) -> DateTime<Utc>;
    /// Has plans made for every question again, if this unit began with [`Plans::Kept`]: to be said before a statement that may
    /// touch many rows.
    async fn plan_anew(&mut self) -> Result<(), StoreError>;
    fn definitions(&mut self) -> &mut dyn DefinitionRepository;
    fn instances(&mut self) -> &mut dyn InstanceRepository;
    fn stages(&mut self) -> &mut dyn StageRepository;
    fn stage_updates(&mut self) -> &mut dyn stage_updates::StageUpdateRepository;
    fn reviewer_lists(&mut self) -> &mut dyn ReviewerListRepository;
    fn reviewers(&mut self) -> &mut dyn ReviewerRepository;
    fn items(&mut self) -> &mut dyn ItemRepository;
    fn decisions(&mut self) -> &mut dyn DecisionRepository;
    fn apply(&mut self) -> &mut dyn apply::ApplyRepository;
    fn bulk_decisions(&mut self) -> &mut dyn bulk::BulkDecisionRepository;
    fn directory(&mut self) -> &mut dyn DirectoryRepository;
    fn events(&mut self) -> &mut dyn EventRepository;
    fn jobs(&mut self) -> &mut dyn JobRepository;
    fn first_answers(&mut self) -> &mut dyn first_answers::FirstAnswerRepository;
    fn tenants(&mut self) -> &mut dyn TenantRepository;
    fn history(&mut self) -> &mut dyn history::HistoryRepository;
    fn issuers(&mut self) -> &mut dyn issuers::IssuerRepository;
    fn callers(&mut self) -> &mut dyn issuers::CallerRepository;
    fn occurrences(&mut self) -> &mut dyn occurrences::OccurrenceRepository;
    fn definition_updates(&mut self) -> &mut dyn DefinitionUpdateRepository;
    fn reminders(&mut self) -> &mut dyn ReminderRepository;
    fn contacted_reviewers(&mut self) -> &mut dyn ContactedReviewerRepository;
    fn review_steps(&mut self) -> &mut dyn review_steps::ReviewStepRepository;
    fn review_settings(&mut self) -> &mut dyn review_settings::ReviewSettingsRepository;
    fn mail(&mut self) -> &mut dyn MailRepository;
    /// Makes everything permanent at once. [`StoreError::Unknown`] when the answer got lost.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
    /// The same, but nobody waits until the disk has it: it is durable with whatever is made durable after it, and soon by itself. A
    /// database that fails before then forgets it whole. For steps of which the next one, or whoever begins anew, makes up for it.
    async fn commit_unwaited(self: Box<Self>) -> Result<(), StoreError>;
}

/// How a unit of work comes by the plans of its statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plans {
    /// Made for every question, unless the database finds that it makes no difference.
    Anew,
    /// Made once on a connection and kept, which is for units whose statements each touch few rows: there planning takes longer
    /// than answering.
    Kept,
    /// As with [`Plans::Anew`], but for a filtered page, whose plan is made for what is asked whatever the database finds: it compares
    /// with a plan for the average tenant, and would read and sort all that a large one among many small ones has.
    AnewForPage,
}

/// Where units of work come from.
#[async_trait]
pub trait Store: frequent_reads::FrequentReads {
    /// Begins in a lane, sets the tenant for row-level security and reads its clock, in one round trip.
    ///
    /// While all connections of the lane are in use, tenants take turns. [`StoreError::Busy`] when too many units of this
    /// tenant wait already.
    async fn begin(&self, tenant: TenantId, lane: Lane) -> Result<Box<dyn UnitOfWork>, StoreError> {
        self.begin_with(tenant, lane, Plans::Anew).await
    }
    /// The same, with plans as they are asked for.
    async fn begin_with(&self, tenant: TenantId, lane: Lane, plans: Plans) -> Result<Box<dyn UnitOfWork>, StoreError>;
    /// The secret that seals this tenant's continuation tokens.
    async fn page_key(&self, tenant: TenantId) -> Result<Option<Vec<u8>>, StoreError>;
    /// Everybody's registrations of the issuer of this exact name, the built-in ones included.
    async fn issuers(&self, issuer: &str) -> Result<Vec<issuers::StoredIssuer>, StoreError>;
    /// Whether the database answers and its schema is the one compiled in.
    async fn ready(&self) -> Result<Readiness, StoreError>;
}

/// What `/readyz` tells of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// The schema is older or newer than the one this program knows.
    SchemaMismatch {
        found: u32,
        wanted: u32,
    },
}

/// Which definitions a list shows.
#[derive(Clone, Debug, Default)]
pub struct DefinitionFilter {
    /// Only those this person created.
    pub created_by: Option<ObjectId>,
    /// Only those in which this person reviews at least one item.
    pub reviewed_by: Option<ObjectId>,
    /// Only reviews of groups that can hold directory roles, and those this person created. LC-AUTH-01
    pub role_assignable_or_created_by: Option<ObjectId>,
    /// With one of the two above: also reviews of one group that this person owns. LC-AUTH-02
    pub or_of_group_owned_by: Option<ObjectId>,
    pub expression: Option<filter::FilterExpression<filter::DefinitionProperty>>,
    /// Without the key, which comes last. Empty: the collection's own order.
    pub order: Vec<filter::OrderBy<filter::DefinitionProperty>>,
}

/// The place of a definition in its list.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct DefinitionCursor {
    pub keys: CursorKeys,
    pub id: DefinitionId,
}

#[async_trait]
pub trait DefinitionRepository: Send {
    /// Stores the definition, its stage settings and their reviewer lists.
    async fn insert(&mut self, definition: &Definition) -> Result<(), StoreError>;
    /// Reads without a lock.
    async fn find(&mut self, id: DefinitionId) -> Result<Option<Definition>, StoreError>;
    /// Reads and keeps others from changing or deleting it until the unit ends.
    async fn lock(&mut self, id: DefinitionId) -> Result<Option<Definition>, StoreError>;
    /// Removes the definition with its settings, instances, stages, items, decisions and reviewer lists; events stay. `false`
    /// when there was none. LC-DEF-30, LC-DEF-32
    async fn delete(&mut self, id: DefinitionId) -> Result<bool, StoreError>;
    /// Newest first unless ordered otherwise, id last.
    async fn page(
        &mut self,
        filter: &DefinitionFilter,
        page: &Page<DefinitionCursor>,
    ) -> Result<Slice<Definition, DefinitionCursor>, StoreError>;
    /// Rows over all pages.
    async fn count(&mut self, filter: &DefinitionFilter) -> Result<i64, StoreError>;
}

/// Which instances of a definition a list shows.
#[derive(Clone, Debug, Default)]
pub struct InstanceFilter {
    /// Only those in which this person reviews at least one item.
    pub reviewed_by: Option<ObjectId>,
    pub expression: Option<filter::FilterExpression<filter::InstanceProperty>>,
    /// Without the key, which comes last. Empty: the collection's own order.
    pub order: Vec<filter::OrderBy<filter::InstanceProperty>>,
}

/// The place of an instance in its list.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct InstanceCursor {
    pub keys: CursorKeys,
    pub id: InstanceId,
}

#[async_trait]
pub trait InstanceRepository: Send {
    /// Stores the instance and its own reviewer list. `false`, and nothing stored, when this occurrence already has one for
    /// this resource.
    async fn insert(&mut self, instance: &Instance, lists: &ReviewerLists) -> Result<bool, StoreError>;
    /// Reads without a lock.
    async fn find(&mut self, definition: DefinitionId, id: InstanceId) -> Result<Option<Instance>, StoreError>;
    /// Which definition an instance belongs to.
    async fn definition_of(&mut self, id: InstanceId) -> Result<Option<DefinitionId>, StoreError>;
    /// Reads and keeps others from changing its status until the unit ends.
    async fn lock(&mut self, id: InstanceId) -> Result<Option<Instance>, StoreError>;
    /// Stores status, dates, item count and errors, and counts the version up.
    async fn update(&mut self, instance: &mut Instance) -> Result<(), StoreError>;
    /// What a definition's status follows from: for every status that an instance of it has, the latest occurrence with one.
    /// With `besides`, of the other instances.
    async fn progress(
        &mut self,
        definition: DefinitionId,
        besides: Option<InstanceId>,
    ) -> Result<Vec<InstanceProgress>, StoreError>;
    /// By start unless ordered otherwise, id last.
    async fn page(
        &mut self,
        definition: DefinitionId,
        filter: &InstanceFilter,
        page: &Page<InstanceCursor>,
    ) -> Result<Slice<Instance, InstanceCursor>, StoreError>;
    /// Rows over all pages.
    async fn count(&mut self, definition: DefinitionId, filter: &InstanceFilter) -> Result<i64, StoreError>;
}

/// A stage and how its items are told.
#[derive(Clone, Debug, PartialEq)]
pub struct StageEntry {
    pub stage: Stage,
    pub entry: Entry,
}

#[async_trait]
pub trait StageRepository: Send {
    /// Stores a new stage and its reviewer lists. `false`, and nothing stored, when the instance already has this ordinal.
    async fn insert(&mut self, stage: &Stage, entry: Entry, lists: &ReviewerLists) -> Result<bool, StoreError>;
    /// Reads without a lock.
    async fn find(&mut self, instance: InstanceId, id: StageId) -> Result<Option<Stage>, StoreError>;
    /// Every stage created so far, first to last; three at most.
    async fn list(&mut self, instance: InstanceId) -> Result<Vec<StageEntry>, StoreError>;
    /// The stages of several instances at once, those of each first to last.
    async fn list_of(&mut self, instances: &[InstanceId]) -> Result<Vec<StageEntry>, StoreError>;
    /// Reads and keeps others from changing it until the unit ends.
    async fn lock(&mut self, instance: InstanceId, id: StageId) -> Result<Option<Stage>, StoreError>;
    /// Reads and keeps its status as it is until the unit ends; any number may hold it so at once. Rule 5 of concurrency
    async fn lock_shared(&mut self, instance: InstanceId, ordinal: StageOrdinal) -> Result<Option<Stage>, StoreError>;
    /// Stores status and dates, and counts the version up.
    async fn update(&mut self, stage: &mut Stage) -> Result<(), StoreError>;
    /// Stores the version of a locked stage of which several changes were counted, and nothing else.
    async fn count_changes(&mut self, stage: &Stage) -> Result<(), StoreError>;
    /// Stores the stages to come of a new instance, with their reviewer lists.
    async fn plan(&mut self, instance: InstanceId, stages: &[PlannedStage]) -> Result<(), StoreError>;
    /// The stages of an instance as planned, first to last.
    async fn planned(&mut self, instance: InstanceId) -> Result<Vec<PlannedStage>, StoreError>;
}

#[async_trait]
pub trait ReviewerListRepository: Send {
    /// Both lists in their order; empty when nothing is stored.
    async fn find(&mut self, id: ReviewerListId) -> Result<ReviewerLists, StoreError>;
    /// The lists of several owners at once, in the order asked for.
    async fn find_all(&mut self, ids: &[ReviewerListId]) -> Result<Vec<ReviewerLists>, StoreError>;
    /// Makes the stored lists equal to `lists`; a fallback row is never removed, whatever is asked. LC-INV-03
    async fn replace(&mut self, id: ReviewerListId, lists: &ReviewerLists) -> Result<(), StoreError>;
}

/// What resolving reviewers found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Every item has who could be found.
    Resolved {
        /// Items with neither a primary nor a fallback reviewer. LC-REV-09
        items_without_reviewer: i64,
    },
    /// One item would have more than are allowed, so no item has any. LC-REV-13
    TooMany { found: i64 },
}

/// A list that names more people than are allowed. LC-REV-13
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedByMore {
    /// Which of the lists that were asked about, from 0.
    pub position: usize,
    /// Whether the fallback reviewers are too many, or the reviewers.
    pub fallback: bool,
    /// How many are named.
    pub people: i64,
}

/// The stages of an instance in which somebody reviews at least one item, highest first.
#[derive(Clone, Debug, PartialEq)]
pub struct StageReach {
    pub ordinal: StageOrdinal,
    pub entry: Entry,
    pub reach: ReviewerReach,
}

/// What a person is to an object. LC-AUTH-04
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ties {
    pub is_creator: bool,
    /// The definition reviews one group, he owns it now with an enabled account, and the tenant lets owners review. LC-AUTH-02
    pub owns_group: bool,
    pub reviews_in_definition: bool,
    pub reviews_in_instance: bool,
}

/// Somebody who was told of a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct ContactedReviewer {
    pub id: ObjectId,
    pub display_name: String,
    pub user_principal_name: String,
    /// UTC.
    pub contacted_at: DateTime<Utc>,
}

#[async_trait]
pub trait ReviewerRepository: Send {
    /// Resolves the stage's scopes anew for every one of its items and replaces what was resolved before. When an item would have
    /// more than `most` reviewers, no item has any afterwards. LC-REV-01 to 05, LC-REV-13, LC-SUPD-20, LC-SUPD-25
    ///
    /// `gathered`: the transaction has gathered the items just now, so each manager's are still together.
    async fn resolve(
        &mut self,
        instance: &Instance,
        stage: &StageEntry,
        gathered: Option<Unchanged>,
        most: i64,
    ) -> Result<Resolution, StoreError>;
    /// Those of the stored lists whose users, groups and owners are more than `most` people now. `resource`: the group or
    /// application under review, if there is one. LC-REV-13
    async fn named_by_more(
        &mut self,
        lists: &[ReviewerListId],
        resource: Option<ObjectId>,
        most: i64,
    ) -> Result<Vec<NamedByMore>, StoreError>;
    /// Records everyone who reviews an item of this stage and was not recorded for it before; returns how many. With
    /// `mail`, enqueues one mail of that kind for each of them, at most once per stage and person. LC-SUPD-22, LC-NOTE-08
    async fn contact_newcomers(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        mail: Option<MailKind>,
    ) -> Result<i64, StoreError>;
    /// Records that a mail about the stage got through to somebody who was contacted. M-32
    async fn mark_mailed(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        person: ObjectId,
    ) -> Result<(), StoreError>;
    /// Whether this person reviews at least one item of the stage now.
    async fn reviews_in_stage(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        person: ObjectId,
    ) -> Result<bool, StoreError>;
    /// What this person is to the definition and, when given, the instance.
    async fn ties(
        &mut self,
        definition: DefinitionId,
        instance: Option<InstanceId>,
        person: ObjectId,
    ) -> Result<Ties, StoreError>;
    /// The stages of the instance in which this person reviews at least one item, highest first, and which items.
    async fn reaches(&mut self, instance: InstanceId, person: ObjectId) -> Result<Vec<StageReach>, StoreError>;
    /// Whether this person reviews this very item in this stage. LC-DEC-02
    async fn reviews_item(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        seq: ItemSeq,
        person: ObjectId,
    ) -> Result<bool, StoreError>;
}

/// Which items a gathering takes and how it groups them.
#[derive(Clone, Debug, PartialEq)]
pub struct Gathering {
    /// Only users whose last sign-in, and account, are older than this. LC-INST-11
    pub inactive_before: Option<DateTime<Utc>>,
    /// The rules of each stage, then those of the default decision. LC-RCM-08, LC-RCM-10, LC-CMP-06
    pub recommendation_rules: Vec<Vec<RecommendationRule>>,
    /// What was found out for [`RecommendationRule::Affiliation`]; of members who are not among them nothing is known.
    pub affiliations: Vec<Affiliation>,
    /// Each person alone, because some stage is a self-review or asks sponsors; else everybody with the same manager together.
    pub one_cohort_per_principal: bool,
    /// Groups and service principals are left out: everybody reviews himself, and nobody stands in. LC-REV-06
    pub users_only: bool,
    /// Whether users by direct connect are taken. LC-DEF-07
    pub direct_connect: bool,
    /// So many items at most; one more is made when there are more. LC-REV-13
    pub most_items: i32,
}

/// A principal under review. Section 5.2 of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub id: ObjectId,
    pub kind: PrincipalKind,
    pub display_name: String,
    /// User principal name of a user, application id of a service principal, else empty.
    pub detail: String,
}

/// The role by which somebody has access to an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedRole {
    pub id: ObjectId,
    /// With several roles the names of all; empty when nothing is told of them.
    pub display_name: String,
}

/// What a principal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalKind {
    User,
    Group,
    ServicePrincipal,
}

/// An item as a view shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemRow {
    pub seq: ItemSeq,
    pub principal: Principal,
    /// Only in reviews of applications.
    pub app_role: Option<GrantedRole>,
    pub recommendation: Recommendation,
    /// The decision this view shows; `None` is `NotReviewed`.
    pub decision: Option<Decision>,
    /// What became of it, where the view shows the decision that was applied; `None` is `New`. LC-STAGE-51
    pub applied: Option<Applied>,
    /// What was known at the start, as far as the view shows it. LC-RCM-02, LC-RCM-10
    pub facts: ShownFacts,
}

/// Whose eyes the items are seen with.
#[derive(Clone, Debug, PartialEq)]
pub enum ItemView {
    /// The items of one stage, with that stage's decisions; only those in `reach` when given. LC-STAGE-40
    Stage { ordinal: StageOrdinal, entry: Entry, reach: Option<Vec<StageReach>> },
    /// All items with the effective decision. `highest` is the last stage created. LC-STAGE-41
    Effective { highest: StageOrdinal },
    /// The items a reviewer reviews in any stage. With `histories` the newest decision up to his highest stage of the item,
    /// else his own stage's only. LC-STAGE-50 to 52
    Reviewer { reaches: Vec<StageReach>, histories: bool },
}

/// Which items a list shows.
#[derive(Clone, Debug, Default)]
pub struct ItemFilter {
    pub expression: Option<filter::FilterExpression<filter::DecisionProperty>>,
    /// Without the key, which comes last. Empty: the collection's own order.
    pub order: Vec<filter::OrderBy<filter::DecisionProperty>>,
}

/// The place of an item in its list.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ItemCursor {
    pub keys: CursorKeys,
    pub seq: ItemSeq,
}

/// What an instance's items were made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// How many there are.
    pub items: i32,
    /// By which the users are told who may have changed since.
    pub since: Unchanged,
}

/// Tells rows that have been as they are since before items were gathered from those that somebody may have changed meanwhile. Means
/// something to the transaction that gathered, and to no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unchanged(pub(super) i64);

#[async_trait]
pub trait ItemRepository: Send {
    /// The users of the group under review, guests or active or not, and everybody above them: each once. Nobody for another kind of
    /// resource. LC-RCM-06
    async fn managed_members(&mut self, instance: &Instance) -> Result<Vec<ManagedPerson>, StoreError>;
    /// Makes the instance's items out of the directory as it is now, in one statement. LC-INST-06, LC-INST-11, LC-INST-12,
    /// LC-RCM-03
    async fn gather(&mut self, instance: &Instance, gathering: &Gathering) -> Result<Gathered, StoreError>;
    /// Takes back what was gathered in this unit of work, before anything was recorded of it. LC-REV-13
    async fn discard(&mut self, instance: InstanceId) -> Result<(), StoreError>;
    /// Lists the items that move from `from` on to the next stage (`Entry::Listed` only). LC-STAGE-30
    async fn list_moving(&mut self, instance: InstanceId, from: &StageEntry) -> Result<(), StoreError>;
    /// Whether a stage holds any item.
    async fn stage_holds_any(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        entry: Entry,
    ) -> Result<bool, StoreError>;
    /// One item as the view shows it; `None` when the view does not hold it.
    async fn find(
        &mut self,
        instance: InstanceId,
        view: &ItemView,
        seq: ItemSeq,
    ) -> Result<Option<ItemRow>, StoreError>;
    /// In order of generation unless ordered otherwise, `seq` last.
    async fn page(
        &mut self,
        instance: InstanceId,
        view: &ItemView,
        filter: &ItemFilter,
        page: &Page<ItemCursor>,
    ) -> Result<Slice<ItemRow, ItemCursor>, StoreError>;
    /// Rows over all pages.
    async fn count(&mut self, instance: InstanceId, view: &ItemView, filter: &ItemFilter) -> Result<i64, StoreError>;
}

/// An answer of this person to this item of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedAnswer {
    pub seq: ItemSeq,
    pub person: ObjectId,
}

/// What an answer rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundAnswer {
    /// Whether the person reviews the item in this stage. LC-DEC-02
    pub decides: bool,
    /// Shown in this stage.
    pub recommendation: Recommendation,
    /// The stage's record of the item.
    pub decision: Option<Decision>,
}

/// What is to be the stage's record of an item.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionRecord {
    pub seq: ItemSeq,
    /// Whether the stage had one when the item was locked.
    pub is_stored: bool,
    /// `None` takes it away.
    pub decision: Option<Decision>,
}

#[async_trait]
pub trait DecisionRepository: Send {
    /// What answers to items of one stage rest on, in the order asked for; `None` where the stage holds no such item. Records that
    /// are there keep as they are until the unit ends.
    async fn lock_many(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        asked: &[AskedAnswer],
    ) -> Result<Vec<Option<FoundAnswer>>, StoreError>;
    /// Makes these the stage's records, each item once and in order of `seq`, after [`DecisionRepository::lock_many`]. `false` when
    /// somebody else made a record meanwhile where none was; then the unit is to be given up.
    async fn record_many(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        records: &[DecisionRecord],
    ) -> Result<bool, StoreError>;
    /// Stores this stage's record of the item and returns the one it replaces; concurrent writers come one after the other.
    /// LC-CONC-01
    async fn record(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        seq: ItemSeq,
        decision: &Decision,
    ) -> Result<Option<Decision>, StoreError>;
    /// Removes this stage's record of the item and returns it. LC-STAGE-43
    async fn withdraw(
        &mut self,
        instance: InstanceId,
        ordinal: StageOrdinal,
        seq: ItemSeq,
    ) -> Result<Option<Decision>, StoreError>;
    /// Records a verdict as the system's decision for every item that no stage decided; with `None` each item's own
    /// recommendation, where it has one. Returns how many. LC-CMP-03 to 05, LC-CMP-07
    async fn record_defaults(
        &mut self,
        instance: InstanceId,
        verdict: Option<Verdict>,
        author: &Identity,
    ) -> Result<i64, StoreError>;
}

#[async_trait]
pub trait DirectoryRepository: Send {
    /// Which of these scopes name an object that is not there; positions into `forms`. LC-SUPD-12, A-13
    async fn missing(&mut self, forms: &[ReviewerForm]) -> Result<Vec<usize>, StoreError>;
    /// The resource of a review, as its scope names it; `None` when there is none, or when every group of an enumeration is one.
    /// A directory role is named by its id or its template's.
    async fn resource(&mut self, form: &ScopeForm) -> Result<Option<Resource>, StoreError>;
    /// What a review needs to know of a group; `None` when there is none.
    async fn group(&mut self, id: ObjectId) -> Result<Option<GroupFacts>, StoreError>;
    /// Those of the groups to which directory roles can be assigned. LC-AUTH-01
    async fn role_assignable(&mut self, groups: &[ObjectId]) -> Result<Vec<ObjectId>, StoreError>;
    /// Those of the groups that are under privileged-access management. LC-REV-08
    async fn under_privileged_access(&mut self, groups: &[ObjectId]) -> Result<Vec<ObjectId>, StoreError>;
    /// The identity of a user or service principal.
    async fn identity(&mut self, id: ObjectId) -> Result<Option<Identity>, StoreError>;
    /// The user with this user principal name, in any case, or with this id.
    async fn find_user(&mut self, name_or_id: &str) -> Result<Option<Identity>, StoreError>;
    /// The service principals with this application id, object id or exact display name; two at most, for more than one is too
    /// many to choose from.
    async fn find_applications(&mut self, name_or_id: &str) -> Result<Vec<Identity>, StoreError>;
    /// Role template ids of the directory roles that a principal holds, directly or through a group.
    async fn role_templates_of(&mut self, id: ObjectId) -> Result<Vec<Uuid>, StoreError>;
    /// Where mail of these people goes; those without an address or with a disabled account are left out.
    async fn mail_addresses(&mut self, ids: &[ObjectId]) -> Result<Vec<MailAddress>, StoreError>;
    /// The enabled users that a user, group-members or group-owners form names; with `only`, that one, if he is among them. Section 8.9
    /// of the API
    async fn people(&mut self, form: &ReviewerForm, only: Option<ObjectId>) -> Result<Vec<ObjectId>, StoreError>;
}

/// What a review needs to know of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFacts {
    pub display_name: String,
    pub is_assignable_to_role: bool,
}

/// A tenant: one customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    /// Short name for the command line.
    pub slug: String,
    pub display_name: String,
    /// Whether its clock can be advanced.
    pub sandbox: bool,
}

#[async_trait]
pub trait TenantRepository: Send {
    /// The tenant of this unit.
    async fn current(&mut self) -> Result<Tenant, StoreError>;
    /// Moves a sandbox tenant's clock forward to `instant`, never back, and its jobs with it; returns its new now.
    async fn advance_clock_to(&mut self, instant: DateTime<Utc>) -> Result<DateTime<Utc>, StoreError>;
}

/// A person's name and mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailAddress {
    pub id: ObjectId,
    pub display_name: String,
    pub address: String,
}

/// Who caused the changes of a unit of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub kind: ActorKind,
    pub id: ObjectId,
    pub name: String,
    /// The request it came with; `None` for jobs.
    pub request_id: Option<Uuid>,
}

impl Actor {
    /// A job, a timer, the command line.
    pub fn system() -> Self {
        Self { kind: ActorKind::System, id: ObjectId::NOBODY, name: "Access Reviews".to_owned(), request_id: None }
    }
}

/// What kind of actor it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorKind {
    User,
    Application,
    System,
}

#[async_trait]
pub trait EventRepository: Send {
    /// Appends events of several actors, in their order.
    async fn append_each(&mut self, events: &[(Actor, Event)]) -> Result<(), StoreError>;
    /// Appends the events in their order, at the unit's instant.
    async fn append(&mut self, actor: &Actor, events: &[Event]) -> Result<(), StoreError>;
}

/// Due work. The payload says all a worker needs; the key makes it unique per kind.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Job {
    /// The time of an occurrence of an all-groups review has come. The start makes it unique, so that a definition that is given
    /// another one can have another job.
    OpenOccurrence { definition: DefinitionId, occurrence: i32, start_at: DateTime<Utc> },
    /// IN-02: the instance's time has come.
    OpenInstance { instance: InstanceId },
    /// ST-06: the stage's time is up.
    CloseStage { instance: InstanceId, stage: StageId },
    /// IN-14: the decisions of an instance are carried out.
    ApplyDecisions { instance: InstanceId },
    /// LC-APPLY-09: accounts blocked long enough are deleted.
    DeleteBlockedUsers { instance: InstanceId },
    /// N-4: the stage is half over.
    RemindStage { instance: InstanceId, stage: StageId },
    /// The reviewers of an occurrence of a review of many groups are told, each of all his groups at once. LC-NOTE-06
    TellReviewers { definition: DefinitionId, occurrence: i32 },
    /// One mail to one person about all he reviews in an occurrence. LC-NOTE-06
    SendCombinedMail { definition: DefinitionId, occurrence: i32, recipient: ObjectId },
    /// One mail to one person.
    SendMail {
        mail: MailKind,
        instance: InstanceId,
        ordinal: StageOrdinal,
        recipient: ObjectId,
        /// Tells mails of one kind to one person apart; 0 where there is one at most. LC-NOTE-08
        #[serde(default)]
        sequence: i32,
    },
    /// A report's time has come. LC-HIST-01
    RunReport { instance: HistoryInstanceId },
    /// A report's time is over. LC-HIST-07
    ExpireReport { instance: HistoryInstanceId },
}

impl Job {
    /// The kind as stored.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::OpenOccurrence { .. } => "open_occurrence",
            Self::OpenInstance { .. } => "open_instance",
            Self::CloseStage { .. } => "close_stage",
            Self::ApplyDecisions { .. } => "apply_decisions",
            Self::DeleteBlockedUsers { .. } => "delete_blocked_users",
            Self::RemindStage { .. } => "remind_stage",
            Self::TellReviewers { .. } => "tell_reviewers",
            Self::SendCombinedMail { .. } => "send_combined_mail",
            Self::SendMail { .. } => "send_mail",
            Self::RunReport { .. } => "run_report",
            Self::ExpireReport { .. } => "expire_report",
        }
    }

    /// Whether it waits for a mail server.
    pub const fn is_mail(&self) -> bool {
        match self {
            Self::SendCombinedMail { .. } | Self::SendMail { .. } => true,
            Self::OpenOccurrence { .. }
            | Self::OpenInstance { .. }
            | Self::CloseStage { .. }
            | Self::ApplyDecisions { .. }
            | Self::DeleteBlockedUsers { .. }
            | Self::RemindStage { .. }
            | Self::TellReviewers { .. }
            | Self::RunReport { .. }
            | Self::ExpireReport { .. } => false,
        }
    }

    /// What makes it unique within its kind.
    pub fn key(&self) -> String {
        match self {
            Self::OpenOccurrence { definition, occurrence, start_at } => {
                format!("{definition}/{occurrence}/{}", start_at.timestamp_micros())
            }
            Self::OpenInstance { instance }
            | Self::ApplyDecisions { instance }
            | Self::DeleteBlockedUsers { instance } => instance.to_string(),
            Self::CloseStage { stage, .. } | Self::RemindStage { stage, .. } => stage.to_string(),
            Self::RunReport { instance } | Self::ExpireReport { instance } => instance.to_string(),
            Self::TellReviewers { definition, occurrence } => format!("{definition}/{occurrence}"),
            Self::SendCombinedMail { definition, occurrence, recipient } => {
                format!("{definition}/{occurrence}/{recipient}")
            }
            Self::SendMail { mail, instance, ordinal, recipient, sequence: 0 } => {
                format!("{}/{instance}/{ordinal}/{recipient}", mail.key())
            }
            Self::SendMail { mail, instance, ordinal, recipient, sequence } => {
                format!("{}/{instance}/{ordinal}/{recipient}/{sequence}", mail.key())
            }
        }
    }
}

/// Which jobs are meant: mail waits for its server, and nothing else waits for mail. LC-NOTE-09
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKinds {
    All,
    Mail,
    ButMail,
}

impl JobKinds {
    /// Whether this job is one of them.
    pub const fn include(self, job: &Job) -> bool {
        match self {
            Self::All => true,
            Self::Mail => job.is_mail(),
            Self::ButMail => !job.is_mail(),
        }
    }
}

/// A job to enqueue.
#[derive(Clone, Debug, PartialEq)]
pub struct NewJob {
    pub id: JobId,
    pub job: Job,
    /// In the tenant's time. UTC.
    pub due_at: DateTime<Utc>,
}

/// A job somebody is working on.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimedJob {
    pub tenant: TenantId,
    pub id: JobId,
    pub job: Job,
    /// In the tenant's time. UTC.
    pub due_at: DateTime<Utc>,
    /// 1 on the first try.
    pub attempt: i32,
    /// Whether an earlier try of a mail handed it over and did not come to record what became of it. LC-NOTE-08
    pub interrupted: bool,
    /// For how long it had been due, or rested enough for another try, when it was claimed. Seconds.
    pub late_by: f64,
    /// Proves that the lease is still ours.
    pub lease: Uuid,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Its object was gone or already past it.
    Obsolete,
    /// Given up after the last attempt.
    GivenUp,
}

impl Outcome {
    /// The stored spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Obsolete => "obsolete",
            Self::GivenUp => "given up",
        }
    }
}

#[async_trait]
pub trait JobRepository: Send {
    /// Enqueues; passes over those whose kind and key were ever enqueued.
    async fn enqueue(&mut self, jobs: &[NewJob]) -> Result<(), StoreError>;
    /// Enqueues; one whose kind and key were enqueued before falls due anew, also when it had ended. A lease stays.
    async fn reschedule(&mut self, jobs: &[NewJob]) -> Result<(), StoreError>;
    /// Ends, as obsolete, what nobody is working on; whoever works on one finds out by himself.
    async fn cancel(&mut self, jobs: &[Job]) -> Result<(), StoreError>;
    /// Ends a claimed job within this unit. [`StoreError::LeaseLost`] when somebody else has it by now.
    async fn finish(&mut self, job: &ClaimedJob, outcome: Outcome) -> Result<(), StoreError>;
    /// Gives a claimed job back within this unit because its time moved to `due_at`. [`StoreError::LeaseLost`] as above.
    async fn postpone(&mut self, job: &ClaimedJob, due_at: DateTime<Utc>) -> Result<(), StoreError>;
}

/// Claiming work of all tenants, each call its own short transaction.
#[async_trait]
pub trait JobQueue: Send + Sync {
    /// Takes up to `limit` due jobs for `lease_seconds`; nobody else gets them meanwhile. With `tenant`, only that tenant's.
    async fn claim(
        &self,
        tenant: Option<TenantId>,
        limit: i64,
        lease_seconds: i32,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        self.claim_kinds(JobKinds::All, tenant, limit, lease_seconds).await
    }
    /// The same of these kinds only.
    async fn claim_kinds(
        &self,
        kinds: JobKinds,
        tenant: Option<TenantId>,
        limit: i64,
        lease_seconds: i32,
    ) -> Result<Vec<ClaimedJob>, StoreError>;
    /// Takes the job of a tenant that failed and has rested longest, before it was to be tried again; mail aside, which waits for its
    /// server.
    async fn claim_resting(&self, tenant: TenantId, lease_seconds: i32) -> Result<Option<ClaimedJob>, StoreError>;
    /// Keeps the lease for another `lease_seconds`; `false` when somebody else has the job by now.
    async fn renew(&self, job: &ClaimedJob, lease_seconds: i32) -> Result<bool, StoreError>;
    /// Records that a mail is handed over from now on, which makes every later try of it [`ClaimedJob::interrupted`]; `false` when
    /// somebody else has the job by now. LC-NOTE-08
    async fn hand_over(&self, job: &ClaimedJob) -> Result<bool, StoreError>;
    /// Takes that back: the mail was not taken, and may be tried again.
    async fn take_back(&self, job: &ClaimedJob) -> Result<(), StoreError>;
    /// Gives a failed job back, to be tried again after `delay_seconds`.
    async fn release(&self, job: &ClaimedJob, delay_seconds: i32, error: &str) -> Result<(), StoreError>;
    /// Gives a job back that could not be tried, for `delay_seconds`; it has its tries still before it.
    async fn put_back(&self, job: &ClaimedJob, delay_seconds: i32, reason: &str) -> Result<(), StoreError>;
    /// When the earliest unfinished job of a tenant falls due, in its time, those waiting for another try aside; `None` when
    /// nothing is pending.
    async fn next_due(&self, tenant: TenantId) -> Result<Option<DateTime<Utc>>, StoreError>;
    /// Whether another worker holds a due job of this tenant, of these kinds.
    async fn due_elsewhere(&self, kinds: JobKinds, tenant: TenantId) -> Result<bool, StoreError>;
    /// How many jobs are due and unfinished, and how late the latest is, in seconds; for metrics.
    async fn backlog(&self) -> Result<Backlog, StoreError>;
}

/// Due work not done yet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Backlog {
    pub due: i64,
    pub lateness_seconds: f64,
}

//! The use cases: each file is one operation that loads, asks the rules, saves and commits.
//!
//! Only this room draws ids. No network call happens between `begin` and `commit`, and everything that happens outside (mail)
//! is a job enqueued in the same transaction. Dropping a unit of work rolls back, so `?` is safe everywhere.

pub mod accept_recommendations;
mod access;
pub mod add_issuer;
pub mod advance_clock;
pub mod apply_decisions;
pub mod batch_record_decisions;
mod bulk_decisions;
mod carry_out_decisions;
mod change_reviewers;
pub mod contacted_reviewers;
pub mod create_definition;
pub mod delete_definition;
mod deliver_mail;
pub mod development_tokens;
pub mod entity_tags;
pub mod get_decision;
pub mod get_definition;
pub mod get_instance;
pub mod get_review_set;
pub mod get_stage;
pub mod give_up;
pub mod history;
pub mod ids;
pub mod import_directory;
pub mod list_decisions;
pub mod list_definitions;
pub mod list_instances;
pub mod list_issuers;
pub mod list_mail_templates;
pub mod list_stages;
pub mod listing;
pub mod mail_settings;
mod open_occurrence;
pub mod page_key;
mod read_items;
pub mod record_decision;
mod record_together;
pub mod remove_issuer;
pub mod remove_mail_template;
mod repeats;
pub mod reset_decisions;
pub mod resolve_caller;
pub mod review_settings;
mod reviewer_rules;
pub mod run_job;
mod run_review;
mod send_combined_mail;
mod send_mail;
pub mod send_reminder;
pub mod set_mail_template;
pub mod stop_instance;
pub mod stop_stage;
mod tell_reviewers;
pub mod together;
pub mod update_definition;
pub mod update_instance;
pub mod update_issuer;
pub mod update_stage;
mod update_together;

use std::sync::Arc;

pub use access::StagePath;
pub use bulk_decisions::BulkPath;
use read_items::ItemRound;
use record_together::DecisionRound;
use together::Together;
use tokio::{runtime::Handle, sync::Notify};
use update_together::UpdateRound;

use crate::{
    domain::{
        authorization::{Caller, CallerKind, Reason},
        ids::TenantId,
        limits::ReviewLimits,
        precondition::{Precondition, PreconditionFailed},
        reminder::TooSoon,
        repeat::RepeatKey,
        status::WrongState,
        violation::Violation,
    },
    mail::Mailer,
    store::{Actor, ActorKind, JobQueue, Lane, Plans, Store, StoreError, UnitOfWork},
};

/// What every use case works with.
#[derive(Clone)]
pub struct Services {
    pub store: Arc<dyn Store>,
    pub queue: Arc<dyn JobQueue>,
    pub mailer: Arc<dyn Mailer>,
    /// Wakes this process's workers when a unit of work enqueued something.
    pub work: Arc<Notify>,
    /// How large a review may become. LC-REV-13
    pub limits: ReviewLimits,
    /// Where units of work begin unless a use case knows better: [`Lane::Interactive`] for whoever serves requests.
    pub lane: Lane,
    /// Where those meet who read single items.
    items: Arc<Together<ItemRound>>,
    /// Where those meet who decide items of one instance.
    decisions: Arc<Together<DecisionRound>>,
    /// Where those meet who update one stage.
    stage_updates: Arc<Together<UpdateRound>>,
    /// Outlives every request; work for several of them runs there.
    home: Handle,
}

impl Services {
    /// Services over these parts, in which nobody waits for anything yet. To be called on the runtime that outlives all use.
    pub fn new(
        store: Arc<dyn Store>,
        queue: Arc<dyn JobQueue>,
        mailer: Arc<dyn Mailer>,
        work: Arc<Notify>,
        limits: ReviewLimits,
    ) -> Self {
        let items = Together::new(ItemRound(Arc::clone(&store)), read_items::ROUNDS);
        let decisions = Together::new(DecisionRound(Arc::clone(&store)), record_together::ROUNDS);
        let updates = UpdateRound { store: Arc::clone(&store), work: Arc::clone(&work) };
        let stage_updates = Together::new(updates, update_together::ROUNDS);
        Self {
            store,
            queue,
            mailer,
            work,
            limits,
            items,
            decisions,
            stage_updates,
            home: Handle::current(),
            lane: Lane::Interactive,
        }
    }

    /// The same, with units of work that begin in this lane unless a use case knows better.
    #[must_use]
    pub fn in_lane(&self, lane: Lane) -> Self {
        Self { lane, ..self.clone() }
    }

    /// Requests that wait to be answered together with others: their round has not begun. For metrics and tests
    pub fn waiting_requests(&self) -> usize {
        self.items.waiting() + self.decisions.waiting() + self.stage_updates.waiting()
    }

    /// Whether requests are being answered together with others, also those whose callers have gone. For tests
    pub fn is_answering_together(&self) -> bool {
        !(self.items.is_empty() && self.decisions.is_empty() && self.stage_updates.is_empty())
    }

    /// Begins a unit of work of the caller's tenant.
    async fn begin(&self, tenant: TenantId) -> Result<Box<dyn UnitOfWork>, Refused> {
        self.begin_with(tenant, Plans::Anew).await
    }

    /// The same, with plans as they are asked for.
    async fn begin_with(&self, tenant: TenantId, plans: Plans) -> Result<Box<dyn UnitOfWork>, Refused> {
        Ok(self.store.begin_with(tenant, self.lane, plans).await?)
    }

    /// The same for work that may take long and that somebody asked for: it must not keep those waiting who ask for little.
    async fn begin_bulk(&self, tenant: TenantId) -> Result<Box<dyn UnitOfWork>, Refused> {
        Ok(self.store.begin(tenant, Lane::Bulk).await?)
    }
}

/// Why a use case did not do what it was asked. Nothing was changed, except where the outcome of a commit is unknown.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Absent, of another tenant, or not for this caller's eyes. LC-AUTH-04
    #[error("no such object")]
    NotFound,
    /// Visible, but this caller may not do this.
    #[error(transparent)]
    Forbidden(#[from] Reason),
    /// The object's status does not allow it; the text names the status and the allowed ones.
    #[error("{0}")]
    InvalidState(String),
    /// The body breaks a rule.
    #[error("the request is not valid")]
    Invalid(Vec<Violation>),
    /// A query that would cost too much here; names the query option.
    #[error("{message}")]
    Unsupported { target: &'static str, message: String },
    /// A fallback reviewer would be removed, or a creation key was used for something else. LC-SUPD-06, LC-CONC-09
    #[error("{0}")]
    Conflict(String),
    /// It was there, and its time is over.
    #[error("{0}")]
    Gone(String),
    /// The same was asked for a moment ago.
    #[error(transparent)]
    TooOften(#[from] TooSoon),
    /// The object is in another state than the caller demanded with an entity tag. LC-CONC-08
    #[error(transparent)]
    PreconditionFailed(#[from] PreconditionFailed),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<WrongState> for Refused {
    fn from(error: WrongState) -> Self {
        Self::InvalidState(error.to_string())
    }
}

/// A caller and the request he came with.
#[derive(Clone, Debug)]
pub struct Call {
    pub caller: Arc<Caller>,
    /// Recorded with every event of the request.
    pub request_id: Option<uuid::Uuid>,
    /// What must hold of the object he changes. Use cases that change one check it with the row locked.
    pub precondition: Precondition,
    /// Marks a create that he may send again; use cases that create answer it as the first time.
    pub repeat_key: Option<RepeatKey>,
}

impl Call {
    /// The author of what this request changes.
    fn actor(&self) -> Actor {
        Actor {
            kind: match self.caller.kind {
                CallerKind::User => ActorKind::User,
                CallerKind::Application => ActorKind::Application,
            },
            id: self.caller.identity.id,
            name: self.caller.identity.display_name.clone(),
            request_id: self.request_id,
        }
    }

    fn tenant(&self) -> TenantId {
        self.caller.tenant_id
    }
}

//! What every test starts from: a database, the service on a port of its own, and a tenant nobody else has.

mod applying;
mod chains;
mod client;
mod company;
mod database;
mod flow;
mod history;
pub mod kubernetes_org;
mod ordering;
pub mod provider;
mod redacted;
mod review;
mod sdk;
pub mod server;

use std::{path::PathBuf, sync::Arc};

use attestry::{
    app::{
        Services,
        advance_clock::advance_clock,
        development_tokens::{self, DevelopmentKey, Subject, TokenRequest},
        ids,
        import_directory::{ImportError, ImportReport, NoProgress, import_directory},
        run_job::{Ran, run_job},
    },
    domain::{
        ids::{ObjectId, TenantId},
        limits::ReviewLimits,
        token_issuer::AddressPolicy,
    },
    http::Edge,
    mail::{Mailer, NoMailer},
    store::{
        Actor, Lane, LaneSizes, Tenant as StoredTenant,
        pg::{
            PgStore,
            directory_import::PgDirectoryImport,
            tenants::{Administration, StoredDevelopmentKey},
        },
    },
};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::sync::Notify;

pub use applying::{
    account, alone, applied, apply_path, column_where, ended, members, of_guests, refuse, results, with_guests,
};
pub use chains::assert_one_chain_of_statuses_each;
pub use client::{Answer, Client};
pub use company::{Company, GUEST, id_of};
pub use database::Database;
pub use flow::{MINE, mailed, people};
pub use history::{ReportLine, history_body, history_scope, parse};
pub use ordering::{Blocker, eventually};
pub use redacted::redacted;
pub use review::{Review, ReviewBuilder, group_members, group_owners, manager, resource_owners, stage, user};
pub use sdk::as_the_python_sdk_sends;

/// A tenant of its own with a clock that can be advanced, and the service to call. No worker runs: jobs run when the test
/// says so.
pub struct Tenant {
    pub id: TenantId,
    pub services: Services,
    pub database: Database,
    base_url: String,
    key: DevelopmentKey,
    _server: server::Running,
}

impl Tenant {
    /// A new sandbox tenant.
    pub async fn new() -> Self {
        Self::with_mailer(Arc::new(NoMailer)).await
    }

    /// A new sandbox tenant whose mail goes out through `mailer`.
    pub async fn with_mailer(mailer: Arc<dyn Mailer>) -> Self {
        let database = Database::shared().await;
        Self::on(database, mailer, true).await
    }

    /// A tenant whose clock cannot be moved.
    pub async fn without_sandbox() -> Self {
        Self::on(Database::shared().await, Arc::new(NoMailer), false).await
    }

    /// A tenant on a given database.
    pub async fn on(database: Database, mailer: Arc<dyn Mailer>, sandbox: bool) -> Self {
        let id = ids::tenant();
        let slug = format!("t-{}", id.as_uuid().simple());
        let mut administration = Administration::connect(&database.url).await.unwrap();
        let tenant = StoredTenant { id, slug, display_name: "Acme".to_owned(), sandbox };
        administration.create_tenant(&tenant, &ids::page_key()).await.unwrap();
        let generated = development_tokens::generate(id).unwrap();
        administration
            .add_development_issuer(
                id,
                &StoredDevelopmentKey {
                    key_id: generated.key.key_id.clone(),
                    private_key: generated.key.private_key.expose_secret().to_owned(),
                },
                &development_tokens::issuer(id),
                development_tokens::AUDIENCE,
                development_tokens::ALGORITHM,
                &generated.jwks,
            )
            .await
            .unwrap();
        let store = PgStore::connect(&database.url, LaneSizes::each(10)).unwrap();
        let queue = Arc::new(store.clone());
        let services = Services::new(Arc::new(store), queue, mailer, Arc::new(Notify::new()), ReviewLimits::default());
        let server = server::Running::start(Edge::new(services.clone(), true, "https://reviews.example"));
        Self { id, services, database, base_url: server.url(), key: generated.key, _server: server }
    }

    /// Where its service listens; it serves every tenant of the database.
    pub fn url(&self) -> &str {
        &self.base_url
    }

    /// The same tenant behind a service that is set up otherwise.
    pub fn set_up_with(mut self, set_up: impl FnOnce(Edge) -> Edge) -> Self {
        self._server =
            server::Running::start(set_up(Edge::new(self.services.clone(), true, "https://reviews.example")));
        self.base_url = self._server.url();
        self
    }

    /// The same tenant where the operator allows reviews of this size.
    pub fn limited_to(mut self, limits: ReviewLimits) -> Self {
        self.services.limits = limits;
        self.set_up_with(|edge| edge)
    }

    /// Imports directory objects, one JSON object per line.
    pub async fn import(&self, lines: &str) -> ImportReport {
        self.try_import(lines).await.unwrap()
    }

    /// Imports, or says why not.
    pub async fn try_import(&self, lines: &str) -> Result<ImportReport, ImportError> {
        let store = PgDirectoryImport { pool: self.database.pool().await };
        import_directory(&store, self.id, lines.as_bytes(), &NoProgress).await
    }

    /// Somebody of the directory, by his short name in [`Company`]; delegated `AccessReview.ReadWrite.All`, no role.
    pub fn as_user(&self, name: &str) -> Client {
        self.client(request(subject(name), &[], &[]))
    }

    /// The same with directory roles in the token.
    pub fn as_user_with_roles(&self, name: &str, roles: &[&str]) -> Client {
        self.client(request(subject(name), roles, &[]))
    }

    /// The same with other delegated permissions.
    pub fn as_user_with_scopes(&self, name: &str, roles: &[&str], scopes: &[&str]) -> Client {
        self.client(request(subject(name), roles, scopes))
    }

    /// Carla, Identity Governance Administrator.
    pub fn as_admin(&self) -> Client {
        self.as_user_with_roles("carla", &["Identity Governance Administrator"])
    }

    /// Carla's token.
    pub fn admin_token(&self) -> String {
        self.token(&request(subject("carla"), &["Identity Governance Administrator"], &[]))
    }

    /// Somebody who only reads: a Global Reader.
    pub fn as_reader(&self) -> Client {
        self.as_user_with_roles("rita", &["Global Reader"])
    }

    /// An application with `AccessReview.ReadWrite.All`.
    pub fn as_application(&self) -> Client {
        let subject = Subject::Application { id: id_of("app-sync"), display_name: "Sync".to_owned() };
        self.client(request(subject, &[], &[]))
    }

    /// An application with these application permissions only.
    pub fn as_application_with(&self, permissions: &[&str]) -> Client {
        let subject = Subject::Application { id: id_of("app-sync"), display_name: "Sync".to_owned() };
        self.client(request(subject, permissions, &[]))
    }

    /// A client that sends this very `Authorization` header, or none.
    pub fn with_authorization(&self, authorization: Option<&str>) -> Client {
        Client::new(&self.base_url, authorization.map(str::to_owned))
    }

    /// A token as the development issuer makes it.
    pub fn token(&self, request: &TokenRequest) -> String {
        #[expect(clippy::disallowed_methods, reason = "tokens live in real time")]
        development_tokens::sign(&self.key, request, Utc::now()).unwrap()
    }

    fn client(&self, request: TokenRequest) -> Client {
        Client::new(&self.base_url, Some(format!("Bearer {}", self.token(&request))))
    }

    /// The service once more, for callers of this tenant, where it may call the providers of tests.
    pub fn served_with_local_providers(&self) -> server::Running {
        let local = AddressPolicy { allow_private: true, ..AddressPolicy::default() };
        server::Running::start(Edge::new(self.services.clone(), true, "https://reviews.example").allowing(local))
    }

    /// Carla, Global Administrator, with what it takes to say whom the tenant trusts.
    pub fn as_issuer_admin(&self) -> Client {
        self.as_user_with_scopes("carla", &["Global Administrator"], &["IdentityProvider.ReadWrite.All"])
    }

    /// The service once more, with other means; for callers of this tenant.
    /// The same tenant in another process of the service: what meets in one process does not meet there.
    pub fn served_elsewhere(&self) -> server::Running {
        let store = PgStore::connect(&self.database.url, LaneSizes::each(10)).unwrap();
        let (queue, mailer) = (Arc::new(store.clone()), Arc::new(attestry::mail::NoMailer));
        let limits = ReviewLimits::default();
        self.served_by(Services::new(Arc::new(store), queue, mailer, Arc::new(Notify::new()), limits))
    }

    pub fn served_by(&self, services: Services) -> server::Running {
        server::Running::start(Edge::new(services, true, "https://reviews.example"))
    }

    /// A review of a group, to be described and created.
    pub fn review(&self) -> ReviewBuilder<'_> {
        ReviewBuilder::new(self)
    }

    /// Runs every job of this tenant that is due now; returns how many ran.
    pub async fn run_jobs(&self) -> usize {
        let mut ran = 0;
        loop {
            let jobs = self.services.queue.claim(Some(self.id), 100, 60).await.unwrap();
            if jobs.is_empty() {
                return ran;
            }
            for job in jobs {
                match run_job(&self.services, &job, "https://reviews.example").await.unwrap() {
                    Ran::Finished => {}
                    Ran::MailAgain(error) => {
                        self.services.queue.release(&job, 3_600, &error.to_string()).await.unwrap();
                    }
                    Ran::MailNotTried(_) => self.services.queue.put_back(&job, 3_600, "not tried").await.unwrap(),
                }
                ran += 1;
            }
        }
    }

    /// Moves the tenant's clock; everything due on the way happens, each at its own instant.
    pub async fn advance(&self, duration: &str) -> DateTime<Utc> {
        let duration = duration.parse().unwrap();
        advance_clock(&self.services, self.id, &Actor::system(), duration, "https://reviews.example").await.unwrap()
    }

    /// Moves the tenant's clock without running what falls due: a late timer.
    pub async fn advance_without_jobs(&self, duration: &str) -> DateTime<Utc> {
        let duration: attestry::domain::duration::IsoDuration = duration.parse().unwrap();
        let mut uow = self.services.store.begin(self.id, Lane::Interactive).await.unwrap();
        let target = duration.after(uow.now());
        let now = uow.tenants().advance_clock_to(target).await.unwrap();
        uow.commit().await.unwrap();
        now
    }

    /// The tenant's events, oldest first, as JSON rows.
    pub async fn events(&self) -> Vec<Value> {
        self.database
            .rows(&format!("select to_jsonb(e) as row from events e where tenant_id = '{}' order by event_id", self.id))
            .await
    }

    /// The events with this activity.
    pub async fn events_of(&self, activity: &str) -> Vec<Value> {
        self.events().await.into_iter().filter(|event| event["activity"] == activity).collect()
    }
}

fn subject(name: &str) -> Subject {
    Subject::User {
        id: id_of(name),
        display_name: name.to_owned(),
        user_principal_name: format!("{name}@acme.example"),
    }
}

fn request(subject: Subject, roles: &[&str], scopes: &[&str]) -> TokenRequest {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    TokenRequest::new(subject, &owned(roles), &owned(scopes), "PT1H".parse().unwrap()).unwrap()
}

/// A directory for files of one test run.
pub fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// An object id as the service prints it.
pub fn object_id(name: &str) -> String {
    ObjectId::to_string(&id_of(name))
}

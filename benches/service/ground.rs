//! What is measured on: a database of one size with a large tenant, and what the workloads add to it.
//!
//! The directory is written by SQL as the owner, reviews are made by the service itself, and a part of their items is decided by
//! SQL again. Each piece is loaded when the first workload asks for it and kept for the next.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use attestry::{
    app::development_tokens::{self, DevelopmentKey, Subject, TokenRequest},
    domain::{
        duration::IsoDuration,
        ids::{ItemPrefix, ObjectId, TenantId},
    },
    store::{
        Tenant,
        pg::tenants::{Administration, StoredDevelopmentKey},
    },
};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::{
    cluster::Cluster,
    load::{ROOT, call},
    service::Service,
};

/// Reviewees that one manager has.
pub const ITEMS_PER_MANAGER: u64 = 12;
/// Reviewees of the one manager with many, unless the review is small.
const ITEMS_OF_THE_LARGEST: u64 = 50_000;

/// Who administers reviews.
pub const ADMINISTRATOR: Uuid = Uuid::from_u128(0xa000_0000_0000_4000_8000_0000_0000_0001);
/// The fallback reviewer of every review.
pub const FALLBACK: Uuid = Uuid::from_u128(0xa000_0000_0000_4000_8000_0000_0000_0002);
/// A second fallback reviewer.
pub const SECOND_FALLBACK: Uuid = Uuid::from_u128(0xa000_0000_0000_4000_8000_0000_0000_0003);
/// The group under review.
pub const GROUP: Uuid = Uuid::from_u128(0xb000_0000_0000_4000_8000_0000_0000_0001);

/// A database with one large tenant.
pub struct Ground<'a> {
    pub cluster: &'a Cluster,
    pub database: String,
    /// Items of the large tenant's reviews.
    pub size: u64,
    /// The tenant's name, and its id.
    pub slug: &'static str,
    pub tenant: Uuid,
    /// As the superuser.
    pub sql: PgConnection,
    key: DevelopmentKey,
}

/// The managers of a review's members, and which items each reviews. Items are numbered manager by manager, in the order of the
/// managers' ids, so that all of this is arithmetic.
#[derive(Clone, Copy, Debug)]
pub struct Managers {
    /// Managers with [`ITEMS_PER_MANAGER`] items; the largest is one more.
    pub small: u64,
    items: u64,
}

impl Managers {
    pub fn of(items: u64) -> Self {
        let largest = ITEMS_OF_THE_LARGEST.min(items / 2);
        Self { small: (items - largest) / ITEMS_PER_MANAGER, items }
    }

    /// The id of a manager, from 1; the largest comes last.
    pub fn id(self, number: u64) -> Uuid {
        let head = number * self.step();
        Uuid::from_u128(u128::from(head) << 96 | 0x4000_8000_0000_0000_0000 | u128::from(number))
    }

    /// How far apart the first eight digits of the ids are.
    pub fn step(self) -> u64 {
        (1 << 32) / (self.small + 2)
    }

    pub fn largest(self) -> u64 {
        self.small + 1
    }

    /// The first item of a manager, and the last one.
    pub fn items(self, number: u64) -> (u64, u64) {
        let first = (number - 1) * ITEMS_PER_MANAGER + 1;
        (first, if number > self.small { self.items } else { first + ITEMS_PER_MANAGER - 1 })
    }
}

/// A running review of all members of the group, with their managers as reviewers.
#[derive(Clone, Debug)]
pub struct Review {
    pub definition: Uuid,
    pub instance: Uuid,
    /// From the first on; of a single-stage review the one that is not listed.
    pub stages: Vec<Uuid>,
    pub item_prefix: ItemPrefix,
    pub items: u64,
}

impl Review {
    pub fn instance_path(&self) -> String {
        format!("{ROOT}/definitions/{}/instances/{}", self.definition, self.instance)
    }

    pub fn item_path(&self, seq: u64) -> String {
        format!("{}/decisions/{}", self.instance_path(), self.item(seq))
    }

    pub fn item(&self, seq: u64) -> Uuid {
        self.item_prefix.item_id(i32::try_from(seq).unwrap_or(i32::MAX))
    }
}

/// Whether a review has one stage or three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stages {
    One,
    Three,
}

impl<'a> Ground<'a> {
    /// The database of this size, with its directory; loaded unless it is there.
    pub async fn lay(cluster: &'a Cluster, size: u64) -> anyhow::Result<Self> {
        Self::lay_tenant(cluster, format!("items_{size}"), "large", size).await
    }

    /// A tenant of this size in any database; made unless it is there.
    pub async fn lay_tenant(
        cluster: &'a Cluster,
        database: String,
        slug: &'static str,
        size: u64,
    ) -> anyhow::Result<Self> {
        cluster.make_database(&database).await?;
        let mut sql = cluster.connect(&database).await?;
        run(&mut sql, include_str!("ground/schema.sql")).await?;
        let mut administration = Administration::connect(&cluster.url(&database)).await?;
        let tenant = match administration.find_tenant(slug).await? {
            Some(tenant) => tenant.id,
            None => {
                let id = TenantId::new(tenant_of(slug));
                let tenant = Tenant { id, slug: slug.to_owned(), display_name: slug.to_owned(), sandbox: true };
                administration.create_tenant(&tenant, &[7; 32]).await?;
                id
            }
        };
        let key = development_key(&mut administration, tenant).await?;
        let mut ground = Self { cluster, database, size, slug, tenant: tenant.as_uuid(), sql, key };
        ground.once("directory", async |ground| ground.load_directory().await).await?;
        ground.install_floor().await?;
        Ok(ground)
    }

    /// Does something to this database unless it was done before, and says how long it took.
    pub async fn once(
        &mut self,
        what: &str,
        load: impl AsyncFnOnce(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let what = &format!("{}: {what}", self.slug);
        let done: bool = sqlx::query_scalar("select exists (select from benchmark.loaded where what = $1)")
            .bind(what)
            .fetch_one(&mut self.sql)
            .await?;
        if done {
            return Ok(());
        }
        let begun = Instant::now();
        load(self).await.with_context(|| format!("loading {what}"))?;
        sqlx::query("insert into benchmark.loaded (what) values ($1)").bind(what).execute(&mut self.sql).await?;
        eprintln!("  loaded {what} of {}: {:.1} s", self.database, begun.elapsed().as_secs_f64());
        Ok(())
    }

    pub fn managers(&self) -> Managers {
        Managers::of(self.size)
    }

    async fn load_directory(&mut self) -> anyhow::Result<()> {
        let managers = self.managers();
        let administrators = [ADMINISTRATOR, FALLBACK, SECOND_FALLBACK];
        sqlx::query(include_str!("ground/administrators.sql"))
            .bind(self.tenant)
            .bind(administrators)
            .execute(&mut self.sql)
            .await?;
        sqlx::query(include_str!("ground/managers.sql"))
            .bind(self.tenant)
            .bind(managers.largest() as i64)
            .bind(managers.step() as i64)
            .execute(&mut self.sql)
            .await?;
        sqlx::query(include_str!("ground/members.sql"))
            .bind(self.tenant)
            .bind(self.size as i64)
            .bind(managers.small as i64)
            .bind(managers.step() as i64)
            .bind(ITEMS_PER_MANAGER as i64)
            .execute(&mut self.sql)
            .await?;
        sqlx::query(include_str!("ground/group.sql"))
            .bind(self.tenant)
            .bind(GROUP)
            .bind(self.size as i64)
            .execute(&mut self.sql)
            .await?;
        self.settle().await
    }

    /// Statistics for the planner, visibility for index-only scans, and nothing left to be written by a checkpoint.
    pub async fn settle(&mut self) -> anyhow::Result<()> {
        run(&mut self.sql, "vacuum analyze").await?;
        self.checkpoint().await
    }

    /// Lets the planner know of items written a moment ago, which it would take for one.
    pub async fn know_items(&mut self) -> anyhow::Result<()> {
        run(&mut self.sql, "analyze decision_items, stage_reviewers, decisions").await
    }

    pub async fn checkpoint(&mut self) -> anyhow::Result<()> {
        run(&mut self.sql, "checkpoint").await
    }

    /// The floor's functions.
    async fn install_floor(&mut self) -> anyhow::Result<()> {
        let mut names: Vec<_> = std::fs::read_dir(crate::floor::script(""))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".function.sql"))
            .collect();
        names.sort_unstable();
        for name in names {
            let text = std::fs::read_to_string(crate::floor::script(&name))?;
            run(&mut self.sql, &text).await.with_context(|| name.clone())?;
        }
        run(&mut self.sql, "grant execute on all functions in schema benchmark to attestry_service").await
    }

    /// The service on this database.
    pub async fn service(&self, settings: &[(&str, &str)]) -> anyhow::Result<Service> {
        Service::start(&self.cluster.url(&self.database), settings).await
    }

    /// A token of a user of the large tenant, good for a day.
    pub fn token(&self, user: Uuid, roles: &[&str]) -> anyhow::Result<String> {
        token(&self.key, user, roles)
    }

    /// Tokens of users of tenants that are copies of this one, in this order, made by all processors.
    pub fn tokens_in(&self, wanted: &[(Uuid, Uuid, &'static [&'static str])]) -> anyhow::Result<Vec<String>> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let key = &self.key;
        let sign = |(tenant, user, roles): &(Uuid, Uuid, &'static [&'static str])| {
            token(&DevelopmentKey { tenant_id: TenantId::new(*tenant), ..key.clone() }, *user, roles)
        };
        std::thread::scope(|scope| {
            let parts = wanted.chunks(wanted.len().div_ceil(processors).max(1));
            let threads: Vec<_> = parts
                .map(|part| scope.spawn(move || part.iter().map(sign).collect::<anyhow::Result<Vec<_>>>()))
                .collect();
            let mut tokens = Vec::with_capacity(wanted.len());
            for thread in threads {
                tokens.extend(thread.join().map_err(|_| anyhow!("a thread that signs tokens"))??);
            }
            Ok(tokens)
        })
    }

    /// The same in another tenant, which is a copy of this one and has its key.
    pub fn token_in(&self, tenant: Uuid, user: Uuid, roles: &[&str]) -> anyhow::Result<String> {
        token(&DevelopmentKey { tenant_id: TenantId::new(tenant), ..self.key.clone() }, user, roles)
    }

    /// The token of somebody who reads and writes every review.
    pub fn administrator(&self) -> anyhow::Result<String> {
        self.token(ADMINISTRATOR, &["Global Administrator"])
    }

    /// The token of an application that reads and writes every review.
    pub fn application(&self) -> anyhow::Result<String> {
        let id = development_tokens::application_id(TenantId::new(self.tenant), "bench");
        sign(&self.key, Subject::Application { id, display_name: "bench".to_owned() }, &[])
    }

    /// The review with so many stages, with three of ten items decided in the first one; made by the service.
    pub async fn review(&mut self, stages: Stages) -> anyhow::Result<Review> {
        let name = match stages {
            Stages::One => "review with one stage",
            Stages::Three => "review with three stages",
        };
        self.once(name, async |ground| ground.make_review(name, stages).await).await?;
        self.find_review(name).await
    }

    /// A running review by its name.
    pub async fn find_review(&mut self, name: &str) -> anyhow::Result<Review> {
        self.find_review_that_is(name, "InProgress").await
    }

    /// A review by its name, which has this status.
    pub async fn find_review_that_is(&mut self, name: &str, wanted: &str) -> anyhow::Result<Review> {
        let row = sqlx::query(
            "select i.definition_id, i.instance_id, i.item_prefix, i.item_count, i.status, \
             array(select s.stage_id from stages s where s.tenant_id = i.tenant_id and s.instance_id = i.instance_id \
             order by s.ordinal) as stages \
             from definitions d join instances i using (tenant_id, definition_id) \
             where d.tenant_id = $1 and d.display_name = $2",
        )
        .bind(self.tenant)
        .bind(name)
        .fetch_one(&mut self.sql)
        .await?;
        let status: String = row.try_get("status")?;
        ensure!(status == wanted, "the {name} is {status}");
        Ok(Review {
            definition: row.try_get("definition_id")?,
            instance: row.try_get("instance_id")?,
            stages: row.try_get("stages")?,
            item_prefix: ItemPrefix::from_uuid(row.try_get("item_prefix")?),
            items: u64::try_from(row.try_get::<i32, _>("item_count")?)?,
        })
    }

    async fn make_review(&mut self, name: &str, stages: Stages) -> anyhow::Result<()> {
        self.post_review(&review_body(name, stages)).await?;
        let review = self.find_review(name).await?;
        ensure!(review.items == self.size, "the review has {} items instead of {}", review.items, self.size);
        self.check_managers(&review).await?;
        self.decide(&review).await?;
        self.settle().await
    }

    /// Has three of ten items of a review decided in its first stage.
    pub async fn decide(&mut self, review: &Review) -> anyhow::Result<()> {
        self.know_items().await?;
        sqlx::query(include_str!("ground/decisions.sql"))
            .bind(self.tenant)
            .bind(review.instance)
            .bind(review.definition)
            .bind(review.stages.first().context("a stage")?)
            .execute(&mut self.sql)
            .await?;
        Ok(())
    }

    /// Has the service make a review and waits until it runs; answers its id.
    pub async fn post_review(&mut self, body: &Value) -> anyhow::Result<Uuid> {
        let service = self.service(&[]).await?;
        let token = self.administrator()?;
        let path = format!("{ROOT}/definitions");
        let created = call(service.port, "POST", &path, Some(&token), Some(body)).await?.json(201)?;
        let definition: Uuid = created["id"].as_str().unwrap_or_default().parse()?;
        self.wait_until(definition, "InProgress", &service).await?;
        Ok(definition)
    }

    /// Waits until the first instance of a definition has this status.
    pub async fn wait_until(&mut self, definition: Uuid, status: &str, service: &Service) -> anyhow::Result<()> {
        let begun = Instant::now();
        let deadline = begun + Duration::from_secs(600.max(self.size / 5_000));
        loop {
            let statuses: Vec<String> =
                sqlx::query_scalar("select status from instances where tenant_id = $1 and definition_id = $2")
                    .bind(self.tenant)
                    .bind(definition)
                    .fetch_all(&mut self.sql)
                    .await?;
            match statuses.first().map(String::as_str) {
                Some(found) if found == status => return Ok(()),
                Some("Failed") => bail!("the review failed:\n{}", service.log_text()),
                _ if Instant::now() > deadline => {
                    bail!("the review is not {status}: {statuses:?}\n{}", service.log_text())
                }
                // What is waited for is measured: it is seen within a fiftieth of its time, and asking takes little of that.
                _ => {
                    let pause = (begun.elapsed() / 50).clamp(Duration::from_millis(1), Duration::from_millis(10));
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Whether items are where [`Managers`] says.
    async fn check_managers(&mut self, review: &Review) -> anyhow::Result<()> {
        let managers = self.managers();
        let asked = [1, 2, managers.small / 2 + 1, managers.small, managers.largest()];
        for number in asked {
            let (first, last) = managers.items(number);
            let found: Option<Uuid> = sqlx::query_scalar(
                "select max(r.reviewer_id::text)::uuid from decision_items i \
                 join stage_reviewers r using (tenant_id, instance_id, cohort) \
                 where i.tenant_id = $1 and i.instance_id = $2 and i.seq in ($3, $4) and r.ordinal = 1 \
                 having count(distinct r.reviewer_id) = 1 and count(*) = 2",
            )
            .bind(self.tenant)
            .bind(review.instance)
            .bind(first as i32)
            .bind(last as i32)
            .fetch_optional(&mut self.sql)
            .await?;
            ensure!(
                found == Some(managers.id(number)),
                "items {first} to {last} are reviewed by {found:?} instead of {}",
                managers.id(number)
            );
        }
        Ok(())
    }
}

/// The id of the tenant with this name.
fn tenant_of(slug: &str) -> Uuid {
    let bytes = slug.bytes().fold(0_u128, |number, byte| number << 8 | u128::from(byte)) & 0xffff_ffff_ffff;
    Uuid::from_u128(0xc000_0000_0000_4000_8000_0000_0000_0000 | bytes)
}

/// The reviewers of a list: users by id, and with them each reviewee's manager.
pub fn users(ids: &[Uuid]) -> Vec<Value> {
    ids.iter().map(|id| json!({ "query": format!("/users/{id}"), "queryType": "MicrosoftGraph" })).collect()
}

/// Each reviewee's manager.
pub fn manager() -> Value {
    json!({ "query": "./manager", "queryType": "MicrosoftGraph", "queryRoot": "decisions" })
}

/// The settings of a stage, from 1, that everything moves on from.
pub fn stage(number: u32, reviewers: &[Value]) -> Value {
    json!({
        "stageId": number.to_string(),
        "dependsOn": if number > 1 { json!([(number - 1).to_string()]) } else { json!([]) },
        "durationInDays": 20,
        "recommendationsEnabled": true,
        "reviewers": reviewers,
        "fallbackReviewers": users(&[FALLBACK]),
        "decisionsThatWillMoveToNextStage": ["Approve", "Deny", "DontKnow", "NotReviewed"],
    })
}

/// The body that makes a review of the group.
pub fn review_body(name: &str, stages: Stages) -> Value {
    let mut body = json!({
        "displayName": name,
        "descriptionForAdmins": "Who is still meant to be in the group?",
        "descriptionForReviewers": "Please look at everybody who reports to you.",
        "scope": {
            "@odata.type": "#microsoft.graph.accessReviewQueryScope",
            "query": format!("/groups/{GROUP}/transitiveMembers"),
            "queryType": "MicrosoftGraph",
        },
        "settings": {
            "mailNotificationsEnabled": false,
            "reminderNotificationsEnabled": false,
            "recommendationsEnabled": true,
            "instanceDurationInDays": 60,
            "recurrence": null,
        },
    });
    match stages {
        Stages::One => {
            body["reviewers"] = json!([manager()]);
            body["fallbackReviewers"] = json!(users(&[FALLBACK]));
        }
        Stages::Three => {
            body["stageSettings"] = json!([stage(1, &[manager()]), stage(2, &[manager()]), stage(3, &[manager()])]);
        }
    }
    body
}

/// Runs statements that return nothing, in a transaction unless they cannot be.
pub async fn run(sql: &mut PgConnection, text: &str) -> anyhow::Result<()> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(text.to_owned())).execute(sql).await?;
    Ok(())
}

async fn development_key(administration: &mut Administration, tenant: TenantId) -> anyhow::Result<DevelopmentKey> {
    if administration.development_key(tenant).await?.is_none() {
        let made = development_tokens::generate(tenant)?;
        let key = StoredDevelopmentKey {
            key_id: made.key.key_id,
            private_key: made.key.private_key.expose_secret().to_owned(),
        };
        let issuer = development_tokens::issuer(tenant);
        let (audience, algorithm) = (development_tokens::AUDIENCE, development_tokens::ALGORITHM);
        administration.add_development_issuer(tenant, &key, &issuer, audience, algorithm, &made.jwks).await?;
    }
    let stored = administration.development_key(tenant).await?.context("the development key was not stored")?;
    Ok(DevelopmentKey { tenant_id: tenant, key_id: stored.key_id, private_key: stored.private_key.into() })
}

/// A token as `attestry token` makes it.
pub fn token(key: &DevelopmentKey, user: Uuid, roles: &[&str]) -> anyhow::Result<String> {
    let subject = Subject::User {
        id: ObjectId::new(user),
        user_principal_name: format!("{user}@large.example"),
        display_name: format!("User {user}"),
    };
    sign(key, subject, roles)
}

fn sign(key: &DevelopmentKey, subject: Subject, roles: &[&str]) -> anyhow::Result<String> {
    let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
    let request = TokenRequest::new(subject, &roles, &[], IsoDuration::days(1))?;
    Ok(development_tokens::sign(key, &request, now())?)
}

/// Tokens count by real time.
#[expect(clippy::disallowed_methods, reason = "tokens are no business of a tenant's clock")]
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

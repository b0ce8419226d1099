//! What tests of behaviour look at: who finds what, what is stored, and which mail went out.

use std::sync::Arc;

use attestry::{mail::SmtpMailer, store::Lane};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Answer, Client, Company, Review, ReviewBuilder, Tenant, id_of};
use crate::smtp_sink::SmtpSink;

/// Below an instance or a stage.
pub const MINE: &str = "decisions/filterByCurrentUser(on='reviewer')";

impl Tenant {
    /// The company of the worked example, and the server that gets its mail.
    pub async fn with_finance_and_mail() -> (Self, SmtpSink) {
        let sink = SmtpSink::start().await.unwrap();
        let tenant = Self::with_mail_to(&sink).await;
        Company::finance().import(&tenant).await;
        (tenant, sink)
    }

    /// A new tenant whose mail goes to this server.
    pub async fn with_mail_to(sink: &SmtpSink) -> Self {
        let mailer = SmtpMailer::new(&format!("smtp://{}", sink.address()), "reviews@attestry.example").unwrap();
        Self::with_mailer(Arc::new(mailer)).await
    }

    /// The tenant's clock.
    pub async fn now(&self) -> DateTime<Utc> {
        self.services.store.begin(self.id, Lane::Interactive).await.unwrap().now()
    }

    /// Every row of a table that belongs to this tenant, in a fixed order.
    pub async fn table(&self, name: &str) -> Vec<Value> {
        self.database
            .rows(&format!("select to_jsonb(x) as row from {name} x where tenant_id = '{}' order by x::text", self.id))
            .await
    }

    /// Everything that an update of a stage could touch.
    pub async fn stored(&self) -> Value {
        let mut stored = json!({});
        for table in [
            "reviewer_scopes",
            "instances",
            "stages",
            "planned_stages",
            "decisions",
            "stage_reviewers",
            "stage_fallbacks",
            "stage_unassigned_cohorts",
            "item_overrides",
            "contacted_reviewers",
            "jobs",
            "events",
        ] {
            stored[table] = self.table(table).await.into();
        }
        stored
    }

    /// Short names of those who were contacted in a stage, sorted, of all reviews of the tenant.
    pub async fn contacted(&self, number: i64) -> Vec<String> {
        let rows = self.table("contacted_reviewers").await;
        let of_stage = rows.iter().filter(|row| row["ordinal"] == number);
        let mut names: Vec<_> = of_stage.map(|row| short_name(row["reviewer_id"].as_str().unwrap())).collect();
        names.sort();
        names
    }

    /// Puts the stage of this number, of all reviews of the tenant, into a status that no command leads to.
    pub async fn force_stage_status(&self, number: usize, status: &str) {
        let tenant = self.id;
        self.database
            .execute(&format!(
                "update stages set status = '{status}' where tenant_id = '{tenant}' and ordinal = {number}"
            ))
            .await;
    }

    /// Makes what waits for another try due now.
    pub async fn end_backoff(&self) {
        let tenant = self.id;
        self.database
            .execute(&format!("update jobs set run_at = now() where tenant_id = '{tenant}' and last_error is not null"))
            .await;
    }
}

impl ReviewBuilder<'_> {
    /// Starts this many days from `now`, at the same time of day.
    pub fn starting_in(self, now: DateTime<Utc>, days: i64) -> Self {
        let day = (now + TimeDelta::days(days)).date_naive();
        self.setting(
            "recurrence",
            json!({ "pattern": null, "range": { "type": "numbered", "numberOfOccurrences": 1, "startDate": day } }),
        )
    }
}

impl Review {
    /// Another occurrence of the same definition, by its instance's id.
    pub fn occurrence(&self, instance: &str) -> Self {
        let mut occurrence = self.clone();
        instance.clone_into(&mut occurrence.instance);
        occurrence
    }

    /// Short names of the principals whose items this reviewer finds in the instance, sorted; none when it is hidden from him.
    pub async fn found_by(&self, reviewer: &Client) -> Vec<String> {
        found(reviewer.get(&format!("{}/{MINE}", self.instance_path())).await)
    }

    /// The same in stage `number`.
    pub async fn found_in_stage(&self, number: usize, reviewer: &Client) -> Vec<String> {
        found(reviewer.get(&format!("{}/{MINE}", self.stage_path(number).await)).await)
    }

    /// A principal's item as a reviewer finds it in the instance.
    pub async fn item_for(&self, reviewer: &Client, principal: &str) -> Value {
        one(&reviewer.get(&format!("{}/{MINE}", self.instance_path())).await.ok(), principal)
    }

    /// A principal's item as a reviewer finds it in stage `number`.
    pub async fn stage_item_for(&self, number: usize, reviewer: &Client, principal: &str) -> Value {
        one(&reviewer.get(&format!("{}/{MINE}", self.stage_path(number).await)).await.ok(), principal)
    }

    /// The items of stage `number` as somebody who reads everything sees them.
    pub async fn stage_items(&self, number: usize, reader: &Client) -> Vec<Value> {
        reader.all(&format!("{}/decisions", self.stage_path(number).await)).await.0
    }

    /// Records a decision on the path of stage `number`.
    pub async fn decide_in_stage(&self, number: usize, reviewer: &Client, principal: &str, decision: &str) -> Answer {
        let path = format!("{}/decisions/{}", self.stage_path(number).await, self.item_id(principal).await);
        reviewer.patch(&path, &json!({ "decision": decision, "justification": "because" })).await
    }
}

fn found(answer: Answer) -> Vec<String> {
    match answer.status {
        404 => Vec::new(),
        _ => people(answer.ok().rows()),
    }
}

#[track_caller]
fn one(answer: &Answer, principal: &str) -> Value {
    let id = id_of(principal).to_string();
    let found = answer.rows().iter().find(|item| item["principal"]["id"] == id.as_str());
    found.unwrap_or_else(|| panic!("no {principal}")).clone()
}

/// Display names of the principals of a list of items, sorted.
pub fn people(items: &[Value]) -> Vec<String> {
    let mut names: Vec<_> =
        items.iter().map(|item| item["principal"]["displayName"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Whom the mails that arrived were for, by short names, sorted; somebody mailed twice is there twice.
pub fn mailed(sink: &SmtpSink) -> Vec<String> {
    let mut names: Vec<_> = sink
        .mails()
        .iter()
        .flat_map(|mail| mail.recipients.iter().map(|address| address.split('@').next().unwrap().to_owned()))
        .collect();
    names.sort();
    names
}

fn short_name(id: &str) -> String {
    const NAMES: [&str; 17] = [
        "mia", "noor", "olga", "pete", "sam", "tom", "carla", "rita", "zoe", "fay", "ana", "ben", "cleo", "eve", "dan",
        "gus", "lee",
    ];
    let known = NAMES.iter().find(|name| id_of(name).to_string() == id);
    known.map_or_else(|| id.to_owned(), |name| (*name).to_owned())
}

//! W17: the same reads through two frameworks that make an API out of a database: PostGraphile, and Django REST framework.
//!
//! All answer from the same database as the same role, with row-level security on and the tenant set for each request. The
//! rivals read one view and ask nobody for his rights. What they answer is held against what the service answers before anything is
//! measured.

use std::time::Duration;

use anyhow::{Context, ensure};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Bench, Workload};
use crate::{
    contest::{Pace, median, per_request, spread, steadily},
    ground::{Ground, Review, Stages, run},
    load::{Load, Requests, Slice, push_get, push_json, send},
    processor::Meter,
    random::Random,
    report::{Figure, Outcome, at_least},
    rival::{Framework, Rival},
    service::Service,
};

const CONNECTIONS: usize = 32;
const PAGE: u64 = 100;
/// Items of which all must say the same.
const COMPARED: u64 = 20;
/// At most so long everybody runs before anything counts.
const PREPARATION: Duration = Duration::from_secs(3);

/// What is asked of PostGraphile of each decision, under the names that Django answers with.
const FIELDS: &str = "seq id: rowId decision justification recommendation principal_id: principalId \
    principal_name: principalName principal_type: principalType resource_id: resourceId resource_name: resourceName \
    reviewed_by_id: reviewedById reviewed_by_name: reviewedByName \
    reviewed_by_user_principal_name: reviewedByUserPrincipalName reviewed_date_time: reviewedDateTime \
    apply_result: applyResult";

pub struct Rivals;

/// What is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    /// Any item of the review.
    One,
    /// The first hundred.
    Page,
}

/// Who answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Party {
    Service,
    PostGraphile,
    /// Through the serializer of a model, as in the framework's tutorial.
    DjangoModels,
    /// With rows as they come from the database, as fast as the framework can be made.
    DjangoRows,
}

impl Party {
    fn name(self) -> &'static str {
        match self {
            Self::Service => "the service",
            Self::PostGraphile => "PostGraphile",
            Self::DjangoModels => "Django, model serializer",
            Self::DjangoRows => "Django, bare rows",
        }
    }

    /// So many times as many requests a second the service must answer.
    fn bar(self) -> f64 {
        match self {
            Self::Service => 1.0,
            Self::PostGraphile => 3.0,
            Self::DjangoModels | Self::DjangoRows => 8.0,
        }
    }

    /// Whom a framework answers as.
    fn of(framework: Framework) -> &'static [Self] {
        match framework {
            Framework::PostGraphile => &[Self::PostGraphile],
            Framework::Django => &[Self::DjangoModels, Self::DjangoRows],
        }
    }
}

/// How one of them is asked.
struct Reading<'a> {
    party: Party,
    read: Read,
    review: &'a Review,
    /// The service's token; the rivals take the tenant for one.
    token: String,
    /// The document of GraphQL, as a JSON string.
    document: String,
}

impl<'a> Reading<'a> {
    fn of(party: Party, read: Read, review: &'a Review, token: String) -> Self {
        let document = match read {
            Read::One => format!(
                "query($instance: UUID!, $seq: Int!) {{ one: reviewDecisionByInstanceIdAndSeq(instanceId: $instance, seq: $seq) \
                 {{ {FIELDS} }} }}"
            ),
            Read::Page => format!(
                "query($instance: UUID!) {{ page: allReviewDecisions(first: {PAGE}, orderBy: PRIMARY_KEY_ASC, \
                 condition: {{ instanceId: $instance }}) {{ nodes {{ {FIELDS} }} pageInfo {{ hasNextPage endCursor }} }} }}"
            ),
        };
        Self { party, read, review, token, document: json!(document).to_string() }
    }

    fn push(&self, seq: u64, request: &mut Vec<u8>) {
        let instance = self.review.instance;
        let (document, token) = (&self.document, &self.token);
        match (self.party, self.read) {
            (Party::Service, Read::One) => push_get(request, &self.review.item_path(seq), token),
            (Party::Service, Read::Page) => {
                push_get(request, &format!("{}/decisions", self.review.instance_path()), token);
            }
            (Party::PostGraphile, Read::One) => {
                let body = format!(r#"{{"query":{document},"variables":{{"instance":"{instance}","seq":{seq}}}}}"#);
                push_json(request, "POST", "/graphql", token, body.as_bytes());
            }
            (Party::PostGraphile, Read::Page) => {
                let body = format!(r#"{{"query":{document},"variables":{{"instance":"{instance}"}}}}"#);
                push_json(request, "POST", "/graphql", token, body.as_bytes());
            }
            (Party::DjangoModels | Party::DjangoRows, _) => {
                let collection = if self.party == Party::DjangoModels { "decisions" } else { "rows" };
                let item = if self.read == Read::One { format!("/{seq}") } else { String::new() };
                push_get(request, &format!("/instances/{instance}/{collection}{item}"), token);
            }
        }
    }

    /// The decisions in an answer.
    fn rows(&self, body: &[u8]) -> anyhow::Result<Vec<Value>> {
        let mut answer: Value = serde_json::from_slice(body)?;
        let found = match (self.party, self.read) {
            (Party::Service | Party::DjangoModels | Party::DjangoRows, Read::One) => answer,
            (Party::Service, Read::Page) => answer["value"].take(),
            (Party::PostGraphile, Read::One) => answer["data"]["one"].take(),
            (Party::PostGraphile, Read::Page) => answer["data"]["page"]["nodes"].take(),
            (Party::DjangoModels | Party::DjangoRows, Read::Page) => answer["results"].take(),
        };
        Ok(match found {
            Value::Array(rows) => rows,
            Value::Null => Vec::new(),
            row => vec![row],
        })
    }
}

impl Requests for Reading<'_> {
    fn next(&self, random: &mut Random, request: &mut Vec<u8>) -> u64 {
        let seq = match self.read {
            Read::One => random.between(1, self.review.items),
            Read::Page => 1,
        };
        self.push(seq, request);
        seq
    }

    fn check(&self, seq: u64, status: u16, body: Option<&[u8]>) -> anyhow::Result<()> {
        ensure!(status == 200, "not what was asked for");
        if let Some(body) = body {
            let rows = self.rows(body)?;
            let wanted = if self.read == Read::One { 1 } else { PAGE };
            ensure!(rows.len() as u64 == wanted, "{} decisions", rows.len());
            let is =
                |row: Option<&Value>, seq: u64| row.is_some_and(|row| row["id"] == self.review.item(seq).to_string());
            ensure!(is(rows.first(), seq) && is(rows.last(), seq + wanted - 1), "other decisions");
        }
        Ok(())
    }
}

/// Who answers, where, and how he is asked.
struct Side<'a> {
    port: u16,
    process: u32,
    reading: Reading<'a>,
}

impl Side<'_> {
    fn name(&self) -> &'static str {
        self.reading.party.name()
    }

    /// The decisions it answers with, each as [`told`] puts it.
    async fn ask(&self, seq: u64) -> anyhow::Result<Vec<Value>> {
        let mut request = Vec::new();
        self.reading.push(seq, &mut request);
        let answer = send(self.port, &request).await?;
        let text = String::from_utf8_lossy(&answer.body);
        ensure!(answer.status == 200, "{} answered {}: {text}", self.name(), answer.status);
        let rows = self.reading.rows(&answer.body).with_context(|| text.clone().into_owned())?;
        let told: anyhow::Result<_> = rows.iter().map(|row| told(row, self.reading.party)).collect();
        told.with_context(|| format!("{} answered {text}", self.name()))
    }

    async fn slice(&self, ground: &Ground<'_>, pace: Pace, seed: u64) -> anyhow::Result<Slice> {
        let load = Load {
            port: self.port,
            connections: CONNECTIONS,
            warm_up: pace.warm_up,
            duration: pace.slice,
            meter: Meter { service: Some(self.process), postmaster: ground.cluster.postmaster },
        };
        load.closed(&self.reading, seed).await.context(self.name())
    }
}

/// A decision in one form, whoever tells it.
fn told(row: &Value, party: Party) -> anyhow::Result<Value> {
    let name = |service: &'static str, rival: &'static str| if party == Party::Service { service } else { rival };
    let text = |service: &'static str, rival: &'static str| {
        let found = row.pointer(name(service, rival));
        found.and_then(Value::as_str).map(str::to_owned).with_context(|| format!("no {rival}"))
    };
    // Where nobody decided the service tells of an identity that is nobody's.
    let decider = |service: &'static str, rival: &'static str, nobody: &str| {
        let found = row.pointer(name(service, rival)).with_context(|| format!("no {rival}"))?;
        anyhow::Ok(found.as_str().unwrap_or(nobody).to_owned())
    };
    let principal_type = text("/principal/@odata.type", "/principal_type")?;
    let at = row.pointer(name("/reviewedDateTime", "/reviewed_date_time")).context("no time")?;
    let at = at.as_str().map(str::parse::<DateTime<Utc>>).transpose()?;
    Ok(json!({
        "id": text("/id", "/id")?,
        "decision": text("/decision", "/decision")?,
        "justification": text("/justification", "/justification")?,
        "recommendation": text("/recommendation", "/recommendation")?,
        "principal": [
            text("/principal/id", "/principal_id")?,
            text("/principal/displayName", "/principal_name")?,
            principal_type.trim_start_matches("#microsoft.graph.").trim_end_matches("Identity"),
        ],
        "resource": [text("/resource/id", "/resource_id")?, text("/resource/displayName", "/resource_name")?],
        "reviewedBy": [
            decider("/reviewedBy/id", "/reviewed_by_id", &Uuid::nil().to_string())?,
            decider("/reviewedBy/displayName", "/reviewed_by_name", "")?,
            decider("/reviewedBy/userPrincipalName", "/reviewed_by_user_principal_name", "")?,
        ],
        "reviewedDateTime": at.map(|at| at.timestamp_millis()),
        "applyResult": text("/applyResult", "/apply_result")?,
    }))
}

/// Whether all say the same of items everywhere in the review.
async fn compare(sides: &[Side<'_>], review: &Review) -> anyhow::Result<()> {
    let (service, rivals) = sides.split_first().context("nobody to compare")?;
    let (times, wanted) = if service.reading.read == Read::One { (COMPARED, 1) } else { (1, PAGE) };
    for number in 0..times {
        let seq = 1 + number * (review.items - 1) / (COMPARED - 1);
        let expected = service.ask(seq).await?;
        ensure!(expected.len() as u64 == wanted, "the service answers with {} decisions", expected.len());
        for rival in rivals {
            let found = rival.ask(seq).await?;
            ensure!(found == expected, "{} says\n{found:?}\ninstead of\n{expected:?}", rival.name());
        }
    }
    Ok(())
}

/// Whether the rivals show nothing of a tenant to another one.
async fn try_wall(rivals: &[Rival], review: &Review) -> anyhow::Result<()> {
    for rival in rivals {
        for side in rival_sides(rival, Read::Page, review, Uuid::nil()) {
            let found = side.ask(1).await?;
            ensure!(found.is_empty(), "{} shows a tenant's decisions to another one", side.name());
        }
    }
    Ok(())
}

/// All sides by turns, on the same rows in the same minutes; the slices of each.
async fn by_turns(sides: &[Side<'_>], ground: &mut Ground<'_>, pace: Pace) -> anyhow::Result<Vec<Vec<Slice>>> {
    ground.checkpoint().await?;
    let mut seen = vec![Vec::new(); sides.len()];
    for pair in 0..pace.pairs {
        for (side, slices) in sides.iter().zip(&mut seen) {
            slices.push(side.slice(ground, pace, pair as u64 + 1).await?);
        }
    }
    Ok(seen)
}

#[async_trait(?Send)]
impl Workload for Rivals {
    fn number(&self) -> &'static str {
        "W17"
    }

    fn about(&self) -> &'static str {
        "one decision and a page of 100 through PostGraphile and Django REST framework, 32 connections"
    }

    async fn load(&self, ground: &mut Ground<'_>) -> anyhow::Result<()> {
        ground.review(Stages::One).await?;
        run(&mut ground.sql, include_str!("../rivals/decisions.sql")).await
    }

    async fn measure(&self, bench: &Bench<'_>, ground: &mut Ground<'_>) -> anyhow::Result<Vec<Outcome>> {
        let review = ground.review(Stages::One).await?;
        let service = ground.service(&[]).await?;
        let mut rivals = Vec::new();
        for framework in [Framework::PostGraphile, Framework::Django] {
            rivals.push(Rival::start(framework, ground, CONNECTIONS).await?);
        }
        try_wall(&rivals, &review).await?;
        let mut outcomes = Vec::new();
        for (read, variant) in [(Read::One, "one"), (Read::Page, "page")] {
            let sides = sides(&service, &rivals, read, &review, ground)?;
            compare(&sides, &review).await?;
            // What is compiled while it runs is compiled before it counts.
            for side in &sides {
                side.slice(ground, Pace { slice: bench.pace.slice.min(PREPARATION), ..bench.pace }, 99).await?;
            }
            let mut notes = Vec::new();
            let differed =
                |seen: &Vec<Vec<Slice>>| seen.iter().skip(1).map(|slices| spread(slices)).fold(0.0, f64::max);
            let run = async || by_turns(&sides, ground, bench.pace).await;
            let seen = steadily(run, differed, "a rival", &mut notes).await?;
            let (own, theirs) = seen.split_first().context("no slices")?;
            for (rival, slices) in sides.iter().skip(1).zip(theirs) {
                let outcome = against(own, slices, ground.size).variant(format!("{variant}, {}", rival.name()));
                let outcome = outcome.bars(&[at_least(Figure::Throughput, rival.reading.party.bar())]);
                let database = per_request(slices, |slice| slice.usage.postgres);
                let outcome = outcome.note(format!("PostgreSQL takes {database:.1} µs per request under the rival"));
                outcomes.push(notes.iter().fold(outcome, |outcome, note| outcome.note(note.clone())));
            }
        }
        Ok(outcomes)
    }
}

/// The service and the rivals, as each is asked for this.
fn sides<'a>(
    service: &Service,
    rivals: &[Rival],
    read: Read,
    review: &'a Review,
    ground: &Ground<'_>,
) -> anyhow::Result<Vec<Side<'a>>> {
    let reading = Reading::of(Party::Service, read, review, ground.administrator()?);
    let mut sides = vec![Side { port: service.port, process: service.process(), reading }];
    sides.extend(rivals.iter().flat_map(|rival| rival_sides(rival, read, review, ground.tenant)));
    Ok(sides)
}

/// A rival in each of the ways it answers, for a tenant.
fn rival_sides<'a>(rival: &Rival, read: Read, review: &'a Review, tenant: Uuid) -> Vec<Side<'a>> {
    let side = |party: &Party| Side {
        port: rival.port,
        process: rival.process(),
        reading: Reading::of(*party, read, review, tenant.to_string()),
    };
    Party::of(rival.framework).iter().map(side).collect()
}

/// The figures of the service against one rival, which stands where the floor does elsewhere.
fn against(service: &[Slice], rival: &[Slice], size: u64) -> Outcome {
    let (service_cpu, rival_cpu) =
        (per_request(service, |slice| slice.usage.service), per_request(rival, |slice| slice.usage.service));
    let database = |slices| per_request(slices, |slice: &Slice| slice.usage.postgres);
    Outcome {
        throughput: Some(median(service) / median(rival)),
        processor: Some(service_cpu / rival_cpu),
        database: Some(database(service) / database(rival)),
        service_per_second: Some(median(service)),
        floor_per_second: Some(median(rival)),
        service_cpu_us: Some(service_cpu),
        database_cpu_us: Some(database(service)),
        floor_cpu_us: Some(rival_cpu),
        generator_cpu_us: Some(per_request(service, |slice| slice.usage.generator)),
        ..Outcome::of("W17", size)
    }
}

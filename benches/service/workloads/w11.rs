//! W11: ten thousand tenants at once, by Zipf's law: most read, some decide, a few list definitions or change reviewers. And what
//! becomes of them while one more tenant asks for ten times what its quota allows.

use std::{
    cell::Cell,
    path::Path,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use async_trait::async_trait;
use futures_util::future::try_join_all;
use serde_json::Value;
use uuid::Uuid;

use super::{
    Bench, Workload,
    reviewer_lists::{two_of, two_stages},
    w10,
};
use crate::{
    cluster::Cluster,
    contest::{Contest, PART_OF_PEAK, Pace, median, median_of},
    floor::{Floor, script},
    ground::{ADMINISTRATOR, FALLBACK, Ground, ITEMS_PER_MANAGER, Managers, Review, Stages, run},
    load::{Connection, Load, ROOT, Requests, Slice, p99, push_get, push_json},
    processor::Meter,
    random::Random,
    report::{Figure, Outcome, at_least, at_most},
    service::Service,
};

const DATABASE: &str = "tenants_mixed";
const CONNECTIONS: usize = 32;
pub const TENANTS: u64 = 10_000;
/// The first so many tenants, which are asked most, have large reviews and many definitions.
const LARGE_TENANTS: u64 = 100;
/// Of Zipf's law; `pgbench` takes none that is less.
const EXPONENT: f64 = 1.001;
const LARGE: Size = Size { items: 1_200, definitions: 1_000, reviewers: 10 };
const SMALL: Size = Size { items: 48, definitions: 10, reviewers: 1 };
/// Managers who are named as reviewers.
const MOST_PEOPLE: u64 = 50;
const GROUP: Uuid = Uuid::from_u128(0xb000_0000_0000_4000_8000_0000_0000_0002);
const MEMBERS: i64 = 12;
const NAMED: &str = "review with two stages and named reviewers";
const PAGE: u64 = 100;

/// So many times what the largest of the other tenants asks for is the quota.
const QUOTA: f64 = 2.0;
/// So many times the quota the noisy tenant asks for.
const NOISE: f64 = 10.0;
/// What a quota counts for, in seconds.
const PERIOD: f64 = 10.0;
/// Within this time the noisy tenant has asked for all that its full bucket holds; working on what it got may take longer.
const ONSET: Duration = Duration::from_secs(2);
/// By then that work is done, too, and the noisy tenant gets its quota and no more.
const SETTLED: Duration = Duration::from_secs(8);

pub struct MixOfTenants;

/// What a tenant has.
#[derive(Clone, Copy, Debug)]
struct Size {
    /// Of its review.
    items: u64,
    /// That have not started.
    definitions: u64,
    /// Managers with a dozen items who have tokens; with them goes the one with the most.
    reviewers: u64,
}

/// What one request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    GetDecision,
    ListDecisions,
    ListMyDecisions,
    RecordDecision,
    ListDefinitions,
    ChangeReviewers,
}

/// How many of a hundred requests, what each costs of a quota, and the floor's script.
const PARTS: [(Part, u32, u32, &str); 6] = [
    (Part::GetDecision, 40, 1, "w01.sql"),
    (Part::ListDecisions, 15, 4, "w05.sql"),
    (Part::ListMyDecisions, 15, 4, "w06_few.sql"),
    (Part::RecordDecision, 25, 2, "w02.sql"),
    (Part::ListDefinitions, 4, 4, "w10.sql"),
    (Part::ChangeReviewers, 1, 2, "w11.sql"),
];

/// Units of a quota that a request takes on average.
fn mean_units() -> f64 {
    PARTS.iter().map(|(_, weight, units, _)| f64::from(weight * units)).sum::<f64>() / 100.0
}

/// What all large tenants have in common, or all small ones: they are copies.
struct Shape {
    managers: Managers,
    /// Managers with few items who have tokens: every `stride`th.
    reviewers: u64,
    stride: u64,
    people: u64,
    review: Review,
    named: Review,
    /// Of the stage with named reviewers.
    list: Uuid,
    /// Definitions that are found by what is asked for.
    matching: u64,
    decisions: String,
    own_decisions: String,
    stage: String,
}

impl Shape {
    async fn of(ground: &mut Ground<'_>, size: Size) -> anyhow::Result<Self> {
        let review = ground.review(Stages::One).await?;
        let named = ground.find_review(NAMED).await?;
        let list = sqlx::query_scalar("select reviewer_list_id from stages where tenant_id = $1 and stage_id = $2")
            .bind(ground.tenant)
            .bind(named.stages[0])
            .fetch_one(&mut ground.sql)
            .await?;
        let managers = ground.managers();
        let reviewers = size.reviewers;
        Ok(Self {
            managers,
            reviewers,
            stride: managers.small / reviewers,
            people: MOST_PEOPLE.min(managers.largest()),
            list,
            matching: (1..=size.definitions).filter(|number| format!("{number:04}").contains('5')).count() as u64,
            decisions: format!("{}/decisions", review.instance_path()),
            own_decisions: format!("{}/decisions/filterByCurrentUser(on='reviewer')", review.instance_path()),
            stage: format!("{}/stages/{}", named.instance_path(), named.stages[0]),
            review,
            named,
        })
    }

    /// The managers who have tokens; the one with the most items comes last.
    fn with_tokens(&self) -> impl Iterator<Item = u64> {
        (1..=self.reviewers).map(|number| number * self.stride).chain([self.managers.largest()])
    }

    /// What stands for the variables of the floor's scripts.
    fn value(&self, variable: &str) -> Option<String> {
        let id = |id: Uuid| Some(format!("'{id}'"));
        match variable {
            "definition" => id(self.review.definition),
            "instance" => id(self.review.instance),
            "items" => Some(self.review.items.to_string()),
            "small" => Some(self.managers.small.to_string()),
            "reviewers" => Some(self.reviewers.to_string()),
            "stride" => Some(self.stride.to_string()),
            "step" => Some(self.managers.step().to_string()),
            "items_per_manager" => Some(ITEMS_PER_MANAGER.to_string()),
            "first_of_largest" => Some(self.managers.items(self.managers.largest()).0.to_string()),
            "after" => Some("0".to_owned()),
            "named_definition" => id(self.named.definition),
            "named_instance" => id(self.named.instance),
            "stage" => id(self.named.stages[0]),
            "list" => id(self.list),
            "people" => Some(self.people.to_string()),
            "fallback" => id(FALLBACK),
            "actor" => id(ADMINISTRATOR),
            "tenant" => Some(format!("{TENANT_OF_RANK}::uuid")),
            _ => None,
        }
    }
}

/// The tenant of this rank, as text.
const TENANT_OF_RANK: &str = "md5('mixed' || :rank::text)";

/// A script of the floor for one tenant, said of the tenants of a shape.
fn of_shape(text: &str, shape: &Shape) -> String {
    let text = text
        .replace(
            "set_config('attestry.tenant', :tenant, true)",
            &format!("set_config('attestry.tenant', {TENANT_OF_RANK}, true)"),
        )
        .replace("\\set number random(1, :tenants)\n", "")
        .replace("md5(:prefix || :number::text)", TENANT_OF_RANK);
    let mut said = String::with_capacity(text.len() * 2);
    let mut rest = text.as_str();
    while let Some(colon) = rest.find(':') {
        let (before, after) = rest.split_at(colon);
        said.push_str(before);
        let is_cast = after.starts_with("::");
        let name_from = if is_cast { 2 } else { 1 };
        let length = after[name_from..]
            .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
            .unwrap_or(after.len() - name_from);
        let (variable, behind) = after.split_at(name_from + length);
        match shape.value(&variable[name_from..]).filter(|_| !is_cast) {
            Some(value) => said.push_str(&value),
            None => said.push_str(variable),
        }
        rest = behind;
    }
    said.push_str(rest);
    said
}

/// One script that does a part of the mix for a tenant whose rank is drawn by an expression of `pgbench`.
fn of_tenants(name: &str, shapes: &[Shape; 2], rank: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(script(name)).with_context(|| name.to_owned())?;
    let (large, small) = (of_shape(&text, &shapes[0]), of_shape(&text, &shapes[1]));
    Ok(format!("\\set rank {rank}\n\\if :rank <= {LARGE_TENANTS}\n{large}\\else\n{small}\\endif\n"))
}

/// The floor's scripts of some parts, written to a directory, with their weights.
fn floor(directory: &Path, shapes: &[Shape; 2], parts: &[(Part, u32, u32, &str)], rank: &str) -> anyhow::Result<Floor> {
    let mut scripts = Vec::new();
    for (_, weight, _, name) in parts {
        let path = directory.join(name);
        std::fs::write(&path, of_tenants(name, shapes, rank)?)?;
        // Six names; the path is absolute and so takes the place of the scripts' directory.
        let path: &'static str = path.to_str().context("the name of a directory")?.to_owned().leak();
        scripts.push((path, *weight));
    }
    let variables = Vec::new();
    Ok(Floor { database: DATABASE.to_owned(), scripts, variables, connections: CONNECTIONS, threads: 1 })
}

/// Who calls in a tenant.
struct Callers {
    /// Which of the shapes the tenant has.
    shape: usize,
    administrator: String,
    /// As [`Shape::with_tokens`] has them.
    reviewers: Vec<String>,
}

/// Those of each of these tenants, which are copies of this one.
fn callers(ground: &Ground<'_>, tenants: &[Uuid], number: usize, shapes: &[Shape; 2]) -> anyhow::Result<Vec<Callers>> {
    let (shape, mut wanted) = (&shapes[number], Vec::new());
    for tenant in tenants {
        wanted.push((*tenant, ADMINISTRATOR, ["Global Administrator"].as_slice()));
        wanted.extend(shape.with_tokens().map(|manager| (*tenant, shape.managers.id(manager), [].as_slice())));
    }
    let mut tokens = ground.tokens_in(&wanted)?.into_iter();
    let of_tenant = |_: &Uuid| {
        let administrator = tokens.next().context("a token")?;
        let reviewers = tokens.by_ref().take(shape.reviewers as usize + 1).collect();
        Ok(Callers { shape: number, administrator, reviewers })
    };
    tenants.iter().map(of_tenant).collect()
}

/// Requests of many tenants.
pub struct Mix {
    shapes: Rc<[Shape; 2]>,
    /// Those that are asked most come first.
    tenants: Vec<Callers>,
    /// The part of all requests that a tenant and those before it have.
    up_to: Vec<f64>,
    definitions: String,
}

impl Mix {
    fn of(shapes: &Rc<[Shape; 2]>, tenants: Vec<Callers>) -> Self {
        let mut sum = 0.0;
        let mut up_to: Vec<f64> = (1..=tenants.len())
            .map(|rank| {
                sum += (rank as f64).powf(-EXPONENT);
                sum
            })
            .collect();
        up_to.iter_mut().for_each(|part| *part /= sum);
        let definitions = format!(
            "{ROOT}/definitions?$filter=status%20eq%20'NotStarted'%20and%20contains(displayName,'5')&$orderby=displayName"
        );
        Self { shapes: Rc::clone(shapes), tenants, up_to, definitions }
    }

    /// The part of all requests that the first tenant has.
    fn largest_part(&self) -> f64 {
        self.up_to.first().copied().unwrap_or_default()
    }

    /// Has the service verify every token, those that are asked least first.
    pub async fn introduce(&self, service: &Service) -> anyhow::Result<()> {
        let tokens = self
            .tenants
            .iter()
            .rev()
            .flat_map(|callers| {
                let shape = &self.shapes[callers.shape];
                let own_item = |manager| shape.review.item_path(shape.managers.items(manager).0);
                let items = shape.with_tokens().map(own_item).chain([shape.review.item_path(1)]);
                items.zip(callers.reviewers.iter().chain([&callers.administrator]))
            })
            .collect();
        introduce(service, tokens).await
    }
}

/// Has the service verify tokens once, each with a path that its owner may read: so it remembers those that it would remember after
/// a while.
async fn introduce(service: &Service, tokens: Vec<(String, &String)>) -> anyhow::Result<()> {
    let clients = (0..CONNECTIONS).map(|first| {
        let tokens = tokens.iter().skip(first).step_by(CONNECTIONS);
        async move {
            let mut connection = Connection::open(service.port).await?;
            let mut request = Vec::new();
            for (path, token) in tokens {
                request.clear();
                push_get(&mut request, path, token);
                let status = connection.status_of(&request).await?;
                ensure!(status == 200, "a token was answered {status}");
            }
            anyhow::Ok(())
        }
    });
    try_join_all(clients).await.map(|_| ())
}

/// One decision of the first so many tenants, each asked as often as the others.
struct DecisionsOfTenants {
    shapes: Rc<[Shape; 2]>,
    tenants: Vec<Callers>,
}

impl DecisionsOfTenants {
    async fn introduce(&self, service: &Service) -> anyhow::Result<()> {
        let path = |callers: &Callers| self.shapes[callers.shape].review.item_path(1);
        introduce(service, self.tenants.iter().map(|callers| (path(callers), &callers.administrator)).collect()).await
    }
}

impl Requests for DecisionsOfTenants {
    fn next(&self, random: &mut Random, request: &mut Vec<u8>) -> u64 {
        let callers = &self.tenants[random.between(1, self.tenants.len() as u64) as usize - 1];
        let review = &self.shapes[callers.shape].review;
        let seq = random.between(1, review.items);
        push_get(request, &review.item_path(seq), &callers.administrator);
        ticket(0, callers.shape, seq)
    }

    fn check(&self, ticket: u64, status: u16, body: Option<&[u8]>) -> anyhow::Result<()> {
        ensure!(status == 200, "not the item");
        if let Some(body) = body {
            let item: Value = serde_json::from_slice(body)?;
            let review = &self.shapes[(ticket >> 4 & 1) as usize].review;
            ensure!(item["id"] == review.item(ticket >> 8).to_string(), "another item");
        }
        Ok(())
    }
}

/// W1 in one tenant and in ten thousand, of the same database.
pub async fn decisions_of_tenants(bench: &Bench<'_>) -> anyhow::Result<Vec<Outcome>> {
    let mut grounds = lay(bench.cluster).await?;
    let (mix, _) = mixes(&mut grounds).await?;
    let [mut ground, _] = grounds;
    let mut tenants = mix.tenants;
    let mut outcomes = Vec::new();
    // The most tenants first, then those but the first are dropped.
    for count in [TENANTS, 1] {
        tenants.truncate(count as usize);
        let requests = DecisionsOfTenants { shapes: Rc::clone(&mix.shapes), tenants };
        let directory = tempfile::tempdir()?;
        let floor = floor(directory.path(), &mix.shapes, &PARTS[..1], &format!("random(1, {count})"))?;
        let service = ground.service(&[]).await?;
        requests.introduce(&service).await?;
        let contest = Contest {
            service: &service,
            requests: &requests,
            floor: &floor,
            connections: CONNECTIONS,
            latencies: false,
            writes: false,
        };
        let seen = contest.run(&mut ground, bench.pace).await?;
        outcomes.push(seen.outcome("W1", count).variant("tenants"));
        tenants = requests.tenants;
    }
    outcomes.reverse();
    Ok(outcomes)
}

/// What a request was: its part, the shape of its tenant, and the first item that it asks for.
fn ticket(part: usize, shape: usize, seq: u64) -> u64 {
    seq << 8 | (shape as u64) << 4 | part as u64
}

impl Requests for Mix {
    fn next(&self, random: &mut Random, request: &mut Vec<u8>) -> u64 {
        let place = random.fraction();
        let rank = self.up_to.partition_point(|up_to| *up_to < place).min(self.tenants.len() - 1);
        let callers = &self.tenants[rank];
        let shape = &self.shapes[callers.shape];
        let mut hundredth = random.between(1, 100) as u32;
        let part = PARTS.iter().position(|(_, weight, ..)| {
            let met = hundredth <= *weight;
            hundredth = hundredth.saturating_sub(*weight);
            met
        });
        let part = part.unwrap_or_default();
        // Half of those who decide are the one with the most items.
        let few = random.between(1, shape.reviewers);
        let decider = if random.between(0, 1) == 1 { shape.reviewers + 1 } else { few };
        let number =
            |reviewer| if reviewer > shape.reviewers { shape.managers.largest() } else { reviewer * shape.stride };
        let token = |reviewer: u64| callers.reviewers[(reviewer - 1) as usize].as_str();
        let seq = match PARTS[part].0 {
            Part::GetDecision => {
                let seq = random.between(1, shape.review.items);
                push_get(request, &shape.review.item_path(seq), &callers.administrator);
                seq
            }
            Part::ListDecisions => {
                push_get(request, &shape.decisions, &callers.administrator);
                1
            }
            Part::ListMyDecisions => {
                push_get(request, &shape.own_decisions, token(few));
                shape.managers.items(number(few)).0
            }
            Part::RecordDecision => {
                let (first, last) = shape.managers.items(number(decider));
                let seq = random.between(first, last);
                let verdict = if random.between(0, 9) == 0 { "Deny" } else { "Approve" };
                let body = format!(r#"{{"decision":"{verdict}","justification":"Still works on it"}}"#);
                push_json(request, "PATCH", &shape.review.item_path(seq), token(decider), body.as_bytes());
                seq
            }
            Part::ListDefinitions => {
                push_get(request, &self.definitions, &callers.administrator);
                1
            }
            Part::ChangeReviewers => {
                let body = two_of(shape.people, shape.managers, random, false);
                push_json(request, "PATCH", &shape.stage, &callers.administrator, body.as_bytes());
                1
            }
        };
        ticket(part, callers.shape, seq)
    }

    fn check(&self, ticket: u64, status: u16, body: Option<&[u8]>) -> anyhow::Result<()> {
        let (seq, shape, part) =
            (ticket >> 8, &self.shapes[(ticket >> 4 & 1) as usize], PARTS[(ticket & 15) as usize].0);
        let expected = match part {
            Part::RecordDecision => status == 204,
            Part::ChangeReviewers => matches!(status, 200 | 204),
            _ => status == 200,
        };
        ensure!(expected, "{part:?} of {} items", shape.review.items);
        let Some(body) = body.filter(|_| !matches!(part, Part::RecordDecision | Part::ChangeReviewers)) else {
            return Ok(());
        };
        let answer: Value = serde_json::from_slice(body)?;
        if part == Part::GetDecision {
            ensure!(answer["id"] == shape.review.item(seq).to_string(), "another item");
            return Ok(());
        }
        let rows = answer["value"].as_array().context("no rows")?;
        let expected = match part {
            Part::ListDecisions => PAGE.min(shape.review.items),
            Part::ListMyDecisions => ITEMS_PER_MANAGER,
            _ => PAGE.min(shape.matching),
        };
        ensure!(rows.len() as u64 == expected, "{} rows of {part:?} instead of {expected}", rows.len());
        ensure!(part == Part::ListDefinitions || rows[0]["id"] == shape.review.item(seq).to_string(), "another page");
        Ok(())
    }
}

/// Requests of a tenant that is refused now and then, and what became of them.
struct Noisy {
    mix: Mix,
    answered: Cell<u64>,
    refused: Cell<u64>,
}

impl Requests for Noisy {
    fn next(&self, random: &mut Random, request: &mut Vec<u8>) -> u64 {
        self.mix.next(random, request)
    }

    fn check(&self, ticket: u64, status: u16, body: Option<&[u8]>) -> anyhow::Result<()> {
        let count = if status == 429 { &self.refused } else { &self.answered };
        count.set(count.get() + 1);
        if status == 429 { Ok(()) } else { self.mix.check(ticket, status, body) }
    }
}

/// The database: two tenants that the service filled, and copies of them. One of the two is asked for nothing but noise.
pub async fn lay(cluster: &Cluster) -> anyhow::Result<[Ground<'_>; 2]> {
    let mut large = original(cluster, "many", LARGE).await?;
    let mut small = original(cluster, "few", SMALL).await?;
    let large_tenants = LARGE_TENANTS as i64;
    copy(&mut large, 1, large_tenants).await?;
    copy(&mut small, large_tenants + 1, TENANTS as i64 - large_tenants).await?;
    small.once("statistics", Ground::settle).await?;
    Ok([large, small])
}

async fn original<'a>(
    cluster: &'a Cluster,
    slug: &'static str,
    Size { items, definitions, .. }: Size,
) -> anyhow::Result<Ground<'a>> {
    let mut ground = Ground::lay_tenant(cluster, DATABASE.to_owned(), slug, items).await?;
    ground.review(Stages::One).await?;
    ground
        .once(NAMED, async |ground| {
            sqlx::query(include_str!("../ground/group.sql"))
                .bind(ground.tenant)
                .bind(GROUP)
                .bind(MEMBERS)
                .execute(&mut ground.sql)
                .await?;
            let mut body = two_stages(NAMED, ground.managers());
            body["scope"]["query"] = format!("/groups/{GROUP}/transitiveMembers").into();
            ground.post_review(&body).await.map(|_| ())
        })
        .await?;
    w10::make_definitions(&mut ground, definitions).await?;
    Ok(ground)
}

/// Makes the tenants of these ranks.
async fn copy(ground: &mut Ground<'_>, first: i64, count: i64) -> anyhow::Result<()> {
    ground
        .once(&format!("{count} copies from {first}"), async |ground| {
            run(&mut ground.sql, include_str!("../ground/copy_tenant.function.sql")).await?;
            sqlx::query("select benchmark.copy_tenant($1, 'mixed', $2, $3)")
                .bind(ground.tenant)
                .bind(count)
                .bind(first)
                .execute(&mut ground.sql)
                .await?;
            Ok(())
        })
        .await
}

/// What the tenants of this database ask for, and the one that is noisy.
async fn mixes(grounds: &mut [Ground<'_>; 2]) -> anyhow::Result<(Mix, Mix)> {
    let [large, small] = grounds;
    let shapes = Rc::new([Shape::of(large, LARGE).await?, Shape::of(small, SMALL).await?]);
    let ids: Vec<Uuid> =
        sqlx::query_scalar("select md5('mixed' || n)::uuid from generate_series(1, $1) as n order by n")
            .bind(TENANTS as i64)
            .fetch_all(&mut large.sql)
            .await?;
    let (first, others) = ids.split_at(LARGE_TENANTS as usize);
    let mut tenants = callers(large, first, 0, &shapes)?;
    tenants.extend(callers(small, others, 1, &shapes)?);
    let noisy = callers(large, &[large.tenant], 0, &shapes)?;
    Ok((Mix::of(&shapes, tenants), Mix::of(&shapes, noisy)))
}

/// What the ten thousand tenants of this database ask for.
pub async fn mix(grounds: &mut [Ground<'_>; 2]) -> anyhow::Result<Mix> {
    Ok(mixes(grounds).await?.0)
}

/// Tenants that keep to their quota, and the noisy one.
struct Neighbours<'a> {
    service: &'a Service,
    ground: &'a Ground<'a>,
    mix: &'a Mix,
    noisy: &'a Noisy,
    rate: f64,
    noisy_rate: f64,
}

impl Neighbours<'_> {
    fn load(&self, warm_up: Duration, duration: Duration) -> Load {
        let meter = Meter { service: Some(self.service.process()), postmaster: self.ground.cluster.postmaster };
        Load { port: self.service.port, connections: CONNECTIONS, warm_up, duration, meter }
    }

    async fn alone(&self, pace: Pace, seed: u64) -> anyhow::Result<Slice> {
        self.load(pace.warm_up, pace.slice).open(self.mix, self.rate, seed).await
    }

    /// With the noisy one, whose bucket was spent some time before the counting begins; answers its slice, too.
    async fn disturbed(&self, pace: Pace, seed: u64) -> anyhow::Result<(Slice, Slice)> {
        let load = self.load(pace.warm_up + SETTLED, pace.slice);
        let noise = load.open(self.noisy, self.noisy_rate, seed + 1);
        tokio::try_join!(load.open(self.mix, self.rate, seed), noise)
    }

    /// The moment at which the noisy one begins, with a full bucket.
    async fn onset(&self, pace: Pace, seed: u64) -> anyhow::Result<Slice> {
        tokio::time::sleep(Duration::from_secs_f64(PERIOD)).await;
        let noise = async {
            tokio::time::sleep(pace.warm_up).await;
            self.load(Duration::ZERO, ONSET).open(self.noisy, self.noisy_rate, seed + 1).await
        };
        Ok(tokio::try_join!(self.load(pace.warm_up, ONSET).open(self.mix, self.rate, seed), noise)?.0)
    }
}

fn milliseconds(slices: &[Slice]) -> anyhow::Result<f64> {
    let tails = slices.iter().map(|slice| p99(&slice.latencies).context("no latencies"));
    let tails: Vec<f64> = tails.map(|tail| tail.map(|tail| tail.as_secs_f64() * 1e3)).collect::<anyhow::Result<_>>()?;
    Ok(median_of(tails))
}

/// How the others fare while one tenant asks for ten times its quota, at a part of the peak.
async fn fairness(ground: &mut Ground<'_>, pace: Pace, mix: &Mix, noisy: Mix, peak: f64) -> anyhow::Result<Outcome> {
    let rate = peak * PART_OF_PEAK;
    let quota = (rate * mean_units() * mix.largest_part() * QUOTA * PERIOD).round();
    let noisy_rate = quota / PERIOD / mean_units() * NOISE;
    // Callers have more than they need: the tenant's units are what is asked about.
    let service = ground
        .service(&[
            ("ATTESTRY_QUOTAS", "on"),
            ("ATTESTRY_QUOTA_TENANT_UNITS", &quota.to_string()),
            ("ATTESTRY_QUOTA_READS", "1000000"),
            ("ATTESTRY_QUOTA_WRITES", "1000000"),
        ])
        .await?;
    mix.introduce(&service).await?;
    ground.checkpoint().await?;
    let noisy = Noisy { mix: noisy, answered: Cell::new(0), refused: Cell::new(0) };
    let neighbours = Neighbours { service: &service, ground, mix, noisy: &noisy, rate, noisy_rate };
    let (mut alone, mut disturbed, mut noise) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pace.pairs {
        let seed = pair as u64 * 4 + 1;
        alone.push(neighbours.alone(pace, seed).await?);
        let (others, own) = neighbours.disturbed(pace, seed + 1).await?;
        disturbed.push(others);
        noise.push(own);
    }
    let (refused, answered) = (noisy.refused.get(), noisy.answered.get());
    ensure!(refused > 0, "the noisy tenant was not refused once; {answered} of its requests were answered");
    let onset = neighbours.onset(pace, 777).await?;
    let (before, beside) = (milliseconds(&alone)?, milliseconds(&disturbed)?);
    let mut outcome = Outcome {
        p99_ratio: Some(beside / before),
        service_per_second: Some(median(&disturbed)),
        service_p99_ms: Some(beside),
        ..Outcome::of("W11", TENANTS)
    }
    .variant("fairness")
    .bars(&[at_most(Figure::P99, 2.0)])
    .note(format!(
        "p99 of the others {before:.1} ms without the noisy tenant, {beside:.1} ms with it, {:.1} ms in the {} s after it began",
        milliseconds(&[onset])?,
        ONSET.as_secs()
    ))
    .note(format!(
        "others: {rate:.0} requests a second, {:.0} answered, none of them 429; quota: {quota} units in {PERIOD} s for each tenant, of \
         which the largest of the others takes a half",
        median(&disturbed)
    ))
    .note(format!(
        "noisy: {noisy_rate:.0} requests a second, {:.0} sent; {refused} got 429, {answered} were answered",
        median(&noise)
    ));
    for (slices, wanted, whose) in
        [(&alone, rate, "others alone"), (&disturbed, rate, "others"), (&noise, noisy_rate, "noisy")]
    {
        if median(slices) < wanted * 0.9 {
            outcome = outcome.note(format!("{whose}: only {:.0} of {wanted:.0} a second", median(slices)));
        }
    }
    Ok(outcome)
}

#[async_trait(?Send)]
impl Workload for MixOfTenants {
    fn number(&self) -> &'static str {
        "W11"
    }

    fn about(&self) -> &'static str {
        "70 % reads, 25 % decisions, 4 % definitions, 1 % reviewers over 10 000 tenants by Zipf; one at ten times its quota"
    }

    fn is_sized(&self) -> bool {
        false
    }

    async fn load_apart(&self, cluster: &Cluster) -> anyhow::Result<()> {
        lay(cluster).await.map(|_| ())
    }

    async fn measure_apart(&self, bench: &Bench<'_>) -> anyhow::Result<Vec<Outcome>> {
        let mut grounds = lay(bench.cluster).await?;
        let begun = Instant::now();
        let (mix, noisy) = mixes(&mut grounds).await?;
        let [mut ground, _] = grounds;
        eprintln!("  signed tokens: {:.1} s", begun.elapsed().as_secs_f64());
        let directory = tempfile::tempdir()?;
        let by_zipf = format!("random_zipfian(1, {TENANTS}, {EXPONENT})");
        let floor = floor(directory.path(), &mix.shapes, &PARTS, &by_zipf)?;
        // Quotas are on and, being what they are unless they are set, reached by nobody.
        let service = ground.service(&[("ATTESTRY_QUOTAS", "on")]).await?;
        let begun = Instant::now();
        mix.introduce(&service).await?;
        eprintln!("  introduced everybody: {:.1} s", begun.elapsed().as_secs_f64());
        let contest = Contest {
            service: &service,
            requests: &mix,
            floor: &floor,
            connections: CONNECTIONS,
            latencies: true,
            writes: false,
        };
        let seen = contest.run(&mut ground, bench.pace).await?;
        drop(service);
        let together = seen.outcome(self.number(), TENANTS).variant("together");
        let together = together.bars(&[at_least(Figure::Throughput, 0.55)]).note(format!(
            "of a hundred requests 40 get a decision, 15 list decisions, 15 list one's own, 25 record a decision, 4 list definitions, 1 \
             changes reviewers; Zipf's exponent {EXPONENT}, {:.1} % go to the first tenant; the {LARGE_TENANTS} largest have {} items and \
             {} definitions, the others {} and {}; quotas are on and not reached",
            mix.largest_part() * 100.0,
            LARGE.items,
            LARGE.definitions,
            SMALL.items,
            SMALL.definitions
        ));
        let peak = median(&seen.service);
        Ok(vec![together, fairness(&mut ground, bench.pace, &mix, noisy, peak).await?])
    }
}

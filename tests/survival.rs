//! The real program on a database of its own: killed in the middle of work, doubled, and told to stop.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "it/support/chains.rs"]
mod chains;
#[allow(dead_code, reason = "the other test binary uses the rest")]
#[path = "it/support/database.rs"]
mod database;
#[allow(dead_code, reason = "the other test binary uses the rest")]
#[path = "it/support/ordering.rs"]
mod ordering;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chains::assert_one_chain_of_statuses_each;
use database::Database;
use ordering::{Blocker, eventually};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Who may become a fallback reviewer, one after the other.
const FALLBACKS: usize = 99;

fn id_of(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

fn user(name: &str) -> Value {
    json!({ "query": format!("/users/{}", id_of(name)), "queryType": "MicrosoftGraph" })
}

/// A database with a tenant, its company and its tokens, all made by the program itself.
struct Place {
    database: Database,
    tenant: String,
    admin: String,
    reviewer: String,
    directory: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let database = Database::own().await;
        let directory = tempfile::tempdir().unwrap();
        let run = |arguments: &[&str], input: &str| -> String {
            let mut child = program(&database)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let made = run(&["tenant", "create", "--slug", "acme", "--name", "Acme", "--sandbox"], "");
        let made: Value = serde_json::from_str(&made).unwrap();
        run(&["import", "--tenant", "acme", "-"], &company());
        let admin = run(
            &[
                "token",
                "--tenant",
                "acme",
                "--user",
                "carla@acme.example",
                "--role",
                "Identity Governance Administrator",
            ],
            "",
        );
        let reviewer = run(&["token", "--tenant", "acme", "--user", "mia@acme.example"], "");
        Self { database, tenant: made["id"].as_str().unwrap().to_owned(), admin, reviewer, directory }
    }

    /// Starts the service and waits until it is ready.
    async fn serve(&self) -> Service {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let log = self.directory.path().join(format!("{}.log", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let child = program(&self.database)
            .arg("serve")
            .env("ATTESTRY_LOG_FORMAT", "json")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut service = Service { child, log, base_url: String::new() };
        eventually("the service listens", async || service.address().is_some()).await;
        service.base_url = format!("http://{}", service.address().unwrap());
        let ready = format!("{}/readyz", service.base_url);
        let http = http();
        eventually("the service is ready", async || {
            http.get(&ready).send().await.is_ok_and(|answer| answer.status() == StatusCode::OK)
        })
        .await;
        service
    }

    async fn count(&self, sql: &str) -> i64 {
        self.database.rows(&format!("select to_jsonb(({sql})) as row")).await[0].as_i64().unwrap()
    }

    /// What a dead process had claimed stays claimed until its lease ends; this is the passing of that time.
    async fn let_leases_end(&self) {
        self.database.execute("update jobs set leased_until = clock_timestamp() where leased_until is not null").await;
    }

    async fn nothing_is_due(&self) {
        eventually("due work is done", async || {
            self.count("select count(*) from jobs where finished_at is null and run_at <= clock_timestamp()").await == 0
        })
        .await;
    }

    /// Every decision stands as its last event tells it, and every event's predecessor is the one before.
    async fn decisions_are_as_told(&self) {
        let told = self
            .database
            .rows(
                "select to_jsonb(e) as row from events e
                  where activity in ('Approve decision', 'Deny decision', 'Don''t know decision') order by event_id",
            )
            .await;
        let mut last = BTreeMap::<(String, i64), Value>::new();
        for event in told {
            let key = (event["stage_id"].as_str().unwrap().to_owned(), event["item_seq"].as_i64().unwrap());
            let before = last.insert(key, event["after"].clone());
            assert_eq!(before.unwrap_or_default(), event["before"], "{event:#}");
        }
        let stored = self
            .database
            .rows(
                "select jsonb_build_array(s.stage_id, d.seq, d.decision, d.justification) as row
                   from decisions d join stages s using (tenant_id, instance_id, ordinal) order by s.stage_id, d.seq",
            )
            .await;
        let expected: Vec<_> = last
            .into_iter()
            .map(|((stage, seq), after)| json!([stage, seq, after["decision"], after["justification"]]))
            .collect();
        assert_eq!(stored, expected);
    }
}

fn program(database: &Database) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestry"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("ATTESTRY_DATABASE_URL", &database.url)
        .env("ATTESTRY_LISTEN", "127.0.0.1:0")
        .env("ATTESTRY_DEV_ISSUER", "1")
        .env("ATTESTRY_QUOTAS", "off");
    command
}

fn company() -> String {
    let mut lines = Vec::new();
    let mut people = vec!["carla".to_owned(), "mia".to_owned()];
    people.extend((0..FALLBACKS).map(|number| format!("fallback{number}")));
    people.extend((0..12).map(|number| format!("member{number}")));
    for name in &people {
        lines.push(json!({ "type": "user", "id": id_of(name), "userPrincipalName": format!("{name}@acme.example"),
            "displayName": name, "mail": format!("{name}@acme.example") }));
    }
    let members: Vec<_> = (0..12).map(|number| id_of(&format!("member{number}"))).collect();
    lines.push(
        json!({ "type": "group", "id": id_of("finance"), "displayName": "finance", "members": members, "owners": [] }),
    );
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn http() -> reqwest::Client {
    // The library is built for TLS without choosing who does the cryptography, and insists.
    let _chosen_already = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// A running program; killed when dropped.
struct Service {
    child: Child,
    log: PathBuf,
    base_url: String,
}

impl Service {
    fn address(&self) -> Option<String> {
        let log = std::fs::read_to_string(&self.log).unwrap();
        let (_, rest) = log.split_once("\"address\":\"")?;
        Some(rest.split_once('"')?.0.to_owned())
    }

    fn caller(&self, token: &str) -> Caller {
        Caller { http: http(), base_url: self.base_url.clone(), token: token.to_owned() }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn terminate(&self) {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Clone)]
struct Caller {
    http: reqwest::Client,
    base_url: String,
    token: String,
}

impl Caller {
    /// The answer, or `None` when the service was gone before it came.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let root = match path.starts_with("/attestry") {
            true => "",
            false => "/v1.0/identityGovernance/accessReviews",
        };
        let mut request = self.http.request(method, format!("{}{root}{path}", self.base_url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let text = answer.text().await.ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or_default()))
    }

    async fn get(&self, path: &str) -> Option<(u16, Value)> {
        self.call(Method::GET, path, None).await
    }

    /// Creates a three-stage review of thirty days and answers the path of its instance.
    async fn review(&self) -> String {
        let stage = |number: usize| {
            let mut stage = json!({
                "stageId": number.to_string(), "durationInDays": 10, "recommendationsEnabled": false,
                "reviewers": [user("mia")], "fallbackReviewers": [user("fallback0")],
                "decisionsThatWillMoveToNextStage": ["Approve", "Deny", "NotReviewed"],
            });
            if number > 1 {
                stage["dependsOn"] = json!([(number - 1).to_string()]);
            }
            stage
        };
        let body = json!({
            "displayName": "Finance", "descriptionForAdmins": "a", "descriptionForReviewers": "r",
            "scope": { "@odata.type": "#microsoft.graph.accessReviewQueryScope",
                "query": format!("/groups/{}/transitiveMembers", id_of("finance")), "queryType": "MicrosoftGraph" },
            "stageSettings": [stage(1), stage(2), stage(3)],
            "settings": { "instanceDurationInDays": 30 },
        });
        let (status, made) = self.call(Method::POST, "/definitions", Some(&body)).await.unwrap();
        assert_eq!(status, 201, "{made:#}");
        let id = made["id"].as_str().unwrap();
        format!("/definitions/{id}/instances/{id}")
    }
}

/// What clients were told is done.
#[derive(Default)]
struct Acknowledged {
    /// The justification of each decision, which no other has.
    decisions: Mutex<BTreeSet<String>>,
    /// How many fallback reviewers a stage had.
    fallbacks: Mutex<BTreeMap<String, usize>>,
    /// Anything that is neither done, nor refused for the review's state.
    odd: Mutex<Vec<(u16, Value)>>,
}

impl Acknowledged {
    fn refused(&self, status: u16, body: Value) {
        if status != 400 || body["error"]["code"] != "InvalidReviewState" {
            self.odd.lock().unwrap().push((status, body));
        }
    }
}

async fn decide_on(caller: Caller, instance: String, prefix: String, known: Arc<Acknowledged>, stop: Arc<AtomicBool>) {
    let mine = format!("{instance}/decisions/filterByCurrentUser(on='reviewer')");
    let Some((status, page)) = caller.get(&mine).await else { return };
    let items: Vec<_> = match page["value"].as_array() {
        Some(items) => items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect(),
        None => return known.refused(status, page),
    };
    if items.is_empty() {
        return;
    }
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let path = format!("{instance}/decisions/{}", items[number % items.len()]);
        let justification = format!("{prefix}-{number}");
        let verdict = ["Approve", "Deny"][number / items.len() % 2];
        let body = json!({ "decision": verdict, "justification": justification });
        match caller.call(Method::PATCH, &path, Some(&body)).await {
            Some((204, _)) => _ = known.decisions.lock().unwrap().insert(justification),
            Some((status, body)) => known.refused(status, body),
            None => return,
        }
    }
}

async fn add_fallbacks(caller: Caller, instance: String, known: Arc<Acknowledged>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let Some((200, stages)) = caller.get(&format!("{instance}/stages")).await else { return };
        let stage = stages["value"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
        let stored = stages["value"].as_array().unwrap().last().unwrap()["fallbackReviewers"].as_array().unwrap().len();
        let count = (stored + 1).min(FALLBACKS);
        let scopes: Vec<_> = (0..count).map(|number| user(&format!("fallback{number}"))).collect();
        let body = json!({ "fallbackReviewers": scopes });
        match caller.call(Method::PATCH, &format!("{instance}/stages/{stage}"), Some(&body)).await {
            Some((200, _)) => _ = known.fallbacks.lock().unwrap().insert(stage, count),
            Some((status, body)) => known.refused(status, body),
            None => return,
        }
    }
}

async fn move_the_clock(caller: Caller, known: Arc<Acknowledged>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        match caller.call(Method::POST, "/attestry/v1/sandbox/clock", Some(&json!({ "advance": "PT12H" }))).await {
            Some((200, _)) => {}
            Some((status, body)) => known.refused(status, body),
            None => return,
        }
    }
}

/// LC-CONC-06, rule 8 of concurrency
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill_and_no_transition_is_left_half_way() {
    let place = Place::new().await;
    let known = Arc::new(Acknowledged::default());
    let mut instances = Vec::new();
    let mut service = place.serve().await;
    for round in 0..5 {
        // Some that run for a while and one that is new.
        let instance = service.caller(&place.admin).review().await;
        let id = instance.rsplit('/').next().unwrap().to_owned();
        let runs = format!("select count(*) from instances where instance_id = '{id}' and status = 'InProgress'");
        eventually("the new review runs", async || place.count(&runs).await == 1).await;
        instances.push(instance);
        let before = known.decisions.lock().unwrap().len();
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = tokio::task::JoinSet::new();
        for (number, instance) in instances.iter().enumerate() {
            let (admin, reviewer) = (service.caller(&place.admin), service.caller(&place.reviewer));
            let prefix = format!("{round}-{number}");
            clients.spawn(decide_on(reviewer, instance.clone(), prefix, known.clone(), stop.clone()));
            clients.spawn(add_fallbacks(admin, instance.clone(), known.clone(), stop.clone()));
        }
        clients.spawn(move_the_clock(service.caller(&place.admin), known.clone(), stop.clone()));

        eventually("clients are at work", async || known.decisions.lock().unwrap().len() > before + 5).await;
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..400))).await;
        service.kill();
        stop.store(true, Ordering::Relaxed);
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }
        place.let_leases_end().await;
        service = place.serve().await;
        place.nothing_is_due().await;

        assert_one_chain_of_statuses_each(&place.database, &place.tenant).await;
        place.decisions_are_as_told().await;
        let told = place
            .database
            .rows("select after -> 'justification' as row from events where activity in ('Approve decision', 'Deny decision')")
            .await;
        let told: BTreeSet<_> = told.iter().map(|justification| justification.as_str().unwrap().to_owned()).collect();
        let lost: Vec<_> = known.decisions.lock().unwrap().difference(&told).cloned().collect();
        assert!(lost.is_empty(), "{lost:?}");
        let acknowledged = known.fallbacks.lock().unwrap().clone();
        for (stage, count) in acknowledged {
            let stored = place
                .count(&format!(
                    "select count(*) from reviewer_scopes r join stages s using (tenant_id, reviewer_list_id)
                      where s.stage_id = '{stage}' and r.role = 'fallback'"
                ))
                .await;
            assert!(stored >= i64::try_from(count).unwrap(), "{stored} instead of {count}");
        }
    }
    assert!(known.odd.lock().unwrap().is_empty(), "{:#?}", known.odd.lock().unwrap());
    assert!(!known.fallbacks.lock().unwrap().is_empty());

    // And it goes on to the end.
    let advance = json!({ "advance": "P60D" });
    let admin = service.caller(&place.admin);
    let (status, body) = admin.call(Method::POST, "/attestry/v1/sandbox/clock", Some(&advance)).await.unwrap();
    assert_eq!(status, 200, "{body:#}");
    assert_eq!(place.count("select count(*) from instances where status <> 'Completed'").await, 0);
    assert_one_chain_of_statuses_each(&place.database, &place.tenant).await;
}

/// LC-CONC-07
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_on_one_database_make_every_transition_once() {
    const REVIEWS: i64 = 20;
    let place = Place::new().await;
    let (one, other) = (place.serve().await, place.serve().await);
    for number in 0..REVIEWS {
        let service = if number % 2 == 0 { &one } else { &other };
        service.caller(&place.admin).review().await;
    }
    eventually("every review runs", async || {
        place.count("select count(*) from instances where status = 'InProgress'").await == REVIEWS
    })
    .await;

    // Both move the clock, and both have workers.
    let (first, second) = (one.caller(&place.admin), other.caller(&place.admin));
    let advance = json!({ "advance": "P20D" });
    let (first, second) = tokio::join!(
        first.call(Method::POST, "/attestry/v1/sandbox/clock", Some(&advance)),
        second.call(Method::POST, "/attestry/v1/sandbox/clock", Some(&advance)),
    );
    assert_eq!((first.unwrap().0, second.unwrap().0), (200, 200));
    let (status, _) =
        one.caller(&place.admin).call(Method::POST, "/attestry/v1/sandbox/clock", Some(&advance)).await.unwrap();
    assert_eq!(status, 200);

    assert_eq!(place.count("select count(*) from instances where status = 'Completed'").await, REVIEWS);
    assert_one_chain_of_statuses_each(&place.database, &place.tenant).await;
    assert_eq!(place.count("select count(*) from stages").await, 3 * REVIEWS);
    assert_eq!(place.count("select count(*) from jobs where outcome is distinct from 'done'").await, 0);
}

/// A request that was accepted is answered, however long it takes, and then the program ends by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_told_to_stop_answers_what_it_accepted() {
    let place = Place::new().await;
    let mut service = place.serve().await;
    let admin = service.caller(&place.admin);
    let instance = admin.review().await;
    eventually("the review runs", async || {
        place.count("select count(*) from instances where status = 'InProgress'").await == 1
    })
    .await;
    let (_, stages) = admin.get(&format!("{instance}/stages")).await.unwrap();
    let stage = format!("{instance}/stages/{}", stages["value"][0]["id"].as_str().unwrap());
    let (_, items) = admin.get(&format!("{instance}/decisions")).await.unwrap();
    let items: Vec<_> =
        items["value"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect();
    let mut blocker = Blocker::hold(&place.database, "select from stages for update").await;

    let mut calls = tokio::task::JoinSet::new();
    let update = json!({ "fallbackReviewers": [user("fallback0"), user("fallback1")] });
    calls.spawn({
        let admin = admin.clone();
        async move { admin.call(Method::PATCH, &stage, Some(&update)).await }
    });
    blocker.wait_until_blocked(1).await;
    for (item, before) in items.iter().zip(1..) {
        let (reviewer, path) = (service.caller(&place.reviewer), format!("{instance}/decisions/{item}"));
        calls.spawn(async move {
            let body = json!({ "decision": "Deny", "justification": "last words" });
            reviewer.call(Method::PATCH, &path, Some(&body)).await
        });
        // The update and two decisions wait for the lock, the other decisions for these to be through.
        blocker.wait_until_blocked((before + 1).min(3)).await;
    }
    let http = http();
    let metrics = format!("{}/metrics", service.base_url);
    let waiting = format!("attestry_requests_waiting_together {}", items.len() - 2);
    eventually("the rest waits in the service", async || {
        http.get(&metrics).send().await.unwrap().text().await.unwrap().contains(&waiting)
    })
    .await;
    service.terminate();
    let ready = format!("{}/readyz", service.base_url);
    eventually("nothing more is accepted", async || {
        !http.get(&ready).send().await.is_ok_and(|answer| answer.status() == StatusCode::OK)
    })
    .await;
    blocker.rollback().await;

    let mut statuses = Vec::new();
    while let Some(answer) = calls.join_next().await {
        let (status, body) = answer.unwrap().expect("an answer");
        assert!(status < 300, "{status} {body:#}");
        statuses.push(status);
    }
    assert_eq!(statuses.len(), items.len() + 1);
    let ended =
        tokio::task::spawn_blocking(move || service.child.wait().map(|status| (status, service))).await.unwrap();
    let (ended, _service) = ended.unwrap();
    assert!(ended.success(), "{ended}");
    assert_eq!(place.count("select count(*) from decisions").await, i64::try_from(items.len()).unwrap());
    assert_eq!(place.count("select count(*) from events where activity = 'Reviewers changed'").await, 1);
}

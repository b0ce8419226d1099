//! The official SDKs against the running program over TLS: unmodified, only address and token set. Section 15 of the clients'
//! specification (CL-01 to CL-34).
//!
//! What they do is in `tests/clients/`; this starts the service for them and a second one with small quotas beside it.
//! `./dev test` installs the SDKs into the target directory; without them these tests fail.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the other test binary uses the rest")]
#[path = "it/support/database.rs"]
mod database;
#[allow(dead_code, reason = "the other test binary uses the rest")]
#[path = "it/support/ordering.rs"]
mod ordering;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use actix_web::{App, HttpServer, web};
use database::Database;
use ordering::{Blocker, eventually};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

/// Requests in ten seconds that the second service allows.
const SMALL_QUOTA: u32 = 5;

#[actix_web::test]
async fn the_python_sdk_runs_unchanged() {
    let place = Place::new("python").await;
    let mut python = Command::new(installed("python/bin/python"));
    python.args(["-m", "unittest", "discover", "--start-directory"]).arg(suite("python"));
    place.run(python).await;
}

#[actix_web::test]
async fn the_javascript_client_runs_unchanged() {
    let place = Place::new("javascript").await;
    let directory = installed("javascript");
    for file in ["package.json", "service.js", "batch.test.js", "retries.test.js", "reviews.test.js"] {
        // beside the installed client: node looks for packages from where a file lies
        std::fs::copy(suite("javascript").join(file), directory.join(file)).unwrap();
    }
    let mut node = Command::new("node");
    node.arg("--test").args(["batch.test.js", "retries.test.js", "reviews.test.js"]).current_dir(directory);
    place.run(node).await;
}

/// A long run by hand: `ATTESTRY_SCHEMA_EXAMPLES=1000 cargo test --test clients api_document -- --nocapture`.
#[actix_web::test]
async fn the_published_api_document_holds_against_generated_requests() {
    let place = Place::new("schema").await;
    let examples = std::env::var("ATTESTRY_SCHEMA_EXAMPLES").unwrap_or_else(|_| SCHEMA_EXAMPLES.to_string());
    // Administrators cannot decide, and reviewers can do little else.
    for (person, operations) in [("carla", "."), ("mia", "decisions|Decisions|Recommendations|filterByCurrentUser")] {
        let reviews = place.reviews(person).await;
        let settings = place.directory.path().join(format!("{person}.toml"));
        std::fs::write(&settings, schema_settings(&reviews)).unwrap();
        let mut tester = Command::new(installed("schemathesis/bin/st"));
        tester
            .arg("--config-file")
            .arg(&settings)
            .args(["run", &format!("{}/openapi.json", place.url), "--max-examples", &examples])
            .args(["--include-path-regex", operations, "--exclude-path-regex", "sandbox/clock|issuers"])
            .arg("--header")
            .arg(format!("Authorization: Bearer {}", place.tokens[person]))
            .arg("--tls-verify")
            .arg(place.directory.path().join("certificate.pem"))
            .current_dir(place.directory.path());
        place.run(tester).await;
    }
}

/// Requests generated for each operation and phase.
const SCHEMA_EXAMPLES: u32 = 8;

/// What the tester is to check, and real objects for the parameters of paths; what is deleted is nobody else's.
fn schema_settings(reviews: &[BTreeMap<&'static str, String>; 2]) -> String {
    let parameters = |objects: &BTreeMap<&str, String>| -> String {
        objects.iter().fold(String::new(), |mut text, (name, id)| {
            let _ = writeln!(text, "\"path.{name}\" = \"{id}\"");
            text
        })
    };
    format!(
        r#"
seed = 20260101
workers = 1
continue-on-failure = true
suppress-health-check = ["all"]

[phases.examples]
enabled = true
[phases.coverage]
enabled = true
[phases.fuzzing]
enabled = true
[phases.stateful]
enabled = false

[checks]
enabled = false
not_a_server_error.enabled = true
status_code_conformance.enabled = true
content_type_conformance.enabled = true
response_headers_conformance.enabled = true
response_schema_conformance.enabled = true

[parameters]
{}
[[operations]]
include-method = ["DELETE", "PUT"]
[operations.parameters]
{}
[[operations]]
include-path-regex = "/(stop|applyDecisions)$"
[operations.parameters]
{}"#,
        parameters(&reviews[0]),
        parameters(&reviews[1]),
        parameters(&reviews[1]),
    )
}

/// Where `./dev test` installs the SDKs.
fn installed(path: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("clients").join(path);
    assert!(target.exists(), "{} is missing; `./dev test` installs it", target.display());
    target
}

fn suite(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(language)
}

fn id_of(name: &str) -> String {
    let digest = Sha256::digest(name.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

/// A tenant with a company and tokens, the service over TLS, and what a suite needs to know of them.
struct Place {
    url: String,
    throttled_url: String,
    control: String,
    tokens: BTreeMap<&'static str, String>,
    directory: tempfile::TempDir,
    _services: [Service; 2],
    _control: actix_web::dev::ServerHandle,
}

impl Place {
    async fn new(tenant: &str) -> Self {
        let database = Database::own().await;
        let directory = tempfile::tempdir().unwrap();
        certify(directory.path());
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
        run(&["tenant", "create", "--slug", tenant, "--name", "Acme", "--sandbox"], "");
        run(&["import", "--tenant", tenant, "-"], &company());
        let mut tokens = BTreeMap::new();
        for person in ["mia", "noor", "olga", "tom"] {
            let name = format!("{person}@acme.example");
            tokens.insert(person, run(&["token", "--tenant", tenant, "--user", &name], ""));
        }
        let admin = [
            "token",
            "--tenant",
            tenant,
            "--user",
            "carla@acme.example",
            "--role",
            "Identity Governance Administrator",
        ];
        tokens.insert("carla", run(&admin, ""));
        let service = Service::start(&database, directory.path(), "service.log", &[("ATTESTRY_QUOTAS", "off")]).await;
        let quota = SMALL_QUOTA.to_string();
        let throttled =
            Service::start(&database, directory.path(), "throttled.log", &[("ATTESTRY_QUOTA_READS", &quota)]).await;
        let (control, handle) = control(database).await;
        Self {
            url: service.url.clone(),
            throttled_url: throttled.url.clone(),
            control,
            tokens,
            directory,
            _services: [service, throttled],
            _control: handle,
        }
    }

    fn http(&self) -> reqwest::Client {
        trusting(self.directory.path())
    }

    /// Two running two-stage reviews with reports about them: ids by the names that paths give them.
    async fn reviews(&self, person: &str) -> [BTreeMap<&'static str, String>; 2] {
        [self.review(person).await, self.review(person).await]
    }

    async fn review(&self, person: &str) -> BTreeMap<&'static str, String> {
        let user = |name: &str| json!({ "query": format!("/users/{}", id_of(name)), "queryType": "MicrosoftGraph" });
        let managers = json!({ "query": "./manager", "queryType": "MicrosoftGraph", "queryRoot": "decisions" });
        let query = format!("/groups/{}/transitiveMembers", id_of("finance"));
        let definition = json!({
            "displayName": format!("for {person}"),
            "scope": { "@odata.type": "#microsoft.graph.accessReviewQueryScope", "query": query, "queryType": "MicrosoftGraph" },
            "settings": { "recommendationsEnabled": true, "instanceDurationInDays": 7 },
            "stageSettings": [
                { "stageId": "1", "durationInDays": 3, "recommendationsEnabled": true, "reviewers": [managers],
                  "fallbackReviewers": [user("sam")] },
                { "stageId": "2", "dependsOn": ["1"], "durationInDays": 3, "recommendationsEnabled": true,
                  "reviewers": [user("olga")] }],
        });
        let made = self.call("POST", "/definitions", Some(&definition)).await;
        let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
        let mut ids = BTreeMap::from([("definition", text(&made, "id")), ("instance", text(&made, "id"))]);
        let instance = format!("/definitions/{0}/instances/{0}", ids["definition"]);
        eventually("the instance runs", async || self.call("GET", &instance, None).await["status"] == "InProgress")
            .await;
        let stages = self.call("GET", &format!("{instance}/stages"), None).await;
        ids.insert("stage", text(&stages["value"][0], "id"));
        let items = self
            .call("GET", &format!("{instance}/decisions?$expand=insights&$orderby=principal/displayName"), None)
            .await;
        ids.insert("item", text(&items["value"][0], "id"));
        ids.insert("insight", text(&items["value"][0]["insights"][0], "id"));
        ids.insert("reviewer", id_of("mia"));
        let report = json!({
            "displayName": format!("for {person}"),
            "reviewHistoryPeriodStartDateTime": "2026-01-01T00:00:00Z",
            "reviewHistoryPeriodEndDateTime": "2099-01-01T00:00:00Z",
            "scopes": [{ "@odata.type": "#microsoft.graph.accessReviewQueryScope", "queryType": "MicrosoftGraph",
                "query": "/identityGovernance/accessReviews/definitions?$filter=contains(scope/query, '/groups')" }],
        });
        let report = text(&self.call("POST", "/historyDefinitions", Some(&report)).await, "id");
        let runs = self.call("GET", &format!("/historyDefinitions/{report}/instances"), None).await;
        ids.insert("historyInstance", text(&runs["value"][0], "id"));
        ids.insert("historyDefinition", report);
        ids
    }

    /// A call of the administrator that succeeds.
    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}/v1.0/identityGovernance/accessReviews{path}", self.url);
        let mut request = self.http().request(method.parse().unwrap(), url).bearer_auth(&self.tokens["carla"]);
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    }

    /// Runs a suite and fails with what it printed.
    async fn run(&self, mut suite: Command) {
        let ids: BTreeMap<_, _> =
            people().iter().map(|person| person.name).chain(RESOURCES).map(|name| (name, id_of(name))).collect();
        let place = json!({
            "url": self.url, "throttledUrl": self.throttled_url, "throttledAfter": SMALL_QUOTA, "control": self.control,
            "tokens": self.tokens, "ids": ids,
        });
        let authority = self.directory.path().join("certificate.pem");
        suite
            .env("ATTESTRY_CLIENT_TESTS", place.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SSL_CERT_FILE", &authority)
            .env("NODE_EXTRA_CA_CERTS", &authority)
            .env_remove("HTTP_PROXY")
            .env_remove("HTTPS_PROXY")
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || suite.output().unwrap()).await.unwrap();
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        let _ = write!(said, "{}", String::from_utf8_lossy(&output.stderr));
        println!("{said}");
        assert!(output.status.success(), "the suite failed: {}", output.status);
    }
}

const RESOURCES: [&str; 4] = ["finance", "sales", "lab", "payroll"];

struct Person {
    name: &'static str,
    supervisor: Option<&'static str>,
    /// Days since the last sign-in; `None` when nothing is known.
    idle: Option<i64>,
}

/// Four people report to mia, one to noor, fay to nobody.
fn people() -> Vec<Person> {
    let person = |name, supervisor, idle| Person { name, supervisor, idle };
    vec![
        person("carla", None, None),
        person("mia", None, None),
        person("noor", None, None),
        person("olga", None, None),
        person("pete", None, None),
        person("sam", None, None),
        person("tom", None, None),
        person("ana", Some("mia"), Some(2)),
        person("ben", Some("mia"), Some(400)),
        person("cleo", Some("mia"), Some(3)),
        person("dan", Some("mia"), None),
        person("eve", Some("noor"), Some(5)),
        person("fay", None, Some(1)),
    ]
}

fn company() -> String {
    #[expect(clippy::disallowed_methods, reason = "sign-ins are as long ago as the recommendation needs")]
    let now = chrono::Utc::now();
    let mut lines: Vec<Value> = people()
        .iter()
        .map(|person| {
            let name = person.name;
            let mut line = json!({ "type": "user", "id": id_of(name), "userPrincipalName": format!("{name}@acme.example"),
                "displayName": name, "mail": format!("{name}@acme.example"), "createdDateTime": "2020-01-01T00:00:00Z",
                "manager": person.supervisor.map(id_of) });
            if let Some(days) = person.idle {
                let at = (now - chrono::TimeDelta::days(days)).to_rfc3339();
                line["signInActivity"] = json!({ "lastSignInDateTime": at });
            }
            line
        })
        .collect();
    let group = |name: &str, members: &[&str]| {
        json!({ "type": "group", "id": id_of(name), "displayName": name, "groupTypes": ["Unified"],
            "members": members.iter().map(|member| id_of(member)).collect::<Vec<_>>(), "owners": [id_of("olga")] })
    };
    lines.push(group("finance", &["ana", "ben", "cleo", "dan", "eve", "fay"]));
    lines.push(group("sales", &["ana"]));
    lines.push(group("lab", &["ben", "dan"]));
    lines.push(json!({ "type": "servicePrincipal", "id": id_of("payroll"), "appId": id_of("payroll application"),
        "displayName": "Payroll", "owners": [id_of("olga")], "appRoleAssignedTo": [
            { "id": "first", "principalId": id_of("ana"), "appRoleId": id_of("role") }] }));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A certificate of its own for localhost, which is its own authority.
fn certify(directory: &Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(directory.join("certificate.pem"), made.cert.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

/// A client that trusts the certificate there.
fn trusting(directory: &Path) -> reqwest::Client {
    // Set already by another test of this process, or now.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pem = std::fs::read(directory.join("certificate.pem")).unwrap();
    let authority = reqwest::Certificate::from_pem(&pem).unwrap();
    reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap()
}

fn program(database: &Database) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestry"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("ATTESTRY_DATABASE_URL", &database.url)
        .env("ATTESTRY_DEV_ISSUER", "1");
    command
}

/// A running program; killed when dropped.
struct Service {
    child: Child,
    url: String,
}

impl Service {
    async fn start(database: &Database, directory: &Path, log: &str, settings: &[(&str, &str)]) -> Self {
        // Links carry the public address, so it has to be known before the service listens.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("https://localhost:{port}");
        let certificate = directory.join("certificate.pem");
        let child = program(database)
            .arg("serve")
            .env("ATTESTRY_LISTEN", format!("127.0.0.1:{port}"))
            .env("ATTESTRY_PUBLIC_URL", &url)
            .env("ATTESTRY_TLS_CERT", &certificate)
            .env("ATTESTRY_TLS_KEY", directory.join("key.pem"))
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(directory.join(log)).unwrap())
            .spawn()
            .unwrap();
        let http = trusting(directory);
        let ready = format!("{url}/readyz");
        let service = Self { child, url };
        eventually("the service is ready", async || {
            http.get(&ready).send().await.is_ok_and(|answer| answer.status() == 200)
        })
        .await;
        service
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a suite may ask of the database: that somebody holds a stage until the service has given up waiting for it once.
async fn control(database: Database) -> (String, actix_web::dev::ServerHandle) {
    let (told, held) = watch::channel(false);
    let state = web::Data::from(Arc::new(Control { database, told, held }));
    let server = HttpServer::new(move || {
        App::new().app_data(state.clone()).route("/hold", web::post().to(hold)).route("/held", web::post().to(is_held))
    })
    .workers(1)
    .disable_signals()
    .bind("127.0.0.1:0")
    .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(server);
    (format!("http://{address}"), handle)
}

struct Control {
    database: Database,
    told: watch::Sender<bool>,
    held: watch::Receiver<bool>,
}

async fn hold(control: web::Data<Control>, body: web::Json<Value>) -> String {
    let stage: uuid::Uuid = body["stage"].as_str().unwrap().parse().unwrap();
    let sql = format!("select from stages where stage_id = '{stage}' for update");
    let mut blocker = Blocker::hold(&control.database, &sql).await;
    control.told.send(true).unwrap();
    blocker.wait_until_blocked(1).await;
    blocker.wait_until_blocked(0).await;
    blocker.rollback().await;
    "refused once".to_owned()
}

async fn is_held(control: web::Data<Control>) -> &'static str {
    control.held.clone().wait_for(|held| *held).await.unwrap();
    "held"
}

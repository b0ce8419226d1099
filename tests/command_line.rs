//! The `attestry` program itself: its commands, what they print where, and how `serve` begins and ends.
//!
//! All tests share one private cluster and keep apart by tenants and databases of their own. Other tools rely on what is
//! proved here. Section 6 of the design

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, OnceLock,
        mpsc::{Receiver, channel},
    },
    time::{Duration, Instant},
};

use attestry::local_postgres::{LocalPostgres, Options, join_or_start};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

const PATIENCE: Duration = Duration::from_secs(60);
const DEFINITIONS: &str = "/v1.0/identityGovernance/accessReviews/definitions";
const ADA: &str = "aaaaaaaa-0000-4000-8000-000000000001";

#[test]
fn tenant_create_prints_the_tenant_as_json_and_nothing_else() {
    let slug = any_name();

    let made = attestry(&["tenant", "create", "--slug", &slug, "--name", "Acme & Söhne", "--sandbox"]).succeeds();

    let tenant: Value = serde_json::from_str(&made).unwrap();
    let members: Vec<_> = tenant.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["id", "slug", "displayName", "sandbox"]);
    assert_eq!((tenant["slug"].as_str(), tenant["displayName"].as_str()), (Some(slug.as_str()), Some("Acme & Söhne")));
    assert_eq!(tenant["sandbox"], true);

    let twice = attestry(&["tenant", "create", "--slug", &slug, "--name", "Acme"]).fails();
    assert!(twice.contains(&format!("there is a tenant `{slug}` already")), "{twice}");
    let malformed = attestry(&["tenant", "create", "--slug", "No Slug", "--name", "Acme"]).fails();
    assert!(malformed.contains("`No Slug` is no slug"), "{malformed}");
}

#[test]
fn only_a_sandbox_tenants_clock_moves() {
    let (sandbox, ordinary) = (tenant(&["--sandbox"]), tenant(&[]));

    let moved = attestry(&["tenant", "clock", "--tenant", &sandbox, "--advance", "P7D"]).succeeds();
    let again = attestry(&["tenant", "clock", "--tenant", &sandbox, "--advance", "PT1H"]).succeeds();
    let refused = attestry(&["tenant", "clock", "--tenant", &ordinary, "--advance", "P7D"]).fails();

    let now = |text: &str| -> chrono::DateTime<chrono::Utc> {
        serde_json::from_str::<Value>(text).unwrap()["now"].as_str().unwrap().parse().unwrap()
    };
    assert!(now(&again) - now(&moved) >= chrono::TimeDelta::hours(1));
    assert!(now(&again) - now(&moved) < chrono::TimeDelta::hours(2));
    assert!(refused.contains("no sandbox tenant"), "{refused}");
}

/// LC-AUTH-02
#[test]
fn settings_are_shown_and_set_for_one_tenant() {
    let (ours, theirs) = (tenant(&[]), tenant(&[]));
    let shown = |slug: &str| attestry(&["settings", "show", "--tenant", slug]).succeeds();
    let off = "{\"groupOwnersMayReview\":false}\n";
    assert_eq!(shown(&ours), off);

    let set = ["settings", "set", "--tenant", &ours, "--group-owners-may-review", "true"];
    assert_eq!(attestry(&set).succeeds(), "{\"groupOwnersMayReview\":true}\n");
    assert_eq!(attestry(&set[..4]).succeeds(), "{\"groupOwnersMayReview\":true}\n", "nothing given, nothing changed");

    assert_eq!(shown(&ours), "{\"groupOwnersMayReview\":true}\n");
    assert_eq!(shown(&theirs), off);
    attestry(&["settings", "show", "--tenant", "nobody"]).fails();
    let Ended(perhaps) =
        attestry(&["settings", "set", "--tenant", &ours, "--group-owners-may-review", "perhaps"]).runs();
    assert_eq!(perhaps.status.code(), Some(2), "neither true nor false");
}

#[test]
fn a_file_with_a_bad_line_is_refused_by_its_number_and_nothing_of_it_is_applied() {
    let tenant = tenant(&[]);
    let good = ada();
    let file = format!("{good}\n\n{{\"type\":\"user\",\"id\":\"nobody\"}}\n");

    let refused = attestry(&["import", "--tenant", &tenant, "-"]).input(&file).fails();

    assert!(refused.contains("line 3: id"), "{refused}");
    let token = ["token", "--tenant", &tenant, "--user", ADA];
    assert!(attestry(&token).with_development_issuer().fails().contains("has no user"));

    let accepted = attestry(&["import", "--tenant", &tenant, "-"]).input(&format!("{good}\n")).succeeds();
    let report: Value = serde_json::from_str(&accepted).unwrap();
    assert_eq!(report["users"]["inserted"], 1);
    attestry(&token).with_development_issuer().succeeds();
}

#[test]
fn a_token_is_made_only_where_the_development_issuer_is_switched_on() {
    let tenant = tenant(&[]);
    attestry(&["import", "--tenant", &tenant, "-"]).input(&ada()).succeeds();
    let by_name = ["token", "--tenant", &tenant, "--user", "ADA@acme.Example", "--role", "Global Administrator"];

    let refused = attestry(&by_name).fails();
    let printed = attestry(&by_name).with_development_issuer().succeeds();

    assert!(refused.contains("ATTESTRY_DEV_ISSUER=1"), "{refused}");
    let claims = claims(&printed);
    assert_eq!(claims["oid"], ADA);
    assert_eq!(claims["scp"], "AccessReview.ReadWrite.All");
    assert_eq!(claims["wids"][0], "62e90394-69f5-4237-9190-012177145e10");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap(), 3_600);

    let application = ["token", "--tenant", &tenant, "--app", "Nightly job", "--ttl", "90s"];
    let claims = self::claims(&attestry(&application).with_development_issuer().succeeds());
    assert_eq!(claims["roles"][0], "AccessReview.ReadWrite.All");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap(), 90);
}

#[test]
fn a_given_database_is_migrated_only_on_request_and_refused_when_its_schema_is_another() {
    let url = fresh_database();
    let serve = || attestry(&["serve"]).setting("ATTESTRY_DATABASE_URL", &url);
    let migrate = || attestry(&["migrate"]).setting("ATTESTRY_DATABASE_URL", &url);

    let unmigrated = serve().fails();
    assert!(unmigrated.contains("attestry migrate"), "{unmigrated}");
    assert!(migrate().runs().said().contains("applied"));
    assert!(migrate().runs().said().contains("up to date"));
    query(
        &url,
        "delete from refinery_schema_history where version = (select max(version) from refinery_schema_history)",
    );
    assert!(serve().fails().contains("run `attestry migrate`"));
    query(
        &url,
        "insert into refinery_schema_history (version, name, applied_on, checksum) values (9999, 'later', '', '0')",
    );
    assert!(serve().fails().contains("use a newer program"));
    assert!(migrate().fails().contains("use a newer program"));
}

#[test]
fn the_api_document_is_json_and_needs_no_database() {
    let printed = attestry(&["openapi"]).setting("ATTESTRY_DATA_DIR", "/nowhere").succeeds();

    let document: Value = serde_json::from_str(&printed).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    assert_eq!(document["info"]["title"], "attestry");
    assert!(document["paths"][format!("{DEFINITIONS}/{{definition}}")]["get"].is_object());
    assert!(document["components"]["securitySchemes"].is_object());
}

#[test]
fn what_is_wrong_is_said_in_one_line_on_standard_error() {
    for (arguments, said) in [
        (vec!["token", "--tenant", "nobody", "--app", "x"], "there is no tenant `nobody`"),
        (vec!["import", "--tenant", "nobody", "/no/such/file"], "/no/such/file cannot be read"),
        (vec!["migrate", "--config", "/no/such/file"], "configuration file /no/such/file cannot be read"),
        (vec!["serve", "--listen", "8080"], "ATTESTRY_LISTEN must be"),
    ] {
        let error = attestry(&arguments).with_development_issuer().fails();
        assert!(error.starts_with("attestry: ") && error.contains(said), "{error}");
        assert_eq!(error.trim().lines().count(), 1, "{error}");
    }
}

#[test]
fn several_processes_serve_one_database_and_tell_how_they_are() {
    let (first, second) = (Service::start(&[]), Service::start(&[]));
    let tenant = tenant(&[]);
    let token = attestry(&["token", "--tenant", &tenant, "--app", "x"]).with_development_issuer().succeeds();

    for service in [&first, &second] {
        assert_eq!(service.get("/healthz").status, 200);
        assert_eq!(service.get("/readyz").status, 200);
        assert_eq!(service.get("/nothing").status, 404);
        assert_eq!(service.get(DEFINITIONS).status, 401);
        let listed = service.request("GET", DEFINITIONS, &[("Authorization", &format!("Bearer {}", token.trim()))], "");
        assert_eq!((listed.status, listed.json()["value"].as_array().map(Vec::len)), (200, Some(0)));

        let metrics = service.get("/metrics").body;
        let counted = format!("method=\"GET\",route=\"{DEFINITIONS}\",status=\"2xx\"");
        assert!(metrics.contains(&counted), "{metrics}");
        assert!(metrics.contains("attestry_database_connections_open"));
        assert!(!metrics.contains(&tenant), "no tenant data");
    }
    assert!(first.stop() && second.stop());
}

/// Section 6 of the design: what is due is begun within a second by an idle service, as it is when nothing was set, and the lateness
/// is a metric. The median of several is looked at, for a machine that does something else may delay one.
#[test]
fn what_falls_due_is_begun_within_a_second_and_how_late_is_measured() {
    const JOBS: usize = 9;
    let url = fresh_database();
    attestry(&["migrate"]).setting("ATTESTRY_DATABASE_URL", &url).runs();
    attestry(&["tenant", "create", "--slug", "acme", "--name", "Acme"])
        .setting("ATTESTRY_DATABASE_URL", &url)
        .succeeds();
    let service = Service::start(&[("ATTESTRY_DATABASE_URL", &url)]);
    // At all phases of the worker's looking. Of an instance that is not there, so nothing but the beginning takes time.
    query(
        &url,
        &format!(
            "insert into jobs (tenant_id, job_id, kind, key, payload, due_at, run_at)
             select tenant_id, gen_random_uuid(), 'remind_stage', number::text,
                    jsonb_build_object('kind', 'remind_stage', 'instance', gen_random_uuid(), 'stage', gen_random_uuid()),
                    due, due
               from tenants, generate_series(1, {JOBS}) as number, lateral (select now() + number * interval '370 ms') as at (due)"
        ),
    );

    let begun = |metrics: &str, bound: &str| {
        let bucket = format!("attestry_job_started_late_seconds_bucket{{kind=\"remind_stage\",le=\"{bound}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&bucket));
        line.map_or(0, |count| count.parse::<usize>().unwrap())
    };
    eventually("everything is begun", || begun(&service.get("/metrics").body, "+Inf") == JOBS);

    let metrics = service.get("/metrics").body;
    let in_time = begun(&metrics, "1");
    assert!(in_time > JOBS / 2, "{in_time} of {JOBS} within a second:\n{metrics}");
    assert!(
        metrics.contains("\nattestry_job_lateness_seconds ") && metrics.contains("\nattestry_jobs_due "),
        "{metrics}"
    );
    assert!(service.stop());
}

#[test]
fn what_was_accepted_is_answered_after_the_signal_to_stop() {
    let service = Service::start(&[("ATTESTRY_DRAIN_SECONDS", "1")]);
    let tenant = tenant(&[]);
    let token = attestry(&["token", "--tenant", &tenant, "--app", "x"]).with_development_issuer().succeeds();
    let body = "{\"displayName\":7}";
    let mut held = service.connect();
    write!(
        held,
        "POST {DEFINITIONS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        token.trim(),
        body.len(),
    )
    .unwrap();
    let mut answer = BufReader::new(held.try_clone().unwrap());
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    assert!(line.contains("100"), "the service has the request and asks for its body: {line}");

    service.signal(Signal::SIGTERM);
    eventually("the service says that it is going", || {
        let ready = service.get("/readyz");
        ready.status == 503 && ready.json()["reason"] == "shutting down"
    });
    eventually("nothing more is accepted", || TcpStream::connect(service.address).is_err());
    held.write_all(body.as_bytes()).unwrap();

    let mut rest = String::new();
    answer.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("HTTP/1.1 400") && rest.contains("displayName"), "{rest}");
    assert!(service.ended());
}

/// Whoever is refused asks again on the same connection: throttled clients would else make a new one for each try.
#[test]
fn who_is_refused_keeps_his_connection() {
    const REFUSED_BY: Duration = Duration::from_millis(500);
    let service = Service::start(&[]);
    service.get("/healthz");
    let mut stream = service.connect();
    let body = "{\"displayName\":7}";
    let head = format!(
        "POST {DEFINITIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.set_read_timeout(Some(REFUSED_BY)).unwrap();
    let early = stream.read(&mut [0; 1]).expect_err("nothing is said before the body is read away").kind();
    assert!(matches!(early, std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{early}");

    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let (mut refused, mut piece) = (String::new(), [0; 1024]);
    while !refused.ends_with("}}}") {
        let length = stream.read(&mut piece).unwrap();
        assert_ne!(length, 0, "closed after {refused}");
        refused.push_str(std::str::from_utf8(&piece[..length]).unwrap());
    }
    assert!(refused.starts_with("HTTP/1.1 401") && !refused.contains("connection: close"), "{refused}");

    assert_eq!(ask(stream, "GET", "/healthz", &[], "").status, 200);
}

#[test]
fn idle_and_silent_connections_do_not_hold_up_the_end() {
    let service = Service::start(&[]);
    let silent = service.connect();
    let mut idle = service.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut start = [0; 12];
    idle.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");

    let began = Instant::now();
    assert!(service.stop());

    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    drop((silent, idle));
}

#[test]
fn tls_is_spoken_with_the_files_given_and_a_stop_waits_for_nobody() {
    let certificate = Certificate::new();
    let service = Service::start(&certificate.settings());
    let tenant = tenant(&[]);
    let token = attestry(&["token", "--tenant", &tenant, "--app", "x"]).with_development_issuer().succeeds();
    let bearer = format!("Bearer {}", token.trim());

    let listed = certificate.request(&service, DEFINITIONS, &[("Authorization", &bearer)]);
    assert_eq!(listed.status, 200);
    let context = listed.json()["@odata.context"].as_str().unwrap().to_owned();
    assert!(context.starts_with(&format!("https://{}/v1.0/", service.address)), "{context}");
    let mut plain = service.connect();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _reset = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "nothing is said in plain text");

    let mut idle = certificate.connect(&service);
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut start = [0; 12];
    idle.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    let began = Instant::now();
    assert!(service.stop());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    drop(idle);
}

#[test]
fn the_demo_speaks_tls_too() {
    let certificate = Certificate::new();
    let url = fresh_database();
    let mut settings = certificate.settings().to_vec();
    settings.push(("ATTESTRY_DATABASE_URL", &url));

    let service = Service::run(&["demo"], &settings);

    let guide = service.printed_until("Bearer $SECOND\" \"$INSTANCE");
    assert!(guide.contains(&format!("export ATTESTRY='https://{}'", service.address)), "{guide}");
    assert_eq!(certificate.request(&service, "/readyz", &[]).status, 200);
    assert!(service.stop());
}

#[test]
fn files_that_are_no_certificate_and_key_are_refused_by_name() {
    let (ours, other) = (Certificate::new(), Certificate::new());
    let [(_, chain), (_, key)] = ours.settings();
    let [_, (_, other_key)] = other.settings();
    for (chain, key, said) in [
        (chain, "/no/such/key", "/no/such/key cannot be read as a private key"),
        (key, key, "holds no certificate"),
        (chain, other_key, "the certificate and its key cannot be used"),
        (chain, "", "ATTESTRY_TLS_KEY must be set"),
        ("", key, "ATTESTRY_TLS_CERT must be set"),
    ] {
        let error = attestry(&["serve"]).setting("ATTESTRY_TLS_CERT", chain).setting("ATTESTRY_TLS_KEY", key).fails();
        assert!(error.contains(said), "{error}");
        assert!(!error.contains("PRIVATE KEY"), "{error}");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut service = Service::start(&[("ATTESTRY_DRAIN_SECONDS", "600")]);
    service.signal(Signal::SIGINT);
    eventually("the service says that it is going", || service.get("/readyz").status == 503);

    service.signal(Signal::SIGINT);

    assert_eq!(service.process.wait().unwrap().code(), Some(130));
}

#[test]
fn the_demo_prints_calls_that_work_and_finds_its_data_again() {
    let url = fresh_database();
    let demo = || Service::run(&["demo"], &[("ATTESTRY_DATABASE_URL", &url)]);

    let service = demo();
    let guide = service.printed_until("Bearer $SECOND\" \"$INSTANCE");
    let calls = &guide[guide.find("export ADMIN=").unwrap()..];
    let script = format!("set -e\n{calls}");
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    let answers = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{answers}{}", String::from_utf8_lossy(&output.stderr));
    assert!(service.stop());

    let statuses: Vec<_> = answers.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)).collect();
    assert_eq!(statuses, ["200", "200", "204", "200", "409", "404", "200", "200"], "{answers}");
    let bodies: Vec<_> = answers.lines().filter(|line| line.starts_with('{')).collect();
    for (body, holds) in bodies.iter().zip([
        "\"status\":\"InProgress\"",
        "\"decision\":\"NotReviewed\"",
        "/users/d0000000-0000-4000-8000-000000000007",
        "fallbackReviewers may only grow",
        "\"ResourceNotFound\"",
        "{\"now\":",
        "\"principal\":",
    ]) {
        assert!(body.contains(holds), "{holds} in {body}");
    }

    let again = demo();
    let second_guide = again.printed_until("Bearer $SECOND\" \"$INSTANCE");
    let line = |guide: &str| {
        guide.lines().find(|line| line.starts_with("export INSTANCE=")).unwrap().rsplit_once('/').unwrap().1.to_owned()
    };
    assert_eq!(line(&guide), line(&second_guide), "the same review");
    assert!(second_guide.contains("Bearer $SECOND\" \"$STAGE"), "now the managers decide");
    assert!(again.stop());
}

#[test]
fn a_tenants_mail_templates_are_shown_set_and_removed() {
    let tenant = tenant(&[]);
    let of = |verb: &'static str, kind: &'static str| vec!["mail-template", verb, "--tenant", &tenant, kind];
    let json = |printed: String| serde_json::from_str::<Value>(&printed).unwrap();

    let all = json(attestry(&["mail-template", "list", "--tenant", &tenant]).succeeds());
    assert_eq!(all.as_array().unwrap().len(), 7);
    let set = [of("set", "reminder"), vec!["--subject", "Prüfung: {{ resource }}", "--text", "-"]].concat();
    let written = json(attestry(&set).input("Hallo {{ recipient }}").succeeds());
    assert_eq!(
        (&written["subject"], &written["own"]),
        (&"Prüfung: {{ resource }}".into(), &vec!["subject", "text"].into())
    );
    let shown = attestry(&of("show", "REMINDER")).succeeds();
    assert_eq!(json(shown.clone()), written);
    let again = json(attestry(&[of("set", "reminder"), vec!["--file", "-"]].concat()).input(&shown).succeeds());
    assert_eq!(again["own"], Value::from(vec!["subject", "text", "html"]));

    let refused = attestry(&set).input("one\n{{ nobody }}").fails();
    assert!(refused.contains("text: line 2: `nobody` is not a variable"), "{refused}");
    let unknown = attestry(&of("show", "birthday")).fails();
    assert!(unknown.contains("`birthday` is no mail; there are reviewStarted"), "{unknown}");

    assert_eq!(json(attestry(&of("remove", "reminder")).succeeds())["own"], Value::Array(Vec::new()));
    let gone = attestry(&of("remove", "reminder")).fails();
    assert!(gone.contains("has no template of its own for reminder"), "{gone}");
}

#[test]
fn an_authority_for_the_mail_server_that_cannot_be_read_is_told_by_its_setting() {
    let tenant = tenant(&[]);
    let list = ["mail-template", "list", "--tenant", &tenant];
    let with = |authority: &str| {
        attestry(&list)
            .setting("ATTESTRY_SMTP_URL", "smtps://u:hunter2@mail.example")
            .setting("ATTESTRY_MAIL_FROM", "reviews@acme.example")
            .setting("ATTESTRY_SMTP_CA", authority)
    };
    for (authority, told) in [
        ("/no/such/file", "ATTESTRY_SMTP_CA: /no/such/file cannot be read"),
        ("Cargo.toml", "ATTESTRY_SMTP_CA holds no certificates"),
    ] {
        let refused = with(authority).fails();
        assert!(refused.contains(told) && !refused.contains("hunter2"), "{refused}");
    }
}

#[test]
fn a_password_that_would_be_sent_unencrypted_is_warned_of_and_not_told() {
    let tenant = tenant(&[]);
    let said = |url: &str| {
        let Ended(output) = attestry(&["mail-template", "list", "--tenant", &tenant])
            .setting("ATTESTRY_SMTP_URL", url)
            .setting("ATTESTRY_MAIL_FROM", "reviews@acme.example")
            .runs();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let warned = said("smtp://u:hunter2@mail.example");
    assert!(warned.contains("may be sent unencrypted") && !warned.contains("hunter2"), "{warned}");
    assert!(!said("smtps://u:hunter2@mail.example").contains("unencrypted"));
}

// ---- the program

/// A run of the program that ends by itself.
struct Run {
    command: Command,
    input: Option<String>,
}

fn attestry(arguments: &[&str]) -> Run {
    let mut command = program(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Run { command, input: None }
}

/// The program with nothing of our environment that would configure it.
fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestry"));
    for (name, _) in
        std::env::vars().filter(|(name, _)| name.starts_with("ATTESTRY_") && !name.starts_with("ATTESTRY_PG_"))
    {
        command.env_remove(name);
    }
    command.args(arguments).env("ATTESTRY_DATA_DIR", data_directory()).env("ATTESTRY_LISTEN", "127.0.0.1:0");
    command
}

impl Run {
    fn setting(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn with_development_issuer(self) -> Self {
        self.setting("ATTESTRY_DEV_ISSUER", "1")
    }

    fn input(mut self, text: &str) -> Self {
        self.command.stdin(Stdio::piped());
        self.input = Some(text.to_owned());
        self
    }

    fn runs(mut self) -> Ended {
        let mut process = self.command.spawn().unwrap();
        if let Some(input) = self.input {
            process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        }
        Ended(process.wait_with_output().unwrap())
    }

    /// What it printed on standard output: one line, where the last line break is expected.
    fn succeeds(self) -> String {
        let Ended(output) = self.runs();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it printed on standard error; standard output stays empty.
    fn fails(self) -> String {
        let Ended(output) = self.runs();
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    }
}

struct Ended(Output);

impl Ended {
    /// What it said on standard error when it went well.
    fn said(&self) -> String {
        assert!(self.0.status.success(), "{}", String::from_utf8_lossy(&self.0.stderr));
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }
}

/// A service that listens; killed when the test ends without stopping it.
struct Service {
    process: Child,
    address: SocketAddr,
    printed: Receiver<String>,
}

impl Service {
    fn start(settings: &[(&str, &str)]) -> Self {
        Self::run(&["serve"], settings)
    }

    fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        let mut command = program(arguments);
        command.env("ATTESTRY_DEV_ISSUER", "1").env("ATTESTRY_LOG_FORMAT", "json");
        command.envs(settings.iter().copied());
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let printed = lines(process.stdout.take().unwrap());
        let log = lines(process.stderr.take().unwrap());
        let address = loop {
            let line = log.recv_timeout(PATIENCE).expect("the service says where it listens");
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("a log of JSON objects: {line}"));
            if event["message"] == "listening" {
                break event["address"].as_str().unwrap().parse().unwrap();
            }
        };
        Self { process, address, printed }
    }

    fn printed_until(&self, end: &str) -> String {
        let mut text = String::new();
        let mut found = false;
        while let Ok(line) = self.printed.recv_timeout(if found { Duration::from_millis(300) } else { PATIENCE }) {
            found |= line.contains(end);
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], "")
    }

    fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        ask(self.connect(), method, path, headers, body)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal).unwrap();
    }

    /// Whether it ends well when asked to.
    fn stop(self) -> bool {
        self.signal(Signal::SIGTERM);
        self.ended()
    }

    fn ended(mut self) -> bool {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

/// One request on a connection of its own.
fn ask(mut stream: impl Read + Write, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len(),
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Answer { status: head.split(' ').nth(1).unwrap().parse().unwrap(), body: body.to_owned() }
}

/// A certificate for `localhost` that clients of ours trust, and its key, in files.
struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    client: Arc<rustls::ClientConfig>,
}

type TlsStream = rustls::StreamOwned<rustls::ClientConnection, TcpStream>;

impl Certificate {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let directory = directory().join(any_name());
        std::fs::create_dir_all(&directory).unwrap();
        let (chain, key) = (directory.join("chain.pem"), directory.join("key.pem"));
        std::fs::write(&chain, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let mut trusted = rustls::RootCertStore::empty();
        trusted.add(made.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut client = client.with_root_certificates(trusted).with_no_client_auth();
        client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { chain, key, client: Arc::new(client) }
    }

    fn settings(&self) -> [(&'static str, &str); 2] {
        [("ATTESTRY_TLS_CERT", self.chain.to_str().unwrap()), ("ATTESTRY_TLS_KEY", self.key.to_str().unwrap())]
    }

    fn connect(&self, service: &Service) -> TlsStream {
        let name = "localhost".try_into().unwrap();
        let client = rustls::ClientConnection::new(self.client.clone(), name).unwrap();
        rustls::StreamOwned::new(client, service.connect())
    }

    fn request(&self, service: &Service, path: &str, headers: &[(&str, &str)]) -> Answer {
        ask(self.connect(service), "GET", path, headers, "")
    }
}

struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Lines as they come; the other end never waits for us.
fn lines(source: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(Result::ok) {
            let _unheard = sender.send(line);
        }
    });
    receiver
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

// ---- what the program works on

fn data_directory() -> PathBuf {
    cluster();
    directory()
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("command_line")
}

/// The cluster that every run of the program joins, kept for as long as this process lives.
fn cluster() -> &'static LocalPostgres {
    static CLUSTER: OnceLock<LocalPostgres> = OnceLock::new();
    CLUSTER.get_or_init(|| join_or_start(&Options::throwaway(directory())).unwrap())
}

fn any_name() -> String {
    format!("t{:016x}", rand::random::<u64>())
}

/// A new tenant's slug.
fn tenant(flags: &[&str]) -> String {
    let slug = any_name();
    let mut arguments = vec!["tenant", "create", "--slug", &slug, "--name", "Acme"];
    arguments.extend(flags);
    attestry(&arguments).succeeds();
    slug
}

fn ada() -> String {
    format!(
        "{{\"type\":\"user\",\"id\":\"{ADA}\",\"userPrincipalName\":\"ada@acme.example\",\"displayName\":\"Ada Byron\"}}"
    )
}

fn claims(token: &str) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    assert_eq!(token.lines().count(), 1, "a token and nothing else");
    let parts: Vec<_> = token.trim().split('.').collect();
    assert_eq!(parts.len(), 3, "a token and nothing else");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap()
}

/// An empty database of its own.
fn fresh_database() -> String {
    let name = any_name();
    query(&cluster().url("postgres"), &format!("create database {name}"));
    cluster().url(&name)
}

fn query(url: &str, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = PgConnection::connect(url).await.unwrap();
        connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
        connection.close().await.unwrap();
    });
}

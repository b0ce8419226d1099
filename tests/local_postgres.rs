//! The private PostgreSQL cluster, with real servers and real processes.
//!
//! Other processes are this same test program, started again for the one test [`another_user_of_the_cluster`], which reads
//! what to do from its environment.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use attestry::local_postgres::{LocalPostgres, LocalPostgresError, Options, join_or_start};
use sqlx::Connection;

const DIRECTORY: &str = "ATTESTRY_TEST_CLUSTER";

#[test]
fn a_cluster_starts_from_nothing_and_takes_connections() {
    let place = Place::new();

    let cluster = join_or_start(&place.throwaway()).unwrap();

    assert_eq!(query(&cluster.url("postgres"), "select current_user::text"), "postgres");
    assert_eq!(query(&cluster.url("postgres"), "select current_setting('listen_addresses')"), "");
    cluster.release().unwrap();
}

#[test]
fn only_its_owner_may_enter_the_socket_directory_and_the_data() {
    let place = Place::new();

    let cluster = join_or_start(&place.throwaway()).unwrap();

    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(cluster.socket_directory()), 0o700);
    assert_eq!(mode(&cluster.directory().join("data")), 0o700);
    cluster.release().unwrap();
}

#[test]
fn a_directory_too_deep_for_a_socket_gets_its_socket_elsewhere() {
    let place = Place::new();
    let deep = place.path().join("a-directory-with-a-long-name/".repeat(4));

    let cluster = join_or_start(&Options { linger: Duration::ZERO, ..Options::throwaway(deep) }).unwrap();

    assert!(cluster.socket_directory().as_os_str().len() < 85);
    assert_eq!(query(&cluster.url("postgres"), "select 'here'"), "here");
    let socket_directory = cluster.socket_directory().to_owned();
    cluster.release().unwrap();
    std::fs::remove_dir_all(socket_directory).unwrap();
}

#[test]
fn a_second_process_joins_and_the_cluster_outlives_the_first() {
    let place = Place::new();
    let mut first = OtherUser::start(&place, None);
    let server = first.server;

    let second = join_or_start(&place.durable()).unwrap();

    assert_eq!(server_process(&second), server);
    first.leave();
    assert_eq!(query(&second.url("postgres"), "select 'still here'"), "still here");
    let process_file = second.directory().join("data/postmaster.pid");
    second.release().unwrap();
    assert!(!process_file.exists());
}

#[test]
fn releasing_waits_for_the_end_only_when_nobody_else_uses_the_cluster() {
    let place = Place::new();
    let first = join_or_start(&place.durable()).unwrap();
    let second = join_or_start(&place.durable()).unwrap();
    let process_file = second.directory().join("data/postmaster.pid");

    first.release().unwrap();
    assert!(process_file.exists());

    second.release().unwrap();
    assert!(!process_file.exists());
}

#[test]
fn many_processes_at_once_share_one_server() {
    let place = Place::new();
    let starters: Vec<_> = (0..4).map(|_| OtherUser::begin(&place, None)).collect();

    let mut users: Vec<_> = starters.into_iter().map(Starting::ready).collect();

    assert!(users.iter().all(|user| user.server == users[0].server));
    users.iter_mut().for_each(OtherUser::leave);
    eventually("the last user's exit stops the server", || !exists(users[0].server));
}

#[test]
fn data_survives_stop_and_start() {
    let place = Place::new();
    let cluster = join_or_start(&place.durable()).unwrap();
    query(&cluster.url("postgres"), "create table kept as select 'durable' as word");
    cluster.release().unwrap();

    let cluster = join_or_start(&place.durable()).unwrap();

    assert_eq!(query(&cluster.url("postgres"), "select word from kept"), "durable");
    assert_eq!(query(&cluster.url("postgres"), "select current_setting('fsync')"), "on");
    cluster.release().unwrap();
}

#[test]
fn a_throwaway_cluster_begins_empty_at_each_start() {
    let place = Place::new();
    let cluster = join_or_start(&place.throwaway()).unwrap();
    query(&cluster.url("postgres"), "create table kept as select 'gone' as word");
    cluster.release().unwrap();

    let cluster = join_or_start(&place.throwaway()).unwrap();

    assert_eq!(query(&cluster.url("postgres"), "select coalesce(to_regclass('kept')::text, 'nothing')"), "nothing");
    cluster.release().unwrap();
}

#[test]
fn killing_the_only_user_stops_the_server_and_a_restart_keeps_what_was_committed() {
    let place = Place::new();
    let mut only = OtherUser::start(&place, None);
    query(&only.url, "create table kept as select 'committed' as word");

    only.process.kill().unwrap();
    only.process.wait().unwrap();
    // At once: it joins the server that still runs, or waits for its end and starts another.
    let cluster = join_or_start(&place.durable()).unwrap();

    assert_eq!(query(&cluster.url("postgres"), "select word from kept"), "committed");
    let server = server_process(&cluster);
    drop(cluster);
    eventually("the server stops when its last user is gone", || !exists(server));
}

#[test]
fn killing_the_keeper_as_well_stops_the_server_and_a_restart_works() {
    let place = Place::new();
    let mut only = OtherUser::start(&place, None);
    let keeper = parent(only.server);

    only.process.kill().unwrap();
    kill_hard(keeper);
    only.process.wait().unwrap();
    // Until it has, it is still there for whoever looks.
    eventually("the killed keeper has ended", || has_ended(keeper));
    let cluster = join_or_start(&place.durable()).unwrap();

    assert_eq!(query(&cluster.url("postgres"), "select 'again'"), "again");
    assert_ne!(server_process(&cluster), only.server);
    cluster.release().unwrap();
}

#[test]
fn a_killed_server_starts_again() {
    let place = Place::new();
    let mut only = OtherUser::start(&place, None);

    kill_hard(only.server);
    eventually("the killed server is gone", || !exists(only.server));
    let cluster = join_or_start(&place.durable()).unwrap();

    assert_eq!(query(&cluster.url("postgres"), "select 'again'"), "again");
    only.leave();
    cluster.release().unwrap();
}

#[test]
fn a_process_number_that_now_belongs_to_another_program_does_not_prevent_the_start() {
    let place = Place::new();
    let cluster = join_or_start(&place.durable()).unwrap();
    let file = cluster.directory().join("data/postmaster.pid");
    let left_behind = std::fs::read_to_string(&file).unwrap();
    cluster.release().unwrap();
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    let (_, rest) = left_behind.split_once('\n').unwrap();
    std::fs::write(&file, format!("{}\n{rest}", stranger.id())).unwrap();

    let cluster = join_or_start(&place.durable()).unwrap();

    assert_eq!(query(&cluster.url("postgres"), "select 'again'"), "again");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    cluster.release().unwrap();
}

#[test]
fn data_of_another_major_version_is_refused_and_left_alone() {
    let place = Place::new();
    let data = place.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("PG_VERSION"), "9\n").unwrap();

    let refusal = join_or_start(&place.durable()).unwrap_err();

    assert!(matches!(refusal, LocalPostgresError::OtherMajorVersion { data_major: 9, .. }), "{refusal}");
    assert!(refusal.to_string().contains("sudo apt-get install postgresql-9"), "{refusal}");
    assert_eq!(std::fs::read_dir(data).unwrap().count(), 1);
}

#[test]
fn a_setting_the_server_does_not_know_is_reported_with_the_servers_own_words() {
    let place = Place::new();
    let settings = vec![("no_such_setting".to_owned(), "on".to_owned())];

    let refusal = join_or_start(&Options { settings, ..place.durable() }).unwrap_err();

    assert!(matches!(refusal, LocalPostgresError::DidNotStart { .. }), "{refusal}");
    assert!(refusal.to_string().contains("no_such_setting"), "{refusal}");
}

#[test]
fn an_ordinary_user_runs_the_server_as_herself_and_her_cluster_is_hers() {
    if !nix::unistd::geteuid().is_root() {
        // Then every other test here is this test.
        return;
    }
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let place = Place::new();
    chown(place.path(), Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).unwrap();

    let mut user = OtherUser::start(&place, Some(&nobody));

    let owner =
        std::os::unix::fs::MetadataExt::uid(&Path::new("/proc").join(user.server.to_string()).metadata().unwrap());
    assert_eq!(owner, nobody.uid.as_raw());
    // Root joins her server, and starts it again as her.
    let cluster = join_or_start(&place.durable()).unwrap();
    assert_eq!(server_process(&cluster), user.server);
    user.leave();
    cluster.release().unwrap();
    join_or_start(&place.durable()).unwrap().release().unwrap();
}

#[test]
fn a_directory_the_account_cannot_reach_sends_the_cluster_elsewhere_and_later_users_after_it() {
    if !nix::unistd::geteuid().is_root() {
        // An ordinary user runs PostgreSQL as herself, which reaches whatever she reaches.
        return;
    }
    let place = Place::new();
    std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o700)).unwrap();

    let first = join_or_start(&place.throwaway()).unwrap();
    let second = join_or_start(&place.throwaway()).unwrap();

    assert!(!first.directory().starts_with(place.path()));
    assert_eq!(first.directory(), second.directory());
    assert_eq!(query(&second.url("postgres"), "select 'here'"), "here");
    let elsewhere = first.directory().to_owned();
    drop(first);
    second.release().unwrap();
    std::fs::remove_dir_all(elsewhere).unwrap();
}

#[test]
fn an_interrupt_at_the_terminal_reaches_neither_the_server_nor_its_keeper() {
    let place = Place::new();
    let cluster = join_or_start(&place.durable()).unwrap();
    let server = server_process(&cluster);

    // A terminal signals the group in its foreground, in its own session.
    let session = |process| nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(process))).unwrap();
    assert_ne!(session(server), nix::unistd::getsid(None).unwrap());
    assert_eq!(session(server), session(parent(server)));

    cluster.release().unwrap();
}

/// Not a test but the other process of the tests above: uses the cluster until its standard input ends.
#[test]
fn another_user_of_the_cluster() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let cluster = join_or_start(&Options::durable(directory)).unwrap();
    // Through the handle and not by `println!`, which the test harness would keep to itself.
    writeln!(std::io::stdout(), "\nserver {} {}", server_process(&cluster), cluster.url("postgres")).unwrap();
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    drop(cluster);
}

/// A directory for a cluster that also the account `postgres` can reach.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("attestry-").tempdir().unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn durable(&self) -> Options {
        Options::durable(self.path())
    }

    fn throwaway(&self) -> Options {
        Options { linger: Duration::ZERO, ..Options::throwaway(self.path()) }
    }
}

/// Another process that uses the cluster.
struct OtherUser {
    process: Child,
    stdin: Option<ChildStdin>,
    /// Kept open for what the test harness in there still wants to say.
    _output: Lines<BufReader<ChildStdout>>,
    server: i32,
    url: String,
}

/// A process on its way to become an [`OtherUser`].
struct Starting(Child);

impl OtherUser {
    fn start(place: &Place, account: Option<&nix::unistd::User>) -> Self {
        Self::begin(place, account).ready()
    }

    fn begin(place: &Place, account: Option<&nix::unistd::User>) -> Starting {
        let mut program = std::env::current_exe().unwrap();
        if let Some(account) = account {
            // The target directory may be in a home nobody else may enter.
            let copy: PathBuf = place.path().join("another-user");
            std::fs::copy(&program, &copy).unwrap();
            chown(&copy, Some(account.uid.as_raw()), None).unwrap();
            program = copy;
        }
        let mut command = Command::new(program);
        command
            .args(["--exact", "another_user_of_the_cluster", "--nocapture"])
            .env(DIRECTORY, place.path())
            .current_dir(place.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(account) = account {
            command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
        }
        Starting(command.spawn().unwrap())
    }

    /// Ends as a program ends that has finished.
    fn leave(&mut self) {
        drop(self.stdin.take());
        assert!(self.process.wait().unwrap().success());
    }
}

impl Starting {
    fn ready(self) -> OtherUser {
        let mut process = self.0;
        let stdin = process.stdin.take();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = output.by_ref().map(Result::unwrap).find(|line| line.starts_with("server ")).unwrap();
        let mut words = line.split(' ').skip(1);
        let server = words.next().unwrap().parse().unwrap();
        OtherUser { process, stdin, _output: output, server, url: words.next().unwrap().to_owned() }
    }
}

impl Drop for OtherUser {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

fn server_process(cluster: &LocalPostgres) -> i32 {
    let file = std::fs::read_to_string(cluster.directory().join("data/postmaster.pid")).unwrap();
    file.lines().next().unwrap().parse().unwrap()
}

/// The parent of a process: the fourth field of its `stat`, after the name in parentheses.
fn parent(process: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().parse().unwrap()
}

fn exists(process: i32) -> bool {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), None).is_ok()
}

/// Whether it is gone, or waits only for somebody to ask how it ended.
fn has_ended(process: i32) -> bool {
    match std::fs::read_to_string(format!("/proc/{process}/stat")) {
        Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')),
        Err(_) => true,
    }
}

fn kill_hard(process: i32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), nix::sys::signal::Signal::SIGKILL).unwrap();
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The first column of the first row, or nothing.
fn query(url: &str, sql: &'static str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
        let value = sqlx::query_scalar(sql).fetch_optional(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        value.unwrap_or_default()
    })
}

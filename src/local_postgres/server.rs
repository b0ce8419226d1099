//! The server process: is it there, make its data, start it, stop it.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::account::Account;
use super::binaries::ServerBinaries;
use super::error::{IoContext, LocalPostgresError};
use super::keeper;
use super::layout::Layout;
use super::{GLANCE, PATIENCE, PORT, SUPERUSER};

/// What `postmaster.pid` says, compared with what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No server. A file of a server that was killed may remain; PostgreSQL deals with it.
    Stopped,
    /// The file names a process that is not our server: the number was given to another after a crash or a reboot.
    Misleading,
    /// Starting or stopping.
    Changing,
    /// Takes connections.
    Running,
}

/// With what to start a server.
pub(super) struct StartOptions<'a> {
    pub(super) account: &'a Account,
    pub(super) binaries: &'a ServerBinaries,
    pub(super) throwaway: bool,
    pub(super) linger: Duration,
    pub(super) settings: &'a [(String, String)],
}

/// How the server stands now.
pub(super) fn state(layout: &Layout) -> Result<State, LocalPostgresError> {
    let file = layout.process_file();
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(State::Stopped),
        Err(error) => return Err(error).doing("read", &file),
    };
    let Some(process) = process_in(&text) else { return Ok(State::Changing) };
    if kill(process, None).is_err() {
        return Ok(State::Stopped);
    }
    let ours = is_server_of(process, &layout.data);
    if ours == Some(false) {
        return Ok(State::Misleading);
    }
    // The eighth line is the status, as `pg_ctl --wait` reads it.
    let ready = text.lines().nth(7).map(str::trim) == Some("ready");
    Ok(match ready {
        false => State::Changing,
        true if ours == Some(true) || UnixStream::connect(layout.socket()).is_ok() => State::Running,
        true => State::Misleading,
    })
}

/// Waits until the server stands still, one way or the other, and sees to it that one that runs is kept. Call it under the
/// start lock.
pub(super) fn settle(layout: &Layout) -> Result<State, LocalPostgresError> {
    let keeper_lock = layout.file("keeper.lock");
    let keeper = layout.open_lock("keeper.lock")?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match state(layout)? {
            State::Changing if Instant::now() < deadline => std::thread::sleep(GLANCE),
            State::Changing => return Err(LocalPostgresError::TimedOut { doing: "start", log: layout.log() }),
            // The keeper was killed. The kernel has told the server, which may not know it yet.
            State::Running if !keeper::is_alive(&keeper).doing("lock", &keeper_lock)? => stop(layout)?,
            settled => return Ok(settled),
        }
    }
}

/// Starts the server, and makes its data first when there is none. Call it under the start lock, with a share held, when
/// [`settle`] found no server.
pub(super) fn start(layout: &Layout, options: &StartOptions<'_>) -> Result<(), LocalPostgresError> {
    if options.throwaway && layout.data.exists() {
        fs::remove_dir_all(&layout.data).doing("remove", &layout.data)?;
    }
    if !layout.data.exists() {
        initialise(layout, options)?;
    }
    if state(layout)? == State::Misleading {
        forget_process(layout)?;
    }
    // Remains of a server that was killed may take a moment to let go of its shared memory.
    let mut attempts_left = 3;
    loop {
        attempts_left -= 1;
        match start_once(layout, options) {
            Err(LocalPostgresError::DidNotStart { .. }) if attempts_left > 0 => {
                std::thread::sleep(Duration::from_millis(300));
            }
            answer => return answer,
        }
    }
}

/// Stops the server fast (connections are cut, nothing committed is lost) and waits until it is gone. Call it when nobody uses
/// the server, that is with the users lock held exclusively, or when it is about to stop in any case.
pub(super) fn stop(layout: &Layout) -> Result<(), LocalPostgresError> {
    let deadline = Instant::now() + PATIENCE;
    let mut asked = false;
    loop {
        match state(layout)? {
            State::Stopped | State::Misleading => return Ok(()),
            State::Running if !asked => {
                asked = true;
                let text = fs::read_to_string(layout.process_file()).unwrap_or_default();
                // It may have gone by itself in between; the next look tells.
                if let Some(process) = process_in(&text) {
                    let _gone = kill(process, Signal::SIGINT);
                }
            }
            State::Running | State::Changing => {}
        }
        if Instant::now() > deadline {
            return Err(LocalPostgresError::TimedOut { doing: "stop", log: layout.log() });
        }
        std::thread::sleep(GLANCE);
    }
}

/// `initdb` beside the final place, then a rename: a cluster is there as a whole or not at all.
fn initialise(layout: &Layout, options: &StartOptions<'_>) -> Result<(), LocalPostgresError> {
    let unfinished = layout.file("data.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).doing("remove", &unfinished)?;
    }
    options.account.private_directory(&unfinished)?;
    let initdb = options.binaries.program("initdb");
    let output = options
        .account
        .command(initdb.as_os_str())
        .arg("--pgdata")
        .arg(&unfinished)
        .args(["--username", SUPERUSER, "--encoding=UTF8", "--locale=C.UTF-8"])
        .args(["--auth-local=trust", "--auth-host=reject", "--no-instructions"])
        .arg(if options.throwaway { "--no-sync" } else { "--data-checksums" })
        .output()
        .doing("run", &initdb)?;
    if !output.status.success() {
        return Err(LocalPostgresError::Initdb {
            data: layout.data.clone(),
            output: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    fs::rename(&unfinished, &layout.data).doing("rename", &unfinished)
}

fn start_once(layout: &Layout, options: &StartOptions<'_>) -> Result<(), LocalPostgresError> {
    let program = options.binaries.program("postgres");
    let log = layout.open_log()?;
    let mut command = options.account.command(program.as_os_str());
    command.arg("-D").arg(&layout.data);
    for (name, value) in settings(layout, options) {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    command.stdout(log.try_clone().doing("open", &layout.log())?).stderr(log);

    let locks = keeper::Locks { users: layout.open_lock("users.lock")?, keeper: layout.open_lock("keeper.lock")? };
    let mut keeper = keeper::spawn(command, locks, options.linger).doing("run", &program)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Asked first: a keeper that ends after the look below is seen at the next turn.
        let ended = keeper.try_wait().doing("wait for", &program)?.is_some();
        if ended {
            return Err(LocalPostgresError::DidNotStart { log: layout.log(), tail: layout.log_tail() });
        }
        if state(layout)? == State::Running {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(LocalPostgresError::TimedOut { doing: "start", log: layout.log() });
        }
        std::thread::sleep(GLANCE);
    }
}

fn settings(layout: &Layout, options: &StartOptions<'_>) -> Vec<(String, String)> {
    let sockets = layout.socket_directory.to_string_lossy().replace('"', "\"\"");
    let port = PORT.to_string();
    let sockets = format!("\"{sockets}\"");
    let mut settings = vec![
        ("listen_addresses", ""),
        ("port", &port),
        ("unix_socket_directories", &sockets),
        ("unix_socket_permissions", "0700"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("log_line_prefix", "%m [%p] "),
        // Statements and the detail of an error carry people's data, which does not belong into a log.
        ("log_min_error_statement", "panic"),
        ("log_error_verbosity", "terse"),
        ("jit", "off"),
    ];
    if options.throwaway {
        settings.extend([
            ("fsync", "off"),
            ("synchronous_commit", "off"),
            ("full_page_writes", "off"),
            ("wal_level", "minimal"),
            ("max_wal_senders", "0"),
            ("autovacuum", "off"),
            ("max_connections", "300"),
        ]);
    }
    let ours = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    ours.chain(options.settings.iter().cloned()).collect()
}

/// The first line of `postmaster.pid`; `None` while the file is being written.
fn process_in(text: &str) -> Option<Pid> {
    text.lines().next()?.trim().parse().ok().filter(|process| *process > 0).map(Pid::from_raw)
}

/// Is `process` the PostgreSQL server of `data`? The server works in its data directory. `None` when the system does not let
/// us see that, as in a container whose root may not look into processes of other accounts.
#[cfg(target_os = "linux")]
fn is_server_of(process: Pid, data: &Path) -> Option<bool> {
    let process = Path::new("/proc").join(process.to_string());
    match fs::read_to_string(process.join("comm")) {
        Ok(name) if name.trim() == "postgres" => {
            fs::read_link(process.join("cwd")).ok().map(|works_in| works_in == data)
        }
        _ => Some(false),
    }
}

#[cfg(not(target_os = "linux"))]
fn is_server_of(_process: Pid, _data: &Path) -> Option<bool> {
    None
}

/// Makes `postmaster.pid`, and the same note beside the socket, name a process that cannot exist.
///
/// PostgreSQL would not start while a process of that number lives, whatever it is. The rest of the file stays, because from
/// it PostgreSQL sees by itself whether anything of the killed server still runs.
fn forget_process(layout: &Layout) -> Result<(), LocalPostgresError> {
    for file in [layout.process_file(), layout.socket().with_extension(format!("{PORT}.lock"))] {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
        fs::write(&file, format!("{}\n{rest}", i32::MAX)).doing("write", &file)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_file_that_is_still_being_written_names_no_process() {
        assert_eq!(process_in(""), None);
        assert_eq!(process_in("4711\n/data\n"), Some(Pid::from_raw(4711)));
    }
}

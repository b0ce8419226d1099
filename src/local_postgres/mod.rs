//! A private PostgreSQL cluster for a machine on which nobody has set one up.
//!
//! `demo`, `serve`, the command line and the tests call [`join_or_start`] and get a cluster that listens on a Unix socket in
//! a directory only its owner may enter, never on a network. Any number of processes may hold the same cluster; the first one
//! starts it and it stops when the last one has gone, however that one ended. What makes this work:
//!
//! * every user holds a shared lock on `users.lock`, which the kernel gives back even after `kill -9`;
//! * between the process that starts the cluster and the PostgreSQL server stands a [`keeper`], which stops the server once it
//!   can take that lock for itself, and with which the server stops if the keeper is killed;
//! * whoever looks at the server or starts it holds `start.lock`, so two starts cannot meet.
//!
//! PostgreSQL refuses to run as root, so root hands the cluster to an ordinary account; see [`account`].

mod account;
mod binaries;
mod error;
mod keeper;
mod layout;
mod server;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use error::LocalPostgresError;

use account::Account;
use binaries::ServerBinaries;
use error::IoContext;
use layout::Layout;
use server::{StartOptions, State};

/// The database superuser of every private cluster; whoever may enter the socket directory is trusted to be it.
const SUPERUSER: &str = "postgres";

/// The port in the name of the socket file. Nothing listens on it.
const PORT: u16 = 5432;

/// How long a server may take to start or to stop. Recovery after a crash of a large cluster is the slowest case.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often a waiting process looks again.
const GLANCE: Duration = Duration::from_millis(10);

/// Which cluster, and how to run it if it is not running yet. A process that joins a running cluster takes it as it is.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the cluster lives; made when absent. Where the account that runs PostgreSQL cannot reach it (root's home), the
    /// cluster is put elsewhere and [`LocalPostgres::directory`] says where.
    pub directory: PathBuf,
    /// For tests only: trades durability for speed, and begins empty each time the cluster is started.
    pub throwaway: bool,
    /// How long the cluster stays up after its last user has gone. Whole fifths of a second.
    pub linger: Duration,
    /// Further server settings, `name` and `value`. They win over ours.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// A durable cluster in `directory` that stops as soon as nobody uses it.
    pub fn durable(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), throwaway: false, linger: Duration::ZERO, settings: Vec::new() }
    }

    /// A cluster for tests in `directory`: fast, forgetful, and kept a few seconds for the next test process.
    pub fn throwaway(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), throwaway: true, linger: Duration::from_secs(5), settings: Vec::new() }
    }
}

/// A share in a running cluster. The cluster runs for as long as any process holds one; dropping it gives the share back.
#[derive(Debug)]
pub struct LocalPostgres {
    layout: Layout,
    /// Shared lock on `users.lock`.
    share: File,
}

/// Joins the cluster in `options.directory`, or starts it (and makes it, when there is none yet).
///
/// Blocks for as long as that takes: milliseconds to join, about a second and a half to make one. May be called from any thread.
///
/// # Errors
/// [`LocalPostgresError`] says what is missing and what to do about it: no server installed, data of another major version, a
/// directory of somebody else, or a server that does not start, with the end of its log.
pub fn join_or_start(options: &Options) -> Result<LocalPostgres, LocalPostgresError> {
    let home = layout::make_home(&options.directory)?;
    let start_lock = home.join("start.lock");
    let starting = layout::open_lock(&start_lock)?;
    starting.lock().doing("lock", &start_lock)?;

    let account = Account::choose(&home)?;
    let layout = Layout::prepare(&home, &account, options.throwaway)?;
    let share = layout.open_lock("users.lock")?;
    // Waits only while a keeper, or a last user, is stopping the server.
    share.lock_shared().doing("lock", &layout.file("users.lock"))?;

    let cluster = LocalPostgres { layout, share };
    if server::settle(&cluster.layout)? != State::Running {
        let wanted = if options.throwaway { None } else { cluster.layout.major_version()? };
        let binaries = ServerBinaries::find(&account, wanted, &cluster.layout.data)?;
        server::start(
            &cluster.layout,
            &StartOptions {
                account: &account,
                binaries: &binaries,
                throwaway: options.throwaway,
                linger: options.linger,
                settings: &options.settings,
            },
        )?;
        tracing::info!(directory = %cluster.layout.directory.display(), major = binaries.major, "private PostgreSQL started");
    }
    Ok(cluster)
}

impl LocalPostgres {
    /// The connection address of `database` as the cluster's superuser, in the form sqlx and libpq read.
    pub fn url(&self, database: &str) -> String {
        let socket = percent_encode(self.layout.socket_directory.as_os_str().as_encoded_bytes());
        format!("postgres://{SUPERUSER}@{socket}:{PORT}/{}", percent_encode(database.as_bytes()))
    }

    /// Where the cluster lives: `data/`, `postgres.log` and the locks.
    pub fn directory(&self) -> &Path {
        &self.layout.directory
    }

    /// The directory of the socket, which only the account that runs PostgreSQL (and root) may enter.
    pub fn socket_directory(&self) -> &Path {
        &self.layout.socket_directory
    }

    /// Gives the share back and, when nobody else holds one, stops the server and waits until it is gone, without lingering.
    ///
    /// Use it where the end matters (the end of `demo`, before removing the directory); dropping is enough elsewhere.
    ///
    /// # Errors
    /// When the server does not stop in time.
    pub fn release(self) -> Result<(), LocalPostgresError> {
        let lock_file = self.layout.file("users.lock");
        let deadline = Instant::now() + PATIENCE;
        self.share.unlock().doing("unlock", &lock_file)?;
        loop {
            match self.share.try_lock() {
                Ok(()) => return server::stop(&self.layout),
                Err(TryLockError::Error(source)) => return Err(source).doing("lock", &lock_file),
                Err(TryLockError::WouldBlock) => {}
            }
            match self.share.try_lock_shared() {
                // Others use it. Or somebody who was stopping it has just finished: then the next turn stops nothing.
                Ok(()) if server::state(&self.layout)? == State::Running => return Ok(()),
                Ok(()) => self.share.unlock().doing("unlock", &lock_file)?,
                Err(TryLockError::Error(source)) => return Err(source).doing("lock", &lock_file),
                // Somebody is stopping it.
                Err(TryLockError::WouldBlock) => {}
            }
            if Instant::now() > deadline {
                return Err(LocalPostgresError::TimedOut { doing: "stop", log: self.layout.log() });
            }
            std::thread::sleep(GLANCE);
        }
    }
}

/// Everything but the unreserved characters of RFC 3986 as `%XX`.
fn percent_encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, &byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_directory_is_encoded_so_that_an_address_can_hold_it() {
        assert_eq!(percent_encode("/tmp/a b/ü".as_bytes()), "%2Ftmp%2Fa%20b%2F%C3%BC");
    }
}

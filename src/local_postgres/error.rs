//! What can go wrong with a private cluster, in words that say what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no private cluster.
#[derive(Debug, thiserror::Error)]
pub enum LocalPostgresError {
    /// No usable server programs on this machine.
    #[error(
        "no PostgreSQL server of version {} or newer was found{}\n\
         Do one of these:\n\
         - install it: `sudo apt-get install postgresql` (Debian, Ubuntu), `sudo dnf install postgresql-server` (Fedora, RHEL), \
         `brew install postgresql@17` (macOS)\n\
         - set ATTESTRY_PG_BINDIR to the directory that holds `postgres` and `initdb`\n\
         - set ATTESTRY_DATABASE_URL to a PostgreSQL server that runs elsewhere",
        super::binaries::OLDEST_MAJOR,
        found_instead.iter().map(|found| format!("; {found}")).collect::<String>()
    )]
    ServerNotFound {
        /// What was found but does not do, one sentence each.
        found_instead: Vec<String>,
    },

    /// The data was written by another major version, and no server of that version is installed.
    #[error(
        "{} holds data of PostgreSQL {data_major}, which only a server of that major version can open, and this machine has {}\n\
         Do one of these:\n\
         - install version {data_major}: `sudo apt-get install postgresql-{data_major}`\n\
         - set ATTESTRY_PG_BINDIR to the programs of version {data_major}\n\
         - carry the data over with pg_upgrade, or move the directory away to begin anew",
        data.display(),
        installed.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
    )]
    OtherMajorVersion {
        /// The data directory.
        data: PathBuf,
        /// The major version that wrote it.
        data_major: u32,
        /// The major versions found on this machine.
        installed: Vec<u32>,
    },

    /// `PG_VERSION` is there and says nothing we understand.
    #[error("{} does not name a PostgreSQL version; is it the data directory of something else?", file.display())]
    UnreadableVersion {
        /// The `PG_VERSION` file.
        file: PathBuf,
    },

    /// We are root and know no account to hand the cluster to.
    #[error(
        "PostgreSQL refuses to run as root, and {}; make the account or name another in ATTESTRY_PG_USER",
        wanted.as_ref().map_or_else(
            || "this machine has neither an account `postgres` nor `nobody`".to_owned(),
            |name| format!("ATTESTRY_PG_USER names `{name}`, which does not exist or is root itself"),
        )
    )]
    NoAccount {
        /// The account that ATTESTRY_PG_USER names, if it does.
        wanted: Option<String>,
    },

    /// The directory belongs to another account.
    #[error(
        "{} belongs to the user with id {owner}; run as that user or choose another directory (ATTESTRY_DATA_DIR)",
        path.display()
    )]
    NotOurs {
        /// The file or directory.
        path: PathBuf,
        /// Its owner's numeric id.
        owner: u32,
    },

    /// A place where the socket would be safe could not be had.
    #[error(
        "{} may be entered by others, so the database socket would not be private there; remove it or choose another directory",
        path.display()
    )]
    NotPrivate {
        /// The directory.
        path: PathBuf,
    },

    /// `initdb` failed.
    #[error("a new PostgreSQL cluster could not be made in {}:\n{output}", data.display())]
    Initdb {
        /// The data directory to be.
        data: PathBuf,
        /// What `initdb` said.
        output: String,
    },

    /// The server exited instead of starting.
    #[error("PostgreSQL did not start; the end of {}:\n{tail}", log.display())]
    DidNotStart {
        /// The server's log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },

    /// The server neither started nor failed, or did not stop.
    #[error("PostgreSQL did not {doing} in time; see {}", log.display())]
    TimedOut {
        /// `start` or `stop`.
        doing: &'static str,
        /// The server's log.
        log: PathBuf,
    },

    /// The operating system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// A verb.
        doing: &'static str,
        /// What it was to be done to.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
}

/// Says what was being done, and to which file, when the operating system refused.
pub(super) trait IoContext<T> {
    /// `doing` is a verb, as in "cannot open /some/path".
    fn doing(self, doing: &'static str, path: &Path) -> Result<T, LocalPostgresError>;
}

impl<T, E: Into<io::Error>> IoContext<T> for Result<T, E> {
    fn doing(self, doing: &'static str, path: &Path) -> Result<T, LocalPostgresError> {
        self.map_err(|source| LocalPostgresError::Io { doing, path: path.to_owned(), source: source.into() })
    }
}

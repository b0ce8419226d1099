//! The files of a cluster, and where they are.
//!
//! ```text
//! <directory>/start.lock     held by who starts the server or looks whether it runs
//!             moved-to       where the rest is, when the account that runs PostgreSQL cannot reach this directory
//!             users.lock     held, shared, by every user of the cluster
//!             keeper.lock    held by the keeper for as long as it lives
//!             postgres.log   what the server says
//!             data/          PostgreSQL's own
//!             run/           the socket; elsewhere when the path is too long for one
//! ```

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::PORT;
use super::account::Account;
use super::error::{IoContext, LocalPostgresError};

/// A socket's path must fit into 104 bytes on some systems, 108 on others; we leave a little.
const LONGEST_SOCKET_PATH: usize = 99;

/// A log that has grown beyond this, in bytes, begins anew at the next start.
const LARGEST_LOG: u64 = 16 << 20;

/// Where the files of one cluster are.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) directory: PathBuf,
    pub(super) data: PathBuf,
    pub(super) socket_directory: PathBuf,
}

/// Makes the directory a caller named, and answers its one true path.
pub(super) fn make_home(asked_for: &Path) -> Result<PathBuf, LocalPostgresError> {
    fs::create_dir_all(asked_for).doing("make", asked_for)?;
    asked_for.canonicalize().doing("look at", asked_for)
}

/// Opens a lock file anew: a lock belongs to an opened file, so two users in one process count as two.
pub(super) fn open_lock(path: &Path) -> Result<File, LocalPostgresError> {
    match File::options().create(true).truncate(false).read(true).write(true).mode(0o600).open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let seen = fs::metadata(path).or_else(|_| fs::metadata(path.parent().unwrap_or(path)));
            Err(LocalPostgresError::NotOurs { path: path.to_owned(), owner: seen.doing("open", path)?.uid() })
        }
        opened => opened.doing("open", path),
    }
}

/// The data directory of the cluster in `directory`, followed to where it was moved, if there is one.
pub(super) fn existing_data(directory: &Path) -> Option<PathBuf> {
    let home = moved_to(directory).unwrap_or_else(|| directory.to_owned());
    Some(home.join("data")).filter(|data| data.is_dir())
}

/// Only root moves a cluster, so only root's word counts.
fn moved_to(directory: &Path) -> Option<PathBuf> {
    let note = directory.join("moved-to");
    let by_root = fs::symlink_metadata(&note).is_ok_and(|note| note.is_file() && note.uid() == 0);
    if by_root { fs::read(note).ok().map(|path| PathBuf::from(OsString::from_vec(path))) } else { None }
}

impl Layout {
    /// Finds the place for the cluster that was asked for in `home`, and makes the directory of its socket. Call it under the
    /// start lock.
    pub(super) fn prepare(home: &Path, account: &Account, throwaway: bool) -> Result<Self, LocalPostgresError> {
        let directory = match moved_to(home) {
            Some(elsewhere) => elsewhere,
            None if account.enters(home) => home.to_owned(),
            None => move_elsewhere(home, throwaway)?,
        };
        let run = directory.join("run");
        let socket_directory = if socket_fits(&run) {
            run
        } else {
            // Not the process's own idea of a temporary directory: every user of the cluster must arrive at the same one.
            Path::new("/tmp").join(format!("attestry-{}", short_name(&directory)))
        };
        account.private_directory(&socket_directory)?;
        Ok(Self { data: directory.join("data"), directory, socket_directory })
    }

    /// A file beside the data.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The server's log.
    pub(super) fn log(&self) -> PathBuf {
        self.file("postgres.log")
    }

    /// The socket itself.
    pub(super) fn socket(&self) -> PathBuf {
        self.socket_directory.join(socket_name())
    }

    /// PostgreSQL's note of its process, there while it runs or after it was killed.
    pub(super) fn process_file(&self) -> PathBuf {
        self.data.join("postmaster.pid")
    }

    /// Opens one of the lock files; see [`open_lock`].
    pub(super) fn open_lock(&self, name: &str) -> Result<File, LocalPostgresError> {
        open_lock(&self.file(name))
    }

    /// Opens the log for the server to append to.
    pub(super) fn open_log(&self) -> Result<File, LocalPostgresError> {
        let path = self.log();
        let log = File::options().create(true).append(true).mode(0o600).open(&path).doing("open", &path)?;
        if log.metadata().doing("look at", &path)?.len() > LARGEST_LOG {
            log.set_len(0).doing("shorten", &path)?;
        }
        Ok(log)
    }

    /// The last lines of the log.
    pub(super) fn log_tail(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut log = File::open(self.log())?;
            let length = log.metadata()?.len();
            log.seek(SeekFrom::Start(length.saturating_sub(2000)))?;
            let mut bytes = Vec::new();
            log.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let text = read().unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }

    /// The major version that wrote the data; `None` when there is no data yet.
    pub(super) fn major_version(&self) -> Result<Option<u32>, LocalPostgresError> {
        let file = self.data.join("PG_VERSION");
        match fs::read_to_string(&file) {
            Ok(version) => match version.trim().parse() {
                Ok(major) => Ok(Some(major)),
                Err(_) => Err(LocalPostgresError::UnreadableVersion { file }),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !self.data.exists() => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(LocalPostgresError::UnreadableVersion { file })
            }
            Err(error) => Err(error).doing("read", &file),
        }
    }
}

fn socket_name() -> String {
    format!(".s.PGSQL.{PORT}")
}

/// Does the address of a socket in `directory` fit the kernel, and text?
fn socket_fits(directory: &Path) -> bool {
    let socket = directory.join(socket_name());
    socket.to_str().is_some_and(|path| path.len() <= LONGEST_SOCKET_PATH)
}

/// The same short name for the same directory, in every process.
fn short_name(directory: &Path) -> String {
    Sha256::digest(directory.as_os_str().as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A home for the cluster where any account can pass, when `directory` is closed to the one that runs PostgreSQL: among the
/// machine's permanent data, or where a reboot may clean up for one that is thrown away.
fn move_elsewhere(directory: &Path, throwaway: bool) -> Result<PathBuf, LocalPostgresError> {
    let place = if throwaway { Path::new("/var/tmp") } else { Path::new("/var/lib/attestry") };
    let elsewhere = place.join(format!("attestry-{}", short_name(directory)));
    for path in [place, &elsewhere] {
        if !path.exists() {
            fs::create_dir_all(path).doing("make", path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o711)).doing("open", path)?;
        }
    }
    let found = fs::symlink_metadata(&elsewhere).doing("look at", &elsewhere)?;
    if found.uid() != 0 || !found.is_dir() {
        return Err(LocalPostgresError::NotOurs { path: elsewhere, owner: found.uid() });
    }
    let note = directory.join("moved-to");
    fs::write(&note, elsewhere.as_os_str().as_bytes()).doing("write", &note)?;
    tracing::info!(directory = %elsewhere.display(), "the account that runs PostgreSQL cannot reach {}", directory.display());
    Ok(elsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_path_too_long_for_the_kernel_does_not_fit() {
        assert!(socket_fits(Path::new("/srv/attestry/run")));
        assert!(!socket_fits(Path::new(&format!("/{}", "deep/".repeat(18)))));
    }

    #[test]
    fn the_short_name_of_a_directory_is_always_the_same() {
        assert_eq!(short_name(Path::new("/srv/attestry")), short_name(Path::new("/srv/attestry")));
        assert_ne!(short_name(Path::new("/srv/attestry")), short_name(Path::new("/srv/other")));
        assert_eq!(short_name(Path::new("/srv/attestry")).len(), 16);
    }
}

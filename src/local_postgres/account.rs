//! Which account of the machine runs PostgreSQL.
//!
//! An ordinary user runs it as herself. Root may not, so root hands the cluster to `postgres`, else to `nobody`
//! (`ATTESTRY_PG_USER` names another), or to whoever owns the data already.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{Gid, Uid, User};

use super::error::{IoContext, LocalPostgresError};
use super::layout;

/// The account that runs PostgreSQL.
#[derive(Clone, Debug)]
pub(super) struct Account {
    uid: Uid,
    gid: Gid,
    /// We are root and change to it.
    dropped: bool,
}

impl Account {
    /// Chooses for the cluster that is, or will be, in `directory`.
    pub(super) fn choose(directory: &Path) -> Result<Self, LocalPostgresError> {
        let ours = Uid::effective();
        if !ours.is_root() {
            return Ok(Self { uid: ours, gid: Gid::effective(), dropped: false });
        }
        let owner = layout::existing_data(directory).and_then(|data| fs::metadata(data).ok());
        if let Some(owner) = owner.filter(|owner| owner.uid() != 0) {
            return Ok(Self { uid: Uid::from_raw(owner.uid()), gid: Gid::from_raw(owner.gid()), dropped: true });
        }
        let wanted = std::env::var("ATTESTRY_PG_USER").ok();
        let names = wanted.as_deref().map_or_else(|| vec!["postgres", "nobody"], |name| vec![name]);
        names
            .into_iter()
            .filter_map(|name| User::from_name(name).ok().flatten())
            .find(|user| !user.uid.is_root())
            .map(|user| Self { uid: user.uid, gid: user.gid, dropped: true })
            .ok_or(LocalPostgresError::NoAccount { wanted })
    }

    /// A command that runs as this account, with nothing of our environment (which may hold secrets) and no input.
    pub(super) fn command(&self, program: &OsStr) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).current_dir("/").env_clear().env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        for kept in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        if self.dropped {
            // Supplementary groups go too: the standard library clears them when root sets a user.
            command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
        }
        command
    }

    /// Can this account enter `directory`? Asked of the kernel, which also knows of access lists and mounts.
    pub(super) fn enters(&self, directory: &Path) -> bool {
        !self.dropped
            || self
                .command(OsStr::new("/bin/sh"))
                .args(["-c", r#"cd -- "$1""#, "sh"])
                .arg(directory)
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
    }

    /// Makes `directory` (or takes the one that is there) so that this account owns it and nobody else may enter.
    ///
    /// # Errors
    /// [`LocalPostgresError::NotOurs`] when it is there and belongs to a third account: in a directory like `/tmp` somebody
    /// may have been waiting for us.
    pub(super) fn private_directory(&self, directory: &Path) -> Result<(), LocalPostgresError> {
        match fs::DirBuilder::new().mode(0o700).create(directory) {
            Ok(()) => {
                if self.dropped {
                    chown(directory, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
                        .doing("change the owner of", directory)?;
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).doing("make", directory),
        }
        let found = fs::symlink_metadata(directory).doing("look at", directory)?;
        if !found.is_dir() {
            return Err(LocalPostgresError::NotPrivate { path: directory.to_owned() });
        }
        if found.uid() != self.uid.as_raw() {
            return Err(LocalPostgresError::NotOurs { path: directory.to_owned(), owner: found.uid() });
        }
        if found.mode() & 0o777 != 0o700 {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).doing("close to others", directory)?;
        }
        Ok(())
    }
}

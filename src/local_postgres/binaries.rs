//! Where the programs of a PostgreSQL server are on this machine.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::Account;
use super::error::LocalPostgresError;

/// The oldest major version the migrations run on.
pub(super) const OLDEST_MAJOR: u32 = 15;

/// Directories that hold one directory a version, and where in that the programs are.
const VERSIONED_PLACES: &[(&str, &str)] = &[
    ("/usr/lib/postgresql", ""),          // 16/bin: Debian, Ubuntu
    ("/usr", "pgsql-"),                   // pgsql-16/bin: the project's own RPMs
    ("/usr/libexec", "postgresql"),       // postgresql16: Alpine
    ("/opt/homebrew/opt", "postgresql@"), // macOS on ARM
    ("/usr/local/opt", "postgresql@"),    // macOS on Intel
    ("/Applications/Postgres.app/Contents/Versions", ""),
];

/// A complete set of server programs: `postgres` and `initdb` of one version.
#[derive(Debug)]
pub(super) struct ServerBinaries {
    directory: PathBuf,
    pub(super) major: u32,
}

impl ServerBinaries {
    /// Finds programs that `account` can run: in `ATTESTRY_PG_BINDIR` and only there if it is set, else along `PATH`, where
    /// `pg_config` says, and in the usual directories, the newest first. With `wanted` only that major version does.
    pub(super) fn find(account: &Account, wanted: Option<u32>, data: &Path) -> Result<Self, LocalPostgresError> {
        let mut found_instead = Vec::new();
        let mut installed = Vec::new();
        for directory in candidates() {
            if !(directory.join("postgres").is_file() && directory.join("initdb").is_file()) {
                continue;
            }
            match major_version(account, &directory.join("postgres")) {
                Some(major) if major < OLDEST_MAJOR => {
                    found_instead.push(format!("{} is version {major}", directory.display()));
                }
                Some(major) if wanted.is_none_or(|wanted| wanted == major) => return Ok(Self { directory, major }),
                Some(major) if installed.contains(&major) => {}
                Some(major) => installed.push(major),
                None => found_instead.push(format!("{} holds a `postgres` that does not run", directory.display())),
            }
        }
        match wanted {
            Some(data_major) if !installed.is_empty() => {
                Err(LocalPostgresError::OtherMajorVersion { data: data.to_owned(), data_major, installed })
            }
            _ => Err(LocalPostgresError::ServerNotFound { found_instead }),
        }
    }

    /// The path of one of the programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn candidates() -> Vec<PathBuf> {
    if let Some(directory) = std::env::var_os("ATTESTRY_PG_BINDIR") {
        return vec![directory.into()];
    }
    let mut places = Vec::new();
    for directory in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        // A directory of symbolic links often has some of the programs only; all of them are where the links lead.
        if let Ok(program) = directory.join("postgres").canonicalize() {
            places.extend(program.parent().map(Path::to_owned));
        }
        places.push(directory);
    }
    if let Ok(answer) = Command::new("pg_config").arg("--bindir").output() {
        places.push(String::from_utf8_lossy(&answer.stdout).trim().into());
    }
    for (place, prefix) in VERSIONED_PLACES {
        places.extend(versions_in(Path::new(place), prefix));
    }
    places
}

/// `place/<prefix><version>/bin`, the newest version first.
fn versions_in(place: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(place)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((leading_number(entry.file_name().to_str()?.strip_prefix(prefix)?)?, entry.path())))
        .flat_map(|(version, path)| [(version, path.join("bin")), (version, path)])
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, directory)| directory).collect()
}

fn major_version(account: &Account, postgres: &Path) -> Option<u32> {
    let answer = account.command(postgres.as_os_str()).arg(OsStr::new("--version")).output().ok()?;
    parse_version(&String::from_utf8_lossy(&answer.stdout))
}

/// `postgres (PostgreSQL) 15.6 (Debian 15.6-1)` is 15.
fn parse_version(line: &str) -> Option<u32> {
    leading_number(line.split_whitespace().nth(2)?)
}

fn leading_number(text: &str) -> Option<u32> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_releases_and_betas() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 19beta2\n"), Some(19));
        assert_eq!(parse_version("postgres: command not found"), None);
    }

    #[test]
    fn of_several_installed_versions_the_newest_comes_first() {
        let place = tempfile::tempdir().unwrap();
        for name in ["9.6", "15", "17", "common"] {
            std::fs::create_dir(place.path().join(name)).unwrap();
        }

        let found = versions_in(place.path(), "");

        assert_eq!(found.first(), Some(&place.path().join("17/bin")));
        assert_eq!(found.last(), Some(&place.path().join("9.6")));
    }
}

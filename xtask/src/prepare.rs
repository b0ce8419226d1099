//! Query metadata: what the macros of sqlx learn from a database while attestry compiles, kept in `.sqlx/`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};

use crate::database::Migrated;
use crate::repository;

/// File names and contents.
type Metadata = BTreeMap<OsString, Vec<u8>>;

/// `cargo xtask prepare`
pub async fn prepare(check: bool) -> anyhow::Result<()> {
    let kept = repository().join(".sqlx");
    let database = Migrated::start(None).await?;
    let told = ask(database.url());
    database.stop().await?;
    let (told, known) = (told?, read(&kept)?);

    if check {
        let stale = differences(&known, &told);
        if !stale.is_empty() {
            bail!(
                ".sqlx/ is not what the queries and migrations say; run `cargo xtask prepare`:\n{}",
                stale.join("\n")
            );
        }
        println!(".sqlx/ is up to date; queries: {}", told.len());
    } else {
        write(&kept, &known, &told)?;
        println!("wrote .sqlx/; queries: {}", told.len());
    }
    Ok(())
}

/// Compiles attestry against the database and collects what sqlx wrote down.
fn ask(url: &str) -> anyhow::Result<Metadata> {
    let answers = tempfile::tempdir()?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        // Set by the cargo that runs us, about this crate. Some build scripts would take them for a change and begin anew.
        let name = name.to_string_lossy().into_owned();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_NAME", "CARGO_CRATE_NAME"]
            .iter()
            .any(|ours| name.starts_with(ours))
        {
            cargo.env_remove(name);
        }
    }
    let status = cargo
        .args(["check", "--package", "attestry", "--all-targets"])
        .current_dir(repository())
        .env("DATABASE_URL", url)
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", answers.path())
        // A new value each time: build.rs has attestry compiled anew when it changes, and so every query is asked about.
        .env("ATTESTRY_PREPARE", unique_word()?)
        .status()
        .context("running cargo check")?;
    ensure!(status.success(), "attestry does not compile against its migrations; .sqlx/ was left as it is");
    read(answers.path())
}

#[expect(clippy::disallowed_methods, reason = "no business time, only a value that was not there before")]
fn unique_word() -> anyhow::Result<String> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos().to_string())
}

fn read(directory: &Path) -> anyhow::Result<Metadata> {
    if !directory.exists() {
        return Ok(Metadata::new());
    }
    std::fs::read_dir(directory)?
        .map(|entry| {
            let entry = entry?;
            Ok((entry.file_name(), std::fs::read(entry.path())?))
        })
        .collect()
}

fn write(directory: &Path, known: &Metadata, told: &Metadata) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)?;
    for stale in known.keys().filter(|name| !told.contains_key(*name)) {
        std::fs::remove_file(directory.join(stale))?;
    }
    for (name, contents) in told.iter().filter(|(name, contents)| known.get(*name) != Some(contents)) {
        std::fs::write(directory.join(name), contents)?;
    }
    Ok(())
}

fn differences(known: &Metadata, told: &Metadata) -> Vec<String> {
    let gone = known
        .keys()
        .filter(|name| !told.contains_key(*name))
        .map(|name| format!("no longer asked: {}", name.display()));
    let other = told.iter().filter_map(|(name, contents)| match known.get(name) {
        None => Some(format!("missing: {}", name.display())),
        Some(kept) if kept != contents => Some(format!("different: {}", name.display())),
        Some(_) => None,
    });
    gone.chain(other).collect()
}

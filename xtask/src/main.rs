//! Chores of the repository, run as `cargo xtask <chore>`.

mod database;
mod prepare;

/// The private cluster of the service itself, compiled once more: see `Cargo.toml` for why this crate does not use attestry.
#[path = "../../src/local_postgres/mod.rs"]
#[allow(dead_code, reason = "the chores need a part of it")]
mod local_postgres;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the attestry repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Writes to `.sqlx/` what the database says about every query in the sources, so that they compile without one.
    Prepare {
        /// Changes nothing; fails when `.sqlx/` is not what it would be.
        #[arg(long)]
        check: bool,
    },
    /// Keeps a private PostgreSQL with a freshly migrated database until Ctrl-C, and prints its `DATABASE_URL`.
    Database {
        /// Where the cluster lives while it runs; it begins empty each time. A temporary directory unless given.
        directory: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Prepare { check } => prepare::prepare(check).await,
        Chore::Database { directory } => database::keep(directory).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The top of the repository.
fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is one level below the top")
}

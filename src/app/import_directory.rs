//! Importing a directory file: upsert by `id`, everything or nothing.

use std::fmt;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

pub use crate::store::directory_import::{Conflict, ImportReport, ListCounts, ObjectCounts};
use crate::{
    domain::{
        directory::{LONGEST_LINE, manager_cycles, parse_line},
        ids::{ObjectId, TenantId},
        violation::Violation,
    },
    store::{
        StoreError,
        directory_import::{DirectoryImport, DirectoryImportStore, NumberedRecord},
    },
};

/// How many faults of a file are told.
const MOST_FAULTS: usize = 20;
/// A batch is staged when it has this many records, or
const BATCH_RECORDS: usize = 5_000;
/// was made of this many bytes.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Progress is told every so many bytes, and at the end.
const PROGRESS_BYTES: u64 = 256 * 1024;

/// Why a file was not imported. Nothing of it was applied.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There is no such tenant.
    #[error("there is no tenant {0}")]
    UnknownTenant(TenantId),
    /// The file could not be read to its end.
    #[error("reading stopped after line {line}: {source}")]
    Read {
        /// The last line that was read.
        line: u64,
        /// What went wrong.
        source: std::io::Error,
    },
    /// Lines that are no records.
    #[error("nothing was imported, because of\n{0}")]
    Lines(Faults<LineFault>),
    /// The lines are well formed, but do not fit together or do not fit the directory.
    #[error("nothing was imported, because of\n{0}")]
    Conflicts(Faults<Conflict>),
    /// Managers in a circle.
    #[error("nothing was imported, because of\n{0}")]
    ManagerCycles(Faults<ManagerCycle>),
    /// The database failed. When it failed at the very end, whether the import took place is unknown; importing the same
    /// file again is safe.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// At least one fault, at most the first twenty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults<T> {
    /// The faults, by line.
    pub first: Vec<T>,
    /// Whether there are, or may be, more than these.
    pub more: bool,
}

impl<T> Faults<T> {
    fn new(mut all: Vec<T>) -> Self {
        let more = all.len() > MOST_FAULTS;
        all.truncate(MOST_FAULTS);
        Self { first: all, more }
    }
}

impl<T: fmt::Display> fmt::Display for Faults<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, fault) in self.first.iter().enumerate() {
            write!(f, "{}  {fault}", if position == 0 { "" } else { "\n" })?;
        }
        if self.more { f.write_str("\n  and more") } else { Ok(()) }
    }
}

/// One fault of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFault {
    /// The number of the line, from 1.
    pub line: u64,
    /// What is wrong; an empty path is the line itself.
    pub violation: Violation,
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, violation: Violation { path, reason, .. } } = self;
        if path.is_empty() { write!(f, "line {line}: {reason}") } else { write!(f, "line {line}: {path}: {reason}") }
    }
}

/// Users each of whom is managed by the next, and the last by the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagerCycle {
    /// The circle, from its smallest id.
    pub users: Vec<ObjectId>,
}

impl fmt::Display for ManagerCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST_USERS: usize = 50;
        f.write_str("manager: these users manage one another in a circle: ")?;
        for user in self.users.iter().take(MOST_USERS) {
            write!(f, "{user} → ")?;
        }
        if self.users.len() > MOST_USERS {
            write!(f, "{} others → ", self.users.len() - MOST_USERS)?;
        }
        self.users.first().map_or(Ok(()), |first| write!(f, "{first}"))
    }
}

/// What an import is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportPhase {
    /// Reads and stages lines.
    Reading,
    /// Waits for other imports of the tenant and checks the file as a whole.
    Checking,
    /// Writes.
    Writing,
}

/// Hears how far an import is. Called from within the import: must return at once.
pub trait ImportProgress: Send + Sync {
    /// A phase begins.
    fn phase(&self, phase: ImportPhase);

    /// So many bytes and lines were read since the beginning.
    fn read(&self, bytes: u64, lines: u64);
}

/// Nobody listens.
#[derive(Clone, Copy, Debug)]
pub struct NoProgress;

impl ImportProgress for NoProgress {
    fn phase(&self, _: ImportPhase) {}

    fn read(&self, _: u64, _: u64) {}
}

/// Imports a directory file: one JSON object per line, upsert by `id`.
///
/// Empty lines and a byte order mark at the beginning are passed over. Either everything is applied or nothing; two imports
/// of one tenant follow each other. Memory in use does not grow with the file, except for 32 bytes per user whose manager is
/// told. Bad lines are all looked for before anything else is checked.
pub async fn import_directory(
    store: &dyn DirectoryImportStore,
    tenant: TenantId,
    source: impl AsyncBufRead + Unpin + Send,
    progress: &dyn ImportProgress,
) -> Result<ImportReport, ImportError> {
    let mut import = store.begin_import(tenant).await?.ok_or(ImportError::UnknownTenant(tenant))?;

    progress.phase(ImportPhase::Reading);
    stage_lines(import.as_mut(), source, progress).await?;

    progress.phase(ImportPhase::Checking);
    import.close_staging().await?;
    check(import.as_mut()).await?;

    progress.phase(ImportPhase::Writing);
    let report = import.apply().await?;
    import.commit(&report).await?;
    Ok(report)
}

async fn stage_lines(
    import: &mut dyn DirectoryImport,
    mut source: impl AsyncBufRead + Unpin + Send,
    progress: &dyn ImportProgress,
) -> Result<(), ImportError> {
    let mut line = Vec::new();
    let mut number = 0;
    let mut bytes = 0;
    let mut told_bytes = 0;
    let mut batch = Vec::new();
    let mut batch_bytes = 0;
    let mut faults = Vec::new();

    while faults.len() <= MOST_FAULTS {
        // one huge line must not keep its memory for the rest of the file
        if line.capacity() > BATCH_BYTES {
            line = Vec::new();
        }
        line.clear();
        // room for the line and "\r\n"
        let mut bounded = (&mut source).take(LONGEST_LINE as u64 + 2);
        let read = bounded.read_until(b'\n', &mut line).await;
        let read = read.map_err(|source| ImportError::Read { line: number, source })?;
        if read == 0 {
            break;
        }
        number += 1;
        bytes += read as u64;
        if bytes - told_bytes >= PROGRESS_BYTES {
            told_bytes = bytes;
            progress.read(bytes, number);
        }

        let fault = |violation| LineFault { line: number, violation };
        if line.len() > LONGEST_LINE && !line.ends_with(b"\n") {
            // the rest of this line would be taken for lines of their own
            faults.push(fault(Violation::new("", format!("is longer than {LONGEST_LINE} bytes"))));
            break;
        }
        let text = match std::str::from_utf8(&line) {
            Ok(text) => text,
            Err(error) => {
                let column = error.valid_up_to() + 1;
                faults.push(fault(Violation::new("", format!("is not UTF-8 at column {column}"))));
                continue;
            }
        };
        let text = if number == 1 { text.trim_start_matches('\u{feff}') } else { text };
        let text = text.trim_ascii_end();
        if text.is_empty() {
            continue;
        }
        match parse_line(text) {
            // once a line is bad the others are only looked at
            Ok(record) if faults.is_empty() => batch.push(NumberedRecord { line: number, record }),
            Ok(_) => {}
            Err(violations) => faults.extend(violations.into_iter().map(fault)),
        }
        batch_bytes += read;
        if batch.len() >= BATCH_RECORDS || batch_bytes >= BATCH_BYTES {
            import.stage(&batch).await?;
            batch.clear();
            batch_bytes = 0;
        }
    }
    progress.read(bytes, number);

    if !faults.is_empty() {
        return Err(ImportError::Lines(Faults::new(faults)));
    }
    import.stage(&batch).await?;
    Ok(())
}

async fn check(import: &mut dyn DirectoryImport) -> Result<(), ImportError> {
    // one more than is told shows whether there are more
    let limit = MOST_FAULTS as u32 + 1;
    let conflicts = import.id_conflicts(limit).await?;
    if !conflicts.is_empty() {
        return Err(ImportError::Conflicts(Faults::new(conflicts)));
    }
    let conflicts = import.conflicts(limit).await?;
    if !conflicts.is_empty() {
        return Err(ImportError::Conflicts(Faults::new(conflicts)));
    }
    let cycles = manager_cycles(import.manager_edges().await?);
    if !cycles.is_empty() {
        let cycles = cycles.into_iter().map(|users| ManagerCycle { users }).collect();
        return Err(ImportError::ManagerCycles(Faults::new(cycles)));
    }
    Ok(())
}

//! Use cases, one a file; each owns its transaction.

pub mod import_directory;

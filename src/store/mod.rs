//! What the service needs of a database, as traits; `pg` fulfils them.

pub mod directory_import;
pub mod pg;

/// The database did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[error("the database failed: {0}")]
pub struct StoreError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

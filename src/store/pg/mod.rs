//! The store on PostgreSQL.

pub mod directory_import;

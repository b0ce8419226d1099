//! The one place where SQLSTATEs and driver errors get a meaning.

use sqlx::Error;

use crate::store::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Database(database) => {
                let code = database.code().unwrap_or_default().into_owned();
                match code.as_str() {
                    // lock_not_available, deadlock_detected, serialization_failure, query_canceled
                    "55P03" | "40P01" | "40001" | "57014" => Kind::Busy,
                    // admin_shutdown, crash_shutdown, cannot_connect_now, too_many_connections, read_only_sql_transaction
                    "57P01" | "57P02" | "57P03" | "53300" | "25006" => Kind::Unavailable,
                    code if code.starts_with("08") => Kind::Unavailable,
                    // A shard may append its number to the name; the constraint is what stands before it.
                    code if code.starts_with("23") => {
                        Kind::Refused(database.constraint().unwrap_or_default().to_owned())
                    }
                    _ => Kind::Other,
                }
            }
            Error::Io(_) | Error::Tls(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => {
                Kind::Unavailable
            }
            _ => Kind::Other,
        };
        match kind {
            Kind::Busy => Self::Busy(error.into()),
            Kind::Unavailable => Self::Unavailable(error.into()),
            Kind::Refused(constraint) => Self::Refused { constraint },
            Kind::Other => Self::Other(error.into()),
        }
    }
}

enum Kind {
    Busy,
    Unavailable,
    Refused(String),
    Other,
}

/// A column that holds what no domain value allows.
pub(super) fn corrupt(table: &'static str, column: &'static str, id: impl ToString) -> StoreError {
    StoreError::Corrupt { table, column, id: id.to_string() }
}

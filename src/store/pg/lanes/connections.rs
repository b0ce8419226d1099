//! The open connections of a lane that nobody uses at the moment, newest first.
//!
//! Not the pool of sqlx: that asks the server after every use whether it still answers, and gives connections back in tasks of their
//! own, which costs more than most of our statements. How many there are is the permits' matter.

use std::{
    collections::VecDeque,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};

use crate::store::StoreError;

/// A connection that was not used for so long is asked first whether it still answers.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// One lane's unused connections, and how to open another.
#[derive(Clone)]
pub(super) struct Connections {
    options: Arc<PgConnectOptions>,
    idle_timeout: Duration,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    /// The one used last comes last.
    idle: VecDeque<Idle>,
    /// Those in use, too.
    open: usize,
    closed: bool,
}

struct Idle {
    connection: Open,
    since: Instant,
}

/// An open connection.
pub(super) struct Open(PgConnection);

impl Deref for Open {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Open {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

impl Connections {
    /// None is opened before it is needed. One that was not used for `idle_timeout` is closed at the next opportunity.
    pub(super) fn new(options: PgConnectOptions, idle_timeout: Duration) -> Self {
        Self { options: Arc::new(options), idle_timeout, kept: Arc::default() }
    }

    /// One that answers: the one used last, else a new one.
    pub(super) async fn take(&self) -> Result<Open, StoreError> {
        loop {
            let next = {
                let mut kept = self.lock();
                if kept.closed {
                    return Err(StoreError::Unavailable("the service is stopping".into()));
                }
                kept.idle.pop_back()
            };
            let Some(mut idle) = next else { break };
            if idle.since.elapsed() < TRUSTED_FOR {
                return Ok(idle.connection);
            }
            // Counted as closed meanwhile: whoever stops asking here leaves nothing behind.
            self.lock().open -= 1;
            if idle.connection.ping().await.is_ok() {
                self.lock().open += 1;
                return Ok(idle.connection);
            }
        }
        let mut connection = self.options.connect().await?;
        connection.execute("set role attestry_service").await?;
        self.lock().open += 1;
        Ok(Open(connection))
    }

    /// Keeps a connection on which nothing is open for the next borrower, and lets go of those that nobody has needed for long.
    pub(super) fn give_back(&self, connection: Open) {
        let mut gone = Vec::new();
        {
            let mut kept = self.lock();
            match kept.closed {
                true => gone.push(connection),
                false => kept.idle.push_back(Idle { connection, since: Instant::now() }),
            }
            while kept.idle.front().is_some_and(|oldest| oldest.since.elapsed() >= self.idle_timeout) {
                gone.extend(kept.idle.pop_front().map(|oldest| oldest.connection));
            }
        }
        for connection in gone {
            self.forget(Some(connection));
        }
    }

    /// Closes a connection.
    pub(super) fn forget(&self, connection: Option<Open>) {
        let Some(Open(connection)) = connection else { return };
        self.lock().open -= 1;
        // Says goodbye where that is possible; the server notices in any case.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(connection.close());
        }
    }

    /// Closes those that nobody uses, and each of the others when it is given back; none is opened any more.
    pub(super) fn close(&self) {
        let idle = {
            let mut kept = self.lock();
            kept.closed = true;
            std::mem::take(&mut kept.idle)
        };
        for idle in idle {
            self.forget(Some(idle.connection));
        }
    }

    /// How many are open, in use or not.
    pub(super) fn open(&self) -> usize {
        self.lock().open
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Nothing in there panics half way.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The connections of each lane: a pool of its own with its own timeouts, and a fair queue in front of it.
//!
//! There are as many permits as connections, so whoever has a permit finds a connection without waiting for anybody; the waiting
//! happens in the queue, where tenants take turns.

mod connections;
mod fair_queue;
mod permits;

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

use self::{
    connections::Connections,
    fair_queue::{Key, Places},
    permits::{Asked, FairPermits, Permit, TooManyWaiting},
};
use crate::{
    domain::ids::TenantId,
    store::{Lane, LaneSizes, StoreError},
};

/// How long a unit waits for its turn and its connection before the caller is told to come back.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// After how long without use a connection is closed: an idle process holds few.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How many units of one tenant wait in a lane; more are told to come back.
const MOST_WAITING_OF_ONE_TENANT: usize = 1_000;

/// The least that a tenant may hold of the interactive lane beside others.
const LEAST_INTERACTIVE_SHARE: usize = 2;
/// For each connection of a lane, so many units are remembered to tell which tenants are there: those that asked lately are about
/// to ask again.
const UNITS_REMEMBERED: usize = 4;

/// How often somebody who waits for the end looks again.
const GLANCE: Duration = Duration::from_millis(10);

/// Whose turn it is: a tenant's, or that of what belongs to none, such as claiming jobs.
type Turn = Option<TenantId>;

impl Key for Turn {
    fn shares(&self) -> bool {
        self.is_some()
    }
}

/// What the sessions of a lane are set to. PostgreSQL's spelling
struct Timeouts {
    /// How long a statement waits for a lock before its unit ends with nothing written.
    lock: &'static str,
    /// How long a statement may take.
    statement: &'static str,
}

impl Timeouts {
    const fn of(lane: Lane) -> Self {
        match lane {
            // Section 5 of the design; clients give up after 100 seconds at the latest (CL-28).
            Lane::Interactive => Self { lock: "4s", statement: "30s" },
            Lane::Bulk => Self { lock: "4s", statement: "10min" },
            // A job that waits keeps one of the few places to work; another try costs nothing. Opening a review of millions of
            // members is one statement.
            Lane::Scheduler => Self { lock: "10s", statement: "60min" },
        }
    }
}

/// How many connections of a lane one tenant may hold at the same time when no other is there, or the scheduler for itself.
///
/// The last ones are kept for others: a tenant whose units all wait for one lock keeps nobody else out. In the scheduler's
/// lane this also means that leases can be kept whatever runs.
fn most_of_one_tenant(lane: Lane, size: usize) -> usize {
    let kept = match lane {
        Lane::Interactive | Lane::Bulk if size >= 4 => (size / 8).max(1),
        Lane::Scheduler if size >= 2 => (size / 8).max(1),
        Lane::Interactive | Lane::Bulk | Lane::Scheduler => 0,
    };
    size - kept
}

/// How many it may hold however many others are there.
///
/// Short units are divided among tenants: a database that does the work of one tenant on every connection has little time for
/// another's, even when a connection is free. Two, so that a slow statement of a tenant does not hold up all else of it. Long units
/// come seldom and are worth a connection that is free, and of jobs only so many run at a time that one which waited for its
/// tenant's share would take the place of another tenant's: there all but the last ones are for whoever comes.
fn least_share(lane: Lane, size: usize) -> usize {
    match lane {
        Lane::Interactive => LEAST_INTERACTIVE_SHARE,
        Lane::Bulk | Lane::Scheduler => most_of_one_tenant(lane, size),
    }
}

/// Every lane's connections.
#[derive(Clone)]
pub(super) struct Lanes {
    interactive: LaneConnections,
    bulk: LaneConnections,
    scheduler: LaneConnections,
}

impl Lanes {
    /// Lanes over these connections; none is opened before it is needed.
    pub(super) fn new(options: &PgConnectOptions, sizes: LaneSizes) -> Self {
        let lane = |lane| LaneConnections::new(options, lane, sizes.of(lane).max(1));
        Self { interactive: lane(Lane::Interactive), bulk: lane(Lane::Bulk), scheduler: lane(Lane::Scheduler) }
    }

    pub(super) const fn lane(&self, lane: Lane) -> &LaneConnections {
        match lane {
            Lane::Interactive => &self.interactive,
            Lane::Bulk => &self.bulk,
            Lane::Scheduler => &self.scheduler,
        }
    }

    /// Closes every connection; waits for those in use.
    pub(super) async fn close(&self) {
        for lane in Lane::ALL {
            self.lane(lane).close().await;
        }
    }
}

/// What a lane's connections are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLoad {
    /// Connections that are open.
    pub open: u32,
    /// Connections in use.
    pub in_use: u32,
    /// Units that wait for one.
    pub waiting: u32,
}

/// One lane's connections.
#[derive(Clone)]
pub(super) struct LaneConnections {
    connections: Connections,
    permits: FairPermits<Turn>,
}

impl LaneConnections {
    fn new(options: &PgConnectOptions, lane: Lane, size: u32) -> Self {
        let Timeouts { lock, statement } = Timeouts::of(lane);
        let options = options.clone().application_name("attestry").options([
            ("lock_timeout", lock),
            ("statement_timeout", statement),
            ("idle_in_transaction_session_timeout", "60s"),
            ("jit", "off"),
        ]);
        let connections = Connections::new(options, IDLE_TIMEOUT);
        let all = usize::try_from(size).unwrap_or(usize::MAX);
        let permits = FairPermits::new(Places {
            all,
            most_of_one_key: most_of_one_tenant(lane, all),
            least_share: least_share(lane, all),
            grants_remembered: all.saturating_mul(UNITS_REMEMBERED),
            most_waiting_of_one_key: MOST_WAITING_OF_ONE_TENANT,
        });
        Self { connections, permits }
    }

    /// A connection for a unit of this tenant, or of none, when its turn has come.
    ///
    /// [`StoreError::Busy`] when too many of the tenant's units wait, or it took too long.
    pub(super) async fn acquire(&self, tenant: Turn) -> Result<LentConnection, StoreError> {
        let permit = match self.permits.ask(tenant).map_err(busy)? {
            Asked::Permit(permit) => permit,
            Asked::Wait(waiting) => match timeout(ACQUIRE_TIMEOUT, waiting.turn()).await {
                Ok(permit) => permit.map_err(busy)?,
                Err(elapsed) => return Err(StoreError::Busy(elapsed.into())),
            },
        };
        let connection = match timeout(ACQUIRE_TIMEOUT, self.connections.take()).await {
            Ok(connection) => connection?,
            Err(elapsed) => return Err(StoreError::Unavailable(elapsed.into())),
        };
        Ok(LentConnection {
            connection: Some(connection),
            home: self.connections.clone(),
            sound: false,
            _permit: permit,
        })
    }

    /// Opens no connection any more and closes those that are open, each when it is given back; waits for that.
    async fn close(&self) {
        self.connections.close();
        while self.permits.load().0 > 0 {
            tokio::time::sleep(GLANCE).await;
        }
    }

    pub(super) fn load(&self) -> LaneLoad {
        let (in_use, waiting) = self.permits.load();
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        LaneLoad { open: number(self.connections.open()), in_use: number(in_use), waiting: number(waiting) }
    }
}

fn busy(reason: TooManyWaiting) -> StoreError {
    StoreError::Busy(reason.into())
}

/// A connection, and the turn that it was lent for: both go back when it is dropped, the connection first.
pub(super) struct LentConnection {
    /// `None` once it is closed.
    connection: Option<connections::Open>,
    home: Connections,
    /// Whether the last thing it did went well.
    sound: bool,
    _permit: Permit<Turn>,
}

impl LentConnection {
    /// To be said when nothing is open and after an answer without error: the next borrower may rely on it. A connection of which
    /// this was not said is closed, whatever became of its borrower.
    pub(super) fn is_sound(&mut self) {
        self.sound = true;
    }

    /// Closes the connection instead of giving it back.
    pub(super) fn close_on_drop(&mut self) {
        self.home.forget(self.connection.take());
    }
}

impl Drop for LentConnection {
    fn drop(&mut self) {
        match self.connection.take() {
            Some(connection) if self.sound => self.home.give_back(connection),
            connection => self.home.forget(connection),
        }
    }
}

impl Deref for LentConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect("a lent connection is closed at its end only")
    }
}

impl DerefMut for LentConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("a lent connection is closed at its end only")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tenant_alone_has_every_connection_of_a_lane_that_has_some() {
        let most = |lane, sizes: [usize; 7]| sizes.map(|size| most_of_one_tenant(lane, size));
        let sizes = [1, 2, 3, 4, 8, 11, 32];
        assert_eq!(most(Lane::Interactive, sizes), [1, 2, 3, 3, 7, 10, 28]);
        assert_eq!(most(Lane::Bulk, sizes), [1, 2, 3, 3, 7, 10, 28]);
        assert_eq!(most(Lane::Scheduler, sizes), [1, 1, 2, 3, 7, 10, 28]);
    }
}

//! A run of a report: requested, in progress, done or failed. LC-HIST-01, LC-HIST-03 to 13
//!
//! Two transactions. The first says that it has begun and plans the next run; the second reads one snapshot row by row, writes the
//! text in pieces and says that it is done. A worker that dies leaves nothing of the second behind, and the next one begins it
//! again.

use serde_json::json;

use super::{event, requested};
use crate::{
    app::{Refused, Services, ids},
    domain::{
        event::Activity,
        history::{
            self, FinishedReport, HistoryDefinition, HistoryInstance, HistoryStatus, HistoryTiming,
            report::{HEADER, ReportRow},
        },
        ids::HistoryInstanceId,
    },
    store::{Actor, ClaimedJob, Job, NewJob, Outcome, StoreError, UnitOfWork, history::ReportQuery},
};

/// How often a report is tried before it counts as failed; the backoff doubles from 1 s.
const ATTEMPTS: i32 = 8;
/// Rows read at a time.
const ROWS_AT_A_TIME: u16 = 2_000;
/// A piece of text is finished with the row that makes it this long, in bytes.
const PIECE_BYTES: usize = 256 * 1024;
/// Every so many rows the lease on the job is renewed, for this long.
const ROWS_A_LEASE: i64 = 50_000;
const LEASE_SECONDS: i32 = 60;

/// Runs a report whose time has come, or goes on with one that a worker left.
pub(in crate::app) async fn run_report(
    services: &Services,
    job: &ClaimedJob,
    id: HistoryInstanceId,
) -> Result<(), Refused> {
    if !begin(services, job, id).await? {
        return Ok(());
    }
    match write(services, job, id).await {
        Ok(()) => Ok(()),
        // a database that was away or busy says nothing about the report: it is tried as long as that lasts
        Err(Refused::Store(
            error @ (StoreError::LeaseLost | StoreError::Unknown(_) | StoreError::Busy(_) | StoreError::Unavailable(_)),
        )) => Err(error.into()),
        Err(error) if job.attempt >= ATTEMPTS => fail(services, job, id, &error).await,
        Err(error) => Err(error),
    }
}

/// Definition and run, locked in this order; `None` when one is gone.
async fn lock(
    uow: &mut dyn UnitOfWork,
    id: HistoryInstanceId,
) -> Result<Option<(HistoryDefinition, HistoryInstance)>, StoreError> {
    let Some(found) = uow.history().find_instance(id).await? else { return Ok(None) };
    let Some(definition) = uow.history().lock(found.definition_id).await? else { return Ok(None) };
    Ok(uow.history().lock_instance(id).await?.map(|instance| (definition, instance)))
}

/// Whether there is something to write now; if not, the job has been dealt with.
async fn begin(services: &Services, job: &ClaimedJob, id: HistoryInstanceId) -> Result<bool, Refused> {
    let mut uow = services.begin(job.tenant).await?;
    let now = uow.now();
    let Some((mut definition, mut instance)) = lock(&mut *uow, id).await? else {
        uow.jobs().finish(job, Outcome::Obsolete).await?;
        uow.commit().await?;
        return Ok(false);
    };
    match instance.status {
        HistoryStatus::InProgress => return Ok(true),
        HistoryStatus::Requested if now < instance.run_at => {
            uow.jobs().postpone(job, instance.run_at).await?;
            uow.commit().await?;
            return Ok(false);
        }
        HistoryStatus::Requested => {}
        HistoryStatus::Done | HistoryStatus::Error => {
            uow.jobs().finish(job, Outcome::Obsolete).await?;
            uow.commit().await?;
            return Ok(false);
        }
    }
    instance.status = HistoryStatus::InProgress;
    uow.history().update_instance(&instance).await?;
    definition.status = HistoryStatus::InProgress;
    uow.history().update(&definition).await?;
    if let Some(next) = next_run(&definition, &instance) {
        let (next, job) = requested(definition.id, instance.occurrence + 1, next, true);
        uow.history().insert_instance(&next).await?;
        uow.jobs().enqueue(&[job]).await?;
    }
    let begun =
        event(Activity::ReportStatusChanged, &definition, Some(id), json!({ "status": instance.status.as_str() }));
    uow.events().append(&Actor::system(), &[begun]).await?;
    uow.commit().await?;
    services.work.notify_waiters();
    Ok(true)
}

/// The run after this one.
fn next_run(definition: &HistoryDefinition, instance: &HistoryInstance) -> Option<history::Run> {
    let next = u32::try_from(instance.occurrence).ok()?.checked_add(1)?;
    history::run(&definition.draft.timing, definition.created_at, next)
}

/// The definition after a run has ended: a recurring one ends with its last run.
fn conclude(definition: &mut HistoryDefinition, instance: &HistoryInstance) {
    if next_run(definition, instance).is_some() {
        return;
    }
    definition.status = instance.status;
    match definition.draft.timing {
        HistoryTiming::Once(_) => {}
        HistoryTiming::Recurring(_) => definition.expires_at = Some(instance.expires_at),
    }
}

async fn write(services: &Services, job: &ClaimedJob, id: HistoryInstanceId) -> Result<(), Refused> {
    let mut uow = services.begin(job.tenant).await?;
    let now = uow.now();
    let report = match write_pieces(services, job, &mut *uow, id).await? {
        Some((rows, bytes, pieces)) => FinishedReport { at: now, rows, bytes, pieces },
        None => return give_up(services, job, uow).await,
    };
    // It may have been deleted meanwhile; then what was written goes with this transaction.
    let Some((mut definition, mut instance)) = lock(&mut *uow, id).await? else {
        return give_up(services, job, uow).await;
    };
    instance.status = HistoryStatus::Done;
    instance.finished = Some(report);
    instance.expires_at = history::expiry(now);
    conclude(&mut definition, &instance);
    let facts = json!({ "status": instance.status.as_str(), "rows": report.rows, "bytes": report.bytes });
    end(&mut *uow, &definition, &instance, facts).await?;
    uow.jobs().finish(job, Outcome::Done).await?;
    Ok(uow.commit().await?)
}

/// Takes back what the unit wrote and ends the job.
async fn give_up(services: &Services, job: &ClaimedJob, uow: Box<dyn UnitOfWork>) -> Result<(), Refused> {
    drop(uow);
    let mut uow = services.begin(job.tenant).await?;
    uow.jobs().finish(job, Outcome::Obsolete).await?;
    Ok(uow.commit().await?)
}

/// The last try failed.
async fn fail(services: &Services, job: &ClaimedJob, id: HistoryInstanceId, error: &Refused) -> Result<(), Refused> {
    let mut uow = services.begin(job.tenant).await?;
    let now = uow.now();
    if let Some((mut definition, mut instance)) = lock(&mut *uow, id).await? {
        instance.status = HistoryStatus::Error;
        instance.expires_at = history::expiry(now);
        conclude(&mut definition, &instance);
        let facts = json!({ "status": instance.status.as_str(), "reason": error.to_string() });
        end(&mut *uow, &definition, &instance, facts).await?;
    }
    uow.jobs().finish(job, Outcome::GivenUp).await?;
    Ok(uow.commit().await?)
}

/// Stores how a run ended and plans its deletion.
async fn end(
    uow: &mut dyn UnitOfWork,
    definition: &HistoryDefinition,
    instance: &HistoryInstance,
    facts: serde_json::Value,
) -> Result<(), StoreError> {
    uow.history().update_instance(instance).await?;
    uow.history().update(definition).await?;
    let job = Job::ExpireReport { instance: instance.id };
    uow.jobs().enqueue(&[NewJob { id: ids::job(), job, due_at: instance.expires_at }]).await?;
    let ended = event(Activity::ReportStatusChanged, definition, Some(instance.id), facts);
    uow.events().append(&Actor::system(), &[ended]).await
}

/// Writes the text; answers rows, bytes and pieces, or `None` when the definition is gone.
async fn write_pieces(
    services: &Services,
    job: &ClaimedJob,
    uow: &mut dyn UnitOfWork,
    id: HistoryInstanceId,
) -> Result<Option<(i64, i64, i32)>, Refused> {
    let Some(instance) = uow.history().find_instance(id).await? else { return Ok(None) };
    let Some(definition) = uow.history().find(instance.definition_id).await? else { return Ok(None) };
    let query = ReportQuery {
        scope_texts: definition.draft.scopes.iter().map(|scope| scope.text.clone()).collect(),
        period: instance.period,
        decisions: definition.draft.decisions.clone(),
        readable_kinds: definition.readable_kinds.clone(),
        creator: definition.created_by.id,
    };
    uow.history().open_report(&query).await?;
    let mut text = Pieces::new()?;
    let mut written = 0;
    let mut renewed_at = 0;
    let mut rows = uow.history().read_report(ROWS_AT_A_TIME).await?;
    loop {
        let is_last = rows.is_empty();
        // Text is made of these rows while the database finds the next ones.
        let writing = tokio::task::spawn_blocking(move || {
            for row in &rows {
                text.push(row)?;
            }
            let pieces = text.take_finished(is_last)?;
            Ok::<_, StoreError>((text, pieces))
        });
        rows = match is_last {
            true => Vec::new(),
            false => uow.history().read_report(ROWS_AT_A_TIME).await?,
        };
        let pieces;
        (text, pieces) = writing.await.map_err(unwritable)??;
        if !pieces.is_empty() {
            uow.history().append_pieces(id, written, &pieces).await?;
            written += i32::try_from(pieces.len()).unwrap_or(i32::MAX);
        }
        if is_last {
            return Ok(Some((text.rows, text.bytes, written)));
        }
        if text.rows - renewed_at >= ROWS_A_LEASE {
            renewed_at = text.rows;
            if !services.queue.renew(job, LEASE_SECONDS).await? {
                return Err(StoreError::LeaseLost.into());
            }
        }
    }
}

/// CSV text, cut between rows.
struct Pieces {
    writer: csv::Writer<Vec<u8>>,
    finished: Vec<Vec<u8>>,
    rows: i64,
    bytes: i64,
}

impl Pieces {
    /// Begins with the header row.
    fn new() -> Result<Self, StoreError> {
        let mut pieces = Self { writer: new_writer(), finished: Vec::new(), rows: 0, bytes: 0 };
        pieces.writer.write_record(HEADER).map_err(unwritable)?;
        Ok(pieces)
    }

    fn push(&mut self, row: &ReportRow) -> Result<(), StoreError> {
        for cell in row.cells() {
            self.writer.write_field(&*cell).map_err(unwritable)?;
        }
        self.writer.write_record(None::<&[u8]>).map_err(unwritable)?;
        self.rows += 1;
        // The writer's own buffer is small against a piece.
        if self.writer.get_ref().len() >= PIECE_BYTES {
            self.cut()?;
        }
        Ok(())
    }

    fn cut(&mut self) -> Result<(), StoreError> {
        let writer = std::mem::replace(&mut self.writer, new_writer());
        let piece = writer.into_inner().map_err(unwritable)?;
        self.bytes += i64::try_from(piece.len()).unwrap_or(i64::MAX);
        self.finished.push(piece);
        Ok(())
    }

    /// The pieces finished since the last call; at the end, what is left too.
    fn take_finished(&mut self, is_last: bool) -> Result<Vec<Vec<u8>>, StoreError> {
        if is_last {
            self.cut()?;
            self.finished.retain(|piece| !piece.is_empty());
        }
        Ok(std::mem::take(&mut self.finished))
    }
}

fn new_writer() -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::with_capacity(2 * PIECE_BYTES))
}

/// Memory is always writable and every row has as many cells as the header.
fn unwritable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Other(Box::new(error))
}

#[cfg(test)]
mod tests;

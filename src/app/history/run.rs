//! A run of a report: requested, in progress, done or failed. LC-HIST-01, LC-HIST-03 to 13
//!
//! Two transactions. The first says that it has begun and plans the next run; the second reads one snapshot row by row, writes the
//! text in pieces and says that it is done. A worker that dies leaves nothing of the second behind, and the next one begins it
//! again.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc::{self, Receiver, UnboundedReceiver, UnboundedSender};

use super::{event, requested};
use crate::{
    app::{Refused, Services, ids},
    domain::{
        event::Activity,
        history::{
            self, FinishedReport, HistoryDefinition, HistoryInstance, HistoryStatus, HistoryTiming,
            report::{HEADER, ReportRow, ReportedReview},
        },
        ids::HistoryInstanceId,
    },
    store::{Actor, ClaimedJob, Job, NewJob, Outcome, StoreError, UnitOfWork, history::ReportQuery},
};

/// How often a report is tried before it counts as failed; the backoff doubles from 1 s.
const ATTEMPTS: i32 = 8;
/// Rows read between two times that finished pieces are stored.
const ROWS_AT_A_TIME: u16 = 4_000;
/// So many groups of rows wait for being made text of, at most.
const GROUPS_AHEAD: usize = 2;
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
    // Text is made of the rows while the database finds more of them.
    let (sender, rows) = mpsc::channel(GROUPS_AHEAD);
    let (finished, mut pieces) = mpsc::unbounded_channel();
    let writing = tokio::task::spawn_blocking(move || write_text(rows, &finished));
    let mut written = 0;
    let (mut read, mut renewed_at) = (0_i64, 0);
    loop {
        let found = uow.history().read_report(ROWS_AT_A_TIME, &sender).await?;
        if found < ROWS_AT_A_TIME {
            break;
        }
        store_finished(uow, id, &mut pieces, &mut written).await?;
        read += i64::from(found);
        if read - renewed_at >= ROWS_A_LEASE {
            renewed_at = read;
            if !services.queue.renew(job, LEASE_SECONDS).await? {
                return Err(StoreError::LeaseLost.into());
            }
        }
    }
    drop(sender);
    let (rows, bytes) = writing.await.map_err(|error| StoreError::Other(error.into()))?;
    store_finished(uow, id, &mut pieces, &mut written).await?;
    Ok(Some((rows, bytes, written)))
}

/// Stores the pieces that are finished by now.
async fn store_finished(
    uow: &mut dyn UnitOfWork,
    id: HistoryInstanceId,
    pieces: &mut UnboundedReceiver<Vec<u8>>,
    written: &mut i32,
) -> Result<(), StoreError> {
    let finished: Vec<_> = std::iter::from_fn(|| pieces.try_recv().ok()).collect();
    if !finished.is_empty() {
        uow.history().append_pieces(id, *written, &finished).await?;
        *written += i32::try_from(finished.len()).unwrap_or(i32::MAX);
    }
    Ok(())
}

/// Makes text of all rows that come and hands on its pieces; answers how many rows and bytes there were.
fn write_text(mut rows: Receiver<Vec<ReportRow>>, finished: &UnboundedSender<Vec<u8>>) -> (i64, i64) {
    let mut text = Pieces::new();
    let hand_on = |piece: Option<_>| {
        if let Some(piece) = piece {
            // When nobody takes it the report was given up, and no rows come any more either.
            let _given_up = finished.send(piece);
        }
    };
    while let Some(rows) = rows.blocking_recv() {
        for row in &rows {
            hand_on(text.push(row));
        }
    }
    hand_on(text.take_rest());
    (text.rows, text.bytes)
}

/// CSV text, cut between rows.
struct Pieces {
    writer: csv_core::Writer,
    text: Vec<u8>,
    /// The review of the last row, and how the rows of it begin.
    review: Option<(Arc<ReportedReview>, Vec<u8>)>,
    rows: i64,
    bytes: i64,
}

impl Pieces {
    /// Begins with the header row.
    fn new() -> Self {
        let (mut writer, mut text) = (csv_core::Writer::new(), new_piece());
        HEADER.iter().for_each(|name| push_cell(&mut writer, &mut text, name));
        end_row(&mut text);
        Self { writer, text, review: None, rows: 0, bytes: 0 }
    }

    /// Adds a row; the piece that is finished with it.
    fn push(&mut self, row: &ReportRow) -> Option<Vec<u8>> {
        match &self.review {
            Some((review, beginning)) if Arc::ptr_eq(review, &row.review) => self.text.extend_from_slice(beginning),
            _ => {
                let mut beginning = Vec::new();
                row.review.cells().for_each(|cell| push_cell(&mut self.writer, &mut beginning, cell));
                self.text.extend_from_slice(&beginning);
                self.review = Some((Arc::clone(&row.review), beginning));
            }
        }
        row.own_cells().iter().for_each(|cell| push_cell(&mut self.writer, &mut self.text, cell));
        end_row(&mut self.text);
        self.rows += 1;
        (self.text.len() >= PIECE_BYTES).then(|| self.cut())
    }

    fn cut(&mut self) -> Vec<u8> {
        let piece = std::mem::replace(&mut self.text, new_piece());
        self.bytes += i64::try_from(piece.len()).unwrap_or(i64::MAX);
        piece
    }

    /// The last piece, unless the text ended with a whole one.
    fn take_rest(&mut self) -> Option<Vec<u8>> {
        (!self.text.is_empty()).then(|| self.cut())
    }
}

fn new_piece() -> Vec<u8> {
    Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 8)
}

/// Adds a cell and the comma after it. RFC 4180
fn push_cell(writer: &mut csv_core::Writer, text: &mut Vec<u8>, cell: &str) {
    let from = text.len();
    // Room for two quotes, every character twice, and the comma.
    text.resize(from + 2 * cell.len() + 3, 0);
    let (_, _, cell_bytes) = writer.field(cell.as_bytes(), &mut text[from..]);
    let (_, end_bytes) = writer.delimiter(&mut text[from + cell_bytes..]);
    text.truncate(from + cell_bytes + end_bytes);
}

/// Makes the comma after the last cell the end of the row.
fn end_row(text: &mut Vec<u8>) {
    text.pop();
    text.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;

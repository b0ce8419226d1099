//! Rows on their way into a staging table, in PostgreSQL's binary copy format.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

/// Signature, no flags, no header extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// A buffer this full, in bytes, is worth a statement of its own.
const FULL: usize = 1024 * 1024;
/// 2000-01-01T00:00:00Z, PostgreSQL's beginning of time, in microseconds since 1970.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;
/// The object id of the type `text`, which an array of texts names.
const TEXT_OID: i32 = 25;

/// Rows of one table that were not sent yet.
pub(super) struct CopyBuffer {
    statement: &'static str,
    columns: i16,
    bytes: Vec<u8>,
    rows: u64,
}

impl CopyBuffer {
    /// A buffer for `copy … from stdin (format binary)` with that many columns.
    pub(super) const fn new(statement: &'static str, columns: i16) -> Self {
        Self { statement, columns, bytes: Vec::new(), rows: 0 }
    }

    /// Begins a row; each of its columns must follow, in order.
    pub(super) fn row(&mut self) -> Row<'_> {
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(HEADER);
        }
        self.bytes.extend_from_slice(&self.columns.to_be_bytes());
        self.rows += 1;
        Row { bytes: &mut self.bytes }
    }

    /// How many rows were begun, sent or not.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Sends what there is, if that is much.
    pub(super) async fn send_if_full(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.bytes.len() >= FULL { self.send(connection).await } else { Ok(()) }
    }

    /// Sends what there is.
    pub(super) async fn send(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        self.bytes.extend_from_slice(&TRAILER);
        let mut copy = connection.copy_in_raw(self.statement).await?;
        copy.send(self.bytes.as_slice()).await?;
        copy.finish().await?;
        self.bytes.clear();
        Ok(())
    }
}

/// A row being written.
pub(super) struct Row<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Row<'_> {
    fn column(self, value: &[u8]) -> Self {
        // lines are limited to far less than what 32 bits count
        self.bytes.extend_from_slice(&(value.len() as i32).to_be_bytes());
        self.bytes.extend_from_slice(value);
        self
    }

    fn null(self) -> Self {
        self.bytes.extend_from_slice(&(-1_i32).to_be_bytes());
        self
    }

    /// `bigint`
    pub(super) fn number(self, value: u64) -> Self {
        self.column(&value.to_be_bytes())
    }

    /// `uuid`
    pub(super) fn uuid(self, value: Uuid) -> Self {
        self.column(value.as_bytes())
    }

    /// `uuid`, or null.
    pub(super) fn uuid_or_null(self, value: Option<Uuid>) -> Self {
        match value {
            Some(value) => self.uuid(value),
            None => self.null(),
        }
    }

    /// `boolean`
    pub(super) fn flag(self, value: bool) -> Self {
        self.column(&[u8::from(value)])
    }

    /// `boolean`, or null.
    pub(super) fn flag_or_null(self, value: Option<bool>) -> Self {
        match value {
            Some(value) => self.flag(value),
            None => self.null(),
        }
    }

    /// `text`
    pub(super) fn text(self, value: &str) -> Self {
        self.column(value.as_bytes())
    }

    /// `text`, or null.
    pub(super) fn text_or_null(self, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    /// `timestamptz`, or null.
    pub(super) fn moment_or_null(self, value: Option<DateTime<Utc>>) -> Self {
        match value {
            Some(value) => self.column(&(value.timestamp_micros() - POSTGRES_EPOCH).to_be_bytes()),
            None => self.null(),
        }
    }

    /// `text[]`, or null.
    pub(super) fn texts_or_null(self, value: Option<&[String]>) -> Self {
        let Some(texts) = value else { return self.null() };
        let mut array = Vec::new();
        let dimensions = i32::from(!texts.is_empty());
        for number in [dimensions, 0, TEXT_OID] {
            array.extend_from_slice(&number.to_be_bytes());
        }
        if dimensions == 1 {
            for number in [texts.len() as i32, 1] {
                array.extend_from_slice(&number.to_be_bytes());
            }
        }
        for text in texts {
            array.extend_from_slice(&(text.len() as i32).to_be_bytes());
            array.extend_from_slice(text.as_bytes());
        }
        self.column(&array)
    }
}

//! The journal's rows. Numbers come from the rowid: the highest plus one, so a transaction that is
//! rolled back leaves no gap.

use backupd_base::{Context, Result};
use backupd_protocol::{Event, Severity};
use chrono::{DateTime, SubsecRound as _, Utc};
use rusqlite::{Connection, Row, params, types::Type};
use serde::{Serialize, de::DeserializeOwned};

use crate::journal::Entry;

/// The table.
pub const TABLE: &str = "
CREATE TABLE events (
    seq       INTEGER PRIMARY KEY,
    at        TEXT NOT NULL,
    kind      TEXT NOT NULL,
    severity  TEXT NOT NULL,
    message   TEXT NOT NULL,
    source_id TEXT,
    job_id    TEXT,
    data      TEXT NOT NULL
) STRICT;
";

/// Appends `entry` as it happens now.
///
/// # Errors
/// When the store cannot be written.
pub fn append(db: &Connection, entry: &Entry) -> Result<Event> {
    let at = Utc::now().trunc_subsecs(3);
    db.prepare_cached(
        "INSERT INTO events (at, kind, severity, message, source_id, job_id, data)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            at,
            entry.kind,
            json(&entry.severity),
            entry.message,
            entry.source_id.as_ref().map(|id| id.as_str()),
            entry.job_id.as_ref().map(|id| id.as_str()),
            json(&entry.data),
        ])
    })
    .with_context(|| format!("write event {}", entry.kind))?;
    Ok(Event {
        seq: u64::try_from(db.last_insert_rowid()).expect("rowids made by SQLite start at 1"),
        at,
        kind: entry.kind.to_owned(),
        severity: entry.severity,
        message: entry.message.clone(),
        source_id: entry.source_id.clone(),
        job_id: entry.job_id.clone(),
        data: entry.data.clone(),
    })
}

/// Up to `limit` events after number `seq`, oldest first.
///
/// # Errors
/// When the store cannot be read.
pub fn after(db: &Connection, seq: u64, limit: u32) -> Result<Vec<Event>> {
    db.prepare_cached("SELECT * FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2")
        .and_then(|mut query| {
            query
                .query_map(
                    params![i64::try_from(seq).unwrap_or(i64::MAX), limit],
                    event,
                )?
                .collect()
        })
        .context("read events")
}

/// Number of the newest event; 0 when there is none.
///
/// # Errors
/// When the store cannot be read.
pub fn last(db: &Connection) -> Result<u64> {
    db.query_row("SELECT COALESCE(MAX(seq), 0) FROM events", [], |row| {
        row.get::<_, i64>(0)
    })
    .map(i64::unsigned_abs)
    .context("read the number of the newest event")
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let severity: Severity = parsed(row, "severity")?;
    Ok(Event {
        seq: row.get::<_, i64>("seq")?.unsigned_abs(),
        at: row.get::<_, DateTime<Utc>>("at")?,
        kind: row.get("kind")?,
        severity,
        message: row.get("message")?,
        source_id: id(row, "source_id")?,
        job_id: id(row, "job_id")?,
        data: parsed(row, "data")?,
    })
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("maps of text and plain enums serialize")
}

fn parsed<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    let index = row.as_ref().column_index(column)?;
    let text: String = row.get(index)?;
    serde_json::from_str(&text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(e)))
}

fn id<T: std::str::FromStr>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let index = row.as_ref().column_index(column)?;
    row.get::<_, Option<String>>(index)?
        .map(|text| text.parse())
        .transpose()
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(e)))
}

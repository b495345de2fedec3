//! How far the schedule of each source was seen to, and what came of its last runs.

use backupd_base::{Context, JobId, Result, SourceId};
use backupd_policy::schedule::Schedule;
use backupd_protocol::{RunOutcome, ScheduledRun};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::{json, optional_id, parsed};

/// The tables. A run is known by its source and the time it was due.
pub const TABLE: &str = "
CREATE TABLE schedules (
    source_id TEXT PRIMARY KEY,
    schedule  TEXT NOT NULL,
    handled   TEXT NOT NULL
) STRICT;
CREATE TABLE schedule_runs (
    source_id  TEXT NOT NULL,
    due        TEXT NOT NULL,
    handled_at TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    reason     TEXT,
    job_id     TEXT,
    PRIMARY KEY (source_id, due)
) STRICT;
";

/// Runs of a source that are remembered; the journal has them all.
pub const KEPT: u32 = 200;

/// A schedule as it was when it was last seen to.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// What it was.
    pub schedule: Schedule,
    /// Every run that was due up to here is accounted for.
    pub handled: DateTime<Utc>,
}

/// How far a source's schedule was seen to.
///
/// # Errors
/// When the store cannot be read.
pub fn get(db: &Connection, source: &SourceId) -> Result<Option<State>> {
    db.prepare_cached("SELECT * FROM schedules WHERE source_id = ?1")
        .and_then(|mut query| query.query_row([source.as_str()], state).optional())
        .with_context(|| format!("read the schedule of source {source}"))
}

/// Writes how far it was seen to.
///
/// # Errors
/// When the store cannot be written.
pub fn put(db: &Connection, source: &SourceId, state: &State) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO schedules VALUES (?1, ?2, ?3) ON CONFLICT (source_id)
         DO UPDATE SET schedule = excluded.schedule, handled = excluded.handled",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            source.as_str(),
            json(&state.schedule),
            state.handled
        ])
    })
    .with_context(|| format!("write the schedule of source {source}"))?;
    Ok(())
}

/// Forgets how far it was seen to: it has no schedule any more. Its runs stay.
///
/// # Errors
/// When the store cannot be written.
pub fn delete(db: &Connection, source: &SourceId) -> Result<()> {
    db.execute(
        "DELETE FROM schedules WHERE source_id = ?1",
        [source.as_str()],
    )
    .with_context(|| format!("forget the schedule of source {source}"))?;
    Ok(())
}

/// Forgets everything about a source.
///
/// # Errors
/// When the store cannot be written.
pub fn forget(db: &Connection, source: &SourceId) -> Result<()> {
    delete(db, source)?;
    db.execute(
        "DELETE FROM schedule_runs WHERE source_id = ?1",
        [source.as_str()],
    )
    .with_context(|| format!("forget the runs of source {source}"))?;
    Ok(())
}

/// Writes what came of a run, in place of what came of it before.
///
/// # Errors
/// When the store cannot be written.
pub fn put_run(db: &Connection, source: &SourceId, run: &ScheduledRun) -> Result<()> {
    let write = || {
        db.prepare_cached("INSERT OR REPLACE INTO schedule_runs VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                source.as_str(),
                run.due,
                run.handled_at,
                json(&run.outcome),
                run.reason,
                run.job_id.as_ref().map(JobId::as_str),
            ])?;
        db.prepare_cached(
            "DELETE FROM schedule_runs WHERE source_id = ?1 AND due <= (SELECT due
             FROM schedule_runs WHERE source_id = ?1 ORDER BY due DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![source.as_str(), KEPT])
    };
    write().with_context(|| format!("write a run of source {source}"))?;
    Ok(())
}

/// The last runs of a source, newest first.
///
/// # Errors
/// When the store cannot be read.
pub fn runs(db: &Connection, source: &SourceId, limit: u32) -> Result<Vec<ScheduledRun>> {
    db.prepare_cached("SELECT * FROM schedule_runs WHERE source_id = ?1 ORDER BY due DESC LIMIT ?2")
        .and_then(|mut query| {
            query
                .query_map(params![source.as_str(), limit], scheduled_run)?
                .collect()
        })
        .with_context(|| format!("read the runs of source {source}"))
}

fn state(row: &Row<'_>) -> rusqlite::Result<State> {
    Ok(State {
        schedule: parsed(row, "schedule")?,
        handled: row.get("handled")?,
    })
}

fn scheduled_run(row: &Row<'_>) -> rusqlite::Result<ScheduledRun> {
    let outcome: RunOutcome = parsed(row, "outcome")?;
    Ok(ScheduledRun {
        due: row.get("due")?,
        handled_at: row.get("handled_at")?,
        outcome,
        reason: row.get("reason")?,
        job_id: optional_id(row, "job_id")?,
    })
}

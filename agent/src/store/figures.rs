//! What the tables add up to, for monitoring. One pass over a table each, whatever the number of
//! sources.

use std::collections::HashMap;

use backupd_base::{Context, Result, SourceId};
use backupd_protocol::{JobKind, JobState};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row};

use super::column::{id, json, parsed};

/// How the backups of one source went.
#[derive(Debug, Clone, PartialEq)]
pub struct Backups {
    /// State of the newest job.
    pub state: JobState,
    /// The last that completed.
    pub success: Option<Success>,
    /// Jobs that failed since.
    pub failures: u64,
}

/// A backup that completed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Success {
    /// When.
    pub at: DateTime<Utc>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// What the catalogue has of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Snapshots.
    pub count: u64,
    /// When the newest was made.
    pub newest_at: DateTime<Utc>,
    /// Bytes of the files and dumps in the newest.
    pub content_bytes: u64,
    /// Size of its archive.
    pub stored_bytes: u64,
    /// Entries in it.
    pub files: u64,
}

/// How the backups of each source went.
///
/// # Errors
/// When the store cannot be read.
pub fn backups(db: &Connection) -> Result<HashMap<SourceId, Backups>> {
    let read = || -> rusqlite::Result<_> {
        let mut query = db.prepare_cached(
            "SELECT source_id, state, started_at, finished_at FROM jobs WHERE kind = ?1
             ORDER BY rowid",
        )?;
        let mut rows = query.query([json(&JobKind::Backup)])?;
        let mut found = HashMap::new();
        while let Some(row) = rows.next()? {
            let state = parsed(row, "state")?;
            let backups = found.entry(id(row, "source_id")?).or_insert(Backups {
                state,
                success: None,
                failures: 0,
            });
            backups.state = state;
            match state {
                JobState::Failed => backups.failures += 1,
                JobState::Completed => {
                    backups.success = success(row)?;
                    backups.failures = 0;
                }
                JobState::Pending | JobState::Running | JobState::Cancelled => {}
            }
        }
        Ok(found)
    };
    read().context("read how the backups went")
}

/// What the catalogue has of each source.
///
/// # Errors
/// When the store cannot be read.
pub fn kept(db: &Connection) -> Result<HashMap<SourceId, Kept>> {
    // Beside MAX the other columns are those of its row: <https://sqlite.org/lang_select.html>.
    db.prepare_cached(
        "SELECT source_id, COUNT(*) AS count, MAX(sequence), created_at, content_bytes,
         stored_bytes, files FROM snapshots GROUP BY source_id",
    )
    .and_then(|mut query| {
        query
            .query_map([], |row| {
                let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
                let kept = Kept {
                    count: number("count")?,
                    newest_at: row.get("created_at")?,
                    content_bytes: number("content_bytes")?,
                    stored_bytes: number("stored_bytes")?,
                    files: number("files")?,
                };
                Ok((id(row, "source_id")?, kept))
            })?
            .collect()
    })
    .context("count the snapshots")
}

/// How many jobs, of any kind, are in each state; states without any are absent.
///
/// # Errors
/// When the store cannot be read.
pub fn jobs(db: &Connection) -> Result<HashMap<JobState, u64>> {
    db.prepare_cached("SELECT state, COUNT(*) AS count FROM jobs GROUP BY state")
        .and_then(|mut query| {
            query
                .query_map([], |row| {
                    let count: i64 = row.get("count")?;
                    Ok((parsed(row, "state")?, count.unsigned_abs()))
                })?
                .collect()
        })
        .context("count the jobs")
}

fn success(row: &Row<'_>) -> rusqlite::Result<Option<Success>> {
    let started: Option<DateTime<Utc>> = row.get("started_at")?;
    let finished: Option<DateTime<Utc>> = row.get("finished_at")?;
    Ok(started.zip(finished).map(|(started, at)| Success {
        at,
        // A clock that was put back meanwhile makes no negative time.
        seconds: (at - started).as_seconds_f64().max(0.0),
    }))
}

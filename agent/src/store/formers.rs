//! Former states kept by restores in place, until they are confirmed or brought back. A row is
//! written before anything it speaks of is touched.

use backupd_base::{Context, JobId, Result, SourceId};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Serialize, de::DeserializeOwned};

use super::column::json;

/// The table. A source has at most one former state.
pub const TABLE: &str = "
CREATE TABLE formers (
    job_id    TEXT PRIMARY KEY,
    source_id TEXT NOT NULL UNIQUE,
    former    TEXT NOT NULL
) STRICT;
";

/// Writes down (anew) what a restore keeps.
///
/// # Errors
/// When the store cannot be written, or the source keeps another former state.
pub fn put<T: Serialize>(
    db: &Connection,
    job: &JobId,
    source: &SourceId,
    former: &T,
) -> Result<()> {
    db.execute(
        "INSERT INTO formers VALUES (?1, ?2, ?3)
         ON CONFLICT (job_id) DO UPDATE SET former = excluded.former",
        params![job.as_str(), source.as_str(), json(former)],
    )
    .context("write down the former state")?;
    Ok(())
}

/// What a restore keeps.
///
/// # Errors
/// When the store cannot be read.
pub fn get<T: DeserializeOwned>(db: &Connection, job: &JobId) -> Result<Option<T>> {
    let text: Option<String> = db
        .query_row(
            "SELECT former FROM formers WHERE job_id = ?1",
            [job.as_str()],
            |row| row.get(0),
        )
        .optional()
        .context("read the former state")?;
    text.map(|text| serde_json::from_str(&text).context("read the former state"))
        .transpose()
}

/// Everything that is kept.
///
/// # Errors
/// When the store cannot be read.
pub fn all<T: DeserializeOwned>(db: &Connection) -> Result<Vec<T>> {
    let texts: Vec<String> = db
        .prepare("SELECT former FROM formers ORDER BY rowid")
        .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
        .context("read former states")?;
    let parsed = texts.iter().map(|text| serde_json::from_str(text));
    parsed
        .collect::<Result<_, _>>()
        .context("read former states")
}

/// The job whose restore keeps a former state of a source.
///
/// # Errors
/// When the store cannot be read.
pub fn of_source(db: &Connection, source: &SourceId) -> Result<Option<String>> {
    db.query_row(
        "SELECT job_id FROM formers WHERE source_id = ?1",
        [source.as_str()],
        |row| row.get(0),
    )
    .optional()
    .context("look for a former state of the source")
}

/// Forgets a former state that is gone, or back.
///
/// # Errors
/// When the store cannot be written.
pub fn delete(db: &Connection, job: &JobId) -> Result<()> {
    db.execute("DELETE FROM formers WHERE job_id = ?1", [job.as_str()])
        .context("forget the former state")?;
    Ok(())
}

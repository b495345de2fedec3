//! What is on its way to a store: one row per job and provider from before the first byte until
//! the snapshot is in the catalogue or every trace of it is gone, and the uploads begun for it.
//!
//! After a crash these rows are all that is known of what lies half-done elsewhere.

use backupd_base::{Code, Context, Error, JobId, ProviderId, Result};
use backupd_protocol::Snapshot;
use backupd_storage::OpenUpload;
use rusqlite::{Connection, Row, params};

use super::column::{id, json, parsed};

/// The tables.
pub const TABLE: &str = "
CREATE TABLE transfers (
    job_id      TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    prefix      TEXT NOT NULL,
    manifest    BLOB,
    snapshot    TEXT NOT NULL,
    PRIMARY KEY (job_id, provider_id)
) STRICT;
CREATE TABLE uploads (
    job_id      TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    upload      TEXT NOT NULL,
    FOREIGN KEY (job_id, provider_id) REFERENCES transfers (job_id, provider_id) ON DELETE CASCADE
) STRICT;
";

/// A snapshot on its way to one provider.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// The job.
    pub job_id: JobId,
    /// The provider.
    pub provider_id: ProviderId,
    /// The snapshot's folder there, with its closing slash.
    pub prefix: String,
    /// The bytes of `manifest.json`, once it is about to be written, and the snapshot it commits.
    pub commit: Option<(Vec<u8>, Snapshot)>,
    /// Uploads begun.
    pub uploads: Vec<OpenUpload>,
}

/// Notes that something is about to be written below `prefix`.
///
/// # Errors
/// When the store cannot be written.
pub fn begin(db: &Connection, job: &JobId, provider: &ProviderId, prefix: &str) -> Result<()> {
    db.execute(
        "INSERT INTO transfers VALUES (?1, ?2, ?3, NULL, 'null')",
        params![job.as_str(), provider.as_str(), prefix],
    )
    .context("write down a transfer")?;
    Ok(())
}

/// Notes an upload before its first part is sent.
///
/// # Errors
/// When the store cannot be written.
pub fn upload(
    db: &Connection,
    job: &JobId,
    provider: &ProviderId,
    upload: &OpenUpload,
) -> Result<()> {
    db.execute(
        "INSERT INTO uploads VALUES (?1, ?2, ?3)",
        params![job.as_str(), provider.as_str(), json(upload)],
    )
    .context("write down an upload")?;
    Ok(())
}

/// Notes that the manifest is about to be written: from now on the snapshot may exist.
///
/// # Errors
/// `Cancelled` when the transfer was settled meanwhile; when the store cannot be written.
pub fn commit(
    db: &Connection,
    job: &JobId,
    provider: &ProviderId,
    manifest: &[u8],
    snapshot: &Snapshot,
) -> Result<()> {
    let changed = db
        .execute(
            "UPDATE transfers SET manifest = ?3, snapshot = ?4
             WHERE job_id = ?1 AND provider_id = ?2",
            params![job.as_str(), provider.as_str(), manifest, json(snapshot)],
        )
        .context("write down the commit of a snapshot")?;
    if changed == 0 {
        let why = format!("what job {job} has sent was removed before its manifest was written");
        return Err(Error::new(Code::Cancelled, why));
    }
    Ok(())
}

/// Forgets a transfer that came to its end, either way.
///
/// # Errors
/// When the store cannot be written.
pub fn settle(db: &Connection, job: &JobId, provider: &ProviderId) -> Result<()> {
    db.execute(
        "DELETE FROM transfers WHERE job_id = ?1 AND provider_id = ?2",
        params![job.as_str(), provider.as_str()],
    )
    .context("settle a transfer")?;
    Ok(())
}

/// Every transfer that has not come to its end; of one job, if one is named.
///
/// # Errors
/// When the store cannot be read.
pub fn open(db: &Connection, job: Option<&JobId>) -> Result<Vec<Transfer>> {
    db.prepare_cached("SELECT * FROM transfers WHERE ?1 IS NULL OR job_id = ?1 ORDER BY rowid")
        .and_then(|mut query| {
            query
                .query_map([job.map(JobId::as_str)], |row| transfer(db, row))?
                .collect()
        })
        .context("read open transfers")
}

/// Whether a transfer has not come to its end.
///
/// # Errors
/// When the store cannot be read.
pub fn is_open(db: &Connection, job: &JobId, provider: &ProviderId) -> Result<bool> {
    db.prepare_cached("SELECT 1 FROM transfers WHERE job_id = ?1 AND provider_id = ?2")
        .and_then(|mut query| query.exists(params![job.as_str(), provider.as_str()]))
        .context("look for an open transfer")
}

fn transfer(db: &Connection, row: &Row<'_>) -> rusqlite::Result<Transfer> {
    let job_id: JobId = id(row, "job_id")?;
    let provider_id: ProviderId = id(row, "provider_id")?;
    let manifest: Option<Vec<u8>> = row.get("manifest")?;
    let snapshot: Option<Snapshot> = parsed(row, "snapshot")?;
    let mut query =
        db.prepare_cached("SELECT upload FROM uploads WHERE job_id = ?1 AND provider_id = ?2")?;
    let uploads = query
        .query_map([job_id.as_str(), provider_id.as_str()], |row| {
            parsed(row, "upload")
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Transfer {
        job_id,
        provider_id,
        prefix: row.get("prefix")?,
        commit: manifest.zip(snapshot),
        uploads,
    })
}

//! Snapshots that are about to be deleted from a store: a row from before the first object goes
//! until the catalogue has forgotten it. After a crash these rows are all that is known of it.

use backupd_base::{Code, Context, Error, ProviderId, Result, SnapshotId};
use backupd_policy::retention::RemoveReason;
use rusqlite::{Connection, Row, params};

use super::column::{id, json, parsed};

/// The table.
pub const TABLE: &str = "
CREATE TABLE removals (
    snapshot_id TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    reason      TEXT NOT NULL,
    manifest    TEXT,
    PRIMARY KEY (snapshot_id, provider_id)
) STRICT;
";

/// A snapshot that goes from one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Which.
    pub snapshot_id: SnapshotId,
    /// From where.
    pub provider_id: ProviderId,
    /// Why.
    pub reason: RemoveReason,
    /// Its `manifest.json`, for the chain, where it could be read.
    pub manifest: Option<String>,
}

/// Writes down that a snapshot is about to go.
///
/// # Errors
/// When the store cannot be written.
pub fn begin(db: &Connection, removal: &Removal) -> Result<()> {
    db.execute(
        "INSERT OR IGNORE INTO removals VALUES (?1, ?2, ?3, ?4)",
        params![
            removal.snapshot_id.as_str(),
            removal.provider_id.as_str(),
            json(&removal.reason),
            removal.manifest,
        ],
    )
    .with_context(|| format!("write down the removal of snapshot {}", removal.snapshot_id))?;
    Ok(())
}

/// Those that have not come to their end.
///
/// # Errors
/// When the store cannot be read.
pub fn open(db: &Connection) -> Result<Vec<Removal>> {
    db.prepare_cached("SELECT * FROM removals ORDER BY rowid")
        .and_then(|mut query| query.query_map([], removal)?.collect())
        .context("read the removals that were begun")
}

/// Forgets one that came to its end.
///
/// # Errors
/// When the store cannot be written.
pub fn end(db: &Connection, snapshot: &SnapshotId, provider: &ProviderId) -> Result<()> {
    db.execute(
        "DELETE FROM removals WHERE snapshot_id = ?1 AND provider_id = ?2",
        [snapshot.as_str(), provider.as_str()],
    )
    .with_context(|| format!("end the removal of snapshot {snapshot}"))?;
    Ok(())
}

/// Checks that a snapshot is not about to go from any store.
///
/// # Errors
/// `Conflict` when it is.
pub fn check_stays(db: &Connection, snapshot: &SnapshotId) -> Result<()> {
    let goes: bool = db
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM removals WHERE snapshot_id = ?1)",
            [snapshot.as_str()],
            |row| row.get(0),
        )
        .context("read the removals that were begun")?;
    if !goes {
        return Ok(());
    }
    let why = format!("snapshot {snapshot} is being removed by the retention of its source");
    Err(Error::new(Code::Conflict, why))
}

fn removal(row: &Row<'_>) -> rusqlite::Result<Removal> {
    Ok(Removal {
        snapshot_id: id(row, "snapshot_id")?,
        provider_id: id(row, "provider_id")?,
        reason: parsed(row, "reason")?,
        manifest: row.get("manifest")?,
    })
}

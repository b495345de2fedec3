//! Snapshots that no store has any more, as links of their sources' chains: the next snapshot
//! follows them, and a master that was away can follow the chain across them.

use backupd_base::{Context, Result, SourceId};
use backupd_protocol::{RemovedSnapshot, Snapshot};
use chrono::{SubsecRound as _, Utc};
use rusqlite::{Connection, Row, params};

use super::column::id;

/// The table.
pub const TABLE: &str = "
CREATE TABLE removed (
    id              TEXT PRIMARY KEY,
    source_id       TEXT NOT NULL,
    sequence        INTEGER NOT NULL,
    manifest_sha256 TEXT NOT NULL,
    manifest        TEXT,
    removed_at      TEXT NOT NULL,
    UNIQUE (source_id, sequence)
) STRICT;
";

/// Notes a snapshot that has left the catalogue, with its `manifest.json` where it is at hand.
///
/// # Errors
/// When the store cannot be written.
pub fn note(db: &Connection, snapshot: &Snapshot, manifest: Option<&str>) -> Result<()> {
    db.execute(
        "INSERT INTO removed VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            snapshot.id.as_str(),
            snapshot.source_id.as_str(),
            i64::try_from(snapshot.sequence).unwrap_or(i64::MAX),
            snapshot.manifest_sha256,
            manifest,
            Utc::now().trunc_subsecs(3),
        ],
    )
    .with_context(|| format!("note that snapshot {} is gone", snapshot.id))?;
    Ok(())
}

/// Up to `limit` of those of `source` that come after place `after` in its chain, in its order.
///
/// # Errors
/// When the store cannot be read.
pub fn list(
    db: &Connection,
    source: &SourceId,
    after: u64,
    limit: u32,
) -> Result<Vec<RemovedSnapshot>> {
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    db.prepare_cached(
        "SELECT * FROM removed WHERE source_id = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
    )
    .and_then(|mut query| {
        query
            .query_map(params![source.as_str(), after, limit], removed)?
            .collect()
    })
    .context("read removed snapshots")
}

fn removed(row: &Row<'_>) -> rusqlite::Result<RemovedSnapshot> {
    Ok(RemovedSnapshot {
        id: id(row, "id")?,
        source_id: id(row, "source_id")?,
        sequence: row.get::<_, i64>("sequence")?.unsigned_abs(),
        manifest_sha256: row.get("manifest_sha256")?,
        manifest: row.get("manifest")?,
        removed_at: row.get("removed_at")?,
    })
}

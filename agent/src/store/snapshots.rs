//! The catalogue: snapshots whose manifest is committed. It never holds one in the making.

use backupd_base::{Context, ProviderId, Result, SnapshotId, SourceId};
use backupd_protocol::Snapshot;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    column::{id, json, parsed},
    removed,
};

/// The table.
pub const TABLE: &str = "
CREATE TABLE snapshots (
    id              TEXT PRIMARY KEY,
    tenant_id       TEXT NOT NULL,
    source_id       TEXT NOT NULL,
    job_id          TEXT NOT NULL,
    providers       TEXT NOT NULL,
    sequence        INTEGER NOT NULL,
    created_at      TEXT NOT NULL,
    stored_bytes    INTEGER NOT NULL,
    content_bytes   INTEGER NOT NULL,
    files           INTEGER NOT NULL,
    manifest_sha256 TEXT NOT NULL,
    consistent      INTEGER NOT NULL,
    warnings        TEXT NOT NULL,
    UNIQUE (source_id, sequence)
) STRICT;
";

/// Whether somebody asked for it to stay.
pub const HELD: &str = "ALTER TABLE snapshots ADD COLUMN held INTEGER NOT NULL DEFAULT 0;";

/// Enters a snapshot, or adds its providers to it.
///
/// # Errors
/// When the store cannot be written.
pub fn enter(db: &Connection, snapshot: &Snapshot) -> Result<()> {
    let mut providers = match find(db, &snapshot.id)? {
        Some(known) => known.providers,
        None => Vec::new(),
    };
    for provider in &snapshot.providers {
        if !providers.contains(provider) {
            providers.push(provider.clone());
        }
    }
    db.prepare_cached(
        "INSERT INTO snapshots VALUES
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (id) DO UPDATE SET providers = excluded.providers",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            snapshot.id.as_str(),
            snapshot.tenant_id.as_str(),
            snapshot.source_id.as_str(),
            snapshot.job_id.as_str(),
            json(&providers),
            whole(snapshot.sequence),
            snapshot.created_at,
            whole(snapshot.stored_bytes),
            whole(snapshot.content_bytes),
            whole(snapshot.files),
            snapshot.manifest_sha256,
            snapshot.consistent,
            json(&snapshot.warnings),
            snapshot.held,
        ])
    })
    .with_context(|| format!("enter snapshot {}", snapshot.id))?;
    Ok(())
}

/// The newest first; of one source, if one is named.
///
/// # Errors
/// When the store cannot be read.
pub fn list(db: &Connection, source: Option<&SourceId>) -> Result<Vec<Snapshot>> {
    db.prepare_cached(
        "SELECT * FROM snapshots WHERE ?1 IS NULL OR source_id = ?1
         ORDER BY created_at DESC, sequence DESC",
    )
    .and_then(|mut query| {
        query
            .query_map([source.map(SourceId::as_str)], snapshot)?
            .collect()
    })
    .context("read snapshots")
}

/// One snapshot.
///
/// # Errors
/// `NotFound` when it is not in the catalogue.
pub fn get(db: &Connection, id: &SnapshotId) -> Result<Snapshot> {
    find(db, id)?.with_context(|| format!("there is no snapshot {id}"))
}

/// Holds a snapshot, or lets it go again. Answers whether that changed anything.
///
/// # Errors
/// `NotFound` when it is not in the catalogue.
pub fn hold(db: &Connection, id: &SnapshotId, held: bool) -> Result<bool> {
    get(db, id)?;
    let changed = db
        .execute(
            "UPDATE snapshots SET held = ?2 WHERE id = ?1 AND held <> ?2",
            params![id.as_str(), held],
        )
        .with_context(|| format!("hold snapshot {id}"))?;
    Ok(changed > 0)
}

/// Notes that a provider no longer has a snapshot. One that no provider has leaves the catalogue
/// and stays a link of its chain, with its `manifest.json` where it is at hand. Answers whether
/// the provider was one of its.
///
/// # Errors
/// When the store cannot be written.
pub fn forget(
    db: &Connection,
    id: &SnapshotId,
    provider: &ProviderId,
    manifest: Option<&str>,
) -> Result<bool> {
    let Some(mut snapshot) = find(db, id)? else {
        return Ok(false);
    };
    let had = snapshot.providers.len();
    snapshot.providers.retain(|p| p != provider);
    let changed = if snapshot.providers.is_empty() {
        removed::note(db, &snapshot, manifest)?;
        db.execute("DELETE FROM snapshots WHERE id = ?1", [id.as_str()])
    } else {
        db.execute(
            "UPDATE snapshots SET providers = ?2 WHERE id = ?1",
            params![id.as_str(), json(&snapshot.providers)],
        )
    };
    changed.with_context(|| format!("forget where snapshot {id} was"))?;
    Ok(snapshot.providers.len() < had)
}

/// The last link of a source's chain, gone or not: sequence and hash of the manifest.
///
/// # Errors
/// When the store cannot be read.
pub fn head(db: &Connection, source: &SourceId) -> Result<Option<(u64, String)>> {
    db.query_row(
        "SELECT sequence, manifest_sha256 FROM (
             SELECT source_id, sequence, manifest_sha256 FROM snapshots
             UNION ALL SELECT source_id, sequence, manifest_sha256 FROM removed)
         WHERE source_id = ?1 ORDER BY sequence DESC LIMIT 1",
        [source.as_str()],
        |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?)),
    )
    .optional()
    .context("read the head of the source's chain")
}

fn find(db: &Connection, id: &SnapshotId) -> Result<Option<Snapshot>> {
    db.prepare_cached("SELECT * FROM snapshots WHERE id = ?1")
        .and_then(|mut query| query.query_row([id.as_str()], snapshot).optional())
        .with_context(|| format!("read snapshot {id}"))
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn snapshot(row: &Row<'_>) -> rusqlite::Result<Snapshot> {
    let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    Ok(Snapshot {
        id: id(row, "id")?,
        tenant_id: id(row, "tenant_id")?,
        source_id: id(row, "source_id")?,
        job_id: id(row, "job_id")?,
        providers: parsed(row, "providers")?,
        sequence: number("sequence")?,
        created_at: row.get("created_at")?,
        stored_bytes: number("stored_bytes")?,
        content_bytes: number("content_bytes")?,
        files: number("files")?,
        manifest_sha256: row.get("manifest_sha256")?,
        consistent: row.get("consistent")?,
        warnings: parsed(row, "warnings")?,
        held: row.get("held")?,
    })
}

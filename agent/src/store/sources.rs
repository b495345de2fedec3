//! What this node backs up.

use backupd_base::{Context, Result, SourceId};
use backupd_protocol::Source;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    column::{json, parsed},
    providers::Origin,
    schedules,
};

/// The table.
pub const TABLE: &str = "
CREATE TABLE sources (
    id     TEXT PRIMARY KEY,
    origin TEXT NOT NULL,
    name   TEXT NOT NULL,
    source TEXT NOT NULL
) STRICT;
";

/// A source as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Who put it here.
    pub origin: Origin,
    /// The source.
    pub source: Source,
}

/// Writes a source in place of what has its id.
///
/// # Errors
/// When the store cannot be written.
pub fn put(db: &Connection, kept: &Kept) -> Result<()> {
    let source = &kept.source;
    db.prepare_cached("INSERT OR REPLACE INTO sources VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut statement| {
            statement.execute(params![
                source.id.as_str(),
                kept.origin.as_str(),
                source.name,
                json(source),
            ])
        })
        .with_context(|| format!("write source {}", source.id))?;
    Ok(())
}

/// One source.
///
/// # Errors
/// When the store cannot be read.
pub fn get(db: &Connection, id: &SourceId) -> Result<Option<Kept>> {
    db.prepare_cached("SELECT * FROM sources WHERE id = ?1")
        .and_then(|mut query| query.query_row([id.as_str()], kept).optional())
        .with_context(|| format!("read source {id}"))
}

/// All sources, by name.
///
/// # Errors
/// When the store cannot be read.
pub fn list(db: &Connection) -> Result<Vec<Kept>> {
    db.prepare_cached("SELECT * FROM sources ORDER BY name, id")
        .and_then(|mut query| query.query_map([], kept)?.collect())
        .context("read the sources")
}

/// Forgets a source and how far its schedule was seen to; its snapshots stay.
///
/// # Errors
/// When the store cannot be written.
pub fn delete(db: &Connection, id: &SourceId) -> Result<()> {
    db.execute("DELETE FROM sources WHERE id = ?1", [id.as_str()])
        .with_context(|| format!("forget source {id}"))?;
    schedules::forget(db, id)
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        origin: Origin::read(row)?,
        source: parsed(row, "source")?,
    })
}

//! Single facts about this agent, by name.

use backupd_base::{Context, Result};
use rusqlite::{Connection, OptionalExtension as _};

/// The table.
pub const TABLE: &str = "
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
";

/// The fact called `key`.
///
/// # Errors
/// When the store cannot be read.
pub fn get(db: &Connection, key: &str) -> Result<Option<String>> {
    db.prepare_cached("SELECT value FROM meta WHERE key = ?1")
        .and_then(|mut query| query.query_row([key], |row| row.get(0)).optional())
        .with_context(|| format!("read fact {key}"))
}

/// Sets the fact called `key`.
///
/// # Errors
/// When the store cannot be written.
pub fn set(db: &Connection, key: &str, value: &str) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO meta (key, value) VALUES (?1, ?2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )
    .and_then(|mut statement| statement.execute([key, value]))
    .with_context(|| format!("write fact {key}"))?;
    Ok(())
}

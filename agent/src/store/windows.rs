//! Pairing windows and what is left of their attempts. The codes themselves are nowhere on disk.

use backupd_base::{Context, Result};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, params};

/// The table.
pub const TABLE: &str = "
CREATE TABLE pairing_windows (
    id            TEXT PRIMARY KEY,
    opened_at     TEXT NOT NULL,
    expires_at    TEXT NOT NULL,
    attempts_left INTEGER NOT NULL CHECK (attempts_left >= 0),
    closed        INTEGER NOT NULL DEFAULT 0
) STRICT;
";

/// Opens a window; every other one is closed.
///
/// # Errors
/// When the store cannot be written.
pub fn open(db: &Connection, id: &str, expires_at: DateTime<Utc>, attempts: u32) -> Result<()> {
    db.execute("UPDATE pairing_windows SET closed = 1", [])
        .and_then(|_| {
            db.execute(
                "INSERT INTO pairing_windows (id, opened_at, expires_at, attempts_left)
                 VALUES (?1, ?2, ?3, ?4)",
                params![id, Utc::now(), expires_at, attempts],
            )
        })
        .context("open a pairing window")?;
    Ok(())
}

/// Takes one attempt; how many are left then, or `None` when there was none to take.
///
/// # Errors
/// When the store cannot be written.
pub fn take_attempt(db: &Connection, id: &str) -> Result<Option<u32>> {
    db.query_row(
        "UPDATE pairing_windows SET attempts_left = attempts_left - 1
         WHERE id = ?1 AND closed = 0 AND attempts_left > 0
         RETURNING attempts_left",
        [id],
        |row| row.get(0),
    )
    .optional()
    .context("take a pairing attempt")
}

/// Closes a window, and every other one.
///
/// # Errors
/// When the store cannot be written.
pub fn close(db: &Connection) -> Result<()> {
    db.execute("UPDATE pairing_windows SET closed = 1", [])
        .context("close the pairing window")?;
    Ok(())
}

/// Whether there ever was one.
///
/// # Errors
/// When the store cannot be read.
pub fn any(db: &Connection) -> Result<bool> {
    db.query_row("SELECT EXISTS (SELECT 1 FROM pairing_windows)", [], |row| {
        row.get(0)
    })
    .context("read the pairing windows")
}

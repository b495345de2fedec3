//! Stores this node knows: its own folder, those of the configuration, those of the master.

use std::path::PathBuf;

use backupd_base::{Context, ProviderId, Result};
use backupd_protocol::{Provider, ProviderKind};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::{id, json, parsed};

/// The table.
pub const TABLE: &str = "
CREATE TABLE providers (
    id               TEXT PRIMARY KEY,
    origin           TEXT NOT NULL,
    name             TEXT NOT NULL,
    kind             TEXT NOT NULL,
    sealed           TEXT,
    credentials_file TEXT
) STRICT;
";

/// Who put a row here; the others leave it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Always there.
    BuiltIn,
    /// The configuration file.
    Config,
    /// The master.
    Master,
}

impl Origin {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built_in",
            Self::Config => "config",
            Self::Master => "master",
        }
    }

    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(match row.get_ref("origin")?.as_str()? {
            "built_in" => Self::BuiltIn,
            "config" => Self::Config,
            _ => Self::Master,
        })
    }
}

/// A store as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Who put it here.
    pub origin: Origin,
    /// The store, with its sealed credentials as they came.
    pub provider: Provider,
    /// Where the configuration says its credentials are.
    pub credentials_file: Option<PathBuf>,
}

/// Writes a store in place of what has its id.
///
/// # Errors
/// When the store cannot be written.
pub fn put(db: &Connection, kept: &Kept) -> Result<()> {
    let Kept {
        origin,
        provider,
        credentials_file,
    } = kept;
    db.prepare_cached("INSERT OR REPLACE INTO providers VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
        .and_then(|mut statement| {
            statement.execute(params![
                provider.id.as_str(),
                origin.as_str(),
                provider.name,
                json(&provider.kind),
                provider.sealed_credentials,
                credentials_file.as_ref().map(|path| path.to_string_lossy()),
            ])
        })
        .with_context(|| format!("write provider {}", provider.id))?;
    Ok(())
}

/// One store.
///
/// # Errors
/// When the store cannot be read.
pub fn get(db: &Connection, id: &ProviderId) -> Result<Option<Kept>> {
    db.prepare_cached("SELECT * FROM providers WHERE id = ?1")
        .and_then(|mut query| query.query_row([id.as_str()], kept).optional())
        .with_context(|| format!("read provider {id}"))
}

/// All stores, by name.
///
/// # Errors
/// When the store cannot be read.
pub fn list(db: &Connection) -> Result<Vec<Kept>> {
    db.prepare_cached("SELECT * FROM providers ORDER BY origin, name, id")
        .and_then(|mut query| query.query_map([], kept)?.collect())
        .context("read the providers")
}

/// Forgets a store; what is in it stays.
///
/// # Errors
/// When the store cannot be written.
pub fn delete(db: &Connection, id: &ProviderId) -> Result<()> {
    db.execute("DELETE FROM providers WHERE id = ?1", [id.as_str()])
        .with_context(|| format!("forget provider {id}"))?;
    Ok(())
}

/// Forgets the credentials a master sealed for this node.
///
/// # Errors
/// When the store cannot be written.
pub fn forget_sealed(db: &Connection) -> Result<()> {
    db.execute("UPDATE providers SET sealed = NULL", [])
        .context("forget sealed credentials")?;
    Ok(())
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let kind: ProviderKind = parsed(row, "kind")?;
    Ok(Kept {
        origin: Origin::read(row)?,
        provider: Provider {
            id: id(row, "id")?,
            name: row.get("name")?,
            kind,
            sealed_credentials: row.get("sealed")?,
        },
        credentials_file: row
            .get::<_, Option<String>>("credentials_file")?
            .map(PathBuf::from),
    })
}

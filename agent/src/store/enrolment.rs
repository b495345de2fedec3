//! Who enrolled this node: one row, or none.

use backupd_base::{Context, NodeId, Result, TenantId};
use backupd_protocol::{
    pairing::{ApiKeyDigest, Enrolment},
    tls::Pin,
};
use chrono::{DateTime, SubsecRound as _, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::{id, json, parsed};

/// The table.
pub const TABLE: &str = "
CREATE TABLE enrolment (
    one            INTEGER PRIMARY KEY CHECK (one = 1),
    node_id        TEXT NOT NULL,
    tenant_id      TEXT NOT NULL,
    recipients     TEXT NOT NULL,
    master_pin     BLOB NOT NULL CHECK (length(master_pin) = 32),
    api_key_sha256 BLOB NOT NULL CHECK (length(api_key_sha256) = 32),
    enrolled_at    TEXT NOT NULL
) STRICT;
";

/// What the node keeps of its enrolment. Of the API key, its digest only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// The id the master gave.
    pub node_id: NodeId,
    /// Whose data it holds, unless a source says otherwise.
    pub tenant_id: TenantId,
    /// age recipients of tenant and recovery kit.
    pub recipients: Vec<String>,
    /// The master's TLS key.
    pub master: Pin,
    /// What the master's API key is checked against.
    pub api_key: ApiKeyDigest,
    /// Since when.
    pub enrolled_at: DateTime<Utc>,
}

impl Enrolled {
    /// What to keep of `enrolment`, made by the master with the key `master`, now.
    #[must_use]
    pub fn new(enrolment: &Enrolment, master: Pin) -> Self {
        Self {
            node_id: enrolment.node_id.clone(),
            tenant_id: enrolment.tenant_id.clone(),
            recipients: enrolment.recipients.clone(),
            master,
            api_key: enrolment.api_key.digest(),
            enrolled_at: Utc::now().trunc_subsecs(3),
        }
    }
}

/// The enrolment, if there is one.
///
/// # Errors
/// When the store cannot be read.
pub fn get(db: &Connection) -> Result<Option<Enrolled>> {
    db.query_row("SELECT * FROM enrolment", [], enrolled)
        .optional()
        .context("read the enrolment")
}

/// Enrols, in place of whoever was before.
///
/// # Errors
/// When the store cannot be written.
pub fn set(db: &Connection, enrolled: &Enrolled) -> Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO enrolment VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            enrolled.node_id.as_str(),
            enrolled.tenant_id.as_str(),
            json(&enrolled.recipients),
            enrolled.master.as_bytes(),
            enrolled.api_key.as_bytes(),
            enrolled.enrolled_at,
        ],
    )
    .context("write the enrolment")?;
    Ok(())
}

/// Ends it.
///
/// # Errors
/// When the store cannot be written.
pub fn clear(db: &Connection) -> Result<()> {
    db.execute("DELETE FROM enrolment", [])
        .context("end the enrolment")?;
    Ok(())
}

fn enrolled(row: &Row<'_>) -> rusqlite::Result<Enrolled> {
    Ok(Enrolled {
        node_id: id(row, "node_id")?,
        tenant_id: id(row, "tenant_id")?,
        recipients: parsed(row, "recipients")?,
        master: row.get::<_, [u8; 32]>("master_pin")?.into(),
        api_key: row.get::<_, [u8; 32]>("api_key_sha256")?.into(),
        enrolled_at: row.get("enrolled_at")?,
    })
}

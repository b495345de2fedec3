//! Snapshots as the agent's catalogue lists them.

use backupd_base::{JobId, ProviderId, SnapshotId, SourceId, TenantId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// `GET /snapshots`: what a completed job left in storage. Its objects:
/// `GET /snapshots/{id}/manifest`, `/files` (the encrypted index), `/download` (the encrypted
/// archive), each with `?provider=` and `Range`, from a local store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Whose data it is.
    pub tenant_id: TenantId,
    /// Of which source.
    pub source_id: SourceId,
    /// The job that made it.
    pub job_id: JobId,
    /// The providers that hold it, whole.
    pub providers: Vec<ProviderId>,
    /// Position in the source's chain, from 1.
    pub sequence: u64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Size of the encrypted archive.
    pub stored_bytes: u64,
    /// Bytes of the files and dumps in it.
    pub content_bytes: u64,
    /// Entries in it.
    pub files: u64,
    /// SHA-256 of `manifest.json`, hex.
    pub manifest_sha256: String,
    /// Whether database and files are one consistent point; the reason is in the warnings.
    pub consistent: bool,
    /// What the job warned of.
    pub warnings: Vec<String>,
    /// Somebody asked for it to stay, whatever the retention says.
    #[serde(default)]
    pub held: bool,
}

/// `GET /snapshots/removed?source=&after=`: a snapshot that the agent's catalogue no longer has, as
/// a link of its source's chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemovedSnapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Of which source.
    pub source_id: SourceId,
    /// Position in the source's chain, from 1.
    pub sequence: u64,
    /// SHA-256 of its `manifest.json`, hex.
    pub manifest_sha256: String,
    /// Its `manifest.json`, where the agent removed it itself.
    pub manifest: Option<String>,
    /// When it went.
    pub removed_at: DateTime<Utc>,
}

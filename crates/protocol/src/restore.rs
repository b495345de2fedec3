//! Restores on the node itself.

use backupd_base::{ProviderId, SecretString, SnapshotId};
use serde::Deserialize;

/// Where a restore goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum RestoreTarget {
    /// Into a fresh folder on the node; nothing that exists is touched.
    Folder {
        /// Absolute path; must not exist or be empty.
        path: String,
    },
    /// Over the source: files staged beside it and swapped, the database reloaded, the former
    /// state kept until confirmed.
    InPlace,
}

/// The two file keys of one snapshot, lent for one restore: they open this snapshot and no other.
/// Held in memory only.
#[derive(Debug, Clone, Deserialize)]
pub struct LentKeys {
    /// age file key (16 bytes) of the archive, base64.
    pub archive: SecretString,
    /// age file key (16 bytes) of the index, base64.
    pub index: SecretString,
}

/// `POST /restores`: makes a job of kind RESTORE. `POST /restores/{job_id}/confirm` drops the
/// kept former state, `POST /restores/{job_id}/undo` brings it back.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoreCreate {
    /// Which snapshot.
    pub snapshot_id: SnapshotId,
    /// Read it from here.
    pub provider_id: ProviderId,
    /// Paths inside the snapshot (a folder means all below it); empty for all.
    pub paths: Vec<String>,
    /// Where it goes.
    pub target: RestoreTarget,
    /// What opens it.
    pub keys: LentKeys,
}

impl RestoreCreate {
    /// The body to send. It holds the lent keys in the clear: for the pinned connection only.
    #[must_use]
    pub fn to_secret_json(&self) -> SecretString {
        use backupd_base::ExposeSecret as _;
        serde_json::json!({
            "snapshot_id": self.snapshot_id,
            "provider_id": self.provider_id,
            "paths": self.paths,
            "target": self.target,
            "keys": {
                "archive": self.keys.archive.expose_secret(),
                "index": self.keys.index.expose_secret(),
            },
        })
        .to_string()
        .into()
    }
}

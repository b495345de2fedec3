//! Reading a snapshot back on the node.

use backupd_base::ProviderId;
use serde::{Deserialize, Serialize};

use crate::{ErrorBody, LentKeys};

/// `POST /snapshots/{id}/verify`: reads the snapshot back from one store, whole, and checks every
/// hash; writes nothing. The answer is a stream of [`VerifyLine`]s, one JSON text a line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyCreate {
    /// Read it from here.
    pub provider_id: ProviderId,
    /// What opens it.
    pub keys: LentKeys,
}

impl VerifyCreate {
    /// The body to send. It holds the lent keys in the clear: for the pinned connection only.
    #[must_use]
    pub fn to_secret_json(&self) -> backupd_base::SecretString {
        use backupd_base::ExposeSecret as _;
        serde_json::json!({
            "provider_id": self.provider_id,
            "keys": {
                "archive": self.keys.archive.expose_secret(),
                "index": self.keys.index.expose_secret(),
            },
        })
        .to_string()
        .into()
    }
}

/// How far a verification is, or how it ended. A stream without an end is a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum VerifyLine {
    /// So far everything is as it was written; a few of these a second.
    Progress {
        /// Entries checked.
        entries: u64,
        /// Bytes of files checked.
        bytes: u64,
    },
    /// Everything is as it was written.
    Verified {
        /// Entries checked.
        entries: u64,
        /// Bytes of files checked.
        bytes: u64,
    },
    /// It is not, or it could not be read.
    Failed {
        /// Why.
        error: ErrorBody,
    },
}

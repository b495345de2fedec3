//! Object keys, built from ids only: no name that a user typed gets into one.

use std::fmt;

use backupd_base::{Code, Error, Result, SnapshotId, SourceId, TenantId};
use serde::{Deserialize, Serialize};

/// The key of one object below a provider's prefix: segments of `[a-zA-Z0-9_.-]` joined by `/`,
/// none of them empty, `.` or `..`, none beginning with a dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(String);

impl Key {
    /// Checks a text.
    ///
    /// # Errors
    /// `Invalid` when it is not a key as described above, or longer than 900 bytes.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let safe = text.len() <= 900
            && text.split('/').all(|segment| {
                !segment.is_empty()
                    && !segment.starts_with('.')
                    && segment
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
            });
        if safe {
            Ok(Self(text))
        } else {
            Err(Error::new(
                Code::Invalid,
                format!("{text:?} is not an object key"),
            ))
        }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Key {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> String {
        key.0
    }
}

/// The folder of one snapshot: `tenants/{tenant_id}/sources/{source_id}/snapshots/{snapshot_id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPrefix(String);

impl SnapshotPrefix {
    /// The folder of this snapshot.
    #[must_use]
    pub fn new(tenant: &TenantId, source: &SourceId, snapshot: &SnapshotId) -> Self {
        Self(format!(
            "tenants/{tenant}/sources/{source}/snapshots/{snapshot}"
        ))
    }

    fn object(&self, name: &str) -> Key {
        Key::new(format!("{}/{name}", self.0)).expect("ids and fixed names make a key")
    }

    /// The encrypted archive: age(zstd(tar)).
    #[must_use]
    pub fn archive(&self) -> Key {
        self.object("backup.tar.zst.age")
    }

    /// The encrypted file index: age(zstd(JSON lines)).
    #[must_use]
    pub fn index(&self) -> Key {
        self.object("index.jsonl.zst.age")
    }

    /// Ids in the clear, for recovery without a catalogue.
    #[must_use]
    pub fn meta(&self) -> Key {
        self.object("meta.json")
    }

    /// The signed manifest, written last: with it the snapshot exists.
    #[must_use]
    pub fn manifest(&self) -> Key {
        self.object("manifest.json")
    }

    /// The folder as a listing prefix, with its closing slash.
    #[must_use]
    pub fn as_prefix(&self) -> String {
        format!("{}/", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_cannot_leave_their_prefix() {
        for bad in [
            "", "/a", "a/", "a//b", "../a", "a/../b", ".hidden", "a/.b", "a b", "a\\b", "ä",
        ] {
            assert!(Key::new(bad).is_err(), "{bad:?}");
        }
        assert!(Key::new("tenants/0192-a_b/x.tar.zst.age").is_ok());
    }
}

//! A snapshot as retention sees it.

use backupd_base::SnapshotId;
use chrono::{DateTime, Utc};

/// One snapshot of a source in one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: SnapshotId,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// What it takes up in the store, in bytes.
    pub stored_bytes: u64,
    /// It was seen to be whole where it should be: it may stand for others that go.
    pub verified: bool,
    /// Somebody asked for it to stay.
    pub held: bool,
    /// The catalogue has it. What it does not have is nobody's to delete.
    pub known: bool,
}

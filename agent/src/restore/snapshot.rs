//! A stored snapshot and what opens it: its manifest checked against the catalogue, its objects
//! readable from any position.

use std::sync::Arc;

use backupd_archive::{
    ArchiveReader, EntryPath, FileKey, LentIdentity, Limits, Manifest, SignedManifest, SnapshotKeys,
};
use backupd_base::{Code, Error, Result};
use backupd_protocol::{LentKeys, Snapshot};
use backupd_storage::{Key, Ranged, Retry, RetryOptions, SnapshotPrefix, Storage};
use tokio::runtime::Handle;

use super::RestoreRequest;
use crate::{
    jobs::{Parts, Track},
    store::snapshots,
};

/// A snapshot to be read.
pub(super) struct Stored {
    pub manifest: Manifest,
    storage: Arc<dyn Storage>,
    prefix: SnapshotPrefix,
    runtime: Handle,
    archive: LentIdentity,
    index: LentIdentity,
}

impl Stored {
    /// Finds the snapshot of a request, and takes the keys lent for it.
    pub fn open(
        parts: &Parts,
        track: &Track,
        runtime: &Handle,
        request: &RestoreRequest,
        keys: Option<LentKeys>,
    ) -> Result<Self> {
        track.begin(super::RESTORE_FILES)?;
        let keys = keys.ok_or_else(|| {
            Error::new(Code::KeyMissing, "the keys lent for this restore are gone")
        })?;
        let snapshot = parts
            .store
            .read(|db| snapshots::get(db, &request.snapshot_id))?;
        let storage = Retry::new(
            parts.host.storage(&request.provider_id)?,
            RetryOptions::default(),
        );
        let storage: Arc<dyn Storage> = Arc::new(storage);
        let prefix = SnapshotPrefix::new(&snapshot.tenant_id, &snapshot.source_id, &snapshot.id);
        let manifest = runtime.block_on(manifest(&*storage, &prefix, &snapshot))?;
        Ok(Self {
            manifest,
            storage,
            prefix,
            runtime: runtime.clone(),
            archive: LentIdentity::new(FileKey::from_base64(&keys.archive)?),
            index: LentIdentity::new(FileKey::from_base64(&keys.index)?),
        })
    }

    /// What opens it.
    pub fn keys(&self) -> SnapshotKeys<'_> {
        SnapshotKeys {
            archive: &self.archive,
            index: &self.index,
        }
    }

    /// The encrypted archive, from its beginning.
    pub fn archive(&self) -> Ranged {
        self.object(self.prefix.archive(), self.manifest.archive.bytes)
    }

    /// The encrypted index, from its beginning.
    pub fn index(&self) -> Ranged {
        self.object(self.prefix.index(), self.manifest.index.bytes)
    }

    /// Opens it to be read whole.
    pub fn sequential(&self) -> Result<ArchiveReader<'_>> {
        let manifest = Some(self.manifest.clone());
        ArchiveReader::sequential(self.archive(), self.index(), self.keys(), manifest)
    }

    /// Opens it to read some of it.
    pub fn ranged(&self) -> Result<ArchiveReader<'_>> {
        let manifest = Some(self.manifest.clone());
        ArchiveReader::ranged(self.archive(), self.index(), self.keys(), manifest)
    }

    /// What it unfolds to at most.
    pub fn limits(&self) -> Limits {
        Limits::of(&self.manifest)
    }

    fn object(&self, key: Key, size: u64) -> Ranged {
        Ranged::new(Arc::clone(&self.storage), self.runtime.clone(), key, size)
    }
}

/// Paths inside of a snapshot, checked; none for all.
pub(super) fn selection(paths: &[String]) -> Result<Vec<EntryPath>> {
    paths
        .iter()
        .map(|path| EntryPath::new(path.as_str()))
        .collect()
}

/// The manifest of a snapshot, which must be the very one the catalogue knows: that one was
/// signed here when it was written.
pub(super) async fn manifest(
    storage: &dyn Storage,
    prefix: &SnapshotPrefix,
    snapshot: &Snapshot,
) -> Result<Manifest> {
    let bytes = storage.get(&prefix.manifest()).await?;
    let signed = SignedManifest::parse_self_signed(&bytes)?;
    if signed.sha256().to_string() != snapshot.manifest_sha256 {
        let why = format!(
            "the manifest of snapshot {} is not the one written",
            snapshot.id
        );
        return Err(Error::new(Code::Corrupt, why));
    }
    Ok(signed.manifest().clone())
}

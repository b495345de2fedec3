//! Reads a snapshot back from a store, whole, and checks every hash; writes nothing.

use std::sync::Arc;

use backupd_archive::{
    FileKey, LentIdentity, SignedManifest, SnapshotKeys, VerifyProgress, VerifySummary,
};
use backupd_base::{Code, Error, ProviderId, Result, SnapshotId};
use backupd_protocol::LentKeys;
use backupd_storage::{Ranged, Retry, RetryOptions, SnapshotPrefix, Storage};
use tokio::runtime::Handle;

use crate::{jobs::Parts, store::snapshots};

/// Verifies a snapshot of the catalogue at one provider. Blocks until it was read to its end.
/// `progress` may stop it with an error.
///
/// # Errors
/// `Corrupt` when anything is not as it was written; `NotFound`, `KeyMissing`, or what the store
/// and `progress` say.
pub fn verify(
    parts: &Parts,
    runtime: &Handle,
    snapshot: &SnapshotId,
    provider: &ProviderId,
    keys: &LentKeys,
    progress: &mut dyn FnMut(VerifyProgress) -> Result<()>,
) -> Result<VerifySummary> {
    let snapshot = parts.store.read(|db| snapshots::get(db, snapshot))?;
    let storage = Retry::new(parts.host.storage(provider)?, RetryOptions::default());
    let storage: Arc<dyn Storage> = Arc::new(storage);
    let prefix = SnapshotPrefix::new(&snapshot.tenant_id, &snapshot.source_id, &snapshot.id);
    let bytes = runtime.block_on(storage.get(&prefix.manifest()))?;
    let signed = SignedManifest::parse_self_signed(&bytes)?;
    if signed.sha256().to_string() != snapshot.manifest_sha256 {
        let why = format!(
            "the manifest of snapshot {} is not the one written",
            snapshot.id
        );
        return Err(Error::new(Code::Corrupt, why));
    }
    let manifest = signed.manifest();
    let object = |key, size| Ranged::new(Arc::clone(&storage), runtime.clone(), key, size);
    let archive = LentIdentity::new(FileKey::from_base64(&keys.archive)?);
    let index = LentIdentity::new(FileKey::from_base64(&keys.index)?);
    backupd_archive::verify(
        object(prefix.archive(), manifest.archive.bytes),
        object(prefix.index(), manifest.index.bytes),
        SnapshotKeys {
            archive: &archive,
            index: &index,
        },
        Some(manifest),
        progress,
    )
}

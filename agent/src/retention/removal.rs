//! Carrying out what was written down: delete, forget, report.

use backupd_base::{Code, Result};
use backupd_policy::retention::RemoveReason;
use backupd_protocol::{Severity, Snapshot};
use backupd_storage::{SnapshotPrefix, remove_snapshot};

use super::source_name;
use crate::{
    jobs::Parts,
    journal::Entry,
    store::{
        removals::{self, Removal},
        snapshots,
    },
};

/// Carries out every removal that was begun.
///
/// # Errors
/// The first of what went wrong; that one stays begun, the others were carried out.
pub(super) async fn finish(parts: &Parts) -> Result<()> {
    let mut outcome = Ok(());
    for removal in parts.store.read(removals::open)? {
        outcome = outcome.and(one(parts, &removal).await);
    }
    outcome
}

async fn one(parts: &Parts, removal: &Removal) -> Result<()> {
    let (id, provider) = (&removal.snapshot_id, &removal.provider_id);
    let snapshot = match parts.store.read(|db| snapshots::get(db, id)) {
        Ok(snapshot) => snapshot,
        Err(e) if e.code() == Code::NotFound => return give_up(parts, removal),
        Err(e) => return Err(e),
    };
    let storage = match parts.folder(provider).await {
        Ok(Some(storage)) => storage,
        // It was taken away, or is a bucket now: there is no way to it any more.
        Ok(None) => return give_up(parts, removal),
        Err(e) if e.code() == Code::NotFound => return give_up(parts, removal),
        Err(e) => return Err(e),
    };
    let prefix = SnapshotPrefix::new(&snapshot.tenant_id, &snapshot.source_id, id);
    remove_snapshot(&*storage, &prefix).await?;
    let entry = report(parts, &snapshot, removal);
    parts
        .journal
        .record_with(|tx| {
            snapshots::forget(tx, id, provider, removal.manifest.as_deref())?;
            Ok((removals::end(tx, id, provider)?, entry))
        })
        .map(drop)
}

fn give_up(parts: &Parts, removal: &Removal) -> Result<()> {
    let (id, provider) = (&removal.snapshot_id, &removal.provider_id);
    parts.store.write(|tx| removals::end(tx, id, provider))
}

fn report(parts: &Parts, snapshot: &Snapshot, removal: &Removal) -> Entry {
    let why = match removal.reason {
        RemoveReason::Rule => "its retention no longer asks for it",
        RemoveReason::Quota => "its quota has no room for it",
    };
    let message = format!(
        "The snapshot of {} of {} was removed from {}: {why}.",
        source_name(parts, &snapshot.source_id),
        snapshot.created_at.format("%Y-%m-%d %H:%M UTC"),
        parts.host.provider_name(&removal.provider_id),
    );
    let mut entry = Entry::new("retention.removed", Severity::Info, message);
    entry.source_id = Some(snapshot.source_id.clone());
    entry
        .with("snapshot_id", &snapshot.id)
        .with("sequence", snapshot.sequence)
        .with("provider_id", &removal.provider_id)
}

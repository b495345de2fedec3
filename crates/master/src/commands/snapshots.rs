//! The catalogue, and what is inside of a snapshot.

use std::{collections::HashMap, path::PathBuf};

use backupd_base::{Result, SnapshotId, SourceId};

use backupd_protocol::Snapshot;
use backupd_registry::SnapshotRow;

use super::parsed;
use crate::{
    Master,
    snapshot::{restore, verify},
    view::{FileEntry, SnapshotView, TaskView},
};

/// A snapshot as the catalogue has it now: stores and hold may have changed since it came in.
pub(super) fn shown(row: &SnapshotRow) -> Result<Snapshot> {
    let snapshot: Snapshot = parsed("snapshot", &row.body)?;
    Ok(Snapshot {
        providers: row.providers.clone(),
        held: row.held,
        ..snapshot
    })
}

impl Master {
    /// The snapshots of one source or of all, newest first.
    ///
    /// # Errors
    /// Only those of the disk.
    pub async fn snapshots_list(&self, source_id: Option<&SourceId>) -> Result<Vec<SnapshotView>> {
        let id = source_id.cloned();
        let (rows, sources, nodes) = self
            .db(move |r| {
                let rows = r.snapshots_list(id.as_ref())?;
                Ok((rows, r.sources_list()?, r.nodes_list()?))
            })
            .await?;
        let sources: HashMap<_, _> = sources.iter().map(|s| (&s.id, s)).collect();
        let nodes: HashMap<_, _> = nodes.iter().map(|n| (&n.id, n.name.as_str())).collect();
        let views = rows.iter().filter_map(|row| {
            // The registry's foreign keys keep both.
            let source = sources.get(&row.source_id)?;
            let node_name = nodes.get(&source.node_id)?;
            Some(shown(row).map(|snapshot| SnapshotView {
                snapshot,
                source_name: source.name.clone(),
                node_id: source.node_id.clone(),
                node_name: (*node_name).to_owned(),
            }))
        });
        views.collect()
    }

    /// What lies in one folder of a snapshot, folders first; an empty `folder` is the top. The
    /// index is fetched and opened once.
    ///
    /// # Errors
    /// `NotFound` when there is no such folder, `KeyringLocked`, `KeyMissing`, `Corrupt`, or
    /// `Unavailable` when no store that holds it answers.
    pub async fn snapshot_files(
        &self,
        snapshot_id: &SnapshotId,
        folder: &str,
    ) -> Result<Vec<FileEntry>> {
        self.index_of(snapshot_id).await?.list(folder)
    }

    /// Reads a snapshot back from every one of its stores and checks every hash, as a task.
    ///
    /// # Errors
    /// What stands in the way before it begins; the rest is the task's.
    pub async fn snapshot_verify(&self, snapshot_id: &SnapshotId) -> Result<TaskView> {
        verify::begin(self, self.open_copies(snapshot_id).await?)
    }

    /// Restores a snapshot, or the chosen `paths` of it, to this computer: into a fresh folder
    /// inside of `folder`, as a task that says where it landed.
    ///
    /// # Errors
    /// `Invalid` when a path or `folder` cannot be one; what stands in the way before it begins;
    /// the rest is the task's.
    pub async fn snapshot_restore(
        &self,
        snapshot_id: &SnapshotId,
        paths: &[String],
        folder: impl Into<PathBuf>,
    ) -> Result<TaskView> {
        let opened = self.open_snapshot(snapshot_id).await?;
        restore::begin(self, opened, paths, folder.into()).await
    }
}

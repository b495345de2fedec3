//! Restores on the node itself.

use backupd_archive::file_key;
use backupd_base::{Context as _, JobId, NodeId, Result, SnapshotId};
use backupd_protocol::{Job, LentKeys, RestoreCreate, RestoreTarget};
use backupd_storage::{Key, Storage};

use crate::{Master, view::RestoreStarted};

/// More than the header of an age file with the recipients a snapshot has.
const HEADER: u64 = 16 << 10;

impl Master {
    /// Puts a snapshot back over its source, on its node, which is lent the two keys of this one
    /// snapshot. The former state is kept until [`Master::restore_confirm`].
    ///
    /// # Errors
    /// `Conflict` while a job of the source runs, `KeyringLocked`, `KeyMissing`, or `Unavailable`.
    pub async fn snapshot_restore_in_place(
        &self,
        snapshot_id: &SnapshotId,
    ) -> Result<RestoreStarted> {
        let opened = self.open_snapshot(snapshot_id).await?;
        let link = self.link(&opened.node_id).await?;
        let lend = async |key: Key| {
            let header = opened.storage.get_range(&key, 0..HEADER).await?;
            file_key(&header[..], &opened.identity)
                .with_context(|| format!("lend the key of {key}"))
                .map(|key| key.to_base64())
        };
        let create = RestoreCreate {
            snapshot_id: snapshot_id.clone(),
            provider_id: opened.provider_id.clone(),
            paths: Vec::new(),
            target: RestoreTarget::InPlace,
            keys: LentKeys {
                archive: lend(opened.prefix.archive()).await?,
                index: lend(opened.prefix.index()).await?,
            },
        };
        let job: Job = link
            .post_secret("restores", &create.to_secret_json())
            .await?;
        let begun = self.job_begun(&opened.node_id, job).await?;
        Ok(RestoreStarted {
            node_id: begun.node_id,
            job_id: begun.job.id,
        })
    }

    /// The restore is as wanted: the former state is dropped.
    ///
    /// # Errors
    /// `Conflict` when no former state is kept or a job of the source runs, `Unavailable` when the
    /// node does not answer.
    pub async fn restore_confirm(&self, node_id: &NodeId, job_id: &JobId) -> Result<()> {
        let link = self.link(node_id).await?;
        link.act(&format!("restores/{job_id}/confirm")).await?;
        self.look_soon(node_id);
        Ok(())
    }

    /// Brings the former state back: a job of its own, told as any other.
    ///
    /// # Errors
    /// `Conflict` when no former state is kept or a job of the source runs, `Unavailable` when the
    /// node does not answer.
    pub async fn restore_undo(&self, node_id: &NodeId, job_id: &JobId) -> Result<()> {
        let link = self.link(node_id).await?;
        let job: Job = link.ask(&format!("restores/{job_id}/undo")).await?;
        self.job_begun(node_id, job).await?;
        Ok(())
    }
}

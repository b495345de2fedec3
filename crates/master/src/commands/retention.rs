//! Which snapshots stay: the rule of a source, what one would mean, and holding single ones.

use backupd_base::{Code, Error, Result, SnapshotId, SourceId};
use backupd_policy::retention::{Retention, ZONE, decide};
use chrono::Utc;

use super::sources::as_told;
use crate::{
    Master,
    retention::candidates,
    view::{MasterEvent, RetentionLine, RetentionPreview},
};

impl Master {
    /// What `retention` would keep of a source and what it would remove, store by store, as the
    /// catalogue is now. Nothing is asked and nothing touched.
    ///
    /// # Errors
    /// `Invalid` for a rule that keeps nothing, `NotFound` for a source there is not.
    pub async fn retention_preview(
        &self,
        source_id: &SourceId,
        retention: &Retention,
    ) -> Result<RetentionPreview> {
        retention.check()?;
        let id = source_id.clone();
        let (source, rows) = self
            .db(move |r| Ok((r.source_get(&id)?, r.snapshots_list(Some(&id))?)))
            .await?;
        let all = candidates(&rows);
        let mut preview = RetentionPreview::default();
        for provider in &source.providers {
            let (there, mine): (Vec<_>, Vec<_>) = rows
                .iter()
                .zip(&all)
                .filter(|(row, _)| row.providers.contains(provider))
                .map(|(row, candidate)| (row, candidate.clone()))
                .unzip();
            let plan = decide(retention, &mine, ZONE, Utc::now());
            preview.kept_bytes += plan.kept_bytes;
            preview.freed_bytes += plan.freed_bytes;
            preview.over_quota_bytes += plan.over_quota_bytes;
            let lines = plan.verdicts.into_iter().zip(there);
            preview
                .snapshots
                .extend(lines.map(|(verdict, row)| RetentionLine {
                    snapshot_id: verdict.id,
                    provider_id: provider.clone(),
                    created_at: row.created_at,
                    stored_bytes: row.stored_bytes,
                    decision: verdict.decision,
                }));
        }
        Ok(preview)
    }

    /// Sets which snapshots of a source stay; without a rule all do. A server that does not answer
    /// learns of it when it is back. Nothing goes at once, but after the next backup or within a day.
    ///
    /// # Errors
    /// `Invalid` for a rule that keeps nothing, `NotFound` for a source there is not.
    pub async fn source_retention(
        &self,
        source_id: &SourceId,
        retention: Option<Retention>,
    ) -> Result<()> {
        let json = match &retention {
            Some(rule) => {
                rule.check()?;
                Some(serde_json::json!(rule).to_string())
            }
            None => None,
        };
        let id = source_id.clone();
        let source = self
            .db(move |r| {
                r.source_get(&id)?;
                r.source_set_retention(&id, json.as_deref())?;
                r.source_get(&id)
            })
            .await?;
        self.tell(MasterEvent::SourcesChanged);
        if let Ok(link) = self.linked(&source.node_id) {
            let told = as_told(&source)?;
            let put = link.put(&format!("sources/{source_id}"), &told).await;
            if let Err(error) = put {
                tracing::warn!(%error, "the server learns of the retention when it is back");
            }
        }
        Ok(())
    }

    /// Keeps a snapshot from the retention of its source, or leaves it to it again.
    ///
    /// # Errors
    /// `NotFound` when it is not in the catalogue, `Conflict` when it is being removed,
    /// `Unavailable` when it is to be released and its server does not answer: a hold that the
    /// server still knows of would come back.
    pub async fn snapshot_hold(&self, snapshot_id: &SnapshotId, held: bool) -> Result<()> {
        let id = snapshot_id.clone();
        let (source, removals, enrolled) = self
            .db(move |r| {
                let snapshot = r.snapshot_get(&id)?;
                let source = r.source_get(&snapshot.source_id)?;
                let node = r.node_get(&source.node_id)?;
                let removals = r.removals_list(Some(&source.id))?;
                Ok((source, removals, node.revoked_at.is_none()))
            })
            .await?;
        let goes = |r: &&backupd_registry::RemovalRow| {
            r.snapshot_id == *snapshot_id && r.done_at.is_none()
        };
        if held && removals.iter().find(goes).is_some() {
            let what = format!("snapshot {snapshot_id} is being removed");
            return Err(Error::new(Code::Conflict, what));
        }
        let route = format!("snapshots/{snapshot_id}/hold");
        match self.linked(&source.node_id) {
            Ok(link) if held => link.put(&route, &()).await?,
            Ok(link) => link.delete(&route).await?,
            // It is told when it is back.
            Err(_) if held || !enrolled || source.removed_at.is_some() => {}
            Err(error) => return Err(error),
        }
        let id = snapshot_id.clone();
        self.db(move |r| r.snapshot_hold(&id, held)).await?;
        self.tell(MasterEvent::SnapshotsChanged);
        Ok(())
    }
}

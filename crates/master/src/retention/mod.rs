//! Keeping to the retention of sources in buckets, which the nodes cannot delete from.
//!
//! Mark: decided over what was just seen to be whole in the bucket. Verify: every survivor's
//! manifest is read back before anything goes. Write the intent down. Delete: the manifest first,
//! so that half a snapshot is none. Then the catalogue forgets it. A crash in between is made good
//! by the intent at the next start.
//!
//! Deliberately not here: folders on nodes, which their agents look after.

mod keeper;
mod survey;

use std::collections::HashSet;

use backupd_base::{Context as _, Result, SnapshotId, SourceId};
use backupd_policy::retention::{Decision, RemoveReason, Retention, ZONE, decide};
use backupd_protocol::{Event, LiveMessage, ProviderKind, Severity};
use backupd_registry::{ProviderRow, RemovalRow, SourceRow};
use backupd_storage::{SnapshotPrefix, Storage, remove_snapshot};
use chrono::{DateTime, Utc};

use crate::{
    Master,
    commands::parsed,
    view::{MasterEvent, TaskState},
};

pub use keeper::Keeper;
pub use survey::{Survey, candidates, is_whole};

/// The rule of a source.
pub fn rule_of(source: &SourceRow) -> Result<Option<Retention>> {
    let rule = source.retention.as_deref();
    rule.map(|json| parsed("retention", json)).transpose()
}

impl Master {
    /// Keeps to the retention of one source in its buckets, at the time `now`. Nothing goes while
    /// the source's chain is in doubt, or one of its jobs runs.
    ///
    /// # Errors
    /// What a store says; the others were looked after all the same.
    pub(crate) async fn retention_apply(&self, id: &SourceId, now: DateTime<Utc>) -> Result<()> {
        let id = id.clone();
        let source = self.db(move |r| r.source_get(&id)).await?;
        let Some(rule) = rule_of(&source)? else {
            return Ok(());
        };
        if source.removed_at.is_some() || source.refused.is_some() || self.is_busy(&source) {
            return Ok(());
        }
        rule.check()?;
        let mut outcome = Ok(());
        for provider in source.providers.clone() {
            let row = self.db(move |r| r.provider_get(&provider)).await?;
            if is_bucket(&row)? {
                let marked = self.retention_mark(&source, &rule, &row, now).await;
                outcome = outcome.and(marked);
            }
        }
        outcome.and(self.retention_finish().await)
    }

    /// Decides what goes from one bucket, and writes that down.
    async fn retention_mark(
        &self,
        source: &SourceRow,
        rule: &Retention,
        provider: &ProviderRow,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let doing = || format!("look at {} in {}", source.name, provider.name);
        let storage = self.own_bucket(provider).await.with_context(doing)?;
        let mut survey = Survey::of(self, source, &provider.id, &*storage)
            .await
            .with_context(doing)?;
        let plan = decide(rule, &survey.candidates, ZONE, now);
        if plan.removed().next().is_none() {
            return Ok(());
        }
        survey.verify(&*storage).await.with_context(doing)?;
        let plan = decide(rule, &survey.candidates, ZONE, now);
        let read: HashSet<SnapshotId> = self.read_now();
        let mut removals = Vec::new();
        for (verdict, row) in plan.verdicts.iter().zip(&survey.rows) {
            let Decision::Remove { reason } = &verdict.decision else {
                continue;
            };
            if read.contains(&row.id) {
                continue;
            }
            removals.push(RemovalRow {
                snapshot_id: row.id.clone(),
                provider_id: provider.id.clone(),
                source_id: source.id.clone(),
                sequence: row.sequence,
                created_at: row.created_at,
                stored_bytes: row.stored_bytes,
                reason: match reason {
                    RemoveReason::Rule => "rule",
                    RemoveReason::Quota => "quota",
                }
                .to_owned(),
                begun_at: now,
                done_at: None,
            });
        }
        self.db(move |r| r.removals_begin(&removals)).await
    }

    /// Carries out the removals that were begun.
    ///
    /// # Errors
    /// The first of what went wrong; that one stays begun, the others were carried out.
    pub(crate) async fn retention_finish(&self) -> Result<()> {
        let removals = self.db(|r| r.removals_list(None)).await?;
        let mut outcome = Ok(());
        for removal in removals.into_iter().filter(|r| r.done_at.is_none()) {
            outcome = outcome.and(self.retention_remove(removal).await);
        }
        outcome
    }

    async fn retention_remove(&self, removal: RemovalRow) -> Result<()> {
        let (source, provider) = (removal.source_id.clone(), removal.provider_id.clone());
        let (source, provider) = self
            .db(move |r| Ok((r.source_get(&source)?, r.provider_get(&provider)?)))
            .await?;
        // A store that was removed is out of reach: what lies there stays.
        if provider.removed_at.is_none() && is_bucket(&provider)? {
            let id = &removal.snapshot_id;
            let prefix = SnapshotPrefix::new(&source.tenant_id, &source.id, id);
            let storage = self.own_bucket(&provider).await?;
            remove_snapshot(&*storage, &prefix)
                .await
                .with_context(|| format!("remove snapshot {id} from {}", provider.name))?;
        }
        let (id, at) = (removal.snapshot_id.clone(), removal.provider_id.clone());
        let was_open = self
            .db(move |r| r.removal_end(&id, &at, Utc::now()))
            .await?;
        if was_open {
            self.tell(MasterEvent::SnapshotsChanged);
            self.tell(MasterEvent::SourcesChanged);
            self.tell(report(&source, &provider, &removal));
            self.tell_node(&source, &removal).await;
        }
        Ok(())
    }

    /// The node's catalogue forgets it too; one that does not answer is told when it is back.
    async fn tell_node(&self, source: &SourceRow, removal: &RemovalRow) {
        let Ok(link) = self.linked(&source.node_id) else {
            return;
        };
        let (id, provider) = (&removal.snapshot_id, &removal.provider_id);
        let route = format!("snapshots/{id}/providers/{provider}");
        if let Err(error) = link.delete(&route).await {
            tracing::debug!(%error, "the server is told later what was removed");
        }
    }

    /// A bucket, with the credential that is this computer's own.
    pub(crate) async fn own_bucket(&self, provider: &ProviderRow) -> Result<Box<dyn Storage>> {
        use backupd_storage::{Retry, RetryOptions};
        let kind: ProviderKind = parsed("store", &provider.kind)?;
        let credentials = self.core().secrets.own_credentials(&provider.id).await?;
        let bucket = crate::commands::bucket(kind, credentials)?;
        Ok(Box::new(Retry::new(bucket, RetryOptions::default())))
    }

    /// Whether a job of the source is known to be under way on its node.
    fn is_busy(&self, source: &SourceRow) -> bool {
        let follower = self.core().fleet.get(&source.node_id).ok();
        follower.is_some_and(|f| f.moving().values().any(|job| job.source_id == source.id))
    }

    /// Snapshots that a task of this computer reads.
    fn read_now(&self) -> HashSet<SnapshotId> {
        let tasks = self.core().tasks.list().into_iter();
        let running = tasks.filter(|task| task.state == TaskState::Running);
        running.map(|task| task.snapshot_id).collect()
    }
}

/// Whether a store is a bucket rather than a folder on a node.
pub fn is_bucket(provider: &ProviderRow) -> Result<bool> {
    let kind: ProviderKind = parsed("store", &provider.kind)?;
    Ok(matches!(kind, ProviderKind::S3 { .. }))
}

fn report(source: &SourceRow, provider: &ProviderRow, removal: &RemovalRow) -> MasterEvent {
    let why = match removal.reason.as_str() {
        "quota" => "its quota has no room for it",
        _ => "its retention no longer asks for it",
    };
    let data = [
        ("snapshot_id", removal.snapshot_id.to_string()),
        ("provider_id", removal.provider_id.to_string()),
    ];
    MasterEvent::Live {
        node_id: source.node_id.clone(),
        message: LiveMessage::Event(Event {
            // Not of the node's journal: it is the master that did it.
            seq: 0,
            at: Utc::now(),
            kind: "retention.removed".to_owned(),
            severity: Severity::Info,
            message: format!(
                "The snapshot of {} of {} was removed from {}: {why}.",
                source.name,
                removal.created_at.format("%Y-%m-%d %H:%M UTC"),
                provider.name,
            ),
            source_id: Some(source.id.clone()),
            job_id: None,
            data: data.map(|(k, v)| (k.to_owned(), v)).into_iter().collect(),
        }),
    }
}

//! Taking what is new on a node into the registry: stores, snapshots, jobs, journal. In this
//! order, so that whoever hears that a job completed finds its snapshot.

use backupd_base::{Context as _, Result, SourceId};
use backupd_protocol::{
    Event, Health, Job, LiveMessage, Provider, ProviderKind, Severity, Snapshot,
};
use backupd_registry::{NodeRow, ProviderRow, SourceRow};
use chrono::{DateTime, TimeDelta, Utc};

use super::{Follower, chain};
use crate::{
    Master,
    link::Link,
    view::{ErrorView, MasterEvent},
};

/// Events read at a time.
const PAGE: u64 = 500;
/// How often "last seen" is written down.
const SEEN: TimeDelta = TimeDelta::seconds(60);

/// One connection's reading.
pub struct Sync {
    pub link: Link,
    master: Master,
    node: NodeRow,
    /// Nothing was read over this connection yet.
    fresh: bool,
    seen: Option<DateTime<Utc>>,
    /// What could not be taken in, though the node answers.
    trouble: Option<ErrorView>,
    /// A snapshot is left that was not taken in: look again without being told of news.
    left: bool,
}

impl Sync {
    pub fn new(master: Master, node: NodeRow, link: Link) -> Self {
        Self {
            link,
            master,
            node,
            fresh: true,
            seen: None,
            trouble: None,
            left: false,
        }
    }

    /// Reads what is new, if anything is. Answers what could not be taken in.
    pub async fn run(&mut self, follower: &Follower, health: &Health) -> Result<Option<ErrorView>> {
        self.note_seen(health).await?;
        let id = self.node.id.clone();
        let taken = self.master.db(move |r| r.event_last(&id)).await?;
        let news = self.fresh || health.last_event != taken;
        if news {
            self.stores().await?;
        }
        if news || self.left {
            self.snapshots().await?;
        }
        let moving: Vec<_> = follower.moving().keys().cloned().collect();
        if news {
            let jobs: Vec<Job> = self.link.get("jobs", &[]).await?;
            self.master.jobs_heard(follower, jobs).await?;
        } else if !*follower.watched.borrow() {
            // The live connection tells them while somebody looks.
            for id in moving {
                let job: Job = self.link.get(&format!("jobs/{id}"), &[]).await?;
                self.master.jobs_heard(follower, vec![job]).await?;
            }
        }
        if news {
            self.journal(taken).await?;
        }
        self.fresh = false;
        Ok(self.trouble.clone())
    }

    async fn note_seen(&mut self, health: &Health) -> Result<()> {
        let now = Utc::now();
        if self.seen.is_some_and(|seen| now - seen < SEEN) {
            return Ok(());
        }
        self.seen = Some(now);
        let id = self.node.id.clone();
        let (os, version) = (health.os.clone(), health.version.clone());
        self.master
            .db(move |r| r.node_seen(&id, now, &os, &version))
            .await
    }

    /// The node's own folders. A bucket it lists was given to it from here.
    async fn stores(&self) -> Result<()> {
        let listed: Vec<Provider> = self.link.get("providers", &[]).await?;
        let node = self.node.id.clone();
        self.master
            .db(move |registry| {
                let known = registry.providers_list()?;
                for provider in listed {
                    let ours = known.iter().find(|p| p.id == provider.id);
                    let shared = ours.is_some_and(|p| p.node_id.as_ref() != Some(&node));
                    if shared || !matches!(provider.kind, ProviderKind::Local { .. }) {
                        continue;
                    }
                    let kind = serde_json::to_string(&provider.kind)
                        .with_context(|| format!("write store {}", provider.name))?;
                    if ours.is_some_and(|p| p.name == provider.name && p.kind == kind) {
                        continue;
                    }
                    registry.provider_put(&ProviderRow {
                        id: provider.id,
                        node_id: Some(node.clone()),
                        name: provider.name,
                        kind,
                        created_at: Utc::now(),
                        removed_at: None,
                    })?;
                }
                Ok(())
            })
            .await
    }

    /// Takes in new snapshots, each after its manifest was verified.
    async fn snapshots(&mut self) -> Result<()> {
        let listed: Vec<Snapshot> = self.link.get("snapshots", &[]).await?;
        let sources = self.master.db(|r| r.sources_list()).await?;
        self.trouble = None;
        self.left = false;
        for source in sources {
            if source.node_id != self.node.id || source.removed_at.is_some() {
                continue;
            }
            let theirs: Vec<_> = listed
                .iter()
                .filter(|s| s.source_id == source.id)
                .cloned()
                .collect();
            self.snapshots_of(source, theirs).await?;
        }
        Ok(())
    }

    async fn snapshots_of(&mut self, source: SourceRow, listed: Vec<Snapshot>) -> Result<()> {
        let id = source.id.clone();
        let known = self.master.db(move |r| r.snapshots_list(Some(&id))).await?;
        let refused = match chain::new_ones(&source, &known, listed) {
            Err(error) => Some(error),
            Ok(new) => {
                let mut head = source.head_sha256.clone();
                let mut refused = None;
                for snapshot in new {
                    match self.take(&source, &snapshot, head.as_deref()).await {
                        Ok(sha256) => head = Some(sha256),
                        Err(error) if chain::is_refusal(error.code()) => {
                            refused = Some(error);
                            break;
                        }
                        // The store cannot be asked now: that says nothing about the snapshot.
                        Err(error) => {
                            tracing::warn!(%error, "snapshot not taken in");
                            self.trouble = Some(error.into());
                            break;
                        }
                    }
                }
                refused
            }
        };
        self.left |= refused.is_some() || self.trouble.is_some();
        self.note_refusal(&source.id, refused.map(|e| e.to_string()))
            .await
    }

    /// Verifies one manifest and enters its snapshot. Answers the manifest's SHA-256.
    async fn take(
        &self,
        source: &SourceRow,
        snapshot: &Snapshot,
        previous: Option<&str>,
    ) -> Result<String> {
        let doing = || format!("take in snapshot {} of {}", snapshot.sequence, source.name);
        let bytes = self
            .master
            .manifest_bytes(&self.node.id, &self.link, snapshot)
            .await
            .with_context(doing)?;
        let (row, sha256) =
            chain::verified(&self.node, source, snapshot, &bytes, previous).with_context(doing)?;
        let head = sha256.clone();
        self.master
            .db(move |r| r.snapshot_insert(&row, &head))
            .await
            .with_context(doing)?;
        self.master.tell(MasterEvent::SnapshotsChanged);
        self.master.tell(MasterEvent::SourcesChanged);
        Ok(sha256)
    }

    async fn note_refusal(&self, source: &SourceId, why: Option<String>) -> Result<()> {
        let (id, noted) = (source.clone(), why.clone());
        let news = self
            .master
            .db(move |r| r.source_set_refused(&id, noted.as_deref()))
            .await?;
        if !news {
            return Ok(());
        }
        self.master.tell(MasterEvent::SourcesChanged);
        if let Some(message) = why {
            self.tell(Event {
                // Not of the node's journal: it is the master that noticed.
                seq: 0,
                at: Utc::now(),
                kind: "snapshot.refused".to_owned(),
                severity: Severity::Error,
                message,
                source_id: Some(source.clone()),
                job_id: None,
                data: Default::default(),
            });
        }
        Ok(())
    }

    /// Reads the journal on from the last event taken.
    async fn journal(&self, mut taken: u64) -> Result<()> {
        loop {
            let (after, limit) = (taken.to_string(), PAGE.to_string());
            let query = [("after", after.as_str()), ("limit", limit.as_str())];
            let events: Vec<Event> = self.link.get("events", &query).await?;
            let Some(last) = events.last().map(|e| e.seq).filter(|seq| *seq > taken) else {
                return Ok(());
            };
            let id = self.node.id.clone();
            self.master.db(move |r| r.event_taken(&id, last)).await?;
            for event in events.into_iter().filter(|e| e.seq > taken) {
                self.tell(event);
            }
            taken = last;
        }
    }

    fn tell(&self, event: Event) {
        self.master.tell(MasterEvent::Live {
            node_id: self.node.id.clone(),
            message: LiveMessage::Event(event),
        });
    }
}

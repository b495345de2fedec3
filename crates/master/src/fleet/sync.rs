//! Taking what is new on a node into the registry: stores, snapshots, jobs, journal. In this
//! order, so that whoever hears that a job completed finds its snapshot.

use std::collections::{HashMap, HashSet};

use backupd_base::{Code, Context as _, ProviderId, Result, SnapshotId, SourceId};
use backupd_protocol::{
    Event, Health, Job, LiveMessage, Provider, ProviderKind, RemovedSnapshot, Severity, Snapshot,
    Source,
};
use backupd_registry::{NodeRow, ProviderRow, RemovalRow, SnapshotRow, SourceRow};
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Follower,
    chain::{self, New},
};
use crate::{
    Master,
    commands::{as_told, parsed},
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
    /// Sources that were heard of and believed.
    heard: Vec<SourceId>,
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
            heard: Vec::new(),
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
        if self.fresh {
            self.rules().await?;
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
            self.journal(taken, health.last_event).await?;
        }
        // Now that no job of theirs is taken to be under way any more.
        for source in self.heard.drain(..) {
            self.master.core().keeper.due(source);
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

    /// What was set while the node was away.
    async fn rules(&self) -> Result<()> {
        let listed: Vec<Source> = self.link.get("sources", &[]).await?;
        for row in self.master.db(|r| r.sources_list()).await? {
            let there = listed.iter().find(|s| s.id == row.id);
            let (Some(there), None) = (there, row.removed_at) else {
                continue;
            };
            let wanted = as_told(&row)?;
            if there.retention != wanted.retention || there.schedule != wanted.schedule {
                let told = Source {
                    retention: wanted.retention,
                    schedule: wanted.schedule,
                    ..there.clone()
                };
                self.link.put(&format!("sources/{}", row.id), &told).await?;
            }
        }
        Ok(())
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
        let (known, removals) = self
            .master
            .db(move |r| Ok((r.snapshots_list(Some(&id))?, r.removals_list(Some(&id))?)))
            .await?;
        let removed = match chain::unexplained(&source, &known, &listed) {
            Some(after) => self.removed(&source.id, after).await?,
            None => Vec::new(),
        };
        let here: HashSet<_> = removals.iter().map(|r| r.snapshot_id.clone()).collect();
        let seen = listed.clone();
        let refused = match chain::news(&source, &known, listed, removed, &here) {
            Err(error) => Some(error),
            Ok(news) => {
                self.agree(&known, &seen, &news.gone, &removals).await?;
                let mut head = source.head_sha256.clone();
                let mut refused = None;
                for link in &news.new {
                    let taken = match link {
                        New::There(snapshot) => self.take(&source, snapshot, head.as_deref()).await,
                        New::Gone(removed) => self.pass(&source, removed, head.as_deref()).await,
                    };
                    match taken {
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
        if refused.is_none() && self.trouble.is_none() {
            self.heard.push(source.id.clone());
        }
        self.note_refusal(&source.id, refused.map(|e| e.to_string()))
            .await
    }

    /// What the node says it removed of a source after a link of its chain.
    async fn removed(&self, source: &SourceId, mut after: u64) -> Result<Vec<RemovedSnapshot>> {
        let mut all = Vec::new();
        loop {
            let from = after.to_string();
            let query = [("source", source.as_str()), ("after", from.as_str())];
            let page: Vec<RemovedSnapshot> = self.link.get("snapshots/removed", &query).await?;
            let Some(last) = page.last().map(|r| r.sequence).filter(|n| *n > after) else {
                return Ok(all);
            };
            all.extend(page);
            after = last;
        }
    }

    /// Both catalogues learn what the other side removed, and what is held. A hold from either side
    /// holds; what was removed from here is not brought back by a list, and a node's word removes
    /// nothing but what lay in its own folders.
    async fn agree(
        &self,
        known: &[SnapshotRow],
        listed: &[Snapshot],
        gone: &[SnapshotId],
        removals: &[RemovalRow],
    ) -> Result<()> {
        let kinds = self.folders().await?;
        let is_folder = |id: &ProviderId| kinds.get(id).copied().unwrap_or(false);
        for row in known {
            let now = listed.iter().find(|s| s.id == row.id);
            let there = |id: &ProviderId| now.is_some_and(|s| s.providers.contains(id));
            for provider in row.providers.iter().filter(|p| is_folder(p) && !there(p)) {
                let removal = removal_by_node(row, provider);
                let (id, provider) = (row.id.clone(), provider.clone());
                self.master
                    .db(move |r| {
                        r.removals_begin(std::slice::from_ref(&removal))?;
                        r.removal_end(&id, &provider, removal.begun_at)
                    })
                    .await?;
                self.master.tell(MasterEvent::SnapshotsChanged);
                self.master.tell(MasterEvent::SourcesChanged);
            }
            let Some(now) = now else { continue };
            if now.held && !row.held {
                let id = row.id.clone();
                self.master.db(move |r| r.snapshot_hold(&id, true)).await?;
                self.master.tell(MasterEvent::SnapshotsChanged);
            } else if row.held && !now.held {
                let held: Result<()> = self
                    .link
                    .put(&format!("snapshots/{}/hold", row.id), &())
                    .await;
                // It is being removed there; another store may still hold it.
                held.or_else(|e| match e.code() {
                    Code::Conflict | Code::NotFound => Ok(()),
                    _ => Err(e),
                })?;
            }
        }
        if !gone.is_empty() {
            tracing::debug!(snapshots = gone.len(), "removed by the node");
        }
        for removal in removals.iter().filter(|r| r.done_at.is_some()) {
            let listed = listed
                .iter()
                .any(|s| s.id == removal.snapshot_id && s.providers.contains(&removal.provider_id));
            if listed && !is_folder(&removal.provider_id) {
                let (id, provider) = (&removal.snapshot_id, &removal.provider_id);
                let route = format!("snapshots/{id}/providers/{provider}");
                self.link.delete(&route).await?;
            }
        }
        Ok(())
    }

    /// Of each store whether it is a folder on a node.
    async fn folders(&self) -> Result<HashMap<ProviderId, bool>> {
        let rows = self.master.db(|r| r.providers_list()).await?;
        rows.into_iter()
            .map(|row| {
                let kind: ProviderKind = parsed("store", &row.kind)?;
                Ok((row.id, matches!(kind, ProviderKind::Local { .. })))
            })
            .collect()
    }

    /// Verifies the manifest of a snapshot that came and went. Answers the manifest's SHA-256.
    async fn pass(
        &self,
        source: &SourceRow,
        removed: &RemovedSnapshot,
        previous: Option<&str>,
    ) -> Result<String> {
        let doing = || format!("pass snapshot {} of {}", removed.sequence, source.name);
        let (shown, bytes) = chain::as_listed(source, removed).with_context(doing)?;
        let (row, sha256) =
            chain::verified(&self.node, source, &shown, &bytes, previous).with_context(doing)?;
        let (id, head) = (source.id.clone(), sha256.clone());
        self.master
            .db(move |r| r.source_move_head(&id, row.sequence, &head))
            .await
            .with_context(doing)?;
        Ok(sha256)
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

    /// Reads on after `taken`, up to `known`: what came later may tell of a snapshot that is not in
    /// the list that was read before, and is news the next time.
    async fn journal(&self, mut taken: u64, known: u64) -> Result<()> {
        while taken < known {
            let (after, limit) = (taken.to_string(), PAGE.to_string());
            let query = [("after", after.as_str()), ("limit", limit.as_str())];
            let mut events: Vec<Event> = self.link.get("events", &query).await?;
            events.retain(|event| event.seq <= known);
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
        Ok(())
    }

    fn tell(&self, event: Event) {
        self.master.tell(MasterEvent::Live {
            node_id: self.node.id.clone(),
            message: LiveMessage::Event(event),
        });
    }
}

/// What a node did in its own folder, as it is remembered.
fn removal_by_node(row: &SnapshotRow, provider: &ProviderId) -> RemovalRow {
    RemovalRow {
        snapshot_id: row.id.clone(),
        provider_id: provider.clone(),
        source_id: row.source_id.clone(),
        sequence: row.sequence,
        created_at: row.created_at,
        stored_bytes: row.stored_bytes,
        reason: "node".to_owned(),
        begun_at: Utc::now(),
        done_at: None,
    }
}

//! The enrolled servers.

use backupd_base::{Context as _, NodeId, Result};
use backupd_protocol::{FoundSite, StatsHistory, StatsRange, tls::Pin};
use backupd_registry::NodeRow;
use backupd_vault::Entry;
use chrono::Utc;

use super::checked_name;
use crate::{
    Master,
    link::Link,
    view::{MasterEvent, NodeState, NodeView},
};

impl Master {
    /// Every node, in the order they were enrolled.
    ///
    /// # Errors
    /// Only those of the disk.
    pub async fn nodes_list(&self) -> Result<Vec<NodeView>> {
        let rows = self.db(|r| r.nodes_list()).await?;
        let enrolled = rows.into_iter().filter(|row| row.revoked_at.is_none());
        Ok(enrolled.map(|row| self.view_of(row)).collect())
    }

    /// One node.
    ///
    /// # Errors
    /// `NotFound` when it is not enrolled.
    pub async fn node_get(&self, node_id: &NodeId) -> Result<NodeView> {
        Ok(self.view_of(self.enrolled(node_id).await?))
    }

    /// Gives a node another name. Only the master knows it.
    ///
    /// # Errors
    /// `NotFound` when it is not enrolled, `Invalid` when the name is not one.
    pub async fn node_rename(&self, node_id: &NodeId, name: &str) -> Result<NodeView> {
        let name = checked_name("server", name)?;
        self.enrolled(node_id).await?;
        let id = node_id.clone();
        self.db(move |r| r.node_rename(&id, &name)).await?;
        self.tell(MasterEvent::NodesChanged);
        self.node_get(node_id).await
    }

    /// Forgets a node's pin and key, and tells its agent where it can be reached. What it made
    /// stays in the catalogue; its sources are removed.
    ///
    /// # Errors
    /// `NotFound` when it is not enrolled, `KeyringLocked` when its key cannot be forgotten.
    pub async fn node_revoke(&self, node_id: &NodeId) -> Result<()> {
        let node = self.enrolled(node_id).await?;
        if let Ok(link) = self.linked(node_id) {
            // An agent that is away keeps a key that opens nothing here any more, and refuses
            // everybody else until its console opens a new window.
            if let Err(error) = self.give_up(node_id, &link).await {
                tracing::warn!(%error, node = %node.name, "tell a revoked node");
            }
        }
        self.unfollow(node_id).await;
        let id = node_id.clone();
        self.db(move |registry| {
            let now = Utc::now();
            let sources = registry.sources_list()?;
            for source in sources.iter().filter(|s| s.node_id == id) {
                registry.source_remove(&source.id, now)?;
            }
            registry.node_revoke(&id, now)
        })
        .await?;
        self.tell(MasterEvent::NodesChanged);
        self.tell(MasterEvent::SourcesChanged);
        let entry = Entry::Node(node_id.clone());
        self.core()
            .secrets
            .delete(entry)
            .await
            .with_context(|| format!("forget the key of {}, which is revoked", node.name))
    }

    /// Looks for sites below `base`, or where they usually are.
    ///
    /// # Errors
    /// `Unavailable` when the node does not answer, or what it answers.
    pub async fn node_scan(&self, node_id: &NodeId, base: Option<&str>) -> Result<Vec<FoundSite>> {
        let query: Vec<_> = base.map(|base| ("base", base)).into_iter().collect();
        self.link(node_id)
            .await?
            .patient()
            .get("scan", &query)
            .await
    }

    /// How the node was, so that a graph is full when it opens.
    ///
    /// # Errors
    /// `Unavailable` when the node does not answer, or what it answers.
    pub async fn node_stats(&self, node_id: &NodeId, range: StatsRange) -> Result<StatsHistory> {
        let range = match range {
            StatsRange::Hour => "hour",
            StatsRange::Day => "day",
        };
        self.link(node_id)
            .await?
            .get("stats", &[("range", range)])
            .await
    }

    /// Somebody looks at the node: `MasterEvent::Live` a second, whenever it answers, until
    /// [`Master::node_unwatch`].
    ///
    /// # Errors
    /// `NotFound` when it is not enrolled.
    pub async fn node_watch(&self, node_id: &NodeId) -> Result<()> {
        let follower = self.core().fleet.get(node_id)?;
        follower.watched.send_replace(true);
        Ok(())
    }

    /// Nobody looks at the node any more.
    ///
    /// # Errors
    /// `NotFound` when it is not enrolled.
    pub async fn node_unwatch(&self, node_id: &NodeId) -> Result<()> {
        let follower = self.core().fleet.get(node_id)?;
        follower.watched.send_replace(false);
        Ok(())
    }

    /// Has an agent forget its sources and this master.
    async fn give_up(&self, node_id: &NodeId, link: &Link) -> Result<()> {
        for source in self.db(|r| r.sources_list()).await? {
            if source.node_id == *node_id && source.removed_at.is_none() {
                link.delete(&format!("sources/{}", source.id)).await?;
            }
        }
        link.delete("enrolment").await
    }

    pub(crate) async fn enrolled(&self, id: &NodeId) -> Result<NodeRow> {
        let asked = id.clone();
        let row = self.db(move |r| r.node_get(&asked)).await?;
        let enrolled = row.revoked_at.is_none().then_some(row);
        enrolled.with_context(|| format!("node {id} was revoked"))
    }

    fn view_of(&self, row: NodeRow) -> NodeView {
        let condition = self.core().fleet.get(&row.id).map(|f| f.condition()).ok();
        let pin = row
            .tls_pin
            .as_deref()
            .and_then(|pin| pin.parse::<Pin>().ok());
        let seen = condition.as_ref().and_then(|c| c.last_seen);
        NodeView {
            id: row.id,
            name: row.name,
            address: row.address,
            os: row.os,
            agent_version: row.agent_version,
            fingerprint: pin.map(|pin| pin.for_people()).unwrap_or_default(),
            state: condition.as_ref().map_or(NodeState::Offline, |c| c.state),
            problem: condition.and_then(|c| c.problem),
            last_seen: seen.or(row.last_seen),
            enrolled_at: row.enrolled_at,
        }
    }
}

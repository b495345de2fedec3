//! Enrolled servers, and those that were.

use backupd_base::{Context as _, NodeId, Result, TenantId};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::{Registry, column::parsed};

/// A node. Its API key is in the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Its id.
    pub id: NodeId,
    /// Whose snapshots it makes.
    pub tenant_id: TenantId,
    /// Its host name, or what the admin called it.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// For people.
    pub os: String,
    /// Version of its agent.
    pub agent_version: String,
    /// SHA-256 of its public TLS key, hex; none once revoked.
    pub tls_pin: Option<String>,
    /// The Ed25519 key its manifests are signed with, as `ed25519:<base64>`.
    pub signing_key: String,
    /// The age recipient credentials for it are sealed to.
    pub seal_recipient: String,
    /// When it was enrolled.
    pub enrolled_at: DateTime<Utc>,
    /// When it was last heard.
    pub last_seen: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl NodeRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: parsed(row, "id")?,
            tenant_id: parsed(row, "tenant_id")?,
            name: row.get("name")?,
            address: row.get("address")?,
            os: row.get("os")?,
            agent_version: row.get("agent_version")?,
            tls_pin: row.get("tls_pin")?,
            signing_key: row.get("signing_key")?,
            seal_recipient: row.get("seal_recipient")?,
            enrolled_at: row.get("enrolled_at")?,
            last_seen: row.get("last_seen")?,
            revoked_at: row.get("revoked_at")?,
        })
    }
}

impl Registry {
    /// Adds an enrolled node. `before`: the node it was until it was enrolled again, whose sources,
    /// stores, jobs and place in the journal become the new one's.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn node_insert(&self, node: &NodeRow, before: Option<&NodeId>) -> Result<()> {
        let enter = |db: &mut Connection| -> rusqlite::Result<()> {
            let tx = db.transaction()?;
            insert(&tx, node)?;
            if let Some(before) = before {
                for table in ["sources", "providers", "jobs", "events"] {
                    tx.execute(
                        &format!("UPDATE {table} SET node_id = ?1 WHERE node_id = ?2"),
                        [node.id.as_str(), before.as_str()],
                    )?;
                }
                tx.execute(
                    "UPDATE nodes SET tls_pin = NULL, revoked_at = ?2 WHERE id = ?1",
                    (before.as_str(), node.enrolled_at),
                )?;
            }
            tx.commit()
        };
        enter(&mut self.db()).with_context(|| format!("add node {}", node.name))
    }

    /// The nodes, revoked ones too, in the order they were enrolled.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn nodes_list(&self) -> Result<Vec<NodeRow>> {
        let list = |db: &Connection| -> rusqlite::Result<_> {
            db.prepare_cached("SELECT * FROM nodes ORDER BY enrolled_at, id")?
                .query_map([], NodeRow::read)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        list(&self.db()).context("list nodes")
    }

    /// One node, revoked or not.
    ///
    /// # Errors
    /// `NotFound` when it was never enrolled.
    pub fn node_get(&self, id: &NodeId) -> Result<NodeRow> {
        self.db()
            .query_row("SELECT * FROM nodes WHERE id = ?1", [id.as_str()], |r| {
                NodeRow::read(r)
            })
            .optional()
            .with_context(|| format!("read node {id}"))?
            .with_context(|| format!("no node {id}"))
    }

    /// Gives a node another name.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn node_rename(&self, id: &NodeId, name: &str) -> Result<()> {
        let changed = self
            .db()
            .execute(
                "UPDATE nodes SET name = ?2 WHERE id = ?1",
                [id.as_str(), name],
            )
            .with_context(|| format!("rename node {id}"))?;
        (changed == 1)
            .then_some(())
            .with_context(|| format!("no node {id}"))
    }

    /// Notes that a node answered, and as what.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn node_seen(
        &self,
        id: &NodeId,
        at: DateTime<Utc>,
        os: &str,
        agent_version: &str,
    ) -> Result<()> {
        self.db()
            .execute(
                "UPDATE nodes SET last_seen = :at, os = :os, agent_version = :version
                 WHERE id = :id",
                named_params! {
                    ":id": id.as_str(), ":at": at, ":os": os, ":version": agent_version,
                },
            )
            .with_context(|| format!("note that node {id} answered"))?;
        Ok(())
    }

    /// Forgets a node's pin. Its row stays, for the names of its snapshots.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn node_revoke(&self, id: &NodeId, at: DateTime<Utc>) -> Result<()> {
        self.db()
            .execute(
                "UPDATE nodes SET tls_pin = NULL, revoked_at = :at
                 WHERE id = :id AND revoked_at IS NULL",
                named_params! { ":id": id.as_str(), ":at": at },
            )
            .with_context(|| format!("revoke node {id}"))?;
        Ok(())
    }
}

/// Adds a node.
pub(crate) fn insert(db: &Connection, node: &NodeRow) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO nodes (id, tenant_id, name, address, os, agent_version, tls_pin,
             signing_key, seal_recipient, enrolled_at, last_seen, revoked_at)
         VALUES (:id, :tenant, :name, :address, :os, :version, :pin,
             :signing, :seal, :enrolled, :seen, :revoked)",
        named_params! {
            ":id": node.id.as_str(),
            ":tenant": node.tenant_id.as_str(),
            ":name": node.name,
            ":address": node.address,
            ":os": node.os,
            ":version": node.agent_version,
            ":pin": node.tls_pin,
            ":signing": node.signing_key,
            ":seal": node.seal_recipient,
            ":enrolled": node.enrolled_at,
            ":seen": node.last_seen,
            ":revoked": node.revoked_at,
        },
    )?;
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use backupd_base::Code;

    use super::*;
    use crate::{registry::tests::fresh, tenants::tests::tenant};

    /// A node of a tenant of its own.
    pub fn node(registry: &Registry) -> NodeRow {
        let tenant = tenant();
        registry.tenant_insert(&tenant).unwrap();
        let node = NodeRow {
            id: NodeId::new(),
            tenant_id: tenant.id,
            name: "web-1".into(),
            address: "192.0.2.7:8000".into(),
            os: "Debian GNU/Linux 12".into(),
            agent_version: "0.1.0".into(),
            tls_pin: Some("ab".repeat(32)),
            signing_key: "ed25519:AAAA".into(),
            seal_recipient: "age1node".into(),
            enrolled_at: Utc::now(),
            last_seen: None,
            revoked_at: None,
        };
        registry.node_insert(&node, None).unwrap();
        node
    }

    #[test]
    fn a_node_comes_back_as_it_was_put() {
        let (_folder, registry) = fresh();
        let mut row = node(&registry);
        assert_eq!(registry.node_get(&row.id).unwrap(), row);
        row.last_seen = Some(Utc::now());
        row.os = "Debian GNU/Linux 13".into();
        registry
            .node_seen(&row.id, row.last_seen.unwrap(), &row.os, "0.1.0")
            .unwrap();
        row.name = "shop".into();
        registry.node_rename(&row.id, "shop").unwrap();
        assert_eq!(registry.nodes_list().unwrap(), [row]);
    }

    #[test]
    fn a_revoked_node_has_no_pin() {
        let (_folder, registry) = fresh();
        let row = node(&registry);
        registry.node_revoke(&row.id, Utc::now()).unwrap();
        let kept = registry.node_get(&row.id).unwrap();
        assert_eq!(kept.tls_pin, None);
        assert!(kept.revoked_at.is_some());
    }

    #[test]
    fn a_node_enrolled_again_keeps_what_it_had() {
        let (_folder, registry) = fresh();
        let source = crate::sources::tests::source(&registry);
        let before = registry.node_get(&source.node_id).unwrap();
        registry.event_taken(&before.id, 7).unwrap();
        let again = NodeRow {
            id: NodeId::new(),
            ..before.clone()
        };
        registry.node_insert(&again, Some(&before.id)).unwrap();
        assert_eq!(registry.source_get(&source.id).unwrap().node_id, again.id);
        assert_eq!(registry.event_last(&again.id).unwrap(), 7);
        assert_eq!(registry.node_get(&before.id).unwrap().tls_pin, None);
        let stores = registry.providers_list().unwrap();
        assert!(stores.iter().any(|p| p.node_id.as_ref() == Some(&again.id)));
    }

    #[test]
    fn an_unknown_node_is_not_found() {
        let (_folder, registry) = fresh();
        let id = NodeId::new();
        assert_eq!(registry.node_get(&id).unwrap_err().code(), Code::NotFound);
        let renamed = registry.node_rename(&id, "x");
        assert_eq!(renamed.unwrap_err().code(), Code::NotFound);
    }
}

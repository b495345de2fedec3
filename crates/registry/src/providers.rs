//! Stores, and those that were.

use backupd_base::{Context as _, NodeId, ProviderId, Result};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::{
    Registry,
    column::{parsed, parsed_optional},
};

/// A store. Its credentials are in the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRow {
    /// Its id.
    pub id: ProviderId,
    /// The node whose own store it is; none for one that any node can be given.
    pub node_id: Option<NodeId>,
    /// For people.
    pub name: String,
    /// Where it keeps objects, as JSON.
    pub kind: String,
    /// When it was added.
    pub created_at: DateTime<Utc>,
    /// When it was removed. Snapshots in it are still known.
    pub removed_at: Option<DateTime<Utc>>,
}

impl ProviderRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: parsed(row, "id")?,
            node_id: parsed_optional(row, "node_id")?,
            name: row.get("name")?,
            kind: row.get("kind")?,
            created_at: row.get("created_at")?,
            removed_at: row.get("removed_at")?,
        })
    }
}

impl Registry {
    /// Adds a store; the same one again changes its name and kind.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn provider_put(&self, provider: &ProviderRow) -> Result<()> {
        put(&self.db(), provider).with_context(|| format!("keep store {}", provider.name))
    }

    /// The stores, removed ones too, in the order they were added.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn providers_list(&self) -> Result<Vec<ProviderRow>> {
        let list = |db: &Connection| -> rusqlite::Result<_> {
            db.prepare_cached("SELECT * FROM providers ORDER BY created_at, id")?
                .query_map([], ProviderRow::read)?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        list(&self.db()).context("list stores")
    }

    /// One store, removed or not.
    ///
    /// # Errors
    /// `NotFound` when there never was one.
    pub fn provider_get(&self, id: &ProviderId) -> Result<ProviderRow> {
        self.db()
            .query_row(
                "SELECT * FROM providers WHERE id = ?1",
                [id.as_str()],
                ProviderRow::read,
            )
            .optional()
            .with_context(|| format!("read store {id}"))?
            .with_context(|| format!("no store {id}"))
    }

    /// Notes that a store was removed.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn provider_remove(&self, id: &ProviderId, at: DateTime<Utc>) -> Result<()> {
        self.db()
            .execute(
                "UPDATE providers SET removed_at = :at WHERE id = :id AND removed_at IS NULL",
                named_params! { ":id": id.as_str(), ":at": at },
            )
            .with_context(|| format!("remove store {id}"))?;
        Ok(())
    }
}

/// Writes a store: one that is known gets its name and kind.
pub(crate) fn put(db: &Connection, provider: &ProviderRow) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO providers (id, node_id, name, kind, created_at, removed_at)
         VALUES (:id, :node, :name, :kind, :at, :removed)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, kind = excluded.kind
             WHERE node_id IS excluded.node_id",
        named_params! {
            ":id": provider.id.as_str(),
            ":node": provider.node_id.as_ref().map(NodeId::as_str),
            ":name": provider.name,
            ":kind": provider.kind,
            ":at": provider.created_at,
            ":removed": provider.removed_at,
        },
    )?;
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::{nodes::tests::node, registry::tests::fresh};

    pub fn provider(registry: &Registry, node_id: Option<NodeId>) -> ProviderRow {
        let provider = ProviderRow {
            id: ProviderId::new(),
            node_id,
            name: "Vault bucket".into(),
            kind: r#"{"type":"local","path":"/srv"}"#.into(),
            created_at: Utc::now(),
            removed_at: None,
        };
        registry.provider_put(&provider).unwrap();
        provider
    }

    #[test]
    fn a_removed_store_is_still_known() {
        let (_folder, registry) = fresh();
        let row = provider(&registry, None);
        assert_eq!(registry.provider_get(&row.id).unwrap(), row);
        registry.provider_remove(&row.id, Utc::now()).unwrap();
        assert!(registry.providers_list().unwrap()[0].removed_at.is_some());
    }

    #[test]
    fn a_node_cannot_take_over_a_store_that_is_not_its_own() {
        let (_folder, registry) = fresh();
        let shared = provider(&registry, None);
        let node = node(&registry);
        let claim = ProviderRow {
            node_id: Some(node.id),
            name: "mine now".into(),
            ..shared.clone()
        };
        registry.provider_put(&claim).unwrap();
        assert_eq!(registry.provider_get(&shared.id).unwrap(), shared);
    }
}

//! Snapshots that come into the catalogue by another way than the next link of a chain: found in a
//! store, or with the whole catalogue.

use backupd_base::{Context as _, Result};
use rusqlite::{Connection, Transaction, named_params};

use crate::{NodeRow, ProviderRow, Registry, SnapshotRow, SourceRow, TenantRow, column::signed};

impl Registry {
    /// Takes in a snapshot that was verified, wherever it stands in its source's chain; one that is
    /// known gets the row's stores. The head moves to it only if it is newer. That it was removed
    /// from these stores is forgotten.
    ///
    /// # Errors
    /// Only those of the disk, and when another snapshot has its place in the chain.
    pub fn snapshot_adopt(&self, row: &SnapshotRow, manifest_sha256: &str) -> Result<()> {
        let adopt = |db: &mut Connection| -> rusqlite::Result<()> {
            let tx = db.transaction()?;
            insert(&tx, row)?;
            tx.execute(
                "UPDATE sources SET head_sequence = ?2, head_sha256 = ?3
                 WHERE id = ?1 AND head_sequence < ?2",
                (
                    row.source_id.as_str(),
                    signed(row.sequence),
                    manifest_sha256,
                ),
            )?;
            for provider in &row.providers {
                tx.execute(
                    "DELETE FROM removals WHERE snapshot_id = ?1 AND provider_id = ?2",
                    [row.id.as_str(), provider.as_str()],
                )?;
            }
            tx.commit()
        };
        adopt(&mut self.db()).with_context(|| format!("adopt snapshot {}", row.id))
    }

    /// Founds a catalogue: tenant, store, nodes, sources with their heads, and snapshots, all or
    /// nothing.
    ///
    /// # Errors
    /// Only those of the disk, and when something of it is there already.
    pub fn catalogue_found(
        &self,
        tenant: &TenantRow,
        provider: &ProviderRow,
        nodes: &[NodeRow],
        sources: &[SourceRow],
        snapshots: &[SnapshotRow],
    ) -> Result<()> {
        let found = |db: &mut Connection| -> rusqlite::Result<()> {
            let tx = db.transaction()?;
            tx.execute(
                "INSERT INTO tenants (id, name, recipient, recovery_recipient, kit_saved, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                (
                    tenant.id.as_str(),
                    &tenant.name,
                    &tenant.recipient,
                    &tenant.recovery_recipient,
                    tenant.kit_saved,
                    tenant.created_at,
                ),
            )?;
            tx.execute(
                "INSERT INTO providers (id, node_id, name, kind, created_at, removed_at)
                 VALUES (?1, NULL, ?2, ?3, ?4, NULL)",
                (
                    provider.id.as_str(),
                    &provider.name,
                    &provider.kind,
                    provider.created_at,
                ),
            )?;
            for node in nodes {
                tx.execute(
                    "INSERT INTO nodes (id, tenant_id, name, address, os, agent_version,
                         signing_key, seal_recipient, enrolled_at, revoked_at)
                     VALUES (?1, ?2, ?3, '', '', '', ?4, '', ?5, ?6)",
                    (
                        node.id.as_str(),
                        node.tenant_id.as_str(),
                        &node.name,
                        &node.signing_key,
                        node.enrolled_at,
                        node.revoked_at,
                    ),
                )?;
            }
            for source in sources {
                insert_source(&tx, source)?;
            }
            for row in snapshots {
                insert(&tx, row)?;
            }
            tx.commit()
        };
        found(&mut self.db()).context("found the catalogue")
    }
}

fn insert_source(tx: &Transaction<'_>, source: &SourceRow) -> rusqlite::Result<()> {
    let recipients = serde_json::json!(source.recipients).to_string();
    tx.execute(
        "INSERT INTO sources (id, node_id, tenant_id, name, module, settings, recipients,
             created_at, removed_at, head_sequence, head_sha256)
         VALUES (:id, :node, :tenant, :name, :module, :settings, :recipients,
             :created, :removed, :sequence, :sha256)",
        named_params! {
            ":id": source.id.as_str(),
            ":node": source.node_id.as_str(),
            ":tenant": source.tenant_id.as_str(),
            ":name": source.name,
            ":module": source.module,
            ":settings": source.settings,
            ":recipients": recipients,
            ":created": source.created_at,
            ":removed": source.removed_at,
            ":sequence": signed(source.head_sequence),
            ":sha256": source.head_sha256,
        },
    )?;
    Ok(())
}

fn insert(tx: &Transaction<'_>, row: &SnapshotRow) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO snapshots (id, source_id, sequence, created_at, stored_bytes, body, manifest,
             held)
         VALUES (:id, :source, :sequence, :at, :bytes, :body, :manifest, :held)
         ON CONFLICT (id) DO NOTHING",
        named_params! {
            ":id": row.id.as_str(),
            ":source": row.source_id.as_str(),
            ":sequence": signed(row.sequence),
            ":at": row.created_at,
            ":bytes": signed(row.stored_bytes),
            ":body": row.body,
            ":manifest": row.manifest,
            ":held": row.held,
        },
    )?;
    for provider in &row.providers {
        tx.execute(
            "INSERT OR IGNORE INTO snapshot_providers (snapshot_id, provider_id) VALUES (?1, ?2)",
            [row.id.as_str(), provider.as_str()],
        )?;
    }
    Ok(())
}

//! Snapshots that come into the catalogue by another way than the next link of a chain: found in a
//! store, or with the whole catalogue.

use backupd_base::{Context as _, Result};
use rusqlite::Connection;

use crate::{
    NodeRow, ProviderRow, Registry, SnapshotRow, SourceRow, TenantRow, column::signed, nodes,
    providers, snapshots, sources, tenants,
};

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
            let is_known = tx
                .prepare_cached("SELECT 1 FROM snapshots WHERE id = ?1")?
                .exists([row.id.as_str()])?;
            if is_known {
                snapshots::add_stores(&tx, row)?;
            } else {
                snapshots::insert(&tx, row)?;
            }
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
            tenants::insert(&tx, tenant)?;
            providers::put(&tx, provider)?;
            nodes.iter().try_for_each(|row| nodes::insert(&tx, row))?;
            sources
                .iter()
                .try_for_each(|row| sources::insert(&tx, row))?;
            let mut rows = snapshots.iter();
            rows.try_for_each(|row| snapshots::insert(&tx, row))?;
            tx.commit()
        };
        found(&mut self.db()).context("found the catalogue")
    }
}

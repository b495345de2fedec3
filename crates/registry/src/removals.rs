//! Snapshots that go from a store, or went: the intent before, the memory after.

use backupd_base::{Context as _, ProviderId, Result, SnapshotId, SourceId};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, Transaction, named_params};

use crate::{
    Registry,
    column::{parsed, signed, unsigned},
};

/// A snapshot that goes from one store, or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovalRow {
    /// Which.
    pub snapshot_id: SnapshotId,
    /// From where.
    pub provider_id: ProviderId,
    /// Of which source.
    pub source_id: SourceId,
    /// Its place in the source's chain.
    pub sequence: u64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Its size.
    pub stored_bytes: u64,
    /// `rule`, `quota`, or `node`: by the retention of its source, or as its server told.
    pub reason: String,
    /// When that was decided.
    pub begun_at: DateTime<Utc>,
    /// When nothing of it was left.
    pub done_at: Option<DateTime<Utc>>,
}

impl RemovalRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            snapshot_id: parsed(row, "snapshot_id")?,
            provider_id: parsed(row, "provider_id")?,
            source_id: parsed(row, "source_id")?,
            sequence: unsigned(row, "sequence")?,
            created_at: row.get("created_at")?,
            stored_bytes: unsigned(row, "stored_bytes")?,
            reason: row.get("reason")?,
            begun_at: row.get("begun_at")?,
            done_at: row.get("done_at")?,
        })
    }
}

impl Registry {
    /// Writes down what is about to go, all or nothing. What is held by now, or no longer
    /// catalogued there, is passed over.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn removals_begin(&self, removals: &[RemovalRow]) -> Result<()> {
        let begin = |db: &mut Connection| -> rusqlite::Result<()> {
            let tx = db.transaction()?;
            for removal in removals {
                tx.execute(
                    "INSERT INTO removals (snapshot_id, provider_id, source_id, sequence,
                         created_at, stored_bytes, reason, begun_at, done_at)
                     SELECT :snapshot, :provider, :source, :sequence,
                         :created, :bytes, :reason, :begun, NULL
                     WHERE EXISTS (SELECT 1 FROM snapshot_providers
                         JOIN snapshots ON snapshots.id = snapshot_id
                         WHERE snapshot_id = :snapshot AND provider_id = :provider AND held = 0)
                     ON CONFLICT (snapshot_id, provider_id) DO UPDATE
                         SET reason = excluded.reason, begun_at = excluded.begun_at,
                             done_at = NULL",
                    named_params! {
                        ":snapshot": removal.snapshot_id.as_str(),
                        ":provider": removal.provider_id.as_str(),
                        ":source": removal.source_id.as_str(),
                        ":sequence": signed(removal.sequence),
                        ":created": removal.created_at,
                        ":bytes": signed(removal.stored_bytes),
                        ":reason": removal.reason,
                        ":begun": removal.begun_at,
                    },
                )?;
            }
            tx.commit()
        };
        begin(&mut self.db()).context("write down what is to be removed")
    }

    /// Those of one source or of all, done or not, in the order of their chains.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn removals_list(&self, source: Option<&SourceId>) -> Result<Vec<RemovalRow>> {
        let list = |db: &Connection| -> rusqlite::Result<_> {
            db.prepare_cached(
                "SELECT * FROM removals WHERE ?1 IS NULL OR source_id = ?1
                 ORDER BY source_id, sequence, provider_id",
            )?
            .query_map([source.map(SourceId::as_str)], RemovalRow::read)?
            .collect::<rusqlite::Result<Vec<_>>>()
        };
        list(&self.db()).context("list removals")
    }

    /// Ends a removal: the store is no longer one of the snapshot's, and a snapshot that no store
    /// has leaves the catalogue. Answers whether it was open.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn removal_end(
        &self,
        snapshot: &SnapshotId,
        provider: &ProviderId,
        at: DateTime<Utc>,
    ) -> Result<bool> {
        let end = |db: &mut Connection| -> rusqlite::Result<bool> {
            let tx = db.transaction()?;
            let was_open = tx.execute(
                "UPDATE removals SET done_at = ?3
                 WHERE snapshot_id = ?1 AND provider_id = ?2 AND done_at IS NULL",
                (snapshot.as_str(), provider.as_str(), at),
            )?;
            forget(&tx, snapshot, provider)?;
            tx.commit()?;
            Ok(was_open > 0)
        };
        end(&mut self.db()).with_context(|| format!("end the removal of snapshot {snapshot}"))
    }

    /// Holds a snapshot, or lets it go again. Answers whether that is news.
    ///
    /// # Errors
    /// `NotFound` when it is not in the catalogue.
    pub fn snapshot_hold(&self, id: &SnapshotId, held: bool) -> Result<bool> {
        self.snapshot_get(id)?;
        let changed = self
            .db()
            .execute(
                "UPDATE snapshots SET held = ?2 WHERE id = ?1 AND held <> ?2",
                (id.as_str(), held),
            )
            .with_context(|| format!("hold snapshot {id}"))?;
        Ok(changed > 0)
    }
}

fn forget(tx: &Transaction<'_>, id: &SnapshotId, provider: &ProviderId) -> rusqlite::Result<()> {
    tx.execute(
        "DELETE FROM snapshot_providers WHERE snapshot_id = ?1 AND provider_id = ?2",
        [id.as_str(), provider.as_str()],
    )?;
    tx.execute(
        "DELETE FROM snapshots WHERE id = ?1 AND NOT EXISTS
             (SELECT 1 FROM snapshot_providers WHERE snapshot_id = ?1)",
        [id.as_str()],
    )?;
    Ok(())
}

//! The catalogue: snapshots whose manifest was verified.

use std::collections::HashMap;

use backupd_base::{Code, Context as _, Error, ProviderId, Result, SnapshotId, SourceId};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension as _, Row, named_params};

use crate::{
    Registry,
    column::{parsed, signed, unsigned},
};

/// A snapshot. It enters after its manifest was verified, never before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRow {
    /// Its id.
    pub id: SnapshotId,
    /// Of which source.
    pub source_id: SourceId,
    /// Position in the source's chain, from 1.
    pub sequence: u64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Size of the encrypted archive.
    pub stored_bytes: u64,
    /// The stores that hold it.
    pub providers: Vec<ProviderId>,
    /// What the interface shows of it, as JSON.
    pub body: String,
    /// `manifest.json` as it was verified.
    pub manifest: Vec<u8>,
    /// Somebody asked for it to stay.
    pub held: bool,
}

impl SnapshotRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: parsed(row, "id")?,
            source_id: parsed(row, "source_id")?,
            sequence: unsigned(row, "sequence")?,
            created_at: row.get("created_at")?,
            stored_bytes: unsigned(row, "stored_bytes")?,
            providers: Vec::new(),
            body: row.get("body")?,
            manifest: row.get("manifest")?,
            held: row.get("held")?,
        })
    }

    fn with_providers(mut self, db: &Connection) -> rusqlite::Result<Self> {
        self.providers = db
            .prepare_cached(
                "SELECT provider_id FROM snapshot_providers WHERE snapshot_id = ?1
                 ORDER BY provider_id",
            )?
            .query_map([self.id.as_str()], |r| parsed(r, "provider_id"))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(self)
    }
}

impl Registry {
    /// Adds the next snapshot of a source and moves the source's head to it.
    ///
    /// # Errors
    /// `Conflict` when the head is not the manifest before it.
    pub fn snapshot_insert(&self, snapshot: &SnapshotRow, manifest_sha256: &str) -> Result<()> {
        let enter = |db: &mut Connection| {
            let tx = db.transaction()?;
            let moved = tx.execute(
                "UPDATE sources SET head_sequence = :sequence, head_sha256 = :sha256
                 WHERE id = :id AND head_sequence = :sequence - 1",
                named_params! {
                    ":id": snapshot.source_id.as_str(),
                    ":sequence": signed(snapshot.sequence),
                    ":sha256": manifest_sha256,
                },
            )?;
            if moved == 0 {
                return Ok(false);
            }
            insert(&tx, snapshot)?;
            tx.commit()?;
            Ok::<_, rusqlite::Error>(true)
        };
        let added =
            enter(&mut self.db()).with_context(|| format!("catalogue snapshot {}", snapshot.id))?;
        if added {
            return Ok(());
        }
        Err(Error::new(
            Code::Conflict,
            format!(
                "snapshot {} has sequence {}, which does not follow the newest one known",
                snapshot.id, snapshot.sequence
            ),
        ))
    }

    /// The snapshots of one source or of all, newest first.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn snapshots_list(&self, source: Option<&SourceId>) -> Result<Vec<SnapshotRow>> {
        let list = |db: &Connection| -> rusqlite::Result<_> {
            db.prepare_cached(
                "SELECT * FROM snapshots WHERE ?1 IS NULL OR source_id = ?1
                 ORDER BY created_at DESC, id DESC",
            )?
            .query_map([source.map(SourceId::as_str)], SnapshotRow::read)?
            .map(|row| row?.with_providers(db))
            .collect::<rusqlite::Result<Vec<_>>>()
        };
        list(&self.db()).context("list snapshots")
    }

    /// The newest snapshot of every source, and how many the source has.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn snapshots_newest(&self) -> Result<Vec<(SnapshotRow, u32)>> {
        let list = |db: &Connection| -> rusqlite::Result<_> {
            db.prepare_cached(
                "SELECT * FROM (
                     SELECT *, row_number() OVER
                             (PARTITION BY source_id ORDER BY sequence DESC) AS place,
                         count() OVER (PARTITION BY source_id) AS snapshots
                     FROM snapshots)
                 WHERE place = 1",
            )?
            .query_map([], |r| Ok((SnapshotRow::read(r)?, r.get("snapshots")?)))?
            .map(|row| row.and_then(|(row, count)| Ok((row.with_providers(db)?, count))))
            .collect::<rusqlite::Result<Vec<_>>>()
        };
        list(&self.db()).context("list the newest snapshots")
    }

    /// Bytes of the snapshots each store holds.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn snapshots_bytes(&self) -> Result<HashMap<ProviderId, u64>> {
        let sum = |db: &Connection| -> rusqlite::Result<_> {
            db.prepare_cached(
                "SELECT provider_id, sum(stored_bytes) AS bytes FROM snapshot_providers
                 JOIN snapshots ON snapshots.id = snapshot_id GROUP BY provider_id",
            )?
            .query_map([], |r| {
                Ok((parsed(r, "provider_id")?, unsigned(r, "bytes")?))
            })?
            .collect::<rusqlite::Result<_>>()
        };
        sum(&self.db()).context("sum up snapshots")
    }

    /// One snapshot.
    ///
    /// # Errors
    /// `NotFound` when it is not in the catalogue.
    pub fn snapshot_get(&self, id: &SnapshotId) -> Result<SnapshotRow> {
        self.snapshot_find(id)?
            .with_context(|| format!("no snapshot {id}"))
    }

    /// One snapshot, if it is in the catalogue.
    ///
    /// # Errors
    /// Only those of the disk.
    pub fn snapshot_find(&self, id: &SnapshotId) -> Result<Option<SnapshotRow>> {
        let get = |db: &Connection| -> rusqlite::Result<_> {
            db.query_row(
                "SELECT * FROM snapshots WHERE id = ?1",
                [id.as_str()],
                SnapshotRow::read,
            )
            .optional()?
            .map(|row| row.with_providers(db))
            .transpose()
        };
        get(&self.db()).with_context(|| format!("read snapshot {id}"))
    }
}

/// Adds a snapshot with its stores.
pub(crate) fn insert(db: &Connection, row: &SnapshotRow) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO snapshots (id, source_id, sequence, created_at, stored_bytes, body, manifest,
             held)
         VALUES (:id, :source, :sequence, :at, :bytes, :body, :manifest, :held)",
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
    add_stores(db, row)
}

/// Adds the stores of a snapshot to those it is known to be in.
pub(crate) fn add_stores(db: &Connection, row: &SnapshotRow) -> rusqlite::Result<()> {
    for provider in &row.providers {
        db.execute(
            "INSERT OR IGNORE INTO snapshot_providers (snapshot_id, provider_id) VALUES (?1, ?2)",
            [row.id.as_str(), provider.as_str()],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{registry::tests::fresh, sources::tests::source};

    fn snapshot(source: &SourceId, providers: &[ProviderId], sequence: u64) -> SnapshotRow {
        SnapshotRow {
            id: SnapshotId::new(),
            source_id: source.clone(),
            sequence,
            created_at: Utc::now(),
            stored_bytes: 1000 * sequence,
            providers: providers.to_vec(),
            body: "{}".into(),
            manifest: b"{}".to_vec(),
            held: false,
        }
    }

    #[test]
    fn the_head_moves_one_by_one_and_survives() {
        let (_folder, registry) = fresh();
        let source = source(&registry);
        let mut stores = source.providers.clone();
        stores.sort();
        let first = snapshot(&source.id, &stores, 1);
        let second = snapshot(&source.id, &stores[..1], 2);
        registry.snapshot_insert(&first, "aa").unwrap();
        registry.snapshot_insert(&second, "bb").unwrap();
        for wrong in [1, 2, 4] {
            let row = snapshot(&source.id, &[], wrong);
            let refused = registry.snapshot_insert(&row, "cc").unwrap_err();
            assert_eq!(refused.code(), Code::Conflict, "sequence {wrong}");
        }
        let kept = registry.source_get(&source.id).unwrap();
        assert_eq!(
            (kept.head_sequence, kept.head_sha256.as_deref()),
            (2, Some("bb"))
        );
        assert_eq!(
            registry.snapshots_list(Some(&source.id)).unwrap(),
            [second, first.clone()]
        );
        assert_eq!(registry.snapshot_get(&first.id).unwrap(), first);
        let newest = registry.snapshots_newest().unwrap();
        assert_eq!((newest[0].0.sequence, newest[0].1), (2, 2));
        let bytes = registry.snapshots_bytes().unwrap();
        assert_eq!((bytes[&stores[0]], bytes[&stores[1]]), (3000, 1000));
        let none = registry.snapshots_list(Some(&SourceId::new())).unwrap();
        assert!(none.is_empty());
    }

    #[test]
    fn a_snapshot_leaves_the_catalogue_with_its_last_store_and_is_remembered() {
        let (_folder, registry) = fresh();
        let source = source(&registry);
        let mut stores = source.providers.clone();
        stores.sort();
        let row = snapshot(&source.id, &stores, 1);
        registry.snapshot_insert(&row, "aa").unwrap();
        let removal = |provider: &ProviderId| crate::RemovalRow {
            snapshot_id: row.id.clone(),
            provider_id: provider.clone(),
            source_id: source.id.clone(),
            sequence: 1,
            created_at: row.created_at,
            stored_bytes: 1000,
            reason: "rule".into(),
            begun_at: Utc::now(),
            done_at: None,
        };
        // What is held is never begun.
        assert!(registry.snapshot_hold(&row.id, true).unwrap());
        registry.removals_begin(&[removal(&stores[0])]).unwrap();
        assert!(registry.removals_list(None).unwrap().is_empty());
        assert!(registry.snapshot_hold(&row.id, false).unwrap());
        assert!(!registry.snapshot_hold(&row.id, false).unwrap());

        let both = [removal(&stores[0]), removal(&stores[1])];
        registry.removals_begin(&both).unwrap();
        assert_eq!(registry.removals_list(Some(&source.id)).unwrap(), both);
        let end = |at: usize| registry.removal_end(&row.id, &stores[at], Utc::now());
        assert!(end(0).unwrap());
        let left = registry.snapshot_get(&row.id).unwrap();
        assert_eq!(left.providers, stores[1..]);
        assert!(end(1).unwrap());
        assert!(!end(1).unwrap());
        assert!(registry.snapshot_find(&row.id).unwrap().is_none());
        let done = registry.removals_list(None).unwrap();
        assert!(done.iter().all(|r| r.done_at.is_some()));
        // The chain stays where it was.
        let next = snapshot(&source.id, &stores, 2);
        registry.snapshot_insert(&next, "bb").unwrap();
        registry.source_move_head(&source.id, 3, "cc").unwrap();
        let again = registry.source_move_head(&source.id, 3, "cc").unwrap_err();
        assert_eq!(again.code(), Code::Conflict);
    }

    #[test]
    fn a_snapshot_that_cannot_be_kept_does_not_move_the_head() {
        let (_folder, registry) = fresh();
        let source = source(&registry);
        let row = snapshot(&source.id, &[ProviderId::new()], 1);
        registry.snapshot_insert(&row, "aa").unwrap_err();
        assert_eq!(registry.source_get(&source.id).unwrap().head_sequence, 0);
    }
}

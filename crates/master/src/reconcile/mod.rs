//! The catalogue against what lies in a bucket, in both directions, and the catalogue from the
//! bucket alone.
//!
//! - **missing**: the catalogue says yes, the bucket no;
//! - **changed**: it is there with other sizes, or another manifest;
//! - **orphaned**: a manifest that the catalogue does not know. It is offered for adoption when its
//!   signature holds and nothing known of its chain contradicts it; it is never removed.
//!
//! Deliberately not here: removing anything. What is unknown is nobody's to delete.

mod orphan;
mod rebuild;

use std::collections::BTreeMap;

use backupd_base::{Code, Context as _, Error, ProviderId, Result, SnapshotId};
use backupd_registry::{NodeRow, ProviderRow, RemovalRow, SnapshotRow, SourceRow};
use backupd_storage::{Holding, Owner, SnapshotPrefix, Storage, holdings};

use crate::{
    Master,
    retention::{is_bucket, is_whole},
    view::{Mismatch, Reconciliation},
};
use orphan::Orphaned;

/// What is known, and what was found.
struct Comparison {
    sources: BTreeMap<String, SourceRow>,
    nodes: Vec<NodeRow>,
    rows: Vec<SnapshotRow>,
    found: BTreeMap<Owner, Holding>,
    storage: Box<dyn Storage>,
    provider: ProviderRow,
}

impl Master {
    /// Compares the catalogue with a bucket. Nothing is changed, here or there.
    ///
    /// # Errors
    /// `Invalid` for a folder, whose server has the only catalogue of it; what the bucket says.
    pub async fn provider_reconcile(&self, provider_id: &ProviderId) -> Result<Reconciliation> {
        let compared = self.compare(provider_id).await?;
        let mut result = Reconciliation::default();
        for row in &compared.rows {
            let Some(source) = compared.source(row.source_id.as_str()) else {
                continue;
            };
            if let Some(why) = compared.mismatch(source, row).await? {
                let (list, what) = why;
                let mismatch = Mismatch {
                    snapshot_id: row.id.clone(),
                    source_name: source.name.clone(),
                    created_at: row.created_at,
                    message: what,
                };
                match list {
                    Kind::Missing => result.missing.push(mismatch),
                    Kind::Changed => result.changed.push(mismatch),
                }
            }
        }
        for (owner, holding) in compared.unknown() {
            match holding.manifest {
                Some(_) => {
                    let orphan = compared.orphan(owner).await?;
                    result.orphaned.push(orphan.view(owner, holding, &compared));
                }
                None => result.unfinished += 1,
            }
        }
        Ok(result)
    }

    /// Takes orphaned snapshots of a bucket into the catalogue. Those that are not to be believed
    /// stay out. Answers which came in.
    ///
    /// # Errors
    /// `Invalid` for a folder; what the bucket says.
    pub async fn snapshots_adopt(
        &self,
        provider_id: &ProviderId,
        snapshot_ids: &[SnapshotId],
    ) -> Result<Vec<SnapshotId>> {
        use crate::view::MasterEvent;
        let mut adopted = Vec::new();
        // Each may be the link that the next one hangs on: in the order of the chains.
        let compared = self.compare(provider_id).await?;
        let mut orphans = Vec::new();
        for (owner, _) in compared.unknown() {
            if snapshot_ids.contains(&owner.2) {
                orphans.push(compared.orphan(owner).await?);
            }
        }
        orphans.sort_by_key(Orphaned::sequence);
        for orphan in orphans {
            let Ok((row, sha256)) = orphan.row(provider_id) else {
                continue;
            };
            let id = row.id.clone();
            self.db(move |r| r.snapshot_adopt(&row, &sha256)).await?;
            adopted.push(id);
        }
        if !adopted.is_empty() {
            self.tell(MasterEvent::SnapshotsChanged);
            self.tell(MasterEvent::SourcesChanged);
        }
        Ok(adopted)
    }

    async fn compare(&self, id: &ProviderId) -> Result<Comparison> {
        let id = id.clone();
        let (provider, sources, nodes, rows, removals) = self
            .db(move |r| {
                Ok((
                    r.provider_get(&id)?,
                    r.sources_list()?,
                    r.nodes_list()?,
                    r.snapshots_list(None)?,
                    r.removals_list(None)?,
                ))
            })
            .await?;
        if !is_bucket(&provider)? {
            let what = format!(
                "the store {} is a folder: its server looks after it",
                provider.name
            );
            return Err(Error::new(Code::Invalid, what));
        }
        let doing = || format!("compare the catalogue with {}", provider.name);
        let storage = self.own_bucket(&provider).await.with_context(doing)?;
        let mut found = holdings(&*storage, "").await.with_context(doing)?;
        // What is on its way out is neither missing nor an orphan.
        let going: Vec<RemovalRow> = removals
            .into_iter()
            .filter(|r| r.done_at.is_none() && r.provider_id == provider.id)
            .collect();
        let goes = |snapshot: &SnapshotId| going.iter().any(|r| r.snapshot_id == *snapshot);
        found.retain(|(_, _, snapshot), _| !goes(snapshot));
        let rows = rows.into_iter().filter(|row| !goes(&row.id)).collect();
        let sources = sources.into_iter().map(|s| (s.id.to_string(), s)).collect();
        Ok(Comparison {
            sources,
            nodes,
            rows,
            found,
            storage,
            provider,
        })
    }
}

enum Kind {
    Missing,
    Changed,
}

impl Comparison {
    fn source(&self, id: &str) -> Option<&SourceRow> {
        self.sources.get(id)
    }

    /// What lies there and is not catalogued there.
    fn unknown(&self) -> impl Iterator<Item = (&Owner, &Holding)> {
        self.found.iter().filter(|((_, _, id), _)| {
            let known = self.rows.iter().find(|row| row.id == *id);
            known.is_none_or(|row| !row.providers.contains(&self.provider.id))
        })
    }

    async fn mismatch(
        &self,
        source: &SourceRow,
        row: &SnapshotRow,
    ) -> Result<Option<(Kind, String)>> {
        if !row.providers.contains(&self.provider.id) {
            return Ok(None);
        }
        let owner = (source.tenant_id.clone(), source.id.clone(), row.id.clone());
        let Some(holding) = self.found.get(&owner) else {
            return Ok(Some((Kind::Missing, "nothing of it is there".to_owned())));
        };
        let objects = [
            ("manifest", holding.manifest),
            ("archive", holding.archive),
            ("index", holding.index),
        ];
        let missing: Vec<_> = objects.iter().filter(|(_, size)| size.is_none()).collect();
        if let Some((name, _)) = missing.first() {
            return Ok(Some((Kind::Missing, format!("its {name} is not there"))));
        }
        if !is_whole(row, holding) {
            let what = "an object has another size than its manifest names".to_owned();
            return Ok(Some((Kind::Changed, what)));
        }
        let prefix = SnapshotPrefix::new(&source.tenant_id, &source.id, &row.id);
        let there = self.storage.get(&prefix.manifest()).await?;
        Ok((there != row.manifest).then(|| {
            let what = "its manifest is not the one that was verified".to_owned();
            (Kind::Changed, what)
        }))
    }
}

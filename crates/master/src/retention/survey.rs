//! What of a source's catalogue is really in a bucket, and whole.

use backupd_archive::SignedManifest;
use backupd_base::{Code, ProviderId, Result};
use backupd_policy::retention::Candidate;
use backupd_registry::{SnapshotRow, SourceRow};
use backupd_storage::{Holding, SnapshotPrefix, Storage, holdings};

use crate::Master;

/// The snapshots of a source that the catalogue has in one bucket.
pub struct Survey {
    /// Their rows.
    pub rows: Vec<SnapshotRow>,
    /// In the same order.
    pub candidates: Vec<Candidate>,
    prefixes: Vec<SnapshotPrefix>,
}

impl Survey {
    /// Looks at each in one listing: manifest, archive and index with the sizes that the verified
    /// manifest names.
    ///
    /// # Errors
    /// What the store says.
    pub async fn of(
        master: &Master,
        source: &SourceRow,
        provider: &ProviderId,
        storage: &dyn Storage,
    ) -> Result<Self> {
        let id = source.id.clone();
        let rows = master.db(move |r| r.snapshots_list(Some(&id))).await?;
        let below = format!("tenants/{}/sources/{}/", source.tenant_id, source.id);
        let found = holdings(storage, &below).await?;
        let mut candidates = candidates(&rows);
        for (candidate, row) in candidates.iter_mut().zip(&rows) {
            let owner = (
                source.tenant_id.clone(),
                source.id.clone(),
                candidate.id.clone(),
            );
            let holding = found.get(&owner).cloned().unwrap_or_default();
            candidate.verified &= is_whole(row, &holding);
            candidate.stored_bytes = holding.bytes();
        }
        let (rows, candidates): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .zip(candidates)
            .filter(|(row, _)| row.providers.contains(provider))
            .unzip();
        let prefix =
            |row: &SnapshotRow| SnapshotPrefix::new(&source.tenant_id, &source.id, &row.id);
        Ok(Self {
            prefixes: rows.iter().map(prefix).collect(),
            rows,
            candidates,
        })
    }

    /// Reads every manifest back: one that is not the very one that was verified makes its snapshot
    /// one that stands for no other.
    ///
    /// # Errors
    /// What the store says, unless it is that there is none.
    pub async fn verify(&mut self, storage: &dyn Storage) -> Result<()> {
        let all = self.candidates.iter_mut().zip(&self.rows);
        for ((candidate, row), prefix) in all.zip(&self.prefixes) {
            if !candidate.verified {
                continue;
            }
            candidate.verified = match storage.get(&prefix.manifest()).await {
                Ok(bytes) => bytes == row.manifest,
                Err(e) if e.code() == Code::NotFound => false,
                Err(e) => return Err(e),
            };
        }
        Ok(())
    }
}

/// All snapshots of one source as the catalogue has them. One that is dated before a snapshot that
/// it follows in the chain stands for no other: a node that was taken over would date it so to push
/// good ones out.
#[must_use]
pub fn candidates(rows: &[SnapshotRow]) -> Vec<Candidate> {
    let now = chrono::Utc::now();
    let is_backdated = |row: &SnapshotRow| {
        let mut before = rows.iter().filter(|r| r.sequence < row.sequence);
        before.any(|r| r.created_at > row.created_at && r.created_at <= now)
    };
    let candidate = |row: &SnapshotRow| Candidate {
        id: row.id.clone(),
        created_at: row.created_at,
        stored_bytes: row.stored_bytes,
        verified: !is_backdated(row),
        held: row.held,
        known: true,
    };
    rows.iter().map(candidate).collect()
}

/// Whether what lies there has the sizes that the manifest names.
pub fn is_whole(row: &SnapshotRow, holding: &Holding) -> bool {
    let Ok(signed) = SignedManifest::parse_self_signed(&row.manifest) else {
        return false;
    };
    let manifest = signed.manifest();
    holding.manifest == Some(row.manifest.len() as u64)
        && holding.archive == Some(manifest.archive.bytes)
        && holding.index == Some(manifest.index.bytes)
}

#[cfg(test)]
mod tests {
    use backupd_base::{SnapshotId, SourceId};
    use backupd_policy::retention::{Retention, ZONE, decide};
    use chrono::{TimeDelta, Utc};

    use super::*;

    #[test]
    fn a_node_that_was_taken_over_pushes_no_good_snapshot_out() {
        let (source, provider) = (SourceId::new(), ProviderId::new());
        let now = Utc::now();
        let row = |sequence: u64, days: i64| SnapshotRow {
            id: SnapshotId::new(),
            source_id: source.clone(),
            sequence,
            created_at: now - TimeDelta::hours(1) - TimeDelta::days(days),
            stored_bytes: 1000,
            providers: vec![provider.clone()],
            body: "{}".into(),
            manifest: b"{}".to_vec(),
            held: false,
        };
        let mut rows: Vec<_> = (1..=60u64)
            .zip((0..60).rev())
            .map(|(n, d)| row(n, d))
            .collect();
        let rule = Retention {
            quota_bytes: Some(60_000),
            ..Retention::default()
        };
        let kept = |rows: &[SnapshotRow]| {
            let plan = decide(&rule, &candidates(rows), ZONE, now);
            let kept = plan.verdicts.into_iter().filter(|v| v.decision.keeps());
            let mut kept: Vec<_> = kept.map(|v| v.id).collect();
            kept.retain(|id| rows[..60].iter().any(|row| row.id == *id));
            kept
        };
        let genuine = kept(&rows);
        // All signed, all in the chain: a little newer than a genuine one of the same day each, or
        // in the future.
        for n in 0..1000u64 {
            let days = i64::try_from(n % 60).unwrap() + 1;
            let mut fake = row(61 + n, if n % 2 == 0 { days } else { -days });
            fake.created_at += TimeDelta::minutes(5);
            rows.push(fake);
        }
        assert_eq!(kept(&rows), genuine);
    }
}

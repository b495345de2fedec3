//! What of a source's catalogue is really in a folder, and whole: nothing goes in favour of what is
//! not there.

use std::collections::HashMap;

use backupd_archive::SignedManifest;
use backupd_base::{Code, ProviderId, Result, SnapshotId};
use backupd_policy::retention::{Candidate, RemoveReason};
use backupd_protocol::{Snapshot, Source};
use backupd_storage::{Holding, SnapshotPrefix, Storage, holdings};

use crate::{
    jobs::Parts,
    store::{removals::Removal, snapshots},
};

/// The snapshots of a source that the catalogue has at one provider.
pub(super) struct Survey {
    pub candidates: Vec<Candidate>,
    manifests: HashMap<SnapshotId, String>,
}

impl Survey {
    /// Looks at each: the manifest that the catalogue names, and archive and index with the sizes
    /// the manifest names.
    pub async fn of(
        parts: &Parts,
        source: &Source,
        provider: &ProviderId,
        storage: &dyn Storage,
    ) -> Result<Self> {
        let mut catalogue = parts
            .store
            .read(|db| snapshots::list(db, Some(&source.id)))?;
        catalogue.retain(|s| s.providers.contains(provider));
        let below = format!("tenants/{}/sources/{}/", source.tenant_id, source.id);
        let found = holdings(storage, &below).await?;
        let mut survey = Self {
            candidates: Vec::with_capacity(catalogue.len()),
            manifests: HashMap::new(),
        };
        for snapshot in catalogue {
            let owner = (
                snapshot.tenant_id.clone(),
                snapshot.source_id.clone(),
                snapshot.id.clone(),
            );
            let holding = found.get(&owner).cloned().unwrap_or_default();
            let signed = manifest(storage, &snapshot).await?;
            let verified = signed.as_ref().is_some_and(|m| is_whole(m, &holding));
            if let Some(signed) = signed {
                let text = String::from_utf8_lossy(signed.bytes()).into_owned();
                survey.manifests.insert(snapshot.id.clone(), text);
            }
            survey.candidates.push(Candidate {
                id: snapshot.id,
                created_at: snapshot.created_at,
                stored_bytes: holding.bytes(),
                verified,
                held: snapshot.held,
                known: true,
            });
        }
        Ok(survey)
    }

    /// The intent to remove one of them.
    pub fn removal(&self, id: &SnapshotId, provider: &ProviderId, reason: RemoveReason) -> Removal {
        Removal {
            snapshot_id: id.clone(),
            provider_id: provider.clone(),
            reason,
            manifest: self.manifests.get(id).cloned(),
        }
    }
}

/// The manifest, if it is the very one that the catalogue entered.
async fn manifest(storage: &dyn Storage, snapshot: &Snapshot) -> Result<Option<SignedManifest>> {
    let prefix = SnapshotPrefix::new(&snapshot.tenant_id, &snapshot.source_id, &snapshot.id);
    let bytes = match storage.get(&prefix.manifest()).await {
        Ok(bytes) => bytes,
        Err(e) if e.code() == Code::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let signed = SignedManifest::parse_self_signed(&bytes).ok();
    Ok(signed.filter(|m| m.sha256().to_string() == snapshot.manifest_sha256))
}

fn is_whole(signed: &SignedManifest, holding: &Holding) -> bool {
    let manifest = signed.manifest();
    holding.archive == Some(manifest.archive.bytes) && holding.index == Some(manifest.index.bytes)
}

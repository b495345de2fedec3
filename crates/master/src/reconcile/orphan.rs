//! A manifest that the catalogue does not know: whose it is, and whether it is to be believed.

use backupd_archive::SignedManifest;
use backupd_base::{Code, Context as _, Error, ProviderId, Result};
use backupd_protocol::Snapshot;
use backupd_registry::{SnapshotRow, SourceRow};
use backupd_storage::{Holding, Owner, SnapshotPrefix};

use super::Comparison;
use crate::{
    retention::is_whole,
    view::{ErrorView, Orphan},
};

/// An orphan that was looked at.
pub struct Orphaned {
    signed: Option<SignedManifest>,
    /// Why it is not to be believed.
    problem: Option<Error>,
}

impl Comparison {
    /// Reads and checks the manifest of one.
    pub(super) async fn orphan(&self, owner: &Owner) -> Result<Orphaned> {
        let (tenant, source, snapshot) = owner;
        let prefix = SnapshotPrefix::new(tenant, source, snapshot);
        let bytes = match self.storage.get(&prefix.manifest()).await {
            Ok(bytes) => bytes,
            Err(e) if e.code() == Code::NotFound => {
                return Ok(Orphaned {
                    signed: None,
                    problem: Some(e),
                });
            }
            Err(e) => return Err(e),
        };
        let signed = SignedManifest::parse_self_signed(&bytes);
        let checked = signed.as_ref().map(|signed| self.check(owner, signed));
        let problem = match checked {
            Ok(checked) => checked.err(),
            Err(_) => None,
        };
        Ok(match signed {
            Ok(signed) => Orphaned {
                signed: Some(signed),
                problem,
            },
            Err(error) => Orphaned {
                signed: None,
                problem: Some(error),
            },
        })
    }

    /// Whether it is signed by the node of its source, lies where it says, is whole, and fits what is
    /// known of its chain on either side.
    fn check(&self, owner: &Owner, signed: &SignedManifest) -> Result<()> {
        let corrupt = |what: &str| Err(Error::new(Code::Corrupt, what.to_owned()));
        let manifest = signed.manifest();
        let named = (
            manifest.tenant_id.clone(),
            manifest.source_id.clone(),
            manifest.snapshot_id.clone(),
        );
        if named != *owner {
            return corrupt("its manifest is signed, but for another snapshot");
        }
        let source = self.source(owner.1.as_str());
        let source = source.context("its source is not known here")?;
        let node = self.nodes.iter().find(|n| n.id == source.node_id);
        let signer = node
            .context("its server is not known here")?
            .signing_key
            .parse()?;
        SignedManifest::parse_and_verify(signed.bytes(), &signer)?;
        let row = row(source, signed, &self.provider.id)?;
        if !is_whole(&row, &self.found[owner]) {
            return corrupt("an object has another size than its manifest names");
        }
        self.check_chain(source, signed)
    }

    fn check_chain(&self, source: &SourceRow, signed: &SignedManifest) -> Result<()> {
        let broken = || {
            Err(Error::new(
                Code::Corrupt,
                "it does not fit into its source's chain",
            ))
        };
        let (manifest, sha256) = (signed.manifest(), signed.sha256());
        for row in self.rows.iter().filter(|row| row.source_id == source.id) {
            let known = SignedManifest::parse_self_signed(&row.manifest)?;
            let fits = match row.sequence {
                n if n == manifest.sequence => known.sha256() == sha256,
                n if n + 1 == manifest.sequence => manifest.previous == Some(known.sha256()),
                n if n == manifest.sequence + 1 => known.manifest().previous == Some(sha256),
                _ => true,
            };
            if !fits {
                return broken();
            }
        }
        let head = source.head_sequence;
        let is_next = manifest.sequence == head + 1
            && manifest.previous.map(|p| p.to_string()) == source.head_sha256;
        if manifest.sequence > head && !is_next {
            // What follows the head is taken in from its server, link by link.
            return broken();
        }
        Ok(())
    }
}

impl Orphaned {
    /// Its place in its chain.
    pub fn sequence(&self) -> u64 {
        self.signed.as_ref().map_or(0, |s| s.manifest().sequence)
    }

    /// Its row, if it is to be believed, and its manifest's SHA-256.
    pub fn row(self, provider: &ProviderId) -> Result<(SnapshotRow, String)> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let signed = self.signed.context("it has no manifest")?;
        let row = row_of(&signed, provider)?;
        Ok((row, signed.sha256().to_string()))
    }

    /// As the interface shows it.
    pub(super) fn view(&self, owner: &Owner, holding: &Holding, compared: &Comparison) -> Orphan {
        let manifest = self.signed.as_ref().map(SignedManifest::manifest);
        Orphan {
            snapshot_id: owner.2.clone(),
            source_id: owner.1.clone(),
            source_name: compared.source(owner.1.as_str()).map(|s| s.name.clone()),
            created_at: manifest.map(|m| m.created_at),
            stored_bytes: holding.bytes(),
            problem: self.problem.as_ref().map(ErrorView::from),
        }
    }
}

fn row(source: &SourceRow, signed: &SignedManifest, provider: &ProviderId) -> Result<SnapshotRow> {
    let recipients = &signed.manifest().recipients;
    if !source.recipients.iter().all(|r| recipients.contains(r)) {
        let what = "it is not encrypted to the keys of its source";
        return Err(Error::new(Code::Corrupt, what));
    }
    row_of(signed, provider)
}

/// The row that a manifest makes.
pub fn row_of(signed: &SignedManifest, provider: &ProviderId) -> Result<SnapshotRow> {
    let manifest = signed.manifest();
    let snapshot = Snapshot {
        id: manifest.snapshot_id.clone(),
        tenant_id: manifest.tenant_id.clone(),
        source_id: manifest.source_id.clone(),
        job_id: manifest.job_id.clone(),
        providers: vec![provider.clone()],
        sequence: manifest.sequence,
        created_at: manifest.created_at,
        stored_bytes: manifest.archive.bytes + manifest.index.bytes,
        content_bytes: manifest.content_bytes,
        files: manifest.entries,
        manifest_sha256: signed.sha256().to_string(),
        consistent: manifest.consistent,
        // They are told to the catalogue only; the manifest has their number.
        warnings: Vec::new(),
        held: false,
    };
    Ok(SnapshotRow {
        id: snapshot.id.clone(),
        source_id: snapshot.source_id.clone(),
        sequence: snapshot.sequence,
        created_at: snapshot.created_at,
        stored_bytes: snapshot.stored_bytes,
        providers: snapshot.providers.clone(),
        body: serde_json::to_string(&snapshot).context("write the snapshot")?,
        manifest: signed.bytes().to_vec(),
        held: false,
    })
}

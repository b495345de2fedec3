//! Finding a store that holds a snapshot, and the key that opens it.

use std::sync::Arc;

use backupd_archive::{Keypair, Manifest, SignedManifest};
use backupd_base::{Code, Context as _, Error, NodeId, ProviderId, Result, SnapshotId};
use backupd_protocol::{ProviderKind, Snapshot};
use backupd_registry::{NodeRow, ProviderRow, SnapshotRow, SourceRow};
use backupd_storage::{Key, Ranged, Retry, RetryOptions, SnapshotPrefix, Storage};
use bytes::Bytes;
use tokio::runtime::Handle;

use crate::{
    Master,
    commands::{bucket, parsed},
    link::{Link, NodeStore},
};

/// A snapshot that can be read.
pub struct Opened {
    /// Which.
    pub id: SnapshotId,
    /// The name of its source.
    pub source_name: String,
    /// The node it was made on.
    pub node_id: NodeId,
    /// The store it is read from.
    pub provider_id: ProviderId,
    /// The name of that store.
    pub provider_name: String,
    /// That store.
    pub storage: Arc<dyn Storage>,
    /// Its folder there.
    pub prefix: SnapshotPrefix,
    /// What it consists of, verified.
    pub manifest: Manifest,
    /// What opens it.
    pub identity: Keypair,
}

impl Opened {
    /// The encrypted archive. Blocking: not inside a future.
    pub fn archive(&self, runtime: &Handle) -> Ranged {
        self.object(runtime, self.prefix.archive(), self.manifest.archive.bytes)
    }

    /// The encrypted index. Blocking: not inside a future.
    pub fn index(&self, runtime: &Handle) -> Ranged {
        self.object(runtime, self.prefix.index(), self.manifest.index.bytes)
    }

    fn object(&self, runtime: &Handle, key: Key, size: u64) -> Ranged {
        Ranged::new(self.storage.clone(), runtime.clone(), key, size)
    }
}

struct Rows {
    snapshot: SnapshotRow,
    source: SourceRow,
    node: NodeRow,
    providers: Vec<ProviderRow>,
}

impl Master {
    /// Opens a snapshot at the first of its stores that has it whole.
    ///
    /// # Errors
    /// `NotFound` when it is not in the catalogue; `KeyringLocked`, `KeyMissing`; what the last
    /// store said when none of them has it.
    pub(crate) async fn open_snapshot(&self, id: &SnapshotId) -> Result<Opened> {
        let rows = self.rows_of(id).await?;
        let mut error = Error::new(Code::NotFound, format!("no store holds snapshot {id}"));
        for provider in &rows.providers {
            match self.open_copy(&rows, provider).await {
                Ok(opened) => return Ok(opened),
                Err(e) => error = e,
            }
        }
        Err(error)
    }

    /// Opens a snapshot at every one of its stores.
    ///
    /// # Errors
    /// As [`Master::open_snapshot`], when any of them does not have it whole.
    pub(crate) async fn open_copies(&self, id: &SnapshotId) -> Result<Vec<Opened>> {
        let rows = self.rows_of(id).await?;
        let mut copies = Vec::new();
        for provider in &rows.providers {
            copies.push(self.open_copy(&rows, provider).await?);
        }
        Ok(copies)
    }

    async fn open_copy(&self, rows: &Rows, provider: &ProviderRow) -> Result<Opened> {
        let id = &rows.snapshot.id;
        let signer = rows.node.signing_key.parse()?;
        let signed = SignedManifest::parse_and_verify(&rows.snapshot.manifest, &signer)?;
        let manifest = signed.manifest().clone();
        let prefix = SnapshotPrefix::new(&manifest.tenant_id, &manifest.source_id, id);
        let found = async {
            let storage = self.storage(&rows.source.node_id, None, provider).await?;
            check_size(&*storage, &prefix.archive(), manifest.archive.bytes).await?;
            Ok::<_, Error>(storage)
        };
        let storage = found
            .await
            .with_context(|| format!("open snapshot {id} at {}", provider.name))?;
        Ok(Opened {
            id: id.clone(),
            source_name: rows.source.name.clone(),
            node_id: rows.source.node_id.clone(),
            provider_id: provider.id.clone(),
            provider_name: provider.name.clone(),
            storage,
            prefix,
            identity: self.core().secrets.tenant(&manifest.tenant_id).await?,
            manifest,
        })
    }

    /// `manifest.json` of a snapshot that a node lists, from the first store that has it.
    pub(crate) async fn manifest_bytes(
        &self,
        node_id: &NodeId,
        link: &Link,
        snapshot: &Snapshot,
    ) -> Result<Bytes> {
        let ids = snapshot.providers.clone();
        let providers = self
            .db(move |r| {
                ids.iter()
                    .map(|id| r.provider_get(id))
                    .collect::<Result<Vec<_>>>()
            })
            .await?;
        let prefix = SnapshotPrefix::new(&snapshot.tenant_id, &snapshot.source_id, &snapshot.id);
        let mut error = Error::new(Code::NotFound, "no store holds it");
        for provider in &providers {
            let read = async {
                let storage = self.storage(node_id, Some(link), provider).await?;
                storage.get(&prefix.manifest()).await
            };
            match read.await {
                Ok(bytes) => return Ok(bytes),
                Err(e) => error = e,
            }
        }
        Err(error)
    }

    /// A store to read from: a bucket from here, a folder through its node.
    async fn storage(
        &self,
        node_id: &NodeId,
        link: Option<&Link>,
        provider: &ProviderRow,
    ) -> Result<Arc<dyn Storage>> {
        let kind: ProviderKind = parsed("store", &provider.kind)?;
        let options = RetryOptions::default();
        Ok(match kind {
            ProviderKind::S3 { .. } => {
                let credentials = self.core().secrets.own_credentials(&provider.id).await?;
                Arc::new(Retry::new(bucket(kind, credentials)?, options))
            }
            ProviderKind::Local { .. } => {
                let link = match link {
                    Some(link) => link.clone(),
                    None => self.link(node_id).await?,
                };
                let store = NodeStore::new(link, provider.id.clone());
                Arc::new(Retry::new(store, options))
            }
        })
    }

    async fn rows_of(&self, id: &SnapshotId) -> Result<Rows> {
        let id = id.clone();
        self.db(move |r| {
            let snapshot = r.snapshot_get(&id)?;
            let source = r.source_get(&snapshot.source_id)?;
            let providers = snapshot.providers.iter();
            Ok(Rows {
                node: r.node_get(&source.node_id)?,
                providers: providers
                    .map(|id| r.provider_get(id))
                    .collect::<Result<_>>()?,
                source,
                snapshot,
            })
        })
        .await
    }
}

async fn check_size(storage: &dyn Storage, key: &Key, size: u64) -> Result<()> {
    match storage.head(key).await? {
        Some(found) if found.size == size => Ok(()),
        Some(found) => Err(Error::new(
            Code::Corrupt,
            format!("{key} has {} bytes instead of {size}", found.size),
        )),
        None => Err(Error::new(Code::NotFound, format!("there is no {key}"))),
    }
}

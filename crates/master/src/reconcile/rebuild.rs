//! The computer is gone: the catalogue again, from a bucket and the key on the recovery kit.
//!
//! The key from the paper becomes the tenant's key on this computer, and a new kit is to be saved.
//! Sources come back as ones that are no longer protected, under their ids: their names and their
//! servers were on the computer that is gone. A server that is enrolled again signs as it did.

use std::collections::BTreeMap;

use backupd_archive::{Keypair, SignedManifest, file_key};
use backupd_base::{Code, Context as _, Error, NodeId, Result, SecretString, SourceId, TenantId};
use backupd_protocol::ProviderKind;
use backupd_registry::{NodeRow, ProviderRow, SnapshotRow, SourceRow, TenantRow};
use backupd_storage::{SnapshotPrefix, Storage as _, holdings};
use backupd_vault::Entry;
use chrono::Utc;

use super::orphan::row_of;
use crate::{
    Master,
    commands::{bucket, checked_credentials, checked_kind},
    retention::is_whole,
    view::{CredentialsInput, MasterEvent, Rebuilt},
};

/// The chain of one source, oldest first.
type Chain = Vec<SignedManifest>;

impl Master {
    /// Sets up this computer from a bucket and a recovery key: tenant, sources and every snapshot
    /// that the key is for, is whole, and whose chain holds as far as it is there.
    ///
    /// # Errors
    /// `AlreadyExists` when this computer is set up, `Invalid` when the key is none, `NotFound` when
    /// nothing in the bucket is for it, `KeyringLocked`; what the bucket says.
    pub async fn catalogue_rebuild(
        &self,
        tenant_name: &str,
        kind: ProviderKind,
        credentials: CredentialsInput,
        recovery_key: &SecretString,
    ) -> Result<Rebuilt> {
        let name = crate::commands::checked_name("tenant", tenant_name)?;
        if let Some(tenant) = self.tenant().await? {
            let what = format!("the tenant {} is set up here already", tenant.name);
            return Err(Error::new(Code::AlreadyExists, what));
        }
        let key = Keypair::from_secret(recovery_key)
            .context("read the recovery key")
            .map_err(|e| e.with_code(Code::Invalid))?;
        let kind = checked_kind(kind)?;
        let credentials = checked_credentials(credentials)?;
        let storage = bucket(kind.clone(), credentials.clone())?;
        let provider = ProviderRow {
            id: backupd_base::ProviderId::new(),
            node_id: None,
            name: "Rebuilt".to_owned(),
            kind: serde_json::json!(kind).to_string(),
            created_at: Utc::now(),
            removed_at: None,
        };
        let mut found = read(&storage, &key, &provider).await?;
        let (tenant_id, chains) = found.the_tenants()?;
        for chain in chains.values() {
            opens(&storage, chain, &key).await?;
        }

        let recovery = Keypair::generate();
        let tenant = TenantRow {
            id: tenant_id.clone(),
            name,
            recipient: key.recipient().to_string(),
            recovery_recipient: recovery.recipient().to_string(),
            kit_saved: false,
            created_at: Utc::now(),
        };
        // The keyring first: a tenant in the registry is one whose keys were kept.
        let secrets = &self.core().secrets;
        secrets.found(tenant_id, &key).await?;
        let secret = credentials.to_secret_json();
        secrets
            .set(Entry::Provider(provider.id.clone()), secret)
            .await?;
        let rebuilt = Rebuilt {
            sources: u32::try_from(chains.len()).unwrap_or(u32::MAX),
            snapshots: u32::try_from(chains.values().map(Vec::len).sum::<usize>())
                .unwrap_or(u32::MAX),
            left_out: found.left_out,
        };
        let rows = rows(&tenant, &provider, &chains)?;
        self.db(move |r| {
            r.catalogue_found(
                &tenant,
                &provider,
                &rows.nodes,
                &rows.sources,
                &rows.snapshots,
            )
        })
        .await?;
        *self.core().unsaved_recovery.lock().await = Some(recovery);
        for event in [
            MasterEvent::SourcesChanged,
            MasterEvent::SnapshotsChanged,
            MasterEvent::NodesChanged,
        ] {
            self.tell(event);
        }
        Ok(rebuilt)
    }
}

/// What the bucket has for a key.
struct Found {
    chains: BTreeMap<(TenantId, SourceId), Chain>,
    /// Snapshots that are not whole, not to be believed, or for another key.
    left_out: u32,
}

impl Found {
    /// The tenant whose kit the key is from, and its sources. A kit has one; somebody who can write
    /// to the bucket may have planted others, so the one with most counts.
    fn the_tenants(&mut self) -> Result<(TenantId, BTreeMap<SourceId, Chain>)> {
        let chains = std::mem::take(&mut self.chains);
        let mut counts: BTreeMap<&TenantId, usize> = BTreeMap::new();
        for ((tenant, _), chain) in &chains {
            *counts.entry(tenant).or_default() += chain.len();
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        let tenant = most.map(|(tenant, _)| tenant.clone());
        let tenant = tenant.context("no snapshot in the bucket is for this key")?;
        let mut theirs = BTreeMap::new();
        for ((owner, source), chain) in chains {
            if owner == tenant {
                theirs.insert(source, chain);
            } else {
                self.left_out += u32::try_from(chain.len()).unwrap_or(u32::MAX);
            }
        }
        Ok((tenant, theirs))
    }
}

async fn read(
    storage: &backupd_storage::S3,
    key: &Keypair,
    provider: &ProviderRow,
) -> Result<Found> {
    let recipient = key.recipient().to_string();
    let mut found = Found {
        chains: BTreeMap::new(),
        left_out: 0,
    };
    for ((tenant, source, snapshot), holding) in holdings(storage, "").await? {
        if holding.manifest.is_none() {
            continue;
        }
        let prefix = SnapshotPrefix::new(&tenant, &source, &snapshot);
        let bytes = storage.get(&prefix.manifest()).await?;
        let signed = SignedManifest::parse_self_signed(&bytes)
            .ok()
            .filter(|signed| {
                let manifest = signed.manifest();
                let row = row_of(signed, &provider.id);
                (
                    &manifest.tenant_id,
                    &manifest.source_id,
                    &manifest.snapshot_id,
                ) == (&tenant, &source, &snapshot)
                    && manifest.recipients.contains(&recipient)
                    && row.is_ok_and(|row| is_whole(&row, &holding))
            });
        match signed {
            Some(signed) => found
                .chains
                .entry((tenant, source))
                .or_default()
                .push(signed),
            None => found.left_out += 1,
        }
    }
    for chain in found.chains.values_mut() {
        let all = std::mem::take(chain);
        let count = all.len();
        *chain = believed(all);
        let loose = count - chain.len();
        found.left_out += u32::try_from(loose).unwrap_or(u32::MAX);
    }
    Ok(found)
}

/// The links that hold together, counted from the newest: each place once, and each naming the one
/// before it where that is there. The server's key was on the computer that is gone, and anybody
/// who can write to the bucket can sign with a key of his own: the one that signed most counts.
fn believed(all: Chain) -> Chain {
    let mut by_signer: BTreeMap<String, Chain> = BTreeMap::new();
    for signed in all {
        let signer = signed.signer().to_string();
        by_signer.entry(signer).or_default().push(signed);
    }
    let most = by_signer.into_values().max_by_key(Vec::len);
    let mut chain = most.unwrap_or_default();
    chain.sort_by_key(|signed| signed.manifest().sequence);
    let fits = |pair: &&[SignedManifest]| {
        let (before, after) = (&pair[0], &pair[1]);
        let (n, next) = (before.manifest().sequence, after.manifest().sequence);
        let named = after.manifest().previous == Some(before.sha256());
        n < next && (n + 1 < next || named)
    };
    let pairs = chain.windows(2).rev();
    let loose = pairs.len() - chain.windows(2).rev().take_while(fits).count();
    chain.split_off(loose)
}

/// Tries the key on the newest snapshot of a source.
async fn opens(storage: &backupd_storage::S3, chain: &Chain, key: &Keypair) -> Result<()> {
    let Some(newest) = chain.last() else {
        return Ok(());
    };
    let manifest = newest.manifest();
    let prefix = SnapshotPrefix::new(
        &manifest.tenant_id,
        &manifest.source_id,
        &manifest.snapshot_id,
    );
    let head = storage.get_range(&prefix.archive(), 0..4096).await?;
    file_key(&*head, key)
        .with_context(|| {
            format!(
                "open snapshot {} with the recovery key",
                manifest.snapshot_id
            )
        })
        .map(drop)
}

#[derive(Default)]
struct Rows {
    nodes: Vec<NodeRow>,
    sources: Vec<SourceRow>,
    snapshots: Vec<SnapshotRow>,
}

fn rows(
    tenant: &TenantRow,
    provider: &ProviderRow,
    chains: &BTreeMap<SourceId, Chain>,
) -> Result<Rows> {
    let mut rows = Rows::default();
    for (id, chain) in chains {
        let Some(newest) = chain.last() else { continue };
        let manifest = newest.manifest();
        let signing_key = newest.signer().to_string();
        let known = rows.nodes.iter().find(|n| n.signing_key == signing_key);
        let node_id = match known {
            Some(node) => node.id.clone(),
            None => {
                let node = gone_node(tenant, manifest.node_id.clone(), signing_key);
                let id = node.id.clone();
                rows.nodes.push(node);
                id
            }
        };
        let now = Utc::now();
        rows.sources.push(SourceRow {
            id: id.clone(),
            node_id,
            tenant_id: tenant.id.clone(),
            name: format!("{} {id}", manifest.module),
            module: manifest.module.clone(),
            settings: r#"{"path":""}"#.to_owned(),
            providers: Vec::new(),
            recipients: manifest.recipients.clone(),
            created_at: now,
            removed_at: Some(now),
            head_sequence: manifest.sequence,
            head_sha256: Some(newest.sha256().to_string()),
            refused: None,
            retention: None,
            schedule: None,
        });
        for signed in chain {
            rows.snapshots.push(row_of(signed, &provider.id)?);
        }
    }
    Ok(rows)
}

/// A server as it is known by what it signed: like a revoked one.
fn gone_node(tenant: &TenantRow, id: Option<NodeId>, signing_key: String) -> NodeRow {
    let id = id.unwrap_or_else(NodeId::new);
    let now = Utc::now();
    NodeRow {
        name: format!("Server {id}"),
        id,
        tenant_id: tenant.id.clone(),
        address: String::new(),
        os: String::new(),
        agent_version: String::new(),
        tls_pin: None,
        signing_key,
        seal_recipient: String::new(),
        enrolled_at: now,
        last_seen: None,
        revoked_at: Some(now),
    }
}

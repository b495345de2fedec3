//! What lies in a store, by snapshot, and taking one away again.
//!
//! Deliberately not here: which ones should be there, and which may go.

use std::collections::BTreeMap;

use backupd_base::{Result, SnapshotId, SourceId, TenantId};

use crate::{Key, SnapshotPrefix, Storage};

/// The objects of one snapshot that are in a store, with their sizes in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holding {
    /// `manifest.json`: with it the snapshot exists.
    pub manifest: Option<u64>,
    /// The encrypted archive.
    pub archive: Option<u64>,
    /// The encrypted file index.
    pub index: Option<u64>,
    /// `meta.json`.
    pub meta: Option<u64>,
}

impl Holding {
    /// Bytes of all of them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let all = [self.manifest, self.archive, self.index, self.meta];
        all.into_iter().flatten().sum()
    }
}

/// Whose snapshot it is, of which source, and which.
pub type Owner = (TenantId, SourceId, SnapshotId);

/// Everything of snapshots that lies below `prefix`, which ends where a folder does:
/// `tenants/{id}/`, or nothing for the whole store. What is none of a snapshot is passed over.
///
/// # Errors
/// What the store says.
pub async fn holdings(storage: &dyn Storage, prefix: &str) -> Result<BTreeMap<Owner, Holding>> {
    let mut found: BTreeMap<Owner, Holding> = BTreeMap::new();
    for object in storage.list(prefix).await? {
        let Some((owner, name)) = owner_of(&object.key) else {
            continue;
        };
        let holding = found.entry(owner).or_default();
        match name {
            "manifest.json" => holding.manifest = Some(object.size),
            "backup.tar.zst.age" => holding.archive = Some(object.size),
            "index.jsonl.zst.age" => holding.index = Some(object.size),
            "meta.json" => holding.meta = Some(object.size),
            _ => {}
        }
    }
    Ok(found)
}

fn owner_of(key: &Key) -> Option<(Owner, &str)> {
    let mut parts = key.as_str().split('/');
    let mut part = |name: &str| (parts.next() == Some(name)).then(|| parts.next()).flatten();
    let (tenant, source) = (part("tenants")?, part("sources")?);
    let snapshot = part("snapshots")?;
    let name = parts.next()?;
    let owner = (
        tenant.parse().ok()?,
        source.parse().ok()?,
        snapshot.parse().ok()?,
    );
    parts.next().is_none().then_some((owner, name))
}

/// Removes a snapshot: its manifest first, so that what is left of it after a crash is no
/// snapshot, then the rest. What is gone already is removed; it may be called again.
///
/// # Errors
/// What the store says; some of the objects may be gone then.
pub async fn remove_snapshot(storage: &dyn Storage, prefix: &SnapshotPrefix) -> Result<()> {
    for key in [
        prefix.manifest(),
        prefix.index(),
        prefix.meta(),
        prefix.archive(),
    ] {
        storage.delete(&key).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Local;

    #[tokio::test]
    async fn snapshots_are_found_by_their_keys_and_go_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Local::new(folder.path()).unwrap();
        let (tenant, source) = (TenantId::new(), SourceId::new());
        let (one, other) = (SnapshotId::new(), SnapshotId::new());
        let prefix = SnapshotPrefix::new(&tenant, &source, &one);
        let second = SnapshotPrefix::new(&tenant, &source, &other);
        for (key, size) in [
            (prefix.manifest(), 1),
            (prefix.archive(), 20),
            (prefix.index(), 300),
            (prefix.meta(), 4000),
            (second.archive(), 5),
            (Key::new("somebody/elses.txt").unwrap(), 6),
            (Key::new(format!("{}more", second.as_prefix())).unwrap(), 7),
            (Key::new(format!("{}a/b", second.as_prefix())).unwrap(), 8),
        ] {
            store.put(&key, Bytes::from(vec![0; size])).await.unwrap();
        }
        let found = holdings(&store, "").await.unwrap();
        let id = |snapshot: &SnapshotId| (tenant.clone(), source.clone(), snapshot.clone());
        assert_eq!(found[&id(&one)].bytes(), 4321);
        let half = Holding {
            archive: Some(5),
            ..Holding::default()
        };
        assert_eq!(found[&id(&other)], half);
        assert_eq!(found.len(), 2);

        for _ in 0..2 {
            remove_snapshot(&store, &prefix).await.unwrap();
        }
        let below = format!("tenants/{tenant}/sources/{source}/");
        let left = holdings(&store, &below).await.unwrap();
        assert_eq!(left.into_keys().collect::<Vec<_>>(), [id(&other)]);
        assert_eq!(store.list("").await.unwrap().len(), 4);
    }
}

//! The files inside of a snapshot, folder by folder. The index is fetched and opened once, checked
//! against the manifest, and held in memory in a compact form; nothing of it is written to disk.

use std::{
    io::{self, Read},
    sync::{Arc, Mutex, PoisonError},
};

use backupd_archive::open_index;
use backupd_base::{Code, Context as _, Error, Result, SnapshotId};
use sha2::{Digest as _, Sha256};
use tokio::{runtime::Handle, sync::OnceCell};

use super::{
    Opened,
    listing::{Listing, Tree},
};
use crate::{Master, master::blocking};

/// Entries held over all snapshots: some 250 MB.
const HELD: usize = 3_000_000;

type Slot = Arc<OnceCell<Arc<Listing>>>;

/// The indexes that were looked at lately, newest last.
#[derive(Default)]
pub struct Indexes(Mutex<Vec<(SnapshotId, Slot)>>);

impl Indexes {
    /// The place of this snapshot's index, moved to the end; others go when it is too much.
    fn slot(&self, id: &SnapshotId) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = slots.iter().position(|(known, _)| known == id);
        let slot = at.map_or_else(Slot::default, |at| slots.remove(at).1);
        slots.push((id.clone(), slot.clone()));
        let size = |(_, slot): &(_, Slot)| slot.get().map_or(0, |listing| listing.len());
        while slots.len() > 1 && slots.iter().map(size).sum::<usize>() > HELD {
            slots.remove(0);
        }
        slot
    }
}

impl Master {
    /// The index of a snapshot.
    pub(crate) async fn index_of(&self, id: &SnapshotId) -> Result<Arc<Listing>> {
        let slot = self.core().indexes.slot(id);
        let load = async || {
            let opened = self.open_snapshot(id).await?;
            let runtime = Handle::current();
            blocking(move || read(&opened, &runtime).map(Arc::new))
                .await
                .with_context(|| format!("read the index of snapshot {id}"))
        };
        slot.get_or_try_init(load).await.cloned()
    }
}

fn read(opened: &Opened, runtime: &Handle) -> Result<Listing> {
    let mut object = Hashed {
        inner: opened.index(runtime),
        hash: Sha256::new(),
    };
    let mut tree = Tree::new();
    for entry in open_index(&mut object, &opened.identity)?.entries() {
        tree.add(&entry?)?;
    }
    // Anybody who knows the public keys could write an index: only this one was signed for.
    if object.hash.finalize()[..] != opened.manifest.index.sha256.0 {
        return Err(Error::new(
            Code::Corrupt,
            "the index is not the one the manifest names",
        ));
    }
    Ok(tree.finish())
}

/// Hashes what is read.
struct Hashed<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hash.update(&into[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backupd_archive::Digest;

    use crate::snapshot::{fixture::snapshot, listing::tests::file};

    #[test]
    fn the_oldest_index_goes_when_too_much_is_held() {
        let indexes = Indexes::default();
        let big = |len: usize| {
            let mut tree = Tree::new();
            for n in 0..len {
                tree.add(&file(&n.to_string())).unwrap();
            }
            Arc::new(tree.finish())
        };
        let ids: Vec<_> = (0..3).map(|_| SnapshotId::new()).collect();
        for id in &ids {
            indexes.slot(id).set(big(HELD / 2)).ok().unwrap();
        }
        indexes.slot(&ids[2]);
        let held: Vec<_> = indexes
            .0
            .lock()
            .unwrap()
            .iter()
            .map(|s| s.0.clone())
            .collect();
        assert_eq!(held, [ids[2].clone()]);
    }

    #[tokio::test]
    async fn an_index_that_was_not_signed_for_is_not_shown() {
        let (_folder, mut opened) = snapshot(&[("files/a", "1")]).await;
        let runtime = Handle::current();
        let listed = move |opened: Opened| {
            let runtime = runtime.clone();
            blocking(move || Ok((read(&opened, &runtime).map(|l| l.len()), opened)))
        };
        let (listing, kept) = listed(opened).await.unwrap();
        // The top, the folder, the file.
        assert_eq!(listing.unwrap(), 3);
        opened = kept;
        opened.manifest.index.sha256 = Digest([0; 32]);
        let (refused, _) = listed(opened).await.unwrap();
        assert_eq!(refused.unwrap_err().code(), Code::Corrupt);
    }
}

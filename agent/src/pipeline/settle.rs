//! Brings a transfer that did not come to its end to one: either its manifest is at the provider,
//! then the snapshot exists and enters the catalogue; or every trace of it is removed.
//!
//! The same after a failure, a stop and a crash. Nothing is removed while it is not known that
//! the manifest is missing: what was committed is never taken back.

use std::{future::Future, time::Duration};

use backupd_base::{Code, Error, JobId, Result};
use backupd_storage::{Key, OpenUpload, Storage};

use crate::{
    jobs::Parts,
    store::{
        snapshots,
        transfers::{self, Transfer},
    },
};

/// A store that does not answer is asked again later; nobody waits long for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The snapshot is there, and in the catalogue.
    Stored,
    /// There is nothing of it.
    Gone,
}

/// Settles all transfers of one job; returns how many stay open because a store did not answer.
pub async fn job(parts: &Parts, job: &JobId) -> usize {
    let open = parts.store.read(|db| transfers::open(db, Some(job)));
    let mut left = 0;
    for transfer in open.unwrap_or_default() {
        if let Err(error) = one(parts, &transfer).await {
            tracing::warn!(%job, %error, "what is half-done in a store could not be removed yet");
            left += 1;
        }
    }
    left
}

/// Settles one transfer.
///
/// # Errors
/// When its store does not answer, or cannot be opened: the transfer stays open.
pub async fn one(parts: &Parts, transfer: &Transfer) -> Result<Settled> {
    let storage = match parts.storage(&transfer.provider_id).await {
        Ok(storage) => storage,
        Err(e) if e.code() == Code::NotFound => {
            // Its provider was taken away: there is no way to it any more.
            forget(parts, transfer)?;
            return Ok(Settled::Gone);
        }
        Err(e) => return Err(e),
    };
    if let Some((manifest, snapshot)) = &transfer.commit {
        let key = object(transfer, "manifest.json")?;
        match patiently(storage.get(&key)).await {
            Ok(found) if found == *manifest => {
                let mut snapshot = snapshot.clone();
                snapshot.providers = vec![transfer.provider_id.clone()];
                parts.store.write(|tx| {
                    snapshots::enter(tx, &snapshot)?;
                    transfers::settle(tx, &transfer.job_id, &transfer.provider_id)
                })?;
                return Ok(Settled::Stored);
            }
            Ok(_) => {
                let why = format!("{key} is not the manifest that was written there");
                return Err(Error::new(Code::Corrupt, why));
            }
            Err(e) if e.code() == Code::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    remove(&*storage, transfer).await?;
    forget(parts, transfer)?;
    Ok(Settled::Gone)
}

fn forget(parts: &Parts, transfer: &Transfer) -> Result<()> {
    let (job, provider) = (&transfer.job_id, &transfer.provider_id);
    parts.store.write(|tx| transfers::settle(tx, job, provider))
}

async fn remove(storage: &dyn Storage, transfer: &Transfer) -> Result<()> {
    let mut uploads: Vec<OpenUpload> = transfer.uploads.clone();
    // One that was begun a moment before the crash is not in the journal.
    match patiently(storage.open_uploads(&transfer.prefix)).await {
        Ok(found) => uploads.extend(found),
        Err(e) if e.code() == Code::Denied => {}
        Err(e) => return Err(e),
    }
    for upload in &uploads {
        allow_denied(patiently(storage.abort_upload(upload)).await)?;
    }
    for name in ["backup.tar.zst.age", "index.jsonl.zst.age", "meta.json"] {
        let key = object(transfer, name)?;
        // A node's credential need not allow it; the master's reconciliation finds the rest.
        allow_denied(patiently(storage.delete(&key)).await)?;
    }
    Ok(())
}

fn allow_denied(result: Result<()>) -> Result<()> {
    match result {
        Err(e) if e.code() == Code::Denied => Ok(()),
        other => other,
    }
}

fn object(transfer: &Transfer, name: &str) -> Result<Key> {
    Key::new(format!("{}{name}", transfer.prefix))
}

async fn patiently<T>(answer: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, answer)
        .await
        .unwrap_or_else(|_| Err(Error::new(Code::Timeout, "the store does not answer")))
}

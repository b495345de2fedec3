//! A retry that need not begin again: the snapshot of the attempt before is whole at some providers
//! and only missing at others. It is copied there from one that has it, byte for byte, and hashed on
//! its way; the site is not read, and nothing but the index lies on this disk.
//!
//! Deliberately not here: resuming inside a stream (docs/decisions/0008 says why).

use std::{
    fs::File,
    io::{self, Read, Write},
    sync::Arc,
};

use backupd_archive::{ManifestObject, Meta, SignedManifest};
use backupd_base::{Code, Context as _, Error, ProviderId, Result};
use backupd_protocol::{ProviderOutcome, Snapshot};
use backupd_storage::{Key, Ranged, Retry, RetryOptions, SnapshotPrefix, Storage};
use chrono::{TimeDelta, Utc};
use sha2::{Digest as _, Sha256};

use super::{
    BACKUP_DB, BACKUP_FILES, CREATE_BUNDLE, UPLOAD_REMOTE,
    commit::{self, Objects},
    run::Run,
    tee::Tee,
};
use crate::store::{jobs, snapshots, transfers};

/// A snapshot older than this is not copied: longer than a chain of retries takes, and short enough
/// that nobody takes yesterday's data for a backup of today.
const LATEST: TimeDelta = TimeDelta::hours(6);

/// How a backup begins.
pub(super) enum Beginning {
    /// With the site. For a retry with the reason why not with what there is.
    Afresh(Option<String>),
    /// With a snapshot that some providers have.
    Kept(Box<Kept>),
}

/// A snapshot that is whole at `holder` and not at `missing`.
pub(super) struct Kept {
    snapshot: Snapshot,
    signed: SignedManifest,
    holder: Arc<dyn Storage>,
    missing: Vec<ProviderId>,
}

/// Looks for what the attempts before have left whole.
///
/// # Errors
/// `Cancelled`; when the agent's own store cannot be read.
pub(super) fn find(run: &Run<'_>) -> Result<Beginning> {
    let Some(first) = run.track.job().retry_of else {
        return Ok(Beginning::Afresh(None));
    };
    let afresh = |why: &str| Ok(Beginning::Afresh(Some(why.to_owned())));
    let (snapshot, open) = run.parts.store.read(|db| {
        let chain = jobs::chain(db, &first)?;
        // The head of the source's own chain only: behind it nothing is missing any more.
        let newest = snapshots::list(db, Some(&run.source.id))?
            .into_iter()
            .max_by_key(|snapshot| snapshot.sequence)
            .filter(|snapshot| chain.iter().any(|job| job.id == snapshot.job_id));
        Ok((newest, transfers::open(db, None)?))
    })?;
    let Some(snapshot) = snapshot else {
        return afresh("no provider has a whole snapshot of the attempt before");
    };
    if Utc::now() - snapshot.created_at > LATEST {
        return afresh("the snapshot of the attempt before is too old to pass for a new one");
    }
    let (held, missing): (Vec<_>, Vec<_>) = run
        .source
        .providers
        .iter()
        .cloned()
        .partition(|id| snapshot.providers.contains(id));
    let prefix = SnapshotPrefix::new(&snapshot.tenant_id, &snapshot.source_id, &snapshot.id);
    let prefix = prefix.as_prefix();
    // What is removed there later must not be what is written there now.
    if open
        .iter()
        .any(|t| t.prefix == prefix && missing.contains(&t.provider_id))
    {
        return afresh("what the attempt before left half-done in a store is not removed yet");
    }
    let mut why = "no provider that has it is configured any more".to_owned();
    for provider in &held {
        match open_holder(run, provider, &snapshot) {
            Ok((holder, signed)) if signed.manifest().recipients == run.source.recipients => {
                return Ok(Beginning::Kept(Box::new(Kept {
                    snapshot,
                    signed,
                    holder,
                    missing,
                })));
            }
            Ok(_) => why = "it is encrypted to other keys than the source's".to_owned(),
            Err(e) if e.code() == Code::Cancelled => return Err(e),
            Err(e) => why = format!("it cannot be read where it is: {e}"),
        }
    }
    afresh(&format!(
        "the snapshot of the attempt before is of no use: {why}"
    ))
}

fn open_holder(
    run: &Run<'_>,
    provider: &ProviderId,
    snapshot: &Snapshot,
) -> Result<(Arc<dyn Storage>, SignedManifest)> {
    let storage = Retry::new(run.parts.host.storage(provider)?, RetryOptions::default());
    let prefix = SnapshotPrefix::new(&snapshot.tenant_id, &snapshot.source_id, &snapshot.id);
    let bytes = run.wait(storage.get(&prefix.manifest()))?;
    let signed = SignedManifest::parse_self_signed(&bytes)?;
    // The catalogue has the hash of the one that was signed here.
    if signed.sha256().to_string() != snapshot.manifest_sha256 {
        let why = format!(
            "the manifest of snapshot {} is not the one written",
            snapshot.id
        );
        return Err(Error::new(Code::Corrupt, why));
    }
    Ok((Arc::new(storage), signed))
}

/// Sends the snapshot to the providers that lack it.
///
/// # Errors
/// As a backup's `upload_remote`; `Corrupt` when what is read is not what was written.
pub(super) fn complete(run: &mut Run<'_>, kept: Kept) -> Result<()> {
    run.take_over(&kept.snapshot);
    let (all, lacking) = (run.source.providers.len(), kept.missing.len());
    let track = run.track;
    track.skip(
        BACKUP_DB,
        format!(
            "Not repeated: {} of {all} providers have the whole snapshot of the attempt before. \
             It is copied to the others.",
            all - lacking
        ),
    )?;
    for stage in [BACKUP_FILES, CREATE_BUNDLE] {
        track.skip(stage, "Not repeated.")?;
    }
    track.begin(UPLOAD_REMOTE)?;
    track.amend(|job| {
        job.snapshot_id = Some(kept.snapshot.id.clone());
        job.warnings = kept.snapshot.warnings.clone();
        let has = |id: &&ProviderId| !kept.missing.contains(id);
        let stored = |id: &ProviderId| ProviderOutcome {
            provider_id: id.clone(),
            stored: true,
            error: None,
        };
        job.providers = run
            .source
            .providers
            .iter()
            .filter(has)
            .map(stored)
            .collect();
    });
    // A crash finds the snapshot by this.
    track.write_down()?;
    if kept.missing.is_empty() {
        return track.complete(UPLOAD_REMOTE, "Every provider has the snapshot already.");
    }
    let _place = run.network()?;
    send(run, &kept)
}

fn send(run: &Run<'_>, kept: &Kept) -> Result<()> {
    let manifest = kept.signed.manifest();
    let bytes = manifest.archive.bytes;
    run.track.lead(UPLOAD_REMOTE);
    run.track
        .progress(UPLOAD_REMOTE, |p| p.total_bytes = Some(bytes));
    let tee = Tee::open(run, &kept.missing, bytes)?;
    copy(
        run,
        kept,
        run.prefix.archive(),
        &manifest.archive,
        tee.writer(),
    )?;
    let index = run.folder.join("index.jsonl.zst.age");
    let file = File::create_new(&index).with_context(|| format!("make {}", index.display()))?;
    copy(run, kept, run.prefix.index(), &manifest.index, file)?;
    let objects = Objects {
        archive_bytes: bytes,
        index,
        index_bytes: manifest.index.bytes,
        meta: commit::meta(&Meta {
            format: manifest.format,
            tenant_id: manifest.tenant_id.clone(),
            source_id: manifest.source_id.clone(),
            snapshot_id: manifest.snapshot_id.clone(),
            created_at: manifest.created_at,
        })?,
    };
    commit::send(run, &tee, &objects)?;
    commit::seal(run, &tee, kept.signed.bytes(), kept.snapshot.clone())
}

/// Copies an object and fails when it is not the one the manifest names; before anything of it is
/// visible at its destination.
fn copy(
    run: &Run<'_>,
    kept: &Kept,
    key: Key,
    object: &ManifestObject,
    into: impl Write,
) -> Result<()> {
    let holder = Arc::clone(&kept.holder);
    let from = Ranged::new(holder, run.runtime.clone(), key.clone(), object.bytes);
    let mut into = Hashing {
        into,
        hash: Sha256::new(),
    };
    let mut from = from.take(object.bytes);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        run.track.check()?;
        let n = from
            .read(&mut buffer)
            .with_context(|| format!("read {key}"))?;
        if n == 0 {
            break;
        }
        into.write_all(&buffer[..n])
            .with_context(|| format!("copy {key}"))?;
    }
    if hex::encode(into.hash.finalize()) == object.sha256.to_string() {
        return Ok(());
    }
    let why = format!("{key} is not what was written where it is copied from");
    Err(Error::new(Code::Corrupt, why))
}

/// Hashes what goes through.
struct Hashing<W> {
    into: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.into.write(bytes)?;
        self.hash.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

//! The end of `upload_remote`: index and `meta.json` follow the archive, then everything is looked
//! at where it lies, then the signed manifest makes it a snapshot, and only then the catalogue has it.

use std::{fs::File, io, path::PathBuf, sync::Arc};

use backupd_archive::{FORMAT, Manifest, ManifestObject, Meta, SignedManifest};
use backupd_base::{Code, Context as _, Error, ProviderId, Result};
use backupd_protocol::{ProviderOutcome, Snapshot};
use backupd_storage::{Key, PUT_LIMIT, UploadOptions, UploadWriter};
use bytes::Bytes;

use super::{
    UPLOAD_REMOTE,
    bundle::Bundle,
    run::Run,
    tee::{Leg, Tee},
};
use crate::store::{snapshots, transfers};

/// What a snapshot consists of beside its manifest.
pub(super) struct Objects {
    /// Bytes of the archive, which is in the uploads already.
    pub archive_bytes: u64,
    /// The encrypted index on this disk.
    pub index: PathBuf,
    /// Its bytes.
    pub index_bytes: u64,
    /// `meta.json`.
    pub meta: Bytes,
}

/// Completes the snapshot at every provider that is left, and enters it into the catalogue.
///
/// # Errors
/// As [`send`] and [`seal`].
pub(super) fn commit(run: &Run<'_>, tee: &Tee, bundle: Bundle) -> Result<()> {
    let objects = Objects {
        archive_bytes: bundle.summary.archive_bytes,
        index_bytes: bundle.summary.index_bytes,
        meta: meta(&Meta {
            format: FORMAT,
            tenant_id: run.source.tenant_id.clone(),
            source_id: run.source.id.clone(),
            snapshot_id: run.snapshot_id.clone(),
            created_at: bundle.created_at,
        })?,
        index: bundle.index.clone(),
    };
    send(run, tee, &objects)?;
    let signed = sign(run, &bundle)?;
    let snapshot = snapshot(run, &bundle, &signed);
    seal(run, tee, signed.bytes(), snapshot)
}

/// Ends the archive, sends the rest, and looks at everything where it lies.
///
/// # Errors
/// When no provider has it all.
pub(super) fn send(run: &Run<'_>, tee: &Tee, objects: &Objects) -> Result<()> {
    tee.complete(run, objects.archive_bytes)?;
    tee.each(|leg| {
        put_index(run, leg, objects)?;
        let meta = &objects.meta;
        run.wait(leg.storage.put(&run.prefix.meta(), meta.clone()))?;
        look(run, leg, &run.prefix.archive(), objects.archive_bytes)?;
        look(run, leg, &run.prefix.index(), objects.index_bytes)?;
        look(run, leg, &run.prefix.meta(), meta.len() as u64)
    })
}

/// Writes the manifest everywhere, and enters the snapshot into the catalogue.
///
/// # Errors
/// When no provider has it, or when not all have it: then it is in the catalogue with those that
/// do, and the job says which do not.
pub(super) fn seal(
    run: &Run<'_>,
    tee: &Tee,
    manifest: &[u8],
    mut snapshot: Snapshot,
) -> Result<()> {
    let manifest = Bytes::copy_from_slice(manifest);
    // From here on the snapshot may exist: a stop comes too late, a crash looks for the manifest.
    run.track.check()?;
    let providers = tee.providers();
    run.parts.store.write(|tx| {
        for provider in &providers {
            transfers::commit(tx, &run.job_id, provider, &manifest, &snapshot)?;
        }
        Ok(())
    })?;
    tee.each(|leg| {
        let key = run.prefix.manifest();
        run.runtime
            .block_on(leg.storage.put(&key, manifest.clone()))?;
        look(run, leg, &key, manifest.len() as u64)
    })?;

    snapshot.providers = tee.providers();
    enter(run, &snapshot)?;
    let job = run.track.job();
    let stored = job.providers.iter().filter(|p| p.stored).count();
    let asked = run.source.providers.len();
    run.track.detail(UPLOAD_REMOTE, "providers", stored);
    if stored == asked {
        let message = "The snapshot is stored, looked at and committed.";
        return run.track.complete(UPLOAD_REMOTE, message);
    }
    let lost = job.providers.iter().find_map(|p| p.error.as_ref());
    let (code, why) = lost.map_or((Code::Internal, ""), |e| (e.code, e.message.as_str()));
    let why = format!("only {stored} of {asked} providers have the snapshot: {why}");
    Err(Error::new(code, why))
}

fn enter(run: &Run<'_>, snapshot: &Snapshot) -> Result<()> {
    run.parts.store.write(|tx| {
        snapshots::enter(tx, snapshot)?;
        for provider in &snapshot.providers {
            transfers::settle(tx, &run.job_id, provider)?;
        }
        Ok(())
    })?;
    run.track.amend(|job| {
        job.snapshot_id = Some(snapshot.id.clone());
        let stored = |provider: &ProviderId| ProviderOutcome {
            provider_id: provider.clone(),
            stored: true,
            error: None,
        };
        job.providers.extend(snapshot.providers.iter().map(stored));
    });
    Ok(())
}

fn put_index(run: &Run<'_>, leg: &Leg, objects: &Objects) -> Result<()> {
    let what = || format!("read {}", objects.index.display());
    let key = run.prefix.index();
    let size = objects.index_bytes;
    if size <= PUT_LIMIT as u64 {
        let index = std::fs::read(&objects.index).with_context(what)?;
        return run.wait(leg.storage.put(&key, index.into()));
    }
    let upload: Arc<_> = run.wait(leg.storage.start_upload(&key))?.into();
    let open = backupd_storage::Upload::open_upload(&*upload);
    run.parts
        .store
        .write(|tx| transfers::upload(tx, &run.job_id, &leg.provider, &open))?;
    let options = UploadOptions {
        expected: Some(size),
        ..UploadOptions::default()
    };
    let mut writer = UploadWriter::new(Arc::clone(&upload), run.runtime.clone(), options);
    let mut index = File::open(&objects.index).with_context(what)?;
    io::copy(&mut index, &mut writer).context("send the index")?;
    let sent = writer.finish()?;
    run.wait(upload.complete(sent))
}

/// Looks whether an object lies there in full. A credential that may only write is not allowed
/// to look; the store's own answer, which was checked, has to do then.
fn look(run: &Run<'_>, leg: &Leg, key: &Key, size: u64) -> Result<()> {
    let found = run.runtime.block_on(leg.storage.head(key));
    match found {
        Ok(Some(found)) if found.size == size => Ok(()),
        Ok(Some(found)) => {
            let why = format!("{key} has {} bytes in the store, not {size}", found.size);
            Err(Error::new(Code::Corrupt, why))
        }
        Ok(None) => {
            let why = format!("{key} is not in the store after it was written");
            Err(Error::new(Code::Corrupt, why))
        }
        Err(e) if e.code() == Code::Denied => {
            run.track.detail(UPLOAD_REMOTE, "looked_at", "denied");
            Ok(())
        }
        Err(e) => Err(e).with_context(|| format!("look at {key}")),
    }
}

/// `meta.json`.
pub(super) fn meta(meta: &Meta) -> Result<Bytes> {
    serde_json::to_vec(meta)
        .map(Bytes::from)
        .context("encode meta.json")
}

fn sign(run: &Run<'_>, bundle: &Bundle) -> Result<SignedManifest> {
    let head = run
        .parts
        .store
        .read(|db| snapshots::head(db, &run.source.id))?;
    let (sequence, previous) = match head {
        Some((sequence, sha256)) => (sequence + 1, Some(sha256.parse()?)),
        None => (1, None),
    };
    let summary = &bundle.summary;
    let manifest = Manifest {
        format: FORMAT,
        tenant_id: run.source.tenant_id.clone(),
        source_id: run.source.id.clone(),
        snapshot_id: run.snapshot_id.clone(),
        job_id: run.job_id.clone(),
        node_id: run.parts.host.node_id(),
        module: run.source.module.clone(),
        sequence,
        previous,
        created_at: bundle.created_at,
        archive: ManifestObject {
            name: name(&run.prefix.archive()),
            bytes: summary.archive_bytes,
            sha256: summary.archive_sha256,
        },
        index: ManifestObject {
            name: name(&run.prefix.index()),
            bytes: summary.index_bytes,
            sha256: summary.index_sha256,
        },
        content_bytes: summary.content_bytes,
        entries: summary.entries,
        consistent: bundle.consistent,
        warnings_count: run.track.job().warnings.len() as u64,
        recipients: run.source.recipients.clone(),
        program: concat!("backupd ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    SignedManifest::sign(manifest, &run.parts.host.signing_key())
}

fn name(key: &Key) -> String {
    let key = key.as_str();
    key.rsplit('/').next().unwrap_or(key).to_owned()
}

fn snapshot(run: &Run<'_>, bundle: &Bundle, signed: &SignedManifest) -> Snapshot {
    let manifest = signed.manifest();
    Snapshot {
        id: run.snapshot_id.clone(),
        tenant_id: manifest.tenant_id.clone(),
        source_id: manifest.source_id.clone(),
        job_id: run.job_id.clone(),
        providers: Vec::new(),
        sequence: manifest.sequence,
        created_at: manifest.created_at,
        stored_bytes: bundle.summary.archive_bytes,
        content_bytes: manifest.content_bytes,
        files: manifest.entries,
        manifest_sha256: signed.sha256().to_string(),
        consistent: manifest.consistent,
        warnings: run.track.job().warnings,
        held: false,
    }
}

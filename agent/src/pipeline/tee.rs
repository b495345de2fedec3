//! The uploads of one snapshot: the archive goes to every provider at the same time. A provider
//! that fails is left behind, the others go on.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backupd_base::{Code, Context as _, Error, ProviderId, Result};
use backupd_protocol::{JobError, ProviderOutcome};
use backupd_storage::{
    Retry, RetryOptions, Storage, Throttle, Upload, UploadOptions, UploadWriter,
};
use tokio::task::JoinHandle;

use super::{UPLOAD_REMOTE, run::Run};
use crate::{
    jobs::{For, Track},
    store::transfers,
};

/// The way to one provider.
pub(super) struct Leg {
    pub provider: ProviderId,
    name: String,
    pub storage: Arc<dyn Storage>,
    upload: Arc<dyn Upload>,
    writer: Option<UploadWriter>,
}

/// All of them. Clones share them.
#[derive(Clone)]
pub(super) struct Tee {
    legs: Arc<Mutex<Vec<Leg>>>,
    watch: Arc<Watch>,
    track: Arc<Track>,
}

/// Counts what was sent, and lets go of everything when the job is to stop.
struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tee {
    /// Begins the upload of the archive, of about `expected` bytes, at every one of `providers`.
    /// Each is in the journal before its first byte.
    pub fn open(run: &Run<'_>, providers: &[ProviderId], expected: u64) -> Result<Self> {
        let options = UploadOptions {
            expected: Some(expected),
            ..UploadOptions::default()
        };
        let mut legs = Vec::new();
        for provider in providers {
            match open_leg(run, provider, &options) {
                Ok(leg) => legs.push(leg),
                Err(e) if e.code() == Code::Cancelled => return Err(e),
                Err(e) => lose(run.track, provider, &e),
            }
        }
        if legs.is_empty() {
            return Err(last_failure(run.track));
        }
        let writers = legs.iter().filter_map(|leg| leg.writer.clone()).collect();
        Ok(Self {
            legs: Arc::new(Mutex::new(legs)),
            watch: Arc::new(Watch(
                run.runtime.spawn(watch(Arc::clone(run.track), writers)),
            )),
            track: Arc::clone(run.track),
        })
    }

    /// The end that the archive is written into.
    pub fn writer(&self) -> TeeWriter {
        TeeWriter(self.clone())
    }

    /// Sends what is left of the archive everywhere and makes it visible.
    pub fn complete(&self, run: &Run<'_>, size: u64) -> Result<()> {
        self.each(|leg| {
            let sent = match leg.writer.take() {
                Some(writer) => writer.finish()?,
                None => 0,
            };
            if sent != size {
                let why = format!("{sent} of {size} bytes of the archive were sent");
                return Err(Error::new(Code::Internal, why));
            }
            run.wait(leg.upload.complete(size))
        })?;
        self.watch.0.abort();
        run.track.progress(UPLOAD_REMOTE, |p| {
            p.done_bytes = size;
            p.total_bytes = Some(size);
        });
        Ok(())
    }

    /// Does something at every provider that is left; one where it fails is left behind.
    ///
    /// # Errors
    /// The last failure when none is left; `Cancelled`.
    pub fn each(&self, mut act: impl FnMut(&mut Leg) -> Result<()>) -> Result<()> {
        let mut legs = self.legs();
        let mut cancelled = Ok(());
        legs.retain_mut(|leg| {
            let name = leg.name.as_str();
            let waits = self.track.waits(UPLOAD_REMOTE, For::Stream, name);
            let acted = act(leg);
            drop(waits);
            let Err(e) = acted else { return true };
            // What ends because the job is stopped is no failure of the provider.
            cancelled = self.track.check();
            if cancelled.is_ok() {
                lose(&self.track, &leg.provider, &e);
            }
            cancelled.is_err()
        });
        cancelled?;
        if legs.is_empty() {
            return Err(last_failure(&self.track));
        }
        Ok(())
    }

    /// The providers that are left.
    pub fn providers(&self) -> Vec<ProviderId> {
        self.legs().iter().map(|leg| leg.provider.clone()).collect()
    }

    fn legs(&self) -> MutexGuard<'_, Vec<Leg>> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writing end of a [`Tee`].
pub(super) struct TeeWriter(Tee);

impl Write for TeeWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.each(|leg| match leg.writer.as_mut() {
            Some(writer) => writer.write_all(bytes).context("send the archive"),
            None => Err(Error::new(Code::Internal, "the upload was ended already")),
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open_leg(run: &Run<'_>, provider: &ProviderId, options: &UploadOptions) -> Result<Leg> {
    let store = &run.parts.store;
    let name = format!("provider {}", run.parts.host.provider_name(provider));
    let _waits = run.track.waits(UPLOAD_REMOTE, For::Stream, name.as_str());
    let prefix = run.prefix.as_prefix();
    store.write(|tx| transfers::begin(tx, &run.job_id, provider, &prefix))?;
    let limit = run.parts.resources.speed().clone();
    let storage = Throttle::new(run.parts.host.storage(provider)?, limit);
    let storage: Arc<dyn Storage> = Arc::new(Retry::new(storage, RetryOptions::default()));
    let upload: Arc<dyn Upload> = run
        .wait(storage.start_upload(&run.prefix.archive()))?
        .into();
    store.write(|tx| transfers::upload(tx, &run.job_id, provider, &upload.open_upload()))?;
    let writer = UploadWriter::new(Arc::clone(&upload), run.runtime.clone(), options.clone());
    Ok(Leg {
        provider: provider.clone(),
        name,
        storage,
        upload,
        writer: Some(writer),
    })
}

async fn watch(track: Arc<Track>, writers: Vec<UploadWriter>) {
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    loop {
        tokio::select! {
            () = track.cancel().cancelled() => {
                writers.iter().for_each(UploadWriter::cancel);
                return;
            }
            _ = tick.tick() => {
                let sent = writers.iter().map(UploadWriter::sent).max().unwrap_or(0);
                track.progress(UPLOAD_REMOTE, |p| p.done_bytes = p.done_bytes.max(sent));
            }
        }
    }
}

/// Notes that a provider does not get the snapshot.
fn lose(track: &Track, provider: &ProviderId, error: &Error) {
    track.amend(|job| {
        job.providers.push(ProviderOutcome {
            provider_id: provider.clone(),
            stored: false,
            error: Some(JobError {
                code: error.code(),
                message: error.to_string(),
                stage: Some(UPLOAD_REMOTE.to_owned()),
            }),
        });
    });
}

/// The failure of the provider that was lost last.
fn last_failure(track: &Track) -> Error {
    let job = track.job();
    let last = job.providers.iter().rev().find_map(|p| p.error.as_ref());
    match last {
        Some(e) => Error::new(e.code, e.message.clone()),
        None => Error::new(Code::Internal, "no provider took the snapshot"),
    }
}

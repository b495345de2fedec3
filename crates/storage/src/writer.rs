//! A blocking [`Write`] that cuts what it gets into parts and sends several at a time.
//!
//! Deliberately not here: beginning, completing and aborting the upload. The caller journals
//! the upload before the first byte and completes it when everything else is known to be right.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use backupd_base::{Code, Error, Result};
use bytes::{BufMut as _, BytesMut};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::{JoinError, JoinSet},
};

use crate::Upload;

/// S3's limit on the number of parts.
const MOST_PARTS: u32 = 10_000;
/// S3's limit on one part, 5 GiB.
const LARGEST_PART: u64 = 5 << 30;
/// Parts sent at the chosen size. An object that outgrows them was larger than announced; from
/// here on parts double every `STEP`, so that 10,000 hold 13 times as much.
const STEADY_PARTS: u32 = 5_000;
const STEP: u32 = 1_000;

/// How an upload is cut.
#[derive(Debug, Clone)]
pub struct UploadOptions {
    /// Bytes of one part; at least 5 MiB. Grown for an object that needs more than 10,000.
    pub part_bytes: usize,
    /// Parts held in memory, being filled or sent. At least 2.
    pub buffers: usize,
    /// About how large the object gets, if anybody knows.
    pub expected: Option<u64>,
}

impl Default for UploadOptions {
    /// Three parts of 8 MiB: two on their way fill a line, and 24 MiB is little on any server.
    fn default() -> Self {
        Self {
            part_bytes: 8 << 20,
            buffers: 3,
            expected: None,
        }
    }
}

impl UploadOptions {
    /// The size of part `number`.
    fn part_size(&self, number: u32) -> usize {
        let steady = self.expected.unwrap_or(0).div_ceil(u64::from(STEADY_PARTS));
        let steady = (self.part_bytes as u64).max(steady);
        let doublings = number.saturating_sub(1).saturating_sub(STEADY_PARTS - STEP) / STEP;
        let size = (steady << doublings).min(LARGEST_PART);
        usize::try_from(size).unwrap_or(usize::MAX)
    }
}

/// The writing end of an upload. Clones write into the same upload: one goes into what produces
/// the bytes, another stays behind to [`finish`](Self::finish) or [`cancel`](Self::cancel).
///
/// Blocking: for `spawn_blocking` or a thread of its own, never inside a future.
/// When the last clone is dropped, what is being sent stops; the upload stays open.
#[derive(Clone)]
pub struct UploadWriter {
    shared: Arc<Shared>,
    cutting: Arc<Mutex<Cutting>>,
}

struct Shared {
    upload: Arc<dyn Upload>,
    runtime: Handle,
    options: UploadOptions,
    buffers: Arc<Semaphore>,
    failure: Mutex<Option<Error>>,
    stop: watch::Sender<bool>,
    sent: AtomicU64,
}

struct Cutting {
    buffer: BytesMut,
    permit: Option<OwnedSemaphorePermit>,
    number: u32,
    offset: u64,
    parts: JoinSet<()>,
    finished: bool,
}

impl UploadWriter {
    /// Writes into `upload`; parts are sent on `runtime`.
    #[must_use]
    pub fn new(upload: Arc<dyn Upload>, runtime: Handle, options: UploadOptions) -> Self {
        let buffers = Arc::new(Semaphore::new(options.buffers.max(2)));
        Self {
            shared: Arc::new(Shared {
                upload,
                runtime,
                options,
                buffers,
                failure: Mutex::new(None),
                stop: watch::Sender::new(false),
                sent: AtomicU64::new(0),
            }),
            cutting: Arc::new(Mutex::new(Cutting {
                buffer: BytesMut::new(),
                permit: None,
                number: 1,
                offset: 0,
                parts: JoinSet::new(),
                finished: false,
            })),
        }
    }

    /// Bytes that the store has acknowledged so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Sends what is left, waits for every part, and returns the size of the whole. The upload is
    /// not completed yet.
    ///
    /// # Errors
    /// That of the first part that failed; `Cancelled` after [`cancel`](Self::cancel).
    pub fn finish(self) -> Result<u64> {
        let mut cutting = self.cutting();
        if !cutting.finished {
            // An empty object is one empty part.
            if !cutting.buffer.is_empty() || cutting.number == 1 {
                self.shared.send(&mut cutting)?;
            }
            cutting.finished = true;
            cutting.permit = None;
            let mut parts = std::mem::take(&mut cutting.parts);
            self.shared.runtime.block_on(async {
                while let Some(ended) = parts.join_next().await {
                    self.shared.reap(ended);
                }
            });
        }
        self.shared.check()?;
        Ok(cutting.offset)
    }

    /// Stops: a write that waits fails with `Cancelled`, and so does every later one.
    pub fn cancel(&self) {
        self.shared
            .fail(Error::new(Code::Cancelled, "the upload was stopped"));
    }

    fn cutting(&self) -> MutexGuard<'_, Cutting> {
        self.cutting.lock().expect("no holder of this lock panics")
    }
}

impl Shared {
    fn fail(&self, error: Error) {
        let mut failure = self.failure.lock().expect("no holder of this lock panics");
        failure.get_or_insert(error);
        // Wakes the parts being sent, and a writer that waits for a buffer.
        self.stop.send_replace(true);
        self.buffers.close();
    }

    /// The first failure; whoever asks again gets its code.
    fn check(&self) -> Result<()> {
        let mut failure = self.failure.lock().expect("no holder of this lock panics");
        match failure.take() {
            None => Ok(()),
            Some(error) => {
                let again = Error::new(error.code(), "the upload failed before");
                *failure = Some(again);
                Err(error)
            }
        }
    }

    /// Waits for a buffer to fill.
    fn begin_part(&self, cutting: &mut Cutting) -> Result<()> {
        if cutting.number > MOST_PARTS {
            let what = format!(
                "the object outgrew {MOST_PARTS} parts at {} bytes",
                cutting.offset
            );
            return Err(Error::new(Code::Invalid, what));
        }
        let wait = Arc::clone(&self.buffers).acquire_owned();
        let Ok(permit) = self.runtime.block_on(wait) else {
            self.check()?;
            return Err(Error::new(Code::Cancelled, "the upload was stopped"));
        };
        cutting.permit = Some(permit);
        cutting.buffer = BytesMut::with_capacity(self.options.part_size(cutting.number));
        Ok(())
    }

    fn send(self: &Arc<Self>, cutting: &mut Cutting) -> Result<()> {
        if cutting.permit.is_none() {
            self.begin_part(cutting)?;
        }
        let body = std::mem::take(&mut cutting.buffer).freeze();
        let (permit, number, offset) = (cutting.permit.take(), cutting.number, cutting.offset);
        cutting.number += 1;
        cutting.offset += body.len() as u64;
        while let Some(ended) = cutting.parts.try_join_next() {
            self.reap(ended);
        }
        let this = Arc::clone(self);
        let mut stop = self.stop.subscribe();
        let part = async move {
            let size = body.len() as u64;
            tokio::select! {
                _ = stop.wait_for(|stopped| *stopped) => {}
                done = this.upload.part(number, offset, body) => match done {
                    Ok(()) => drop(this.sent.fetch_add(size, Ordering::Relaxed)),
                    Err(error) => this.fail(error),
                },
            }
            // The buffer is free again only now.
            drop(permit);
        };
        cutting.parts.spawn_on(part, &self.runtime);
        Ok(())
    }

    /// A part that ended otherwise than by its own report.
    fn reap(&self, ended: std::result::Result<(), JoinError>) {
        if let Err(broken) = ended {
            self.fail(Error::caused("send a part", broken));
        }
    }
}

impl Write for UploadWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut cutting = self.cutting();
        self.shared.check()?;
        if cutting.finished {
            return Err(Error::new(Code::Internal, "write after the upload was finished").into());
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        if cutting.permit.is_none() {
            self.shared.begin_part(&mut cutting)?;
        }
        let size = self.shared.options.part_size(cutting.number);
        let taken = bytes.len().min(size - cutting.buffer.len());
        cutting.buffer.put_slice(&bytes[..taken]);
        if cutting.buffer.len() == size {
            self.shared.send(&mut cutting)?;
        }
        Ok(taken)
    }

    /// Nothing to do: a part goes out when it is full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(options: &UploadOptions) -> u64 {
        let sizes = (1..=MOST_PARTS).map(|number| options.part_size(number) as u64);
        sizes.sum()
    }

    #[test]
    fn ten_thousand_parts_hold_any_size() {
        const TIB: u64 = 1 << 40;
        for expected in [None, Some(1), Some(100 << 30), Some(5 * TIB)] {
            let options = UploadOptions {
                expected,
                ..UploadOptions::default()
            };
            let held = capacity(&options);
            // What was announced, with room for an estimate that was far too low.
            assert!(
                held >= 5 * expected.unwrap_or(50 << 30),
                "{expected:?}: {held}"
            );
            let sizes: Vec<_> = (1..=MOST_PARTS).map(|n| options.part_size(n)).collect();
            assert!(sizes.is_sorted(), "a part never shrinks");
            assert!(sizes.iter().all(|size| (5 << 20..=5 << 30).contains(size)));
            // All parts of an object that keeps to its announcement have one size.
            let steady = sizes[0] as u64 * u64::from(STEADY_PARTS);
            assert!(steady >= expected.unwrap_or(0));
            assert_eq!(sizes[0], sizes[STEADY_PARTS as usize - 1]);
        }
    }

    #[test]
    fn a_usual_site_goes_in_parts_of_the_usual_size() {
        let options = UploadOptions {
            expected: Some(30 << 30),
            ..UploadOptions::default()
        };
        assert_eq!(options.part_size(1), 8 << 20);
    }
}

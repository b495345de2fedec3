//! A blocking [`Read`] and [`Seek`] over ranges of an object, for formats that jump.
//!
//! What follows a read is fetched ahead: little after a jump, more the longer the reading goes
//! on in one direction, and then the next piece while this one is consumed.

use std::{
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use backupd_base::{Code, Context as _, Error, Result};
use bytes::Bytes;
use tokio::{runtime::Handle, task::JoinHandle};

use crate::{Key, Storage};

/// Bytes fetched after a jump: about the price of the round trip on a common line.
const FIRST: u64 = 256 << 10;
/// Bytes fetched at a time in the long run. Two of these are held in memory.
const MOST: u64 = 4 << 20;

/// An object to be read from any position.
///
/// Blocking: for `spawn_blocking` or a thread of its own, never inside a future.
pub struct Ranged {
    storage: Arc<dyn Storage>,
    runtime: Handle,
    key: Key,
    size: u64,
    position: u64,
    /// The piece in hand, and where it begins.
    piece: Bytes,
    begin: u64,
    /// How much to fetch next if the reading goes on.
    ahead: u64,
    next: Option<Fetch>,
    fetched: Arc<AtomicU64>,
}

/// A piece on its way. Dropping it gives it up.
struct Fetch {
    range: Range<u64>,
    task: JoinHandle<Result<Bytes>>,
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ranged {
    /// Reads `key`, which is `size` bytes long; fetches on `runtime`.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, runtime: Handle, key: Key, size: u64) -> Self {
        Self {
            storage,
            runtime,
            key,
            size,
            position: 0,
            piece: Bytes::new(),
            begin: 0,
            ahead: FIRST,
            next: None,
            fetched: Arc::default(),
        }
    }

    /// The size of the object in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Counts the bytes that came from the store, also after this reader has moved elsewhere.
    #[must_use]
    pub fn fetched(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.fetched)
    }

    /// Begins to fetch up to `len` bytes from `begin`.
    fn fetch(&self, begin: u64, len: u64) -> Fetch {
        let range = begin..self.size.min(begin + len);
        let (storage, key) = (Arc::clone(&self.storage), self.key.clone());
        let (fetched, wanted) = (Arc::clone(&self.fetched), range.clone());
        let task = self.runtime.spawn(async move {
            let piece = storage.get_range(&key, wanted.clone()).await?;
            fetched.fetch_add(piece.len() as u64, Ordering::Relaxed);
            if piece.len() as u64 == wanted.end - wanted.start {
                return Ok(piece);
            }
            let what = format!("read {key}: it ends before byte {}", wanted.end);
            Err(Error::new(Code::Corrupt, what))
        });
        Fetch { range, task }
    }

    /// Makes the piece in hand hold the position, which lies before the end.
    fn turn_to_position(&mut self) -> Result<()> {
        let goes_on = self.position == self.end() && !self.piece.is_empty();
        let coming = self
            .next
            .take()
            .filter(|fetch| fetch.range.contains(&self.position));
        let mut fetch = match coming {
            Some(fetch) => fetch,
            None => {
                self.ahead = if goes_on {
                    (self.ahead * 2).min(MOST)
                } else {
                    FIRST
                };
                // Frees the memory before the next piece needs it.
                self.piece = Bytes::new();
                self.fetch(self.position, self.ahead)
            }
        };
        let piece = self.runtime.block_on(&mut fetch.task);
        self.piece = piece.context("fetch")??;
        self.begin = fetch.range.start;
        if self.ahead == MOST && self.end() < self.size {
            self.next = Some(self.fetch(self.end(), MOST));
        }
        Ok(())
    }

    fn end(&self) -> u64 {
        self.begin + self.piece.len() as u64
    }
}

impl Read for Ranged {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() || self.position >= self.size {
            return Ok(0);
        }
        if !(self.begin..self.end()).contains(&self.position) {
            self.turn_to_position()?;
        }
        // Fits: a piece is at most `MOST` bytes long.
        let from = (self.position - self.begin) as usize;
        let len = into.len().min(self.piece.len() - from);
        into[..len].copy_from_slice(&self.piece[from..from + len]);
        self.position += len as u64;
        Ok(len)
    }
}

impl Seek for Ranged {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

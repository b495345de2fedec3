//! A database dump on its way into an archive: compressed once, into the very frames the archive
//! will hold, in a file only its owner may read.
//!
//! The content lies there compressed and **not encrypted**; whoever made the file removes it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use backupd_base::{Code, Context, Error, Result};
use serde::{Deserialize, Serialize};

use crate::{
    Digest, FRAME_BYTES,
    frame::{Chunk, Compressed, FrameSize, max_len},
    hash::Hash,
    pipeline::{Compression, FrameSink, Pipeline, Turns},
};

/// A finished spool: where it lies and what is in it. It may be written down and taken up again
/// by a later process; the file is checked against it when it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameSpool {
    path: PathBuf,
    raw_bytes: u64,
    sha256: Digest,
    frames: Vec<FrameSize>,
}

impl FrameSpool {
    /// Begins a spool at `path`, which must not exist; mode 0600. `level` is zstd's.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the file system says.
    pub fn create(path: &Path, workers: usize, level: i32) -> Result<SpoolWriter> {
        Self::create_in_turns(path, workers, level, None)
    }

    /// [`FrameSpool::create`], whose threads wait for their turns.
    ///
    /// # Errors
    /// As [`FrameSpool::create`].
    pub fn create_in_turns(
        path: &Path,
        workers: usize,
        level: i32,
        turns: Option<Arc<dyn Turns>>,
    ) -> Result<SpoolWriter> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options
            .open(path)
            .with_context(|| format!("create the spool {}", path.display()))?;
        let mut pipeline = Pipeline::new(
            SpoolSink(file),
            Compression {
                workers,
                level,
                turns,
            },
        )?;
        Ok(SpoolWriter {
            path: path.to_owned(),
            chunk: pipeline.chunk(),
            pipeline,
            hash: Hash::new(),
            raw_bytes: 0,
            frames: Vec::new(),
        })
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size of the content, uncompressed.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        self.raw_bytes
    }

    /// Size of the file.
    #[must_use]
    pub fn compressed_bytes(&self) -> u64 {
        self.frames.iter().map(|frame| u64::from(frame.len)).sum()
    }

    /// SHA-256 of the content, uncompressed.
    #[must_use]
    pub fn sha256(&self) -> Digest {
        self.sha256
    }

    /// Reads the frames as they stand, after a look at the size of the file.
    pub(crate) fn frames(&self) -> Result<SpoolFrames<'_>> {
        let describe = || format!("read the spool {}", self.path.display());
        let file = File::open(&self.path).with_context(describe)?;
        let size = file.metadata().with_context(describe)?.len();
        let raw: u64 = self.frames.iter().map(|f| u64::from(f.raw_len)).sum();
        let in_bounds = self
            .frames
            .iter()
            .all(|f| f.raw_len as usize <= FRAME_BYTES && f.len as usize <= max_len());
        if size != self.compressed_bytes() || raw != self.raw_bytes || !in_bounds {
            return Err(Error::new(
                Code::Corrupt,
                format!("the spool {} is not what was written", self.path.display()),
            ));
        }
        Ok(SpoolFrames {
            file,
            spool: self,
            next: 0,
        })
    }
}

/// The frames of a spool, one after the other.
pub(crate) struct SpoolFrames<'a> {
    file: File,
    spool: &'a FrameSpool,
    next: usize,
}

impl SpoolFrames<'_> {
    /// Puts the next frame into `into`, which is empty; `false` at the end.
    pub fn read(&mut self, into: &mut Compressed) -> Result<bool> {
        let Some(frame) = self.spool.frames.get(self.next) else {
            return Ok(false);
        };
        into.bytes.resize(frame.len as usize, 0);
        self.file
            .read_exact(&mut into.bytes)
            .with_context(|| format!("read the spool {}", self.spool.path.display()))?;
        into.frames.push(*frame);
        self.next += 1;
        Ok(true)
    }
}

struct SpoolSink(File);

impl FrameSink for SpoolSink {
    fn frames(&mut self, compressed: &[u8]) -> Result<()> {
        self.0.write_all(compressed).context("write the spool")
    }
}

/// Compresses what is written, in parallel, into a spool. Dropped before [`SpoolWriter::finish`]
/// it stops its threads and leaves the file as it is.
pub struct SpoolWriter {
    path: PathBuf,
    chunk: Chunk,
    pipeline: Pipeline<SpoolSink>,
    hash: Hash,
    raw_bytes: u64,
    frames: Vec<FrameSize>,
}

impl SpoolWriter {
    /// Bytes written so far, uncompressed.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        self.raw_bytes
    }

    /// Compressed bytes in the file so far.
    #[must_use]
    pub fn compressed_bytes(&mut self) -> u64 {
        self.frames.extend(self.pipeline.written());
        self.frames.iter().map(|frame| u64::from(frame.len)).sum()
    }

    /// Writes what is left and makes the file durable.
    ///
    /// # Errors
    /// What the file system says.
    pub fn finish(mut self) -> Result<FrameSpool> {
        if !self.chunk.filled().is_empty() {
            self.submit()?;
        }
        let (sink, rest) = self.pipeline.finish()?;
        sink.0.sync_all().context("sync the spool")?;
        self.frames.extend(rest);
        Ok(FrameSpool {
            path: self.path,
            raw_bytes: self.raw_bytes,
            sha256: self.hash.digest(),
            frames: self.frames,
        })
    }

    fn submit(&mut self) -> Result<()> {
        let empty = self.pipeline.chunk();
        let full = std::mem::replace(&mut self.chunk, empty);
        self.pipeline.submit(full)?;
        self.frames.extend(self.pipeline.written());
        Ok(())
    }
}

impl Write for SpoolWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let spare = self.chunk.spare();
        let n = buf.len().min(spare.len());
        spare[..n].copy_from_slice(&buf[..n]);
        self.chunk.advance(n);
        self.hash.update(&buf[..n]);
        self.raw_bytes += n as u64;
        if self.chunk.spare().is_empty() {
            self.submit()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

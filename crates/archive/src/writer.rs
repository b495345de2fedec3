//! Makes an archive and its index in one pass.

use std::{io::Write, sync::Arc};

use backupd_base::{Context, Result};
use chrono::Utc;

use crate::{
    Digest, Entry, EntryKind, EntryPath, FrameSpool, Mtime, Recipient, Warnings,
    hash::Hash,
    index::IndexWriter,
    pipeline::{Compression, FrameSink, Turns},
    seal::Seal,
    tar_header::TarHeader,
    tar_reader::END,
    tar_stream::TarStream,
};

/// How an archive is made.
#[derive(Clone)]
pub struct ArchiveOptions {
    /// Who can open it: at least two different keys.
    pub recipients: Vec<Recipient>,
    /// Compression threads; at least one is started. One more thread encrypts and writes.
    pub workers: usize,
    /// zstd's level; what does not compress is stored at its fastest in any case.
    pub level: i32,
    /// Where the compression threads wait for their turns, if anywhere.
    pub turns: Option<Arc<dyn Turns>>,
}

impl ArchiveOptions {
    /// On the files of a WordPress site, 2 takes a fifth less time than 3, and an archive grows
    /// by 1 %; 1 takes no less and grows by 2 %.
    pub const LEVEL: i32 = 2;

    /// A thread for each core, four at most, and [`ArchiveOptions::LEVEL`].
    #[must_use]
    pub fn new(recipients: Vec<Recipient>) -> Self {
        Self {
            recipients,
            workers: std::thread::available_parallelism()
                .map_or(2, usize::from)
                .min(4),
            level: Self::LEVEL,
            turns: None,
        }
    }
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveSummary {
    /// Entries in the archive.
    pub entries: u64,
    /// Bytes of the files in it, holes included.
    pub content_bytes: u64,
    /// Size of the uncompressed tar.
    pub tar_bytes: u64,
    /// Size of the archive object.
    pub archive_bytes: u64,
    /// SHA-256 of the archive object.
    pub archive_sha256: Digest,
    /// Size of the index object.
    pub index_bytes: u64,
    /// SHA-256 of the index object.
    pub index_sha256: Digest,
    /// What is not in it as it was.
    pub warnings: Warnings,
}

/// A finished archive, with the writers given back for their own last step.
pub struct Finished<W, I> {
    /// What was made.
    pub summary: ArchiveSummary,
    /// The archive's writer, flushed.
    pub out: W,
    /// The index's writer, flushed.
    pub index_out: I,
}

/// Writes entries one after the other. Compression and encryption run on threads of their own; a
/// slow `out` holds everything back, so memory is bounded by the options and not by the input.
///
/// Dropped before [`ArchiveWriter::finish`] it stops: nothing more is written but what is being
/// written, and its threads have ended when the drop returns. What `out` got is then no archive.
/// After an error the writer is of no use but to be dropped.
pub struct ArchiveWriter<W: Write + Send + 'static, I: Write> {
    pub(crate) tar: TarStream<SealSink<W>>,
    index: IndexWriter<I>,
    content_bytes: u64,
    pub(crate) warnings: Warnings,
    scratch: Vec<u8>,
}

pub(crate) struct SealSink<W: Write>(Seal<W>);

impl<W: Write + Send + 'static> FrameSink for SealSink<W> {
    fn frames(&mut self, compressed: &[u8]) -> Result<()> {
        self.0.write_all(compressed).context("write the archive")
    }
}

impl<W: Write + Send + 'static, I: Write> ArchiveWriter<W, I> {
    /// Begins an archive: the age headers are written.
    ///
    /// # Errors
    /// `Invalid` with fewer than two different recipients, or what the writers say.
    pub fn new(out: W, index_out: I, options: ArchiveOptions) -> Result<Self> {
        let index = IndexWriter::new(index_out, &options.recipients, Utc::now())?;
        let sink = SealSink(Seal::new(out, &options.recipients)?);
        let compression = Compression {
            workers: options.workers,
            level: options.level,
            turns: options.turns,
        };
        Ok(Self {
            tar: TarStream::new(sink, compression)?,
            index,
            content_bytes: 0,
            warnings: Warnings::default(),
            scratch: Vec::new(),
        })
    }

    /// Adds a small file from memory, mode 0600, owned by root.
    ///
    /// # Errors
    /// What the writers say.
    pub fn append_bytes(
        &mut self,
        path: &EntryPath,
        content: &[u8],
        mtime: impl Into<Mtime>,
    ) -> Result<()> {
        let header = own_file(path, content.len() as u64, mtime.into());
        let offset = self.begin(&header)?;
        self.tar.write(content)?;
        self.tar.pad(header.stored)?;
        let sha256 = Hash::of(content);
        self.end(header, offset, Some(sha256), false)
    }

    /// Adds a spooled file, mode 0600, owned by root: its frames are taken as they are.
    /// `progress` gets the uncompressed bytes done; its error stops.
    ///
    /// # Errors
    /// `Corrupt` when the file is not what was spooled, else what the writers say.
    pub fn append_spool(
        &mut self,
        path: &EntryPath,
        spool: &FrameSpool,
        mtime: impl Into<Mtime>,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        let header = own_file(path, spool.raw_bytes(), mtime.into());
        let offset = self.begin(&header)?;
        self.tar.splice(spool, progress)?;
        self.tar.pad(spool.raw_bytes())?;
        self.end(header, offset, Some(spool.sha256()), false)
    }

    /// What there is to warn of so far.
    #[must_use]
    pub fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    /// Ends archive and index.
    ///
    /// # Errors
    /// What the writers say.
    pub fn finish(mut self) -> Result<Finished<W, I>> {
        self.tar.zeros(END)?;
        let (sink, frames, tar_bytes, zstd_bytes) = self.tar.finish()?;
        for frame in &frames {
            self.index.frame(frame)?;
        }
        let archive = sink.0.finish()?;
        let entries = self.index.entries();
        let index = self.index.finish(tar_bytes, zstd_bytes, archive.bytes)?;
        Ok(Finished {
            summary: ArchiveSummary {
                entries,
                content_bytes: self.content_bytes,
                tar_bytes,
                archive_bytes: archive.bytes,
                archive_sha256: archive.sha256,
                index_bytes: index.bytes,
                index_sha256: index.sha256,
                warnings: self.warnings,
            },
            out: archive.out,
            index_out: index.out,
        })
    }

    /// Writes the headers of an entry and tells where they begin. `stored` bytes and their
    /// padding must follow, then [`ArchiveWriter::end`].
    pub(crate) fn begin(&mut self, header: &TarHeader) -> Result<u64> {
        let offset = self.tar.position();
        self.scratch.clear();
        header.encode(&mut self.scratch);
        self.tar.write(&self.scratch)?;
        Ok(offset)
    }

    /// Lists an entry whose content is written.
    pub(crate) fn end(
        &mut self,
        header: TarHeader,
        offset: u64,
        sha256: Option<Digest>,
        linked: bool,
    ) -> Result<()> {
        self.content_bytes += header.size;
        self.index_frames()?;
        self.index.entry(&Entry {
            xattrs_sha256: header.xattrs_sha256(),
            linked,
            path: header.path,
            kind: header.kind,
            size: header.size,
            mode: header.mode,
            mtime: header.mtime,
            uid: header.uid,
            gid: header.gid,
            link: header.link,
            sha256,
            offset,
        })
    }

    /// Lists the frames that were written meanwhile; called often enough that few pile up.
    pub(crate) fn index_frames(&mut self) -> Result<()> {
        for frame in self.tar.written() {
            self.index.frame(&frame)?;
        }
        Ok(())
    }
}

fn own_file(path: &EntryPath, size: u64, mtime: Mtime) -> TarHeader {
    TarHeader {
        path: path.clone(),
        kind: EntryKind::File,
        size,
        stored: size,
        sparse: false,
        mode: 0o600,
        mtime,
        uid: 0,
        gid: 0,
        link: None,
        xattrs: Vec::new(),
    }
}

//! An archive opened for reading.

use std::io::{Read, Seek, Write};

use backupd_base::{Code, Context, Error, Result};

use crate::{
    Entry, EntryKind, EntryPath, Manifest, SnapshotKeys,
    damage::corrupt,
    hash::Hash,
    index::open_index,
    keys::decrypt,
    sparse::{Segments, ZEROS},
    tally::{Tallied, Tally},
    tar_header::{TarHeader, padding},
    tar_reader::{Forward, Ranged, TarReader, ZstdBytes},
};

/// Reads the two encrypted objects of a snapshot together: the index says what there is and where,
/// the archive has it. What the two say of an entry must agree, and each file's SHA-256 must hold.
///
/// With a manifest, whose signature the caller checked, the index must be the very one it names;
/// that is known when the index was read to its end. **Anybody who knows the public keys can
/// make an archive and an index**: without a manifest the content is whole, not genuine.
pub struct ArchiveReader<'a> {
    pub(crate) tar: TarReader<'a>,
    index: Tally,
    archive: Option<Tally>,
    manifest: Option<Manifest>,
}

/// What [`ArchiveReader::content`] gives out.
pub(crate) enum Piece<'p> {
    Data(&'p [u8]),
    Hole(u64),
}

impl Piece<'_> {
    pub fn len(&self) -> u64 {
        match self {
            Piece::Data(data) => data.len() as u64,
            Piece::Hole(len) => *len,
        }
    }
}

/// An entry whose header was read; its content follows in the tar.
pub(crate) struct Opened {
    pub header: TarHeader,
    segments: Option<Segments>,
}

impl<'a> ArchiveReader<'a> {
    /// Opens an archive to be read once, from front to back.
    ///
    /// # Errors
    /// `KeyMissing` when `keys` do not open it, `Incompatible` for another version's format,
    /// `Corrupt`, or what the readers say.
    pub fn sequential(
        archive: impl Read + 'a,
        index: impl Read + 'a,
        keys: SnapshotKeys<'_>,
        manifest: Option<Manifest>,
    ) -> Result<Self> {
        let (archive, tally) = Tallied::new(archive);
        let age = decrypt(archive, keys.archive).context("open the archive")?;
        Self::open(
            Box::new(Forward::new(age)),
            Some(tally),
            index,
            keys,
            manifest,
        )
    }

    /// Opens an archive of which only what is asked for is read.
    ///
    /// # Errors
    /// As [`ArchiveReader::sequential`].
    pub fn ranged(
        archive: impl Read + Seek + 'a,
        index: impl Read + 'a,
        keys: SnapshotKeys<'_>,
        manifest: Option<Manifest>,
    ) -> Result<Self> {
        let age = decrypt(archive, keys.archive).context("open the archive")?;
        Self::open(Box::new(Ranged(age)), None, index, keys, manifest)
    }

    fn open(
        zstd: Box<dyn ZstdBytes + 'a>,
        archive: Option<Tally>,
        index: impl Read + 'a,
        keys: SnapshotKeys<'_>,
        manifest: Option<Manifest>,
    ) -> Result<Self> {
        let (index, tally) = Tallied::new(index);
        let index = open_index(Box::new(index) as Box<dyn Read + 'a>, keys.index)?;
        Ok(Self {
            tar: TarReader::new(zstd, index)?,
            index: tally,
            archive,
            manifest,
        })
    }

    /// Writes the content of one file to `out` and gives its entry, after the whole index was read
    /// and the file's hash checked. What `out` got before an error is not to be used.
    /// `progress` gets the bytes written so far; its error stops.
    ///
    /// # Errors
    /// `NotFound` when there is no such file, `Corrupt`, or what readers and `out` say.
    pub fn copy_file(
        &mut self,
        path: &EntryPath,
        out: &mut dyn Write,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<Entry> {
        let mut found = None;
        while let Some(entry) = self.next_entry()? {
            if entry.path != *path {
                continue;
            }
            if entry.kind != EntryKind::File {
                return Err(Error::new(Code::Invalid, format!("{path} is not a file")));
            }
            let opened = self.open_entry(&entry)?;
            let mut done = 0;
            self.content(&entry, &opened, &mut |piece| {
                done += match piece {
                    Piece::Data(data) => {
                        out.write_all(data)
                            .with_context(|| format!("write {path}"))?;
                        data.len() as u64
                    }
                    Piece::Hole(len) => std::io::copy(&mut std::io::repeat(0).take(len), out)
                        .with_context(|| format!("write {path}"))?,
                };
                progress(done)
            })?;
            found = Some(entry);
        }
        found.ok_or_else(|| Error::new(Code::NotFound, format!("no {path} in the snapshot")))
    }

    /// The next entry; `None` when the index was read to its end and is the one of the manifest.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>> {
        let entry = self.tar.next_entry()?;
        if let (None, Some(manifest)) = (&entry, &self.manifest) {
            self.index.check("index", &manifest.index)?;
        }
        Ok(entry)
    }

    /// Reads the headers of `entry` and what stands before its content.
    pub(crate) fn open_entry(&mut self, entry: &Entry) -> Result<Opened> {
        let read = |tar: &mut TarReader<'_>| -> Result<Opened> {
            tar.go_to(entry.offset);
            let header = TarHeader::read(tar)?
                .ok_or_else(|| corrupt("the tar ends before its entries do"))?;
            header.check(entry)?;
            let segments = header
                .sparse
                .then(|| Segments::read(tar, header.size, header.stored))
                .transpose()?;
            Ok(Opened { header, segments })
        };
        read(&mut self.tar).with_context(|| format!("read {}", entry.path))
    }

    /// Gives out the content of a file in pieces, and checks its hash at the end.
    pub(crate) fn content(
        &mut self,
        entry: &Entry,
        opened: &Opened,
        each: &mut dyn FnMut(Piece<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut hash = Hash::new();
        let whole = [(0, entry.size)];
        let mut position = 0;
        let segments: Vec<_> = match &opened.segments {
            None => whole.to_vec(),
            Some(segments) => segments.iter().collect(),
        };
        for (start, len) in segments {
            hole(start - position, &mut hash, each)?;
            self.data(len, &mut hash, each)
                .with_context(|| format!("read {}", entry.path))?;
            position = start + len;
        }
        if entry.sha256 == Some(hash.digest()) {
            Ok(())
        } else {
            Err(corrupt(format!(
                "the content of {} is not what was backed up",
                entry.path
            )))
        }
    }

    fn data(
        &mut self,
        len: u64,
        hash: &mut Hash,
        each: &mut dyn FnMut(Piece<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut left = len;
        while left > 0 {
            let at_hand = self.tar.fill()?;
            let n = at_hand
                .len()
                .min(PIECE)
                .min(usize::try_from(left).unwrap_or(PIECE));
            let piece = &at_hand[..n];
            hash.update(piece);
            each(Piece::Data(piece))?;
            self.tar.consume(n);
            left -= n as u64;
        }
        Ok(())
    }

    /// After the content of an entry: to where the next one begins.
    pub(crate) fn skip_padding(&mut self, opened: &Opened) {
        let padding = padding(opened.header.stored) as u64;
        self.tar.go_to(self.tar.position() + padding);
    }

    /// After the last entry, when all was read from front to back: nothing is missing and nothing
    /// follows, and the archive is the one of the manifest.
    pub(crate) fn check_end(&mut self) -> Result<()> {
        self.tar.check_end()?;
        let Some(archive) = &self.archive else {
            return Ok(());
        };
        let said = self.tar.end().map_or(0, |end| end.archive_bytes);
        if archive.bytes() != said {
            return Err(corrupt("the archive is not as long as its index says"));
        }
        match &self.manifest {
            Some(manifest) => archive.check("archive", &manifest.archive),
            None => Ok(()),
        }
    }
}

/// Content is given out in pieces of at most this, so that progress and cancelling stay prompt.
const PIECE: usize = 256 * 1024;

/// A hole counts as zeros in the hash.
fn hole(
    mut len: u64,
    hash: &mut Hash,
    each: &mut dyn FnMut(Piece<'_>) -> Result<()>,
) -> Result<()> {
    while len > 0 {
        let n = len.min(ZEROS.len() as u64);
        hash.update(&ZEROS[..n as usize]);
        each(Piece::Hole(n))?;
        len -= n;
    }
    Ok(())
}

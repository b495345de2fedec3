//! Reads a whole snapshot back and checks every hash, writing nothing.

use std::io::Read;

use backupd_base::Result;

use crate::{ArchiveReader, Manifest, SnapshotKeys, damage::corrupt};

/// How far [`verify`] got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerifyProgress {
    /// Entries checked.
    pub entries: u64,
    /// Bytes of files checked, holes included.
    pub bytes: u64,
}

/// What [`verify`] read and found whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifySummary {
    /// Entries checked.
    pub entries: u64,
    /// Bytes of files checked, holes included.
    pub bytes: u64,
}

/// Reads archive and index to their last byte: each age chunk and zstd frame, the SHA-256 of each
/// file, that index and tar agree on every entry with nothing between or after them, and that
/// sizes, hashes and counts are those of `manifest` (whose signature the caller checked).
///
/// `progress` is called after each entry and each piece of a file; its error stops, and is returned.
///
/// # Errors
/// `Corrupt` when anything is not as it was written, `KeyMissing` when `keys` do not open it, or
/// what readers and `progress` say.
pub fn verify(
    archive: impl Read,
    index: impl Read,
    keys: SnapshotKeys<'_>,
    manifest: Option<&Manifest>,
    progress: &mut dyn FnMut(VerifyProgress) -> Result<()>,
) -> Result<VerifySummary> {
    let mut reader = ArchiveReader::sequential(archive, index, keys, manifest.cloned())?;
    let mut done = VerifyProgress::default();
    let mut next = 0;
    while let Some(entry) = reader.next_entry()? {
        if entry.offset != next {
            return Err(corrupt(format!(
                "the tar has something unlisted before {}",
                entry.path
            )));
        }
        let opened = reader.open_entry(&entry)?;
        if entry.sha256.is_some() {
            reader.content(&entry, &opened, &mut |piece| {
                done.bytes += piece.len();
                progress(done)
            })?;
        }
        reader.skip_padding(&opened);
        next = reader.tar.position();
        done.entries += 1;
        progress(done)?;
    }
    reader.check_end()?;
    if let Some(manifest) = manifest
        && (manifest.entries, manifest.content_bytes) != (done.entries, done.bytes)
    {
        return Err(corrupt(
            "the archive holds more or less than its manifest says",
        ));
    }
    Ok(VerifySummary {
        entries: done.entries,
        bytes: done.bytes,
    })
}

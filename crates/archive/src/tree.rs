//! Puts a folder into an archive. Kept: files (sparse ones with their holes), folders, symbolic
//! and hard links, modes, owners as numbers, modification times to the nanosecond, extended
//! attributes of files and folders (Linux, POSIX ACLs among them), names of any bytes.
//!
//! Not kept: sockets, pipes and devices, what lies more than 256 folders deep (with a warning),
//! access and change times, attributes of links, file flags (`chattr`), owners' names.

use std::{
    ffi::CString,
    fs::{File, Metadata},
    io::{ErrorKind, Read, Write},
    os::{fd::BorrowedFd, unix::fs::MetadataExt},
    path::Path,
};

use backupd_base::{Context, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, readlinkat, statat};

use crate::{
    ArchiveWriter, EntryKind, EntryPath, Mtime, WarningKind,
    hash::Hash,
    sparse::{Segments, ZEROS},
    tar_header::{MAX_XATTRS, TarHeader},
    tree_size::Links,
    walk::{TreeOptions, Visitor, archive_path, cannot_open, io, open_detail, walk},
};

/// A file is read and hashed in pieces of this size, while they are in the cache.
const PIECE: usize = 256 * 1024;

/// How far [`ArchiveWriter::append_tree`] got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeProgress {
    /// Entries of the tree done.
    pub entries: u64,
    /// Bytes of its files done, holes included.
    pub bytes: u64,
}

impl<W: Write + Send + 'static, I: Write> ArchiveWriter<W, I> {
    /// Adds the folder `root` as `prefix`, with all that is in it. Links are not followed; what
    /// cannot be read, vanishes or changes meanwhile becomes a warning, and a file keeps the
    /// length it had when it was opened (cut, or filled with zeros).
    ///
    /// `progress` is called after each entry and each piece of a file; its error stops, and is returned.
    ///
    /// # Errors
    /// `Invalid` for a wrong exclude pattern, that `root` cannot be opened, what `progress`
    /// returns, or what the writers say.
    pub fn append_tree(
        &mut self,
        root: &Path,
        prefix: &EntryPath,
        options: &TreeOptions,
        progress: &mut dyn FnMut(TreeProgress) -> Result<()>,
    ) -> Result<()> {
        let mut appender = Appender {
            archive: self,
            prefix,
            options,
            links: Links::default(),
            done: TreeProgress::default(),
            progress,
        };
        walk(root, options, &mut appender)
    }
}

struct Appender<'a, W: Write + Send + 'static, I: Write> {
    archive: &'a mut ArchiveWriter<W, I>,
    prefix: &'a EntryPath,
    options: &'a TreeOptions,
    links: Links,
    done: TreeProgress,
    progress: &'a mut dyn FnMut(TreeProgress) -> Result<()>,
}

impl<W: Write + Send + 'static, I: Write> Visitor for Appender<'_, W, I> {
    fn folder(&mut self, path: &[u8], folder: &File, metadata: &Metadata) -> Result<()> {
        let path = archive_path(self.prefix, path)?;
        let xattrs = self.xattrs(folder, &path);
        let header = TarHeader {
            kind: EntryKind::Directory,
            xattrs,
            ..header(path, metadata)
        };
        self.without_content(header)
    }

    fn leaf(
        &mut self,
        path: &[u8],
        parent: BorrowedFd<'_>,
        name: &CString,
        kind: FileType,
    ) -> Result<()> {
        match kind {
            FileType::RegularFile => self.file(path, parent, name),
            FileType::Symlink => self.symlink(path, parent, name),
            other => {
                let detail = format!("is a {other:?}, which is not kept");
                self.trouble(path, WarningKind::NotKept, detail)
            }
        }
    }

    fn trouble(&mut self, path: &[u8], kind: WarningKind, detail: String) -> Result<()> {
        let path = archive_path(self.prefix, path)?;
        self.archive.warnings.push(&path, kind, detail);
        (self.progress)(self.done)
    }
}

impl<W: Write + Send + 'static, I: Write> Appender<'_, W, I> {
    fn symlink(&mut self, path: &[u8], parent: BorrowedFd<'_>, name: &CString) -> Result<()> {
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
        let target = readlinkat(parent, name, Vec::new());
        let (stat, target) = match (stat, target) {
            (Ok(stat), Ok(target)) => (stat, target),
            (Err(e), _) | (_, Err(e)) => return self.trouble(path, cannot_open(e), open_detail(e)),
        };
        #[allow(clippy::unnecessary_cast)] // the types differ between systems
        let mtime = Mtime {
            seconds: stat.st_mtime as i64,
            nanoseconds: stat.st_mtime_nsec as u32,
        };
        self.without_content(TarHeader {
            path: archive_path(self.prefix, path)?,
            kind: EntryKind::Symlink,
            size: 0,
            stored: 0,
            sparse: false,
            mode: 0o777,
            mtime,
            uid: stat.st_uid,
            gid: stat.st_gid,
            link: Some(target.into_bytes()),
            xattrs: Vec::new(),
        })
    }

    fn file(&mut self, path: &[u8], parent: BorrowedFd<'_>, name: &CString) -> Result<()> {
        // NONBLOCK: should a pipe stand there by now, opening it must not wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = match openat(parent, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(e) => return self.trouble(path, cannot_open(e), open_detail(e)),
        };
        let before = file.metadata().context("look at an open file")?;
        if !before.is_file() {
            let detail = "was replaced before it was read";
            return self.trouble(path, WarningKind::Changed, detail.into());
        }
        let path = archive_path(self.prefix, path)?;
        let mut header = header(path, &before);
        if before.nlink() > 1 {
            let id = (before.dev(), before.ino());
            let name = || header.path.as_bytes().to_vec();
            if let Some(first) = self.links.again(id, before.nlink(), name) {
                header.kind = EntryKind::Hardlink;
                header.link = Some(first);
                return self.without_content(header);
            }
        }
        header.size = before.len();
        header.stored = before.len();
        header.xattrs = self.xattrs(&file, &header.path);
        let segments = Segments::of(&file, &before);
        if let Some(segments) = &segments {
            header.sparse = true;
            header.stored = segments.stored();
        }

        let offset = self.archive.begin(&header)?;
        let mut copy = Copy {
            appender: self,
            path: &header.path,
            hash: Hash::new(),
            failed: None,
        };
        match &segments {
            None => copy.bytes(&mut file, header.size)?,
            Some(segments) => copy.segments(&mut file, segments)?,
        }
        let Copy { hash, failed, .. } = copy;
        self.archive.tar.pad(header.stored)?;

        let after = file.metadata().context("look at an open file")?;
        let state = |m: &Metadata| (m.len(), m.ctime(), m.ctime_nsec());
        if let Some((kind, detail)) = failed {
            self.archive.warnings.push(&header.path, kind, detail);
        } else if state(&before) != state(&after) {
            let detail = "changed while it was read";
            self.archive
                .warnings
                .push(&header.path, WarningKind::Changed, detail);
        }
        self.archive
            .end(header, offset, Some(hash.digest()), before.nlink() > 1)?;
        self.entry_done()
    }

    fn without_content(&mut self, header: TarHeader) -> Result<()> {
        let offset = self.archive.begin(&header)?;
        self.archive.end(header, offset, None, false)?;
        self.entry_done()
    }

    fn entry_done(&mut self) -> Result<()> {
        self.done.entries += 1;
        (self.progress)(self.done)
    }

    fn xattrs(&mut self, file: &File, path: &EntryPath) -> Vec<(Vec<u8>, Vec<u8>)> {
        if !self.options.xattrs {
            return Vec::new();
        }
        let detail = match crate::xattr::read(file) {
            Ok(found) => {
                let size: usize = found
                    .iter()
                    .map(|(name, value)| name.len() + value.len())
                    .sum();
                if size <= MAX_XATTRS {
                    return found;
                }
                format!("its extended attributes, {size} bytes, are too many to keep")
            }
            Err(e) => format!("its extended attributes could not be read: {}", io(e)),
        };
        self.archive
            .warnings
            .push(path, WarningKind::Metadata, detail);
        Vec::new()
    }
}

/// A file on its way into the archive: exactly as many bytes as its header says, come what may.
struct Copy<'a, 'b, W: Write + Send + 'static, I: Write> {
    appender: &'a mut Appender<'b, W, I>,
    path: &'a EntryPath,
    hash: Hash,
    failed: Option<(WarningKind, String)>,
}

impl<W: Write + Send + 'static, I: Write> Copy<'_, '_, W, I> {
    fn segments(&mut self, file: &mut File, segments: &Segments) -> Result<()> {
        self.appender.archive.tar.write(segments.map())?;
        let mut position = 0;
        for (start, len) in segments.iter() {
            self.hole(start - position)?;
            if let Err(e) = std::io::Seek::seek(file, std::io::SeekFrom::Start(start)) {
                self.failed
                    .get_or_insert((WarningKind::Unreadable, format!("could not be read: {e}")));
            }
            self.bytes(file, len)?;
            position = start + len;
        }
        Ok(())
    }

    /// A hole counts as zeros in the hash, and takes no room.
    fn hole(&mut self, mut len: u64) -> Result<()> {
        while len > 0 {
            let n = len.min(ZEROS.len() as u64);
            self.hash.update(&ZEROS[..n as usize]);
            len -= n;
            self.told(n)?;
        }
        Ok(())
    }

    fn bytes(&mut self, file: &mut File, len: u64) -> Result<()> {
        let mut left = len;
        while left > 0 {
            let spare = self.appender.archive.tar.spare();
            let want = spare
                .len()
                .min(PIECE)
                .min(usize::try_from(left).unwrap_or(PIECE));
            let piece = &mut spare[..want];
            let read = if self.failed.is_some() {
                Ok(0)
            } else {
                file.read(piece)
            };
            let n = match read {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Ok(n) if n > 0 => n,
                end => {
                    let at = len - left;
                    self.failed.get_or_insert_with(|| match end {
                        Ok(_) => {
                            let detail = "became shorter while it was read; the rest is zeros";
                            (WarningKind::Changed, detail.to_owned())
                        }
                        Err(e) => (
                            WarningKind::Unreadable,
                            format!("could not be read from byte {at} on, the rest is zeros: {e}"),
                        ),
                    });
                    piece.fill(0);
                    want
                }
            };
            self.hash.update(&piece[..n]);
            self.appender.archive.tar.advance(n)?;
            left -= n as u64;
            self.told(n as u64)?;
        }
        Ok(())
    }

    fn told(&mut self, n: u64) -> Result<()> {
        self.appender.done.bytes += n;
        self.appender.archive.index_frames()?;
        (self.appender.progress)(self.appender.done)
            .with_context(|| format!("archive {}", self.path))
    }
}

fn header(path: EntryPath, metadata: &Metadata) -> TarHeader {
    TarHeader {
        path,
        kind: EntryKind::File,
        size: 0,
        stored: 0,
        sparse: false,
        mode: metadata.mode() & 0o7777,
        mtime: Mtime {
            seconds: metadata.mtime(),
            nanoseconds: u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
        },
        uid: metadata.uid(),
        gid: metadata.gid(),
        link: None,
        xattrs: Vec::new(),
    }
}

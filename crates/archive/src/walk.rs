//! Walks a folder through directory handles: no path is looked up twice, so nobody can put a
//! link in the way, and no link is ever followed.

use std::{
    ffi::{CString, OsStr},
    fs::{File, Metadata},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::Path,
};

use backupd_base::{Code, Context, Error, Result};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat},
    io::Errno,
};

use crate::{EntryPath, WarningKind};

/// So many names of a folder are held and sorted at a time; a folder with more of them is
/// taken in several runs.
const BATCH: usize = 4096;

/// A folder deeper than this is left out with a warning: each level holds a handle open.
const MAX_DEPTH: usize = 256;

/// Which part of a tree is taken.
#[derive(Debug, Clone)]
pub struct TreeOptions {
    /// Patterns as in a `.gitignore` at the root of the tree; what they match is left out.
    pub exclude: Vec<String>,
    /// Leave out what is mounted inside the tree, with a warning.
    pub one_file_system: bool,
    /// Keep extended attributes (Linux).
    pub xattrs: bool,
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self {
            exclude: Vec::new(),
            one_file_system: true,
            xattrs: true,
        }
    }
}

/// Is told of each entry, a folder before what is in it. An error stops the walk.
pub(crate) trait Visitor {
    /// A folder; `path` is relative to the root and empty for the root itself.
    fn folder(&mut self, path: &[u8], folder: &File, metadata: &Metadata) -> Result<()>;
    /// Anything else: `name` in the folder `parent`, of type `kind` when it was listed.
    fn leaf(
        &mut self,
        path: &[u8],
        parent: BorrowedFd<'_>,
        name: &CString,
        kind: FileType,
    ) -> Result<()>;
    /// Something that is left out though it should not be.
    fn trouble(&mut self, path: &[u8], kind: WarningKind, detail: String) -> Result<()>;
}

struct Level {
    dir: Dir,
    names: std::vec::IntoIter<(CString, FileType)>,
    exhausted: bool,
    /// Length of this folder's own path.
    path_len: usize,
}

/// Walks `root`, which may be a link itself.
pub(crate) fn walk(root: &Path, options: &TreeOptions, visitor: &mut dyn Visitor) -> Result<()> {
    let exclude = compile(&options.exclude)?;
    let describe = || format!("open the folder {}", root.display());
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = File::from(
        openat(CWD, root, flags, Mode::empty())
            .map_err(io)
            .with_context(describe)?,
    );
    let metadata = top.metadata().with_context(describe)?;
    let device = metadata.dev();
    visitor.folder(b"", &top, &metadata)?;
    let mut path = Vec::new();
    let mut stack = vec![Level::new(top.into(), 0).with_context(describe)?];

    while let Some(level) = stack.last_mut() {
        path.truncate(level.path_len);
        let (name, kind) = match level.next() {
            Ok(Some(next)) => next,
            Ok(None) => {
                stack.pop();
                continue;
            }
            Err(e) => {
                let detail = format!("could not be listed to its end: {e}");
                visitor.trouble(&path, WarningKind::Unreadable, detail)?;
                stack.pop();
                continue;
            }
        };
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        let parent = level
            .dir
            .fd()
            .map_err(io)
            .context("use a folder's handle")?;
        let kind = match known_kind(parent, &name, kind) {
            Ok(kind) => kind,
            Err(e) => {
                visitor.trouble(&path, cannot_open(e), open_detail(e))?;
                continue;
            }
        };
        let is_folder = kind == FileType::Directory;
        if exclude
            .matched(OsStr::from_bytes(&path), is_folder)
            .is_ignore()
        {
            continue;
        }
        if !is_folder {
            visitor.leaf(&path, parent, &name, kind)?;
            continue;
        }
        let flags = flags | OFlags::NOFOLLOW;
        let opened = openat(parent, &name, flags, Mode::empty()).map(File::from);
        let folder = match opened {
            Ok(folder) => folder,
            Err(e) => {
                visitor.trouble(&path, cannot_open(e), open_detail(e))?;
                continue;
            }
        };
        let metadata = folder.metadata().context("look at an open folder")?;
        visitor.folder(&path, &folder, &metadata)?;
        if options.one_file_system && metadata.dev() != device {
            let detail = "another file system is mounted there; its content is left out";
            visitor.trouble(&path, WarningKind::NotKept, detail.into())?;
            continue;
        }
        if stack.len() == MAX_DEPTH {
            let detail = format!("lies {MAX_DEPTH} folders deep; its content is left out");
            visitor.trouble(&path, WarningKind::NotKept, detail)?;
            continue;
        }
        stack.push(Level::new(folder.into(), path.len()).context("list an open folder")?);
    }
    Ok(())
}

impl Level {
    fn new(folder: OwnedFd, path_len: usize) -> Result<Self> {
        Ok(Self {
            dir: Dir::new(folder).map_err(io).context("list a folder")?,
            names: Vec::new().into_iter(),
            exhausted: false,
            path_len,
        })
    }

    fn next(&mut self) -> std::io::Result<Option<(CString, FileType)>> {
        if self.names.len() == 0 && !self.exhausted {
            let mut batch = Vec::new();
            while batch.len() < BATCH {
                match self.dir.read() {
                    None => {
                        self.exhausted = true;
                        break;
                    }
                    Some(Err(e)) => return Err(e.into()),
                    Some(Ok(found)) => {
                        let name = found.file_name();
                        if !matches!(name.to_bytes(), b"." | b"..") {
                            batch.push((name.to_owned(), found.file_type()));
                        }
                    }
                }
            }
            batch.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            self.names = batch.into_iter();
        }
        Ok(self.names.next())
    }
}

fn compile(patterns: &[String]) -> Result<Gitignore> {
    let mut builder = GitignoreBuilder::new("");
    for pattern in patterns {
        builder.add_line(None, pattern).map_err(|e| {
            Error::caused(format!("read the exclude pattern {pattern:?}"), e)
                .with_code(Code::Invalid)
        })?;
    }
    builder
        .build()
        .map_err(|e| Error::caused("read the exclude patterns", e).with_code(Code::Invalid))
}

/// Some file systems do not say in the listing of what type an entry is.
fn known_kind(parent: BorrowedFd<'_>, name: &CString, kind: FileType) -> Result<FileType, Errno> {
    if kind != FileType::Unknown {
        return Ok(kind);
    }
    let stat = statat(parent.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

/// What it means that an entry that was listed does not open.
pub(crate) fn cannot_open(error: Errno) -> WarningKind {
    match error {
        Errno::NOENT => WarningKind::Vanished,
        // It became a link, or is no folder any more.
        Errno::LOOP | Errno::NOTDIR => WarningKind::Changed,
        _ => WarningKind::Unreadable,
    }
}

pub(crate) fn open_detail(error: Errno) -> String {
    match cannot_open(error) {
        WarningKind::Vanished => "vanished before it was read".into(),
        WarningKind::Changed => "was replaced before it was read".into(),
        _ => format!("could not be opened: {}", std::io::Error::from(error)),
    }
}

pub(crate) fn io(error: Errno) -> std::io::Error {
    error.into()
}

/// The path of an entry under `prefix`; `path` is relative to the root of the walk, and short
/// enough since names and depth are bounded.
pub(crate) fn archive_path(prefix: &EntryPath, path: &[u8]) -> Result<EntryPath> {
    if path.is_empty() {
        return Ok(prefix.clone());
    }
    EntryPath::new([prefix.as_bytes(), path].join(&b'/'))
}

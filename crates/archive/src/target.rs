//! The folder an extraction writes into. Everything goes through directory handles: each folder
//! of a path is entered without following a link, so nothing the archive says leads out of it.

use std::{
    ffi::OsStr,
    fs::File,
    hash::{BuildHasher as _, RandomState},
    io::{self, Seek, SeekFrom, Write},
};

use backupd_base::{Code, Context, Error, Result};
use cap_fs_ext::DirExt as _;
use cap_std::fs::{Dir, OpenOptions};

use crate::{
    EntryPath, WarningKind, Warnings,
    damage::corrupt,
    metadata::{set_folder_metadata, set_link_metadata, set_metadata},
    tar_header::TarHeader,
};

pub(crate) struct Target<'a> {
    root: &'a Dir,
    owners: bool,
    /// The folder that was written into last, and its path.
    current: (Option<EntryPath>, Dir),
    /// Folders whose mode and times are set when nothing more comes into them: each within the one before.
    open: Vec<(EntryPath, TarHeader)>,
    root_header: Option<TarHeader>,
    random: RandomState,
    made: u64,
    warnings: Warnings,
}

impl<'a> Target<'a> {
    pub fn new(root: &'a Dir, owners: bool) -> Result<Self> {
        let current = root.try_clone().context("use the target folder")?;
        Ok(Self {
            root,
            owners,
            current: (None, current),
            open: Vec::new(),
            root_header: None,
            random: RandomState::new(),
            made: 0,
            warnings: Warnings::default(),
        })
    }

    /// The target itself gets the mode and times of this entry, at the end.
    pub fn root(&mut self, header: &TarHeader) -> Result<()> {
        if self.root_header.replace(header.clone()).is_some() {
            return Err(twice(&header.path));
        }
        Ok(())
    }

    /// Whether this system has such a name at all.
    pub fn can_hold(path: &EntryPath) -> bool {
        path.segments().all(|segment| segment_name(segment).is_ok())
    }

    /// Something is left out.
    pub fn left_out(&mut self, path: &EntryPath, detail: &str) {
        self.warnings.push(path, WarningKind::NotKept, detail);
    }

    pub fn folder(&mut self, path: &EntryPath, header: &TarHeader) -> Result<()> {
        let name = name(path)?;
        let parent = self.parent(path)?;
        make_folder(parent, name).map_err(|e| failed(path, e))?;
        self.open.push((path.clone(), header.clone()));
        Ok(())
    }

    /// Begins a file; it has no name yet.
    pub fn file(&mut self, path: &EntryPath) -> Result<NewFile<'_>> {
        let final_name = name(path)?.to_owned();
        self.made += 1;
        let temporary = format!(".backupd-{:016x}.part", self.random.hash_one(self.made));
        self.parent(path)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        cap_std::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let parent = &self.current.1;
        let file = parent
            .open_with(&temporary, &options)
            .map_err(|e| failed(path, e))?;
        Ok(NewFile {
            parent,
            path: path.clone(),
            temporary: Some(temporary),
            final_name,
            file: file.into_std(),
            ends_in_hole: false,
            owners: self.owners,
            warnings: &mut self.warnings,
        })
    }

    pub fn symlink(&mut self, path: &EntryPath, header: &TarHeader) -> Result<()> {
        let name = name(path)?;
        let link = header.link.as_deref().unwrap_or_default();
        let owners = self.owners;
        let parent = self.parent(path)?;
        match make_symlink(parent, link, name) {
            Err(e) if e.kind() == io::ErrorKind::Unsupported => {
                let detail = "is a symbolic link, which this system cannot hold";
                self.warnings.push(path, WarningKind::NotKept, detail);
                return Ok(());
            }
            made => made.map_err(|e| failed(path, e))?,
        }
        let set = set_link_metadata(parent, name, header, owners);
        self.note(path, set);
        Ok(())
    }

    /// A second name of a file that lies at `first`.
    pub fn hard_link(&mut self, first: &EntryPath, path: &EntryPath, _: &TarHeader) -> Result<()> {
        let first_parent = match first.parent() {
            Some(parent) => enter(self.root, &parent, false).map_err(|e| failed(path, e))?,
            None => self.root.try_clone().map_err(|e| failed(path, e))?,
        };
        let (first_name, name) = (name(first)?, name(path)?);
        let parent = self.parent(path)?;
        first_parent
            .hard_link(first_name, parent, name)
            .map_err(|e| failed(path, e))
    }

    /// Sets the mode and times of the folders that are still to get theirs.
    pub fn finish(mut self) -> Result<Warnings> {
        while let Some((path, header)) = self.open.pop() {
            self.leave(&path, &header)?;
        }
        if let Some(header) = self.root_header.take() {
            let set = set_folder_metadata(self.root, &header, self.owners);
            self.note(&header.path, set);
        }
        Ok(self.warnings)
    }

    /// The folder `path` lies in, made if need be. Folders that are left on the way get their times.
    fn parent(&mut self, path: &EntryPath) -> Result<&Dir> {
        while let Some((open, _)) = self.open.last()
            && !path.is_within(open)
        {
            let (path, header) = self.open.pop().expect("there is a last one");
            self.leave(&path, &header)?;
        }
        let parent = path.parent();
        if parent != self.current.0 {
            let dir = match &parent {
                Some(parent) => enter(self.root, parent, true).map_err(|e| failed(path, e))?,
                None => self.root.try_clone().map_err(|e| failed(path, e))?,
            };
            self.current = (parent, dir);
        }
        Ok(&self.current.1)
    }

    fn leave(&mut self, path: &EntryPath, header: &TarHeader) -> Result<()> {
        let folder = enter(self.root, path, false).map_err(|e| failed(path, e))?;
        let set = set_folder_metadata(&folder, header, self.owners);
        self.note(path, set);
        Ok(())
    }

    fn note(&mut self, path: &EntryPath, set: io::Result<()>) {
        if let Err(e) = set {
            let detail = format!("its metadata could not be restored: {e}");
            self.warnings.push(path, WarningKind::Metadata, detail);
        }
    }
}

/// A file on its way: written under a name of its own, removed unless it is published.
pub(crate) struct NewFile<'t> {
    parent: &'t Dir,
    path: EntryPath,
    temporary: Option<String>,
    final_name: std::ffi::OsString,
    file: File,
    ends_in_hole: bool,
    owners: bool,
    warnings: &'t mut Warnings,
}

impl NewFile<'_> {
    pub fn write(&mut self, data: &[u8]) -> Result<()> {
        self.ends_in_hole = false;
        self.file.write_all(data).map_err(|e| failed(&self.path, e))
    }

    pub fn hole(&mut self, len: u64) -> Result<()> {
        self.ends_in_hole = true;
        let len = i64::try_from(len).map_err(|_| corrupt("a hole is too large"))?;
        self.file
            .seek(SeekFrom::Current(len))
            .map(drop)
            .map_err(|e| failed(&self.path, e))
    }

    /// Gives it its metadata and its name.
    pub fn publish(mut self, header: &TarHeader) -> Result<()> {
        if self.ends_in_hole {
            self.file
                .set_len(header.size)
                .map_err(|e| failed(&self.path, e))?;
        }
        if let Err(e) = set_metadata(&self.file, header, self.owners) {
            let detail = format!("its metadata could not be restored: {e}");
            self.warnings
                .push(&self.path, WarningKind::Metadata, detail);
        }
        // A rename would replace what is there.
        if self.parent.symlink_metadata(&self.final_name).is_ok() {
            return Err(twice(&self.path));
        }
        let temporary = self.temporary.as_ref().expect("kept until it is published");
        self.parent
            .rename(temporary, self.parent, &self.final_name)
            .map_err(|e| failed(&self.path, e))?;
        self.temporary = None;
        Ok(())
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // The error that brought us here is the one to tell.
            let _ = self.parent.remove_file(temporary);
        }
    }
}

fn failed(path: &EntryPath, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return twice(path);
    }
    Error::caused(format!("restore {path}"), error)
}

fn twice(path: &EntryPath) -> Error {
    Error::new(
        Code::AlreadyExists,
        format!("restore {path}: there is something of that name already"),
    )
}

/// The folder at `path`, each part of it entered without following a link.
fn enter(root: &Dir, path: &EntryPath, make: bool) -> io::Result<Dir> {
    let mut dir = root.try_clone()?;
    for segment in path.segments() {
        let segment = segment_name(segment)?;
        dir = match dir.open_dir_nofollow(segment) {
            Err(e) if make && e.kind() == io::ErrorKind::NotFound => {
                make_folder(&dir, segment)?;
                dir.open_dir_nofollow(segment)?
            }
            opened => opened?,
        };
    }
    Ok(dir)
}

fn make_folder(parent: &Dir, name: &OsStr) -> io::Result<()> {
    #[allow(unused_mut)] // nothing to set where there are no modes
    let mut builder = cap_std::fs::DirBuilder::new();
    #[cfg(unix)]
    cap_std::fs::DirBuilderExt::mode(&mut builder, 0o700);
    parent.create_dir_with(name, &builder)
}

fn name(path: &EntryPath) -> Result<&OsStr> {
    segment_name(path.name()).map_err(|e| failed(path, e))
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps)] // elsewhere a name may be none
fn segment_name(segment: &[u8]) -> io::Result<&OsStr> {
    Ok(std::os::unix::ffi::OsStrExt::from_bytes(segment))
}

/// Windows takes some names for paths, streams or devices.
#[cfg(not(unix))]
fn segment_name(segment: &[u8]) -> io::Result<&OsStr> {
    let bad = || io::Error::new(io::ErrorKind::InvalidInput, "this system has no such name");
    let text = std::str::from_utf8(segment).map_err(|_| bad())?;
    let reserved = ["con", "prn", "aux", "nul", "com", "lpt"];
    let stem = text
        .split('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let is_reserved = reserved.iter().any(|r| {
        stem.strip_prefix(r)
            .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()) && rest.len() <= 1)
    });
    let odd = |c: char| c < ' ' || "\\:*?\"<>|".contains(c);
    if text.contains(odd) || text.ends_with(['.', ' ']) || is_reserved {
        return Err(bad());
    }
    Ok(OsStr::new(text))
}

#[cfg(unix)]
fn make_symlink(parent: &Dir, link: &[u8], name: &OsStr) -> io::Result<()> {
    let link: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(link);
    parent.symlink_contents(link, name)
}

#[cfg(not(unix))]
fn make_symlink(_: &Dir, _: &[u8], _: &OsStr) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

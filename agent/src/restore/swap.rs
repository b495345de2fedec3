//! Files staged beside what is there change places with it, and back. Everything goes through
//! directory handles, entered one by one without following a link: nobody who owns the folder can
//! lead a rename elsewhere.
//!
//! What was swapped is known by where the former entry's inode is, not by a note: after a crash it
//! is looked at, and turning back may be done any number of times.

use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use backupd_base::{Code, Context as _, Error, Result};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::{
    fs::{
        AtFlags, CWD, Mode, OFlags, RenameFlags, fsync, mkdirat, openat, renameat_with, statat,
        syncfs,
    },
    io::Errno,
};
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

/// Below the staging folder: what was staged, and after the swap the former state.
const NEW: &str = "new";
/// Below the staging folder: holds one entry for a moment where two cannot be exchanged at once.
const BETWEEN: &str = "between";

/// One folder of the server where things change places, and its staging folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Place {
    /// The folder; what changes places lies in it or below.
    base: OsString,
    /// Name of the staging folder in it.
    staging: OsString,
    swaps: Vec<Swap>,
    /// What a backup leaves out (caches, archives of other tools): it stays where it was.
    carried: Vec<OsString>,
}

/// One entry that changes places; a path below the base.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Swap {
    path: OsString,
    /// Whether something was staged for it; if not, the entry is only to go away.
    is_staged: bool,
    /// What was there before; none when nothing was.
    former: Option<Inode>,
}

/// Device and inode.
type Inode = (u64, u64);

impl Place {
    /// A staging folder in `base`, not made yet.
    pub fn new(base: &Path, name: &str) -> Self {
        Self {
            base: base.as_os_str().to_owned(),
            staging: name.into(),
            swaps: Vec::new(),
            carried: Vec::new(),
        }
    }

    /// Where it is extracted to, and where the former state is after the swap.
    pub fn staged_path(&self) -> PathBuf {
        Path::new(&self.base).join(&self.staging).join(NEW)
    }

    /// Makes the staging folder, for this user only, and the one in it to extract into.
    pub fn make(&self) -> Result<PathBuf> {
        let base = self.base()?;
        let what = || format!("make a staging folder in {}", self.base.display());
        mkdirat(&base, &self.staging, Mode::RWXU).with_context(what)?;
        let staging = enter(&base, Path::new(&self.staging))?;
        mkdirat(&staging, NEW, Mode::RWXU).with_context(what)?;
        mkdirat(&staging, BETWEEN, Mode::RWXU).with_context(what)?;
        Ok(self.staged_path())
    }

    /// Says what is going to change places: `paths` below the base, or all of its entries.
    /// `excluded` are the patterns of what the backup left out.
    ///
    /// # Errors
    /// `Invalid` when something is mounted in what would be swapped, or a link leads to it.
    pub fn plan(&mut self, paths: Option<&[PathBuf]>, excluded: &[String]) -> Result<()> {
        let new = self.staged_path();
        let all = paths.is_none();
        let mut paths = match paths {
            Some(paths) => paths.to_vec(),
            None => self.entries(&new)?,
        };
        paths.sort();
        // One within another goes with it.
        paths.dedup_by(|inner, outer| inner.starts_with(&*outer));
        let base = self.base()?;
        for path in &paths {
            above_is_there(&base, path)?;
        }
        let patterns = compile(excluded)?;
        for path in paths {
            let is_staged = identity(&self.staged()?, &path)?.is_some();
            if !is_staged && !all {
                continue;
            }
            if is_staged {
                self.carry(&path, &new, &patterns)?;
            }
            self.swaps.push(Swap {
                former: identity(&base, &path)?,
                path: path.into_os_string(),
                is_staged,
            });
        }
        // What is about to be live is on the disk first.
        syncfs(&base).with_context(|| format!("sync {}", self.base.display()))
    }

    /// Swaps everything.
    pub fn swap(&self) -> Result<()> {
        let (base, staging) = (self.base()?, self.staging()?);
        let staged = self.staged()?;
        for swap in &self.swaps {
            let path = Path::new(&swap.path);
            let live = Spot::find(&base, path)?;
            let aside = Spot::below(&staged, path)?;
            if live.identity()? != swap.former {
                let why = format!("{} was replaced by somebody else meanwhile", path.display());
                return Err(Error::new(Code::Conflict, why));
            }
            match (swap.is_staged, swap.former) {
                (true, Some(_)) => live.exchange(&aside, &staging)?,
                (true, None) => aside.rename(&live)?,
                (false, Some(_)) => live.rename(&aside)?,
                (false, None) => {}
            }
        }
        for path in &self.carried {
            self.move_carried(Path::new(path), &staged, &base)?;
        }
        fsync(&base).with_context(|| format!("sync {}", self.base.display()))
    }

    /// Brings back what is swapped; nothing when nothing is.
    pub fn swap_back(&self) -> Result<()> {
        let base = self.base()?;
        let Ok(staging) = self.staging() else {
            // Its staging folder was never made, or is gone: nothing was swapped.
            return Ok(());
        };
        let staged = self.staged()?;
        for path in self.carried.iter().rev() {
            self.move_carried(Path::new(path), &base, &staged)?;
        }
        for swap in self.swaps.iter().rev() {
            let path = Path::new(&swap.path);
            let live = Spot::find(&base, path)?;
            let aside = Spot::below(&staged, path)?;
            let between = Spot::top(&staging)?;
            let is_live = live.identity()?.is_some();
            let Some(former) = swap.former else {
                // Nothing was there: what is there now goes away again.
                if is_live && aside.identity()?.is_none() {
                    live.rename(&aside)?;
                }
                continue;
            };
            if between.identity()? == Some(former) {
                // Cut short within an exchange of three steps.
                if is_live {
                    live.rename(&aside)?;
                }
                between.rename(&live)?;
            } else if aside.identity()? == Some(former) {
                if is_live {
                    live.exchange(&aside, &staging)?;
                } else {
                    aside.rename(&live)?;
                }
            }
        }
        fsync(&base).with_context(|| format!("sync {}", self.base.display()))
    }

    /// Removes the staging folder with all that is in it.
    pub fn remove(&self) -> Result<()> {
        let folder = Path::new(&self.base).join(&self.staging);
        match std::fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("remove {}", folder.display()))
            }
            _ => Ok(()),
        }
    }

    fn base(&self) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, &self.base, flags, Mode::empty())
            .with_context(|| format!("open {}", self.base.display()))
    }

    fn staging(&self) -> Result<OwnedFd> {
        enter(&self.base()?, Path::new(&self.staging))
    }

    fn staged(&self) -> Result<OwnedFd> {
        enter(&self.staging()?, Path::new(NEW))
    }

    /// Every entry of the base, staged or there now.
    fn entries(&self, new: &Path) -> Result<Vec<PathBuf>> {
        let mut names = Vec::new();
        for folder in [new, Path::new(&self.base)] {
            let what = || format!("list {}", folder.display());
            for entry in std::fs::read_dir(folder).with_context(what)? {
                let name = entry.with_context(what)?.file_name();
                let ours = name.as_bytes().starts_with(b".backupd-") || name == ".maintenance";
                if !ours && !names.contains(&PathBuf::from(&name)) {
                    names.push(PathBuf::from(name));
                }
            }
        }
        Ok(names)
    }

    /// Finds what has to stay in what is there now.
    fn carry(&mut self, path: &Path, new: &Path, patterns: &Gitignore) -> Result<()> {
        let base = Path::new(&self.base);
        let top = base.join(path);
        let Ok(meta) = std::fs::symlink_metadata(&top) else {
            return Ok(());
        };
        let mut walk = WalkDir::new(&top).into_iter();
        while let Some(entry) = walk.next() {
            let Ok(entry) = entry else { continue };
            let is_dir = entry.file_type().is_dir();
            if is_dir && entry.metadata().is_ok_and(|m| m.dev() != meta.dev()) {
                let why = format!(
                    "{} is mounted within what would be swapped; restore to a folder instead",
                    entry.path().display()
                );
                return Err(Error::new(Code::Invalid, why));
            }
            let below = entry.path().strip_prefix(base).unwrap_or(entry.path());
            if !patterns.matched(below, is_dir).is_ignore() {
                continue;
            }
            if is_dir {
                walk.skip_current_dir();
            }
            if std::fs::symlink_metadata(new.join(below)).is_err() {
                self.carried.push(below.as_os_str().to_owned());
            }
        }
        Ok(())
    }

    fn move_carried(&self, path: &Path, from: &OwnedFd, to: &OwnedFd) -> Result<()> {
        // Where a folder above it is not in the other tree, it stays where it is.
        let (Ok(from), Ok(to)) = (Spot::find(from, path), Spot::find(to, path)) else {
            return Ok(());
        };
        if from.identity()?.is_some() && to.identity()?.is_none() {
            from.rename(&to)?;
        }
        Ok(())
    }
}

/// A name in an opened folder.
struct Spot {
    folder: OwnedFd,
    name: OsString,
}

impl Spot {
    /// A path below a folder, whose folders are there.
    fn find(base: &OwnedFd, path: &Path) -> Result<Self> {
        let (parent, name) = (path.parent(), path.file_name());
        let name = name.with_context(|| format!("{} has no name", path.display()))?;
        Ok(Self {
            folder: enter(base, parent.unwrap_or(Path::new("")))?,
            name: name.to_owned(),
        })
    }

    /// The same, and folders that are missing are made, for this user only.
    fn below(base: &OwnedFd, path: &Path) -> Result<Self> {
        let mut above = PathBuf::new();
        for part in path.parent().unwrap_or(Path::new("")).components() {
            let folder = enter(base, &above)?;
            above.push(part);
            match mkdirat(&folder, part.as_os_str(), Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e).with_context(|| format!("make {}", above.display())),
            }
        }
        Self::find(base, path)
    }

    fn top(staging: &OwnedFd) -> Result<Self> {
        Ok(Self {
            folder: enter(staging, Path::new(BETWEEN))?,
            name: "entry".into(),
        })
    }

    fn identity(&self) -> Result<Option<Inode>> {
        look(&self.folder, &self.name)
    }

    fn rename(&self, to: &Self) -> Result<()> {
        let what = || format!("move {}", self.name.display());
        match renameat_with(
            &self.folder,
            &self.name,
            &to.folder,
            &to.name,
            RenameFlags::NOREPLACE,
        ) {
            // Not every file system can refuse by itself.
            Err(Errno::INVAL | Errno::NOSYS) if to.identity()?.is_none() => {
                rustix::fs::renameat(&self.folder, &self.name, &to.folder, &to.name)
                    .with_context(what)
            }
            other => other.with_context(what),
        }
    }

    fn exchange(&self, other: &Self, staging: &OwnedFd) -> Result<()> {
        let flags = RenameFlags::EXCHANGE;
        match renameat_with(&self.folder, &self.name, &other.folder, &other.name, flags) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                let between = Self::top(staging)?;
                self.rename(&between)?;
                other.rename(self)?;
                between.rename(other)
            }
            done => done.with_context(|| format!("swap {}", self.name.display())),
        }
    }
}

/// Opens a folder below another without following a link.
fn enter(base: &OwnedFd, path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder = base.try_clone().context("open a folder again")?;
    for part in path.components() {
        folder = openat(&folder, part.as_os_str(), flags, Mode::empty()).with_context(|| {
            format!("enter {} of {}", part.as_os_str().display(), path.display())
        })?;
    }
    Ok(folder)
}

/// Device and inode of an entry, which may be a link itself.
fn look(folder: &OwnedFd, name: &OsStr) -> Result<Option<Inode>> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some((stat.st_dev, stat.st_ino))),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e).with_context(|| format!("look at {}", name.display())),
    }
}

fn identity(base: &OwnedFd, path: &Path) -> Result<Option<Inode>> {
    match Spot::find(base, path) {
        Ok(spot) => spot.identity(),
        Err(e) if e.code() == Code::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// A part of a site goes where it was: the folders above it must be there, with the owners and
/// modes that they have.
fn above_is_there(base: &OwnedFd, path: &Path) -> Result<()> {
    let above = path.parent().unwrap_or(Path::new(""));
    enter(base, above)
        .map(drop)
        .with_context(|| format!("{} is not there to restore into", above.display()))
}

fn compile(patterns: &[String]) -> Result<Gitignore> {
    let mut builder = GitignoreBuilder::new("");
    for pattern in patterns {
        builder
            .add_line(None, pattern)
            .with_context(|| format!("read the pattern {pattern:?}"))?;
    }
    builder.build().context("read the patterns left out")
}

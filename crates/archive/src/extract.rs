//! Takes entries out of an opened archive into a folder.
//!
//! A damaged archive is known as such only when its last chunk was read. So the caller gives a
//! fresh folder, and publishes it (renames it, swaps it in) after `extract` returned `Ok`; on an
//! error it removes the folder. Each file appears under its name only after its hash held.

use std::collections::HashMap;

use backupd_base::{Code, Error, Result};
use cap_std::fs::Dir;

use crate::{
    ArchiveReader, Entry, EntryKind, EntryPath, Manifest, Warnings,
    opened::{Opened, Piece},
    target::Target,
};

/// What is taken out, and how.
#[derive(Debug, Clone)]
pub struct ExtractOptions {
    /// These entries, and all below those that are folders; empty for all.
    pub select: Vec<EntryPath>,
    /// Take this off the beginning of each path; what does not lie below it is left out. The entry
    /// of this path gives its mode and times to the target itself.
    pub strip: Option<EntryPath>,
    /// Restore owners, set-user-ID and the like, and all extended attributes; needs privileges.
    /// Without it: permission bits, and the attributes in `user.`.
    pub owners: bool,
    /// When to stop because it is more than it can be.
    pub limits: Limits,
}

impl ExtractOptions {
    /// All of it, for the user who runs this.
    #[must_use]
    pub fn all(limits: Limits) -> Self {
        Self {
            select: Vec::new(),
            strip: None,
            owners: false,
            limits,
        }
    }
}

/// Caps on what an archive may unfold to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files together, holes included.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
    /// Bytes of files for each compressed byte read, looked at from 1 GiB on; a database of zeros
    /// compresses well too, so this is for archives without a manifest.
    pub ratio: Option<u64>,
}

impl Limits {
    /// Exactly what a manifest says there is.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            bytes: manifest.content_bytes,
            entries: manifest.entries,
            ratio: None,
        }
    }
}

/// Whether names that differ only in upper and lower case are one name here.
const NAMES_FOLD: bool = cfg!(any(windows, target_os = "macos"));

/// The ratio of a small archive says nothing.
const RATIO_FROM: u64 = 1 << 30;

/// How far [`ArchiveReader::extract`] got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtractProgress {
    /// Entries written.
    pub entries: u64,
    /// Bytes of files written, holes included.
    pub bytes: u64,
}

/// What was taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtractSummary {
    /// Entries written.
    pub entries: u64,
    /// Bytes of files written, holes included.
    pub bytes: u64,
    /// What is not on the disk as it was.
    pub warnings: Warnings,
}

impl ArchiveReader<'_> {
    /// Writes the selected entries below `target`, a fresh folder. Nothing outside it is touched:
    /// folders are entered one by one without following a link, files are made under a new name
    /// and renamed after their hash held, and a path that exists already is an error.
    ///
    /// The index is read to its end in any case. When the archive was opened from front to back
    /// and nothing was selected, the archive is read to its end too and compared with the manifest.
    ///
    /// `progress` is called after each entry and each piece of a file; its error stops, and is returned.
    ///
    /// # Errors
    /// `Corrupt` when the archive is not what was written or exceeds the limits, `NotFound` when
    /// something selected is not in it, or what readers, file system or `progress` say.
    pub fn extract(
        &mut self,
        target: &Dir,
        options: &ExtractOptions,
        progress: &mut dyn FnMut(ExtractProgress) -> Result<()>,
    ) -> Result<ExtractSummary> {
        let mut extraction = Extraction {
            target: Target::new(target, options.owners)?,
            options,
            done: ExtractProgress::default(),
            first_names: HashMap::new(),
            passed: HashMap::new(),
            progress,
        };
        let mut missing: Vec<bool> = vec![true; options.select.len()];
        let mut last = Some(0);
        while let Some(entry) = self.next_entry()? {
            let mut selected = options.select.is_empty();
            for (path, missing) in options.select.iter().zip(&mut missing) {
                if entry.path.is_within(path) {
                    selected = true;
                    *missing = false;
                }
            }
            let taken = match extraction.place(&entry.path).filter(|_| selected) {
                Some(place) => extraction.entry_if_possible(self, &entry, place)?,
                None => false,
            };
            last = taken.then(|| self.tar.position());
            if !taken && entry.linked {
                extraction.passed.insert(entry.path.clone(), entry);
            }
        }
        if let Some(at) = missing.iter().position(|missing| *missing) {
            let path = &options.select[at];
            return Err(Error::new(
                Code::NotFound,
                format!("no {path} in the snapshot"),
            ));
        }
        if options.select.is_empty() && options.strip.is_none() {
            match last {
                Some(after_last) => self.tar.go_to(after_last),
                // The last one was left out: nobody knows where it ended.
                None => self.tar.go_to_end()?,
            }
            self.check_end()?;
        }
        let warnings = extraction.target.finish()?;
        Ok(ExtractSummary {
            entries: extraction.done.entries,
            bytes: extraction.done.bytes,
            warnings,
        })
    }
}

struct Extraction<'a> {
    target: Target<'a>,
    options: &'a ExtractOptions,
    done: ExtractProgress,
    /// Where files lie to which hard links may follow.
    first_names: HashMap<EntryPath, EntryPath>,
    /// Files to which hard links may follow, and which are not selected themselves.
    passed: HashMap<EntryPath, Entry>,
    progress: &'a mut dyn FnMut(ExtractProgress) -> Result<()>,
}

/// Where an entry goes.
enum Place {
    /// The target itself.
    Root,
    Below(EntryPath),
}

impl Extraction<'_> {
    fn place(&self, path: &EntryPath) -> Option<Place> {
        match &self.options.strip {
            None => Some(Place::Below(path.clone())),
            Some(strip) if strip == path => Some(Place::Root),
            Some(strip) => path.below(strip).map(Place::Below),
        }
    }

    /// Writes an entry, or warns that this system cannot have it; says which.
    fn entry_if_possible(
        &mut self,
        archive: &mut ArchiveReader<'_>,
        entry: &Entry,
        place: Place,
    ) -> Result<bool> {
        if let Place::Below(to) = &place
            && !Target::can_hold(to)
        {
            let detail = "has a name that this system cannot hold";
            self.target.left_out(&entry.path, detail);
            return Ok(false);
        }
        match self.entry(archive, entry, place) {
            Err(e) if NAMES_FOLD && e.code() == Code::AlreadyExists => {
                let detail = "has the name of another entry, but for upper and lower case";
                self.target.left_out(&entry.path, detail);
                Ok(false)
            }
            done => done.map(|()| true),
        }
    }

    fn entry(
        &mut self,
        archive: &mut ArchiveReader<'_>,
        entry: &Entry,
        place: Place,
    ) -> Result<()> {
        self.done.entries += 1;
        self.check_limits(archive, entry.size)?;
        let opened = archive.open_entry(entry)?;
        match (place, entry.kind) {
            (Place::Root, EntryKind::Directory) => self.target.root(&opened.header)?,
            (Place::Root, _) => {
                let what = format!("{} is not a folder", entry.path);
                return Err(Error::new(Code::Invalid, what));
            }
            (Place::Below(to), EntryKind::Directory) => self.target.folder(&to, &opened.header)?,
            (Place::Below(to), EntryKind::Symlink) => self.target.symlink(&to, &opened.header)?,
            (Place::Below(to), EntryKind::File) => {
                self.file(archive, entry, &opened, &to)?;
                if entry.linked {
                    self.first_names.insert(entry.path.clone(), to);
                }
            }
            (Place::Below(to), EntryKind::Hardlink) => {
                self.hard_link(archive, entry, &opened, &to)?;
            }
        }
        archive.skip_padding(&opened);
        (self.progress)(self.done)
    }

    fn hard_link(
        &mut self,
        archive: &mut ArchiveReader<'_>,
        entry: &Entry,
        opened: &Opened,
        to: &EntryPath,
    ) -> Result<()> {
        let first = EntryPath::new(entry.link.clone().unwrap_or_default())?;
        if let Some(there) = self.first_names.get(&first) {
            return self.target.hard_link(there, to, &opened.header);
        }
        // The first name was not taken out: this one gets the content.
        let Some(content) = self.passed.get(&first).cloned() else {
            return Err(Error::new(
                Code::Corrupt,
                format!(
                    "{} is another name of {first}, which did not come before",
                    entry.path
                ),
            ));
        };
        self.check_limits(archive, content.size)?;
        let here = archive.tar.position();
        let of_first = archive.open_entry(&content)?;
        self.file(archive, &content, &of_first, to)?;
        archive.tar.go_to(here);
        self.first_names.insert(first, to.clone());
        Ok(())
    }

    fn file(
        &mut self,
        archive: &mut ArchiveReader<'_>,
        entry: &Entry,
        opened: &Opened,
        to: &EntryPath,
    ) -> Result<()> {
        let mut file = self.target.file(to)?;
        let (done, progress) = (&mut self.done, &mut self.progress);
        archive.content(entry, opened, &mut |piece| {
            match piece {
                Piece::Data(data) => file.write(data)?,
                Piece::Hole(len) => file.hole(len)?,
            }
            done.bytes += piece.len();
            progress(*done)
        })?;
        file.publish(&opened.header)
    }

    fn check_limits(&self, archive: &ArchiveReader<'_>, more: u64) -> Result<()> {
        let limits = &self.options.limits;
        let bytes = self.done.bytes.saturating_add(more);
        let read = archive.tar.fetched().max(1);
        let too_dense = |ratio| bytes > RATIO_FROM && bytes / read > ratio;
        if self.done.entries > limits.entries
            || bytes > limits.bytes
            || limits.ratio.is_some_and(too_dense)
        {
            return Err(Error::new(
                Code::Corrupt,
                "the archive unfolds to more than it may: too many entries, too many bytes, or \
                 too many for its size",
            ));
        }
        Ok(())
    }
}

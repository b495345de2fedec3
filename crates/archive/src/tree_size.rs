//! How much there is to back up, so that progress is told of a known whole.

use std::{
    collections::HashMap,
    ffi::CString,
    fs::{File, Metadata},
    os::fd::BorrowedFd,
    path::Path,
};

use backupd_base::Result;
use rustix::fs::{AtFlags, FileType, statat};

use crate::{
    WarningKind,
    walk::{TreeOptions, Visitor, walk},
};

/// What [`tree_size`] found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeSize {
    /// Entries of the tree.
    pub entries: u64,
    /// Bytes of its files, holes included; a file with several names counts once.
    pub bytes: u64,
}

/// Counts what [`append_tree`](crate::ArchiveWriter::append_tree) would take, without reading any file.
///
/// # Errors
/// What `progress` returns, or that `root` cannot be opened. What cannot be listed is not counted.
pub fn tree_size(
    root: &Path,
    options: &TreeOptions,
    progress: &mut dyn FnMut(TreeSize) -> Result<()>,
) -> Result<TreeSize> {
    let mut sizer = Sizer {
        size: TreeSize::default(),
        links: Links::default(),
        progress,
    };
    walk(root, options, &mut sizer)?;
    Ok(sizer.size)
}

struct Sizer<'a> {
    size: TreeSize,
    links: Links,
    progress: &'a mut dyn FnMut(TreeSize) -> Result<()>,
}

impl Visitor for Sizer<'_> {
    fn folder(&mut self, _: &[u8], _: &File, _: &Metadata) -> Result<()> {
        self.size.entries += 1;
        (self.progress)(self.size)
    }

    fn leaf(
        &mut self,
        _: &[u8],
        parent: BorrowedFd<'_>,
        name: &CString,
        kind: FileType,
    ) -> Result<()> {
        if matches!(kind, FileType::RegularFile | FileType::Symlink) {
            self.size.entries += 1;
        }
        if kind == FileType::RegularFile
            && let Ok(stat) = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        {
            #[allow(clippy::unnecessary_cast)] // the types differ between systems
            let (id, nlink) = (
                (stat.st_dev as u64, stat.st_ino as u64),
                stat.st_nlink as u64,
            );
            let again = nlink > 1 && self.links.again(id, nlink, || b"".to_vec()).is_some();
            if !again {
                self.size.bytes += u64::try_from(stat.st_size).unwrap_or(0);
            }
        }
        (self.progress)(self.size)
    }

    fn trouble(&mut self, _: &[u8], _: WarningKind, _: String) -> Result<()> {
        Ok(())
    }
}

/// Files with several names, until all of them were seen.
#[derive(Default)]
pub(crate) struct Links(HashMap<(u64, u64), (Vec<u8>, u64)>);

impl Links {
    /// The first name of a file that was seen before.
    pub fn again(
        &mut self,
        id: (u64, u64),
        nlink: u64,
        name: impl FnOnce() -> Vec<u8>,
    ) -> Option<Vec<u8>> {
        use std::collections::hash_map::Entry;
        match self.0.entry(id) {
            Entry::Vacant(new) => {
                new.insert((name(), nlink - 1));
                None
            }
            Entry::Occupied(mut known) => {
                known.get_mut().1 -= 1;
                if known.get().1 == 0 {
                    Some(known.remove().0)
                } else {
                    Some(known.get().0.clone())
                }
            }
        }
    }
}

//! The entries of a snapshot as a tree, in a compact form: some 80 bytes each.

use std::{collections::HashMap, ops::Range};

use backupd_archive::{Entry, EntryKind, EntryPath};
use backupd_base::{Code, Context as _, Error, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::DateTime;

use crate::view::{FileEntry, FileKind};

/// All entries of a snapshot as a tree.
pub struct Listing {
    nodes: Vec<Node>,
    /// All names, one after the other.
    names: Vec<u8>,
    /// Indexes into `nodes`, the children of each folder together and in the order shown.
    children: Vec<u32>,
}

struct Node {
    name: Range<u32>,
    kind: FileKind,
    parent: u32,
    mtime: i64,
    size: u64,
    files: u32,
    children: Range<u32>,
}

const ROOT: u32 = 0;

impl Listing {
    /// Entries in it.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// What lies in `folder`, folders first, by name.
    ///
    /// # Errors
    /// `NotFound` when there is no such folder.
    pub fn list(&self, folder: &str) -> Result<Vec<FileEntry>> {
        let at = match folder.trim_end_matches('/') {
            "" => ROOT,
            folder => self.find(folder)?,
        };
        let node = &self.nodes[at as usize];
        if node.kind != FileKind::Folder {
            return Err(Error::new(
                Code::NotFound,
                format!("{folder:?} is no folder"),
            ));
        }
        let children = &self.children[span(&node.children)];
        let base = self.path(at);
        Ok(children
            .iter()
            .map(|child| self.entry(&base, *child))
            .collect())
    }

    /// One entry, as [`Listing::list`] shows it.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn get(&self, path: &str) -> Result<FileEntry> {
        let at = self.find(path)?;
        let base = self.path(self.nodes[at as usize].parent);
        Ok(self.entry(&base, at))
    }

    fn find(&self, path: &str) -> Result<u32> {
        let wanted = path_from_text(path)?;
        let step = |folder: u32, name: &[u8]| {
            let children = &self.children[span(&self.nodes[folder as usize].children)];
            let found = children
                .iter()
                .find(|child| &self.names[span(&self.nodes[**child as usize].name)] == name);
            found.copied()
        };
        wanted
            .as_bytes()
            .split(|b| *b == b'/')
            .try_fold(ROOT, step)
            .with_context(|| format!("no {wanted} in the snapshot"))
    }

    fn path(&self, mut at: u32) -> Vec<u8> {
        let mut names = Vec::new();
        while at != ROOT {
            let node = &self.nodes[at as usize];
            names.push(&self.names[span(&node.name)]);
            at = node.parent;
        }
        names.reverse();
        names.join(&b'/')
    }

    fn entry(&self, base: &[u8], at: u32) -> FileEntry {
        let node = &self.nodes[at as usize];
        let name = &self.names[span(&node.name)];
        let path = match base {
            b"" => name.to_vec(),
            base => [base, name].join(&b'/'),
        };
        FileEntry {
            name: String::from_utf8_lossy(name).into_owned(),
            path: path_to_text(&path),
            kind: node.kind,
            size: node.size,
            files: u64::from(node.files),
            modified: DateTime::from_timestamp(node.mtime, 0),
        }
    }
}

fn span(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// A path for the interface. One that is not UTF-8 becomes NUL and base64: no path holds a NUL.
fn path_to_text(path: &[u8]) -> String {
    match std::str::from_utf8(path) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("\0{}", BASE64_STANDARD.encode(path)),
    }
}

/// [`path_to_text`], back.
///
/// # Errors
/// `Invalid` when it is no path inside of a snapshot.
pub fn path_from_text(text: &str) -> Result<EntryPath> {
    match text.strip_prefix('\0') {
        None => EntryPath::new(text),
        Some(encoded) => EntryPath::new(
            BASE64_STANDARD
                .decode(encoded)
                .context("read a path")
                .map_err(|e| e.with_code(Code::Invalid))?,
        ),
    }
}

/// A listing being built. A folder comes before what is in it, also one that has no entry.
pub struct Tree {
    nodes: Vec<Node>,
    names: Vec<u8>,
    folders: HashMap<Vec<u8>, u32>,
}

impl Tree {
    /// With nothing but its top.
    pub fn new() -> Self {
        let root = Node {
            name: 0..0,
            kind: FileKind::Folder,
            parent: ROOT,
            mtime: 0,
            size: 0,
            files: 0,
            children: 0..0,
        };
        Self {
            nodes: vec![root],
            names: Vec::new(),
            folders: HashMap::from([(Vec::new(), ROOT)]),
        }
    }

    /// Adds an entry of the archive.
    ///
    /// # Errors
    /// `Invalid` when there are more than can be listed.
    pub fn add(&mut self, entry: &Entry) -> Result<()> {
        let (kind, size) = match entry.kind {
            EntryKind::File | EntryKind::Hardlink => (FileKind::File, entry.size),
            EntryKind::Directory => (FileKind::Folder, 0),
            EntryKind::Symlink => (FileKind::Symlink, 0),
        };
        let path = entry.path.as_bytes();
        if kind == FileKind::Folder {
            let at = self.folder(path)?;
            self.nodes[at as usize].mtime = entry.mtime.seconds;
            return Ok(());
        }
        let parent = self.folder(parent_of(path))?;
        let at = self.node(parent, entry.path.name(), kind)?;
        let node = &mut self.nodes[at as usize];
        node.size = size;
        node.files = u32::from(kind == FileKind::File);
        node.mtime = entry.mtime.seconds;
        Ok(())
    }

    /// The folder of this path, made with all above it.
    fn folder(&mut self, path: &[u8]) -> Result<u32> {
        if let Some(at) = self.folders.get(path) {
            return Ok(*at);
        }
        let parent = self.folder(parent_of(path))?;
        let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
        let at = self.node(parent, name, FileKind::Folder)?;
        self.folders.insert(path.to_vec(), at);
        Ok(at)
    }

    fn node(&mut self, parent: u32, name: &[u8], kind: FileKind) -> Result<u32> {
        let too_many = |_| Error::new(Code::Invalid, "the snapshot has too many entries to list");
        let at = u32::try_from(self.nodes.len()).map_err(too_many)?;
        let start = u32::try_from(self.names.len()).map_err(too_many)?;
        self.names.extend_from_slice(name);
        let end = u32::try_from(self.names.len()).map_err(too_many)?;
        self.nodes.push(Node {
            name: start..end,
            kind,
            parent,
            mtime: 0,
            size: 0,
            files: 0,
            children: 0..0,
        });
        Ok(at)
    }

    /// Sums up and sorts.
    pub fn finish(mut self) -> Listing {
        // A child stands after its folder: from the end, every sum is whole when it is handed up.
        for at in (1..self.nodes.len()).rev() {
            let Node {
                parent,
                size,
                files,
                ..
            } = self.nodes[at];
            let folder = &mut self.nodes[parent as usize];
            folder.size = folder.size.saturating_add(size);
            folder.files += files;
        }
        // Fits: every index was made from a u32.
        let mut children: Vec<u32> = (1..self.nodes.len() as u32).collect();
        children.sort_by(|a, b| {
            let of = |at: &u32| {
                let node = &self.nodes[*at as usize];
                (
                    node.parent,
                    node.kind != FileKind::Folder,
                    &self.names[span(&node.name)],
                )
            };
            of(a).cmp(&of(b))
        });
        for (place, at) in (0u32..).zip(&children) {
            let parent = self.nodes[*at as usize].parent;
            let range = &mut self.nodes[parent as usize].children;
            if range.start == range.end {
                *range = place..place;
            }
            range.end = place + 1;
        }
        Listing {
            nodes: self.nodes,
            names: self.names,
            children,
        }
    }
}

fn parent_of(path: &[u8]) -> &[u8] {
    let slash = path.iter().rposition(|b| *b == b'/');
    slash.map_or(&[], |at| &path[..at])
}

#[cfg(test)]
pub mod tests {
    use backupd_archive::Mtime;

    use super::*;

    fn entry(path: &[u8], kind: EntryKind, size: u64) -> Entry {
        Entry {
            path: EntryPath::new(path).unwrap(),
            kind,
            size,
            mode: 0o644,
            mtime: Mtime {
                seconds: 1_000,
                nanoseconds: 0,
            },
            uid: 0,
            gid: 0,
            link: None,
            sha256: None,
            xattrs_sha256: None,
            linked: false,
            offset: 0,
        }
    }

    pub fn file(path: &str) -> Entry {
        entry(path.as_bytes(), EntryKind::File, 1)
    }

    fn listing(entries: &[(&[u8], EntryKind, u64)]) -> Listing {
        let mut tree = Tree::new();
        for (path, kind, size) in entries {
            tree.add(&entry(path, *kind, *size)).unwrap();
        }
        tree.finish()
    }

    fn shown(entries: &[FileEntry]) -> Vec<(&str, FileKind, u64, u64)> {
        entries
            .iter()
            .map(|e| (e.path.as_str(), e.kind, e.size, e.files))
            .collect()
    }

    #[test]
    fn folders_have_the_sums_of_all_below() {
        use EntryKind::{Directory, File, Hardlink, Symlink};
        let listing = listing(&[
            (b"backup.json", File, 7),
            (b"database.sql", File, 100),
            (b"files", Directory, 0),
            (b"files/wp-content/b.php", File, 20),
            (b"files/wp-content/uploads", Directory, 0),
            (b"files/wp-content/uploads/a.jpg", File, 1000),
            (b"files/wp-content/uploads/again.jpg", Hardlink, 0),
            (b"files/wp-content/a.link", Symlink, 0),
        ]);
        use FileKind::{File as F, Folder as D, Symlink as L};
        assert_eq!(
            shown(&listing.list("").unwrap()),
            [
                ("files", D, 1020, 3),
                ("backup.json", F, 7, 1),
                ("database.sql", F, 100, 1),
            ]
        );
        assert_eq!(
            shown(&listing.list("files/wp-content/").unwrap()),
            [
                ("files/wp-content/uploads", D, 1000, 2),
                ("files/wp-content/a.link", L, 0, 0),
                ("files/wp-content/b.php", F, 20, 1),
            ]
        );
        assert_eq!(listing.get("files/wp-content").unwrap().size, 1020);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let listing = listing(&[(b"a/b", EntryKind::File, 1)]);
        for path in ["a/c", "b", "a/b/c"] {
            assert_eq!(listing.get(path).err().unwrap().code(), Code::NotFound);
        }
        assert_eq!(listing.list("a/b").err().unwrap().code(), Code::NotFound);
        assert_eq!(listing.list("../a").err().unwrap().code(), Code::Invalid);
    }

    #[test]
    fn a_name_that_is_not_utf8_can_still_be_asked_for() {
        let listing = listing(&[(b"caf\xe9/x", EntryKind::File, 1)]);
        let folder = &listing.list("").unwrap()[0];
        assert_eq!(folder.name, "caf\u{fffd}");
        assert_eq!(listing.list(&folder.path).unwrap().len(), 1);
        let path = path_from_text(&folder.path).unwrap();
        assert_eq!(path.as_bytes(), b"caf\xe9");
    }

    #[test]
    fn an_empty_snapshot_has_an_empty_top() {
        assert!(listing(&[]).list("").unwrap().is_empty());
    }
}

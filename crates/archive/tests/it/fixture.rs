//! Snapshots in memory, and folders compared to the last attribute.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::Cursor,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

use backupd_archive::{
    ArchiveOptions, ArchiveReader, ArchiveSummary, ArchiveWriter, ExtractOptions, ExtractSummary,
    Keypair, Limits, SnapshotKeys, TreeOptions,
};
use backupd_base::Result;
use cap_std::{ambient_authority, fs::Dir};

/// The two encrypted objects, and who can open them.
pub struct Snapshot {
    pub tenant: Keypair,
    pub recovery: Keypair,
    pub archive: Vec<u8>,
    pub index: Vec<u8>,
    pub summary: ArchiveSummary,
}

pub type Writer = ArchiveWriter<Vec<u8>, Vec<u8>>;

pub const UNLIMITED: Limits = Limits {
    bytes: u64::MAX,
    entries: u64::MAX,
    ratio: None,
};

impl Snapshot {
    /// What `fill` puts into an archive.
    pub fn of(fill: impl FnOnce(&mut Writer)) -> Self {
        Self::for_keys(Keypair::generate(), Keypair::generate(), fill)
    }

    pub fn for_keys(tenant: Keypair, recovery: Keypair, fill: impl FnOnce(&mut Writer)) -> Self {
        let recipients = vec![tenant.recipient(), recovery.recipient()];
        let options = ArchiveOptions {
            workers: 2,
            ..ArchiveOptions::new(recipients)
        };
        let mut writer = Writer::new(Vec::new(), Vec::new(), options).unwrap();
        fill(&mut writer);
        let made = writer.finish().unwrap();
        Self {
            tenant,
            recovery,
            archive: made.out,
            index: made.index_out,
            summary: made.summary,
        }
    }

    pub fn of_tree(root: &Path) -> Self {
        Self::of_tree_with(root, &TreeOptions::default())
    }

    pub fn of_tree_with(root: &Path, options: &TreeOptions) -> Self {
        Self::of(|writer| {
            let prefix = "files".parse().unwrap();
            writer
                .append_tree(root, &prefix, options, &mut |_| Ok(()))
                .unwrap();
        })
    }

    pub fn keys(&self) -> SnapshotKeys<'_> {
        SnapshotKeys::both(&self.tenant)
    }

    pub fn sequential(&self) -> ArchiveReader<'_> {
        ArchiveReader::sequential(&self.archive[..], &self.index[..], self.keys(), None).unwrap()
    }

    pub fn ranged(&self) -> ArchiveReader<'_> {
        let archive = Cursor::new(&self.archive[..]);
        ArchiveReader::ranged(archive, &self.index[..], self.keys(), None).unwrap()
    }

    pub fn extract_all(&self, target: &Path) -> Result<ExtractSummary> {
        let options = ExtractOptions {
            owners: true,
            ..ExtractOptions::all(UNLIMITED)
        };
        self.sequential()
            .extract(&open(target), &options, &mut |_| Ok(()))
    }
}

pub fn open(path: &Path) -> Dir {
    Dir::open_ambient_dir(path, ambient_authority()).unwrap()
}

/// What can be told apart of an entry.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub kind: &'static str,
    pub mode: u32,
    pub owner: (u32, u32),
    pub mtime: (i64, i64),
    pub size: u64,
    pub content: Vec<u8>,
    /// Number of names, and the first of them in order.
    pub links: Option<(u64, Vec<u8>)>,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// All entries below `root`, by path; the root itself under the empty path.
pub fn look(root: &Path) -> BTreeMap<Vec<u8>, Seen> {
    let mut seen = BTreeMap::new();
    let mut first_names = BTreeMap::new();
    let mut to_do = vec![Vec::new()];
    while let Some(relative) = to_do.pop() {
        let path = root.join(OsStr::from_bytes(&relative));
        let meta = fs::symlink_metadata(&path).unwrap();
        let kind = meta.file_type();
        if kind.is_dir() {
            for child in fs::read_dir(&path).unwrap() {
                let name = child.unwrap().file_name();
                let parts = [&relative[..], name.as_bytes()];
                let parts = if relative.is_empty() {
                    &parts[1..]
                } else {
                    &parts
                };
                to_do.push(parts.join(&b'/'));
            }
        }
        let links = (kind.is_file() && meta.nlink() > 1).then(|| {
            let first = first_names
                .entry(meta.ino())
                .or_insert_with(|| relative.clone());
            if relative < *first {
                first.clone_from(&relative);
            }
            meta.ino()
        });
        let one = Seen {
            kind: match () {
                () if kind.is_file() => "file",
                () if kind.is_dir() => "folder",
                () if kind.is_symlink() => "link",
                () => "other",
            },
            mode: meta.mode() & 0o7777,
            owner: (meta.uid(), meta.gid()),
            mtime: (meta.mtime(), meta.mtime_nsec()),
            size: if kind.is_file() { meta.len() } else { 0 },
            content: match () {
                () if kind.is_file() => fs::read(&path).unwrap(),
                () if kind.is_symlink() => fs::read_link(&path)
                    .unwrap()
                    .as_os_str()
                    .as_bytes()
                    .to_vec(),
                () => Vec::new(),
            },
            links: links.map(|ino| (ino, Vec::new())),
            xattrs: if kind.is_symlink() {
                BTreeMap::new()
            } else {
                xattrs(&path)
            },
        };
        seen.insert(relative, one);
    }
    for one in seen.values_mut() {
        if let Some((ino, first)) = &mut one.links {
            first.clone_from(&first_names[ino]);
            *ino = 0;
        }
    }
    seen
}

fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 4096];
    let n = rustix::fs::listxattr(path, &mut names).unwrap_or(0);
    let names = names[..n]
        .split(|b| *b == 0)
        .filter(|name| !name.is_empty());
    let read = |name: &[u8]| {
        let mut value = vec![0; 65536];
        let n = rustix::fs::getxattr(path, name, &mut value).unwrap();
        (name.to_vec(), value[..n].to_vec())
    };
    names.map(read).collect()
}

/// Panics with the first difference; contents are not printed.
pub fn assert_same(expected: &Path, found: &Path) {
    let (expected, found) = (look(expected), look(found));
    let names = |map: &BTreeMap<Vec<u8>, Seen>| -> Vec<String> {
        map.keys()
            .map(|k| String::from_utf8_lossy(k).into_owned())
            .collect()
    };
    assert_eq!(names(&expected), names(&found));
    for (path, expected) in &expected {
        let found = &found[path];
        let path = String::from_utf8_lossy(path);
        assert!(expected.content == found.content, "content of {path}");
        let strip = |seen: &Seen| {
            format!(
                "{:?}",
                Seen {
                    content: Vec::new(),
                    xattrs: seen.xattrs.clone(),
                    links: seen.links.clone(),
                    ..*seen
                }
            )
        };
        assert_eq!(strip(expected), strip(found), "{path}");
    }
}

/// A tree with one of everything that is kept.
pub fn odd_tree(root: &Path) {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let put = |name: &[u8], content: &[u8]| {
        let path = root.join(OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    put(b"empty", b"");
    put(b"one", b"1");
    put(b"block", &[7; 512]);
    put(b"a/b/c/deep.txt", b"deep");
    put(&[&b"long/"[..], &[b'n'; 255]].concat(), b"long name");
    put(
        &[&[b'd'; 120][..], b"/", &[b'e'; 120], b"/", &[b'f'; 120]].concat(),
        b"long path",
    );
    put(b"caf\xe9 \xff", b"not UTF-8");
    put("ünïcödé 🐘".as_bytes(), b"UTF-8");
    put(b"new\nline \"quoted\" back\\slash", b"odd");
    put(b"-rf", b"dash");
    put(b"big", &noise(5 * 1024 * 1024 + 333));
    put(b"zeros", &[0; 3 * 1024 * 1024]);
    put(b"first", b"several names");
    fs::hard_link(root.join("first"), root.join("a/second")).unwrap();
    fs::hard_link(root.join("first"), root.join("z-third")).unwrap();
    symlink("a/b", root.join("inside")).unwrap();
    symlink("/etc/passwd", root.join("outside")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    symlink("x".repeat(300), root.join("long link")).unwrap();
    fs::create_dir(root.join("empty folder")).unwrap();
    put(b"mode", b"");
    fs::set_permissions(root.join("mode"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o1730)).unwrap();
    std::os::unix::fs::chown(root.join("one"), Some(33), Some(4_000_000)).unwrap();
    std::os::unix::fs::lchown(root.join("dangling"), Some(33), Some(33)).unwrap();
    for (name, seconds, nanos) in [
        ("one", 1_i64, 1),
        ("empty", -5, 5),
        ("block", 9_999_999_999, 0),
    ] {
        let nanos = std::time::Duration::from_nanos(nanos);
        let time = match u64::try_from(seconds) {
            Ok(s) => std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(s),
            Err(_) => std::time::SystemTime::UNIX_EPOCH - std::time::Duration::from_secs(5),
        };
        let file = fs::File::options()
            .write(true)
            .open(root.join(name))
            .unwrap();
        file.set_modified(time + nanos).unwrap();
    }
    let set = |name: &str, key: &str, value: &[u8]| {
        rustix::fs::setxattr(root.join(name), key, value, rustix::fs::XattrFlags::empty()).unwrap();
    };
    set("one", "user.plain", b"value");
    set("one", "user.odd=%3D name", b"\0\n\xff=");
    set("a", "user.folder", &[9; 2000]);
    sparse(
        &root.join("sparse"),
        &[(1 << 20, b"middle"), ((9 << 20) - 4, b"tail")],
        9 << 20,
    );
    sparse(&root.join("hole at the end"), &[(0, b"head")], 4 << 20);
    sparse(&root.join("nothing but a hole"), &[], 2 << 20);
}

pub fn sparse(path: &Path, parts: &[(u64, &[u8])], len: u64) {
    use std::os::unix::fs::FileExt;
    let file = fs::File::create(path).unwrap();
    file.set_len(len).unwrap();
    for (at, data) in parts {
        file.write_all_at(data, *at).unwrap();
    }
}

/// Bytes nothing compresses, the same each time.
pub fn noise(len: usize) -> Vec<u8> {
    use rand::{RngCore, SeedableRng};
    let mut bytes = vec![0; len];
    rand::rngs::StdRng::seed_from_u64(len as u64).fill_bytes(&mut bytes);
    bytes
}

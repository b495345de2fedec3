//! Two folders compared: names, types, sizes, bytes, modes, times, link targets.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

/// What is compared of one entry.
#[derive(PartialEq, Eq)]
struct Entry {
    kind: &'static str,
    mode: u32,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
    size: u64,
    /// SHA-256 of a file, target of a link.
    content: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            mode,
            modified: (s, ns),
            size,
            content,
        } = self;
        let content = content.get(..16).unwrap_or(content);
        write!(
            f,
            "{kind} {mode:o} {size} bytes, modified {s}.{ns:09}, {content}"
        )
    }
}

/// Fails with the first differences when the folders do not hold the same. The two roots
/// themselves are not compared.
///
/// # Panics
/// When they differ or cannot be read.
pub fn assert_same_tree(a: &Path, b: &Path) {
    let differences = tree_differences(a, b);
    assert!(
        differences.is_empty(),
        "{} and {} differ in {} entries:\n{}",
        a.display(),
        b.display(),
        differences.len(),
        differences[..differences.len().min(20)].join("\n")
    );
}

/// One line for each entry that is not the same in both folders.
///
/// # Panics
/// When one cannot be read.
#[must_use]
pub fn tree_differences(a: &Path, b: &Path) -> Vec<String> {
    let (left, mut right) = (entries(a), entries(b));
    let mut differences = Vec::new();
    for (path, mine) in left {
        let path_text = path.display();
        match right.remove(&path) {
            Some(theirs) if theirs == mine => {}
            Some(theirs) => differences.push(format!("{path_text}: {mine} | {theirs}")),
            None => differences.push(format!("{path_text}: {mine} | missing")),
        }
    }
    let only_right =
        |(path, theirs): (PathBuf, Entry)| format!("{}: missing | {theirs}", path.display());
    differences.extend(right.into_iter().map(only_right));
    differences
}

fn entries(root: &Path) -> BTreeMap<PathBuf, Entry> {
    let walk = WalkDir::new(root).min_depth(1);
    walk.into_iter()
        .map(|found| {
            let found = found.unwrap_or_else(|e| panic!("walk {}: {e}", root.display()));
            let entry = entry(found.path());
            let entry = entry.unwrap_or_else(|e| panic!("read {}: {e}", found.path().display()));
            let path = found.path().strip_prefix(root).expect("it lies below");
            (path.to_owned(), entry)
        })
        .collect()
}

fn entry(path: &Path) -> io::Result<Entry> {
    let found = fs::symlink_metadata(path)?;
    let file_type = found.file_type();
    let (kind, size, content) = if file_type.is_file() {
        let mut hash = Sha256::new();
        io::copy(&mut fs::File::open(path)?, &mut hash)?;
        ("file", found.len(), hex::encode(hash.finalize()))
    } else if file_type.is_symlink() {
        let target = fs::read_link(path)?;
        ("link", 0, target.display().to_string())
    } else if file_type.is_dir() {
        ("folder", 0, String::new())
    } else if file_type.is_fifo() {
        ("fifo", 0, String::new())
    } else {
        ("device or socket", 0, String::new())
    };
    Ok(Entry {
        kind,
        mode: found.mode() & 0o7777,
        modified: (found.mtime(), found.mtime_nsec()),
        size,
        content,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn every_kind_of_difference_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let when = fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
        let make = |root: &Path| {
            fs::create_dir_all(root.join("d")).unwrap();
            fs::write(root.join("d/f"), "x").unwrap();
            symlink("f", root.join("d/l")).unwrap();
            fs::File::open(root.join("d/f"))
                .unwrap()
                .set_times(when)
                .unwrap();
            let link = rustix::fs::Timestamps {
                last_access: rustix::fs::Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                },
                last_modification: rustix::fs::Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                },
            };
            let no_follow = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::utimensat(rustix::fs::CWD, root.join("d/l"), &link, no_follow).unwrap();
            fs::File::open(root.join("d"))
                .unwrap()
                .set_times(when)
                .unwrap();
        };
        type Change = fn(&Path);
        let changes: [Change; 5] = [
            |b| fs::write(b.join("d/f"), "y").unwrap(),
            |b| fs::set_permissions(b.join("d/f"), fs::Permissions::from_mode(0o600)).unwrap(),
            |b| {
                fs::File::open(b.join("d/f"))
                    .unwrap()
                    .set_modified(std::time::SystemTime::now())
                    .unwrap()
            },
            |b| fs::write(b.join("d/new"), "").unwrap(),
            |b| {
                fs::remove_file(b.join("d/l")).unwrap();
                symlink("g", b.join("d/l")).unwrap();
            },
        ];
        make(&a);
        make(&b);
        assert_same_tree(&a, &b);
        for (number, change) in changes.iter().enumerate() {
            fs::remove_dir_all(&b).unwrap();
            make(&b);
            change(&b);
            assert!(!tree_differences(&a, &b).is_empty(), "change {number}");
            assert!(!tree_differences(&b, &a).is_empty(), "change {number}");
        }
    }
}

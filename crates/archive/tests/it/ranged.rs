//! One file out of a large archive costs a few ranges of it.

use std::{
    cell::RefCell,
    fs,
    io::{self, Cursor, Read, Seek, SeekFrom},
    rc::Rc,
};

use backupd_archive::{ArchiveReader, ExtractOptions};
use backupd_base::Code;

use crate::fixture::{Snapshot, UNLIMITED, assert_same, look, noise, open};

/// Counts the bytes that are read.
struct Counted<'a> {
    inner: Cursor<&'a [u8]>,
    read: Rc<RefCell<usize>>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        *self.read.borrow_mut() += n;
        Ok(n)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

fn counted(snapshot: &Snapshot) -> (ArchiveReader<'_>, Rc<RefCell<usize>>) {
    let read = Rc::default();
    let archive = Counted {
        inner: Cursor::new(&snapshot.archive),
        read: Rc::clone(&read),
    };
    let reader =
        ArchiveReader::ranged(archive, &snapshot.index[..], snapshot.keys(), None).unwrap();
    (reader, read)
}

#[test]
fn one_file_costs_one_frame() {
    let tree = tempfile::tempdir().unwrap();
    for n in 0..30 {
        fs::write(tree.path().join(format!("{n:02}")), noise(2_000_000 + n)).unwrap();
    }
    fs::write(tree.path().join("15-small"), "small").unwrap();
    let snapshot = Snapshot::of_tree(tree.path());
    assert!(snapshot.archive.len() > 60_000_000);

    let (mut reader, read) = counted(&snapshot);
    let mut out = Vec::new();
    reader
        .copy_file(
            &"files/15-small".parse().unwrap(),
            &mut out,
            &mut |_| Ok(()),
        )
        .unwrap();
    assert_eq!(out, b"small");
    // A frame of 2 MiB and the age chunks it begins and ends in; two if it lies across.
    let cost = *read.borrow();
    assert!(
        cost < 2 * (2 * 1024 * 1024 + 200_000),
        "{cost} bytes were read"
    );

    let (mut reader, read) = counted(&snapshot);
    let missing = reader.copy_file(&"files/none".parse().unwrap(), &mut Vec::new(), &mut |_| {
        Ok(())
    });
    assert_eq!(missing.unwrap_err().code(), Code::NotFound);
    assert!(*read.borrow() < 100_000, "the index is enough to know");
}

#[test]
fn folders_are_taken_with_all_below_them() {
    let (tree, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for path in ["a/one", "a/b/two", "ab/three", "c/four"] {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, path.as_os_str().as_encoded_bytes()).unwrap();
    }
    let snapshot = Snapshot::of_tree(tree.path());
    let options = ExtractOptions {
        select: vec!["files/a".parse().unwrap(), "files/c/four".parse().unwrap()],
        strip: Some("files".parse().unwrap()),
        owners: true,
        limits: UNLIMITED,
    };
    for mut reader in [snapshot.ranged(), snapshot.sequential()] {
        let target = tempfile::tempdir_in(&target).unwrap();
        reader
            .extract(&open(target.path()), &options, &mut |_| Ok(()))
            .unwrap();
        assert_same(&tree.path().join("a"), &target.path().join("a"));
        let found: Vec<_> = look(target.path()).into_keys().collect();
        let expected = ["", "a", "a/b", "a/b/two", "a/one", "c", "c/four"];
        assert_eq!(found, expected.map(|p| p.as_bytes().to_vec()));
    }
    let options = ExtractOptions {
        select: vec!["files/nothing".parse().unwrap()],
        ..options
    };
    let error = snapshot
        .ranged()
        .extract(&open(target.path()), &options, &mut |_| Ok(()));
    assert_eq!(
        error.unwrap_err().code(),
        Code::NotFound,
        "never nothing and success"
    );
}

#[test]
fn a_hard_link_brings_its_content_along() {
    let (tree, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(tree.path().join("a-first"), noise(3_000_000)).unwrap();
    for name in ["b-second", "c-third"] {
        fs::hard_link(tree.path().join("a-first"), tree.path().join(name)).unwrap();
    }
    let snapshot = Snapshot::of_tree(tree.path());
    let options = ExtractOptions {
        select: vec![
            "files/b-second".parse().unwrap(),
            "files/c-third".parse().unwrap(),
        ],
        strip: Some("files".parse().unwrap()),
        owners: false,
        limits: UNLIMITED,
    };
    snapshot
        .ranged()
        .extract(&open(target.path()), &options, &mut |_| Ok(()))
        .unwrap();
    let seen = look(target.path());
    assert_eq!(seen.len(), 3);
    assert!(seen[&b"b-second"[..]].content == noise(3_000_000));
    assert_eq!(
        seen[&b"c-third"[..]].links,
        Some((0, b"b-second".to_vec())),
        "still one file"
    );
}

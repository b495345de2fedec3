//! What goes in comes out.

use std::{fs, os::unix::fs::MetadataExt};

use backupd_archive::{EntryPath, ExtractOptions, FrameSpool, Mtime, TreeOptions, verify};
use std::io::Write as _;

use crate::fixture::{Snapshot, UNLIMITED, assert_same, noise, odd_tree, open};

#[test]
fn an_odd_tree_comes_back_as_it_was() {
    let (original, restored) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    odd_tree(original.path());
    let snapshot = Snapshot::of_tree(original.path());
    assert_eq!(snapshot.summary.warnings.list(), []);

    let summary = snapshot.extract_all(restored.path()).unwrap();
    assert_eq!(summary.warnings.list(), []);
    assert_eq!(summary.entries, snapshot.summary.entries);
    assert_eq!(summary.bytes, snapshot.summary.content_bytes);
    let restored = restored.path().join("files");
    assert_same(original.path(), &restored);
    let holes = fs::metadata(restored.join("sparse")).unwrap();
    assert!(holes.blocks() * 512 < 1 << 20, "the holes are holes again");

    verify(
        &snapshot.archive[..],
        &snapshot.index[..],
        snapshot.keys(),
        None,
        &mut |_| Ok(()),
    )
    .unwrap();
}

#[test]
fn ranged_reading_gives_the_same() {
    let (original, restored) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    odd_tree(original.path());
    let snapshot = Snapshot::of_tree(original.path());
    let options = ExtractOptions {
        owners: true,
        strip: Some("files".parse().unwrap()),
        ..ExtractOptions::all(UNLIMITED)
    };
    snapshot
        .ranged()
        .extract(&open(restored.path()), &options, &mut |_| Ok(()))
        .unwrap();
    assert_same(original.path(), restored.path());
}

#[test]
fn a_spool_is_taken_over_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dump");
    let dump = [noise(3_000_000), vec![b'x'; 4_000_001]].concat();
    let mut spool = FrameSpool::create(&path, 2, 3).unwrap();
    spool.write_all(&dump).unwrap();
    let spool = spool.finish().unwrap();
    assert_eq!(spool.raw_bytes(), dump.len() as u64);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert!(
        FrameSpool::create(&path, 2, 3).is_err(),
        "never over another file"
    );

    let mtime = Mtime {
        seconds: 1_700_000_000,
        nanoseconds: 5,
    };
    let name: EntryPath = "database.sql".parse().unwrap();
    let snapshot = Snapshot::of(|writer| {
        writer
            .append_bytes(&"backup.json".parse().unwrap(), b"{}", mtime)
            .unwrap();
        // As a later process would: from what was written down.
        let spool = serde_json::from_str(&serde_json::to_string(&spool).unwrap()).unwrap();
        let mut told = 0;
        writer
            .append_spool(&name, &spool, mtime, &mut |done| {
                told = done;
                Ok(())
            })
            .unwrap();
        assert_eq!(told, dump.len() as u64);
        writer
            .append_bytes(&"after".parse().unwrap(), b"after", mtime)
            .unwrap();
    });
    let mut out = Vec::new();
    let entry = snapshot
        .ranged()
        .copy_file(&name, &mut out, &mut |_| Ok(()))
        .unwrap();
    assert!(out == dump);
    assert_eq!(
        (entry.size, entry.mode, entry.mtime),
        (dump.len() as u64, 0o600, mtime)
    );
    verify(
        &snapshot.archive[..],
        &snapshot.index[..],
        snapshot.keys(),
        None,
        &mut |_| Ok(()),
    )
    .unwrap();

    let mut longer = fs::OpenOptions::new().append(true).open(&path).unwrap();
    longer.write_all(b"x").unwrap();
    Snapshot::of(|writer| {
        assert!(
            writer
                .append_spool(&name, &spool, mtime, &mut |_| Ok(()))
                .is_err()
        );
    });
}

#[test]
fn patterns_leave_things_out() {
    let (original, restored) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for path in [
        "keep/a.txt",
        "keep/b.log",
        "cache/x",
        "deep/cache/y",
        "top/only",
        "deep/top/z",
    ] {
        let path = original.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let options = TreeOptions {
        exclude: ["*.log", "cache/", "/top"].map(str::to_owned).to_vec(),
        ..TreeOptions::default()
    };
    Snapshot::of_tree_with(original.path(), &options)
        .extract_all(restored.path())
        .unwrap();
    let found: Vec<_> = crate::fixture::look(restored.path()).into_keys().collect();
    let expected = [
        "",
        "files",
        "files/deep",
        "files/deep/top",
        "files/deep/top/z",
        "files/keep",
        "files/keep/a.txt",
    ];
    assert_eq!(found, expected.map(|p| p.as_bytes().to_vec()));
}

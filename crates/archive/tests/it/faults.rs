//! A tree that changes while it is read, or cannot be read: warned of, never silent, and the
//! archive stays whole.

use std::{fs, os::unix::fs::PermissionsExt as _, os::unix::net::UnixListener, path::Path};

use backupd_archive::{TreeOptions, TreeProgress, WarningKind, tree_size, verify};

use crate::{
    child::in_child,
    fixture::{Snapshot, noise},
};

/// Archives `root`; `meanwhile` is called as progress is told. The warnings, by path.
fn archive(
    root: &Path,
    mut meanwhile: impl FnMut(TreeProgress),
) -> (Snapshot, Vec<(String, WarningKind)>) {
    let snapshot = Snapshot::of(|writer| {
        let prefix = "files".parse().unwrap();
        writer
            .append_tree(root, &prefix, &TreeOptions::default(), &mut |progress| {
                meanwhile(progress);
                Ok(())
            })
            .unwrap();
    });
    verify(
        &snapshot.archive[..],
        &snapshot.index[..],
        snapshot.keys(),
        None,
        &mut |_| Ok(()),
    )
    .unwrap();
    let warnings = snapshot.summary.warnings.list().iter();
    let warnings = warnings.map(|w| (w.path.to_string(), w.kind)).collect();
    (snapshot, warnings)
}

fn content(snapshot: &Snapshot, path: &str) -> Vec<u8> {
    let mut out = Vec::new();
    snapshot
        .ranged()
        .copy_file(&path.parse().unwrap(), &mut out, &mut |_| Ok(()))
        .unwrap();
    out
}

#[test]
fn a_file_keeps_the_length_it_was_opened_with() {
    let tree = tempfile::tempdir().unwrap();
    let path = tree.path().join("file");
    for (new_len, expect_zeros) in [(300_000, true), (0, true), (2_000_000, false)] {
        fs::write(&path, vec![7; 1_000_000]).unwrap();
        let mut done = false;
        let (snapshot, warnings) = archive(tree.path(), |progress| {
            if progress.bytes > 0 && !done {
                done = true;
                fs::File::options()
                    .write(true)
                    .open(&path)
                    .unwrap()
                    .set_len(new_len)
                    .unwrap();
            }
        });
        assert_eq!(warnings, [("files/file".into(), WarningKind::Changed)]);
        let copy = content(&snapshot, "files/file");
        assert_eq!(copy.len(), 1_000_000);
        assert_eq!(copy[999_999] == 0, expect_zeros);
    }
}

#[test]
fn a_change_in_place_is_noticed() {
    let tree = tempfile::tempdir().unwrap();
    let path = tree.path().join("file");
    fs::write(&path, noise(1_000_000)).unwrap();
    let mut done = false;
    let (_, warnings) = archive(tree.path(), |progress| {
        if progress.bytes > 0 && !done {
            done = true;
            use std::os::unix::fs::FileExt;
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.write_all_at(b"changed", 0).unwrap();
            // As a tool does that hides its traces.
            file.set_modified(std::time::SystemTime::UNIX_EPOCH)
                .unwrap();
        }
    });
    assert_eq!(warnings, [("files/file".into(), WarningKind::Changed)]);
}

#[test]
fn what_vanishes_or_is_replaced_is_warned_of() {
    let tree = tempfile::tempdir().unwrap();
    for name in [
        "a",
        "b-vanishes",
        "c-link",
        "d-pipe",
        "e-folder/x",
        "f-link/x",
        "z",
    ] {
        let path = tree.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let at = |name: &str| tree.path().join(name);
    let mut done = false;
    // The names are listed before the first file is done; then this happens.
    let (snapshot, warnings) = archive(tree.path(), |progress| {
        if progress.bytes > 0 && !done {
            done = true;
            fs::remove_file(at("b-vanishes")).unwrap();
            fs::remove_file(at("c-link")).unwrap();
            std::os::unix::fs::symlink(outside.path().join("secret"), at("c-link")).unwrap();
            fs::remove_file(at("d-pipe")).unwrap();
            rustix::fs::mknodat(
                rustix::fs::CWD,
                at("d-pipe"),
                rustix::fs::FileType::Fifo,
                0o600.into(),
                0,
            )
            .unwrap();
            fs::remove_dir_all(at("e-folder")).unwrap();
            fs::remove_dir_all(at("f-link")).unwrap();
            std::os::unix::fs::symlink(outside.path(), at("f-link")).unwrap();
        }
    });
    let expected = [
        ("files/b-vanishes", WarningKind::Vanished),
        ("files/c-link", WarningKind::Changed),
        ("files/d-pipe", WarningKind::Changed),
        ("files/e-folder", WarningKind::Vanished),
        ("files/f-link", WarningKind::Changed),
    ];
    assert_eq!(
        warnings,
        expected.map(|(path, kind)| (path.to_owned(), kind))
    );
    assert_eq!(snapshot.summary.entries, 3, "the root, a and z");
}

#[test]
fn sockets_and_pipes_are_not_kept_and_not_opened() {
    let tree = tempfile::tempdir().unwrap();
    let _socket = UnixListener::bind(tree.path().join("socket")).unwrap();
    let pipe = tree.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    let (snapshot, warnings) = archive(tree.path(), |_| ());
    let expected = ["files/pipe", "files/socket"].map(|p| (p.to_owned(), WarningKind::NotKept));
    assert_eq!(warnings, expected);
    assert_eq!(snapshot.summary.entries, 1);
}

#[test]
fn what_may_not_be_read_is_warned_of() {
    // Root may read everything, so this part runs as nobody.
    let nobody = rustix::process::geteuid().is_root().then_some(65534);
    in_child("faults::what_may_not_be_read_is_warned_of", nobody, || {
        let tree = tempfile::tempdir().unwrap();
        let lock = |name: &str| {
            fs::set_permissions(tree.path().join(name), fs::Permissions::from_mode(0o000)).unwrap();
        };
        fs::create_dir(tree.path().join("folder")).unwrap();
        fs::write(tree.path().join("folder/inside"), "x").unwrap();
        fs::write(tree.path().join("file"), "x").unwrap();
        fs::write(tree.path().join("open"), "x").unwrap();
        lock("folder");
        lock("file");
        let (snapshot, warnings) = archive(tree.path(), |_| ());
        let expected =
            ["files/file", "files/folder"].map(|p| (p.to_owned(), WarningKind::Unreadable));
        assert_eq!(warnings, expected);
        assert_eq!(content(&snapshot, "files/open"), b"x");
        fs::set_permissions(
            tree.path().join("folder"),
            fs::Permissions::from_mode(0o700),
        )
        .unwrap();
    });
}

#[test]
fn a_missing_root_is_an_error() {
    Snapshot::of(|writer| {
        let prefix = "files".parse().unwrap();
        let missing = Path::new("/nonexistent/folder");
        let error = writer.append_tree(missing, &prefix, &TreeOptions::default(), &mut |_| Ok(()));
        assert_eq!(error.unwrap_err().code(), backupd_base::Code::NotFound);
        let tree = tempfile::tempdir().unwrap();
        let options = TreeOptions {
            exclude: vec!["{a".into()],
            ..TreeOptions::default()
        };
        let error = writer.append_tree(tree.path(), &prefix, &options, &mut |_| Ok(()));
        assert_eq!(error.unwrap_err().code(), backupd_base::Code::Invalid);
    });
}

#[test]
fn the_size_is_known_before() {
    let tree = tempfile::tempdir().unwrap();
    crate::fixture::odd_tree(tree.path());
    fs::write(tree.path().join("left-out.log"), "x").unwrap();
    let options = TreeOptions {
        exclude: vec!["*.log".into()],
        ..TreeOptions::default()
    };
    let size = tree_size(tree.path(), &options, &mut |_| Ok(())).unwrap();
    let snapshot = Snapshot::of_tree_with(tree.path(), &options);
    assert_eq!(
        (size.entries, size.bytes),
        (snapshot.summary.entries, snapshot.summary.content_bytes)
    );
}

#[test]
fn more_warnings_than_fit_are_counted() {
    let tree = tempfile::tempdir().unwrap();
    for n in 0..1005 {
        let pipe = tree.path().join(format!("{n}"));
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
    }
    let (snapshot, _) = archive(tree.path(), |_| ());
    assert_eq!(snapshot.summary.warnings.list().len(), 1000);
    assert_eq!(snapshot.summary.warnings.total(), 1005);
}

#[test]
fn a_tree_without_bottom_is_cut_with_a_warning() {
    let tree = tempfile::tempdir().unwrap();
    let name = "n".repeat(200);
    // Longer than any path may be, so it is made step by step.
    let mut folder = crate::fixture::open(tree.path());
    for _ in 0..300 {
        folder.create_dir(&name).unwrap();
        folder = folder.open_dir(&name).unwrap();
    }
    fs::write(tree.path().join("z"), "x").unwrap();
    let (snapshot, warnings) = archive(tree.path(), |_| ());
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].1, WarningKind::NotKept);
    assert_eq!(content(&snapshot, "files/z"), b"x");

    let target = tempfile::tempdir().unwrap();
    let restored = snapshot.extract_all(target.path()).unwrap();
    assert_eq!(restored.entries, 256 + 2);
}

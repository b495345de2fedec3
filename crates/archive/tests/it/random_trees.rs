//! Any tree comes back as it was.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt, fs::symlink},
    path::Path,
    time::{Duration, SystemTime},
};

use backupd_archive::{ExtractOptions, verify};
use proptest::{collection::vec, prelude::*};

use crate::fixture::{Snapshot, UNLIMITED, assert_same, noise, open, sparse};

#[derive(Debug, Clone)]
enum Node {
    File {
        len: usize,
        noise: bool,
        mode: u32,
        mtime: (i64, u32),
    },
    Sparse {
        parts: Vec<u64>,
        len: u64,
    },
    Symlink(Vec<u8>),
    /// Another name for the file made before the last n-th.
    Hardlink(usize),
    Folder(Vec<(Vec<u8>, Node)>),
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let any_byte = prop_oneof![b'a'..=b'e', 1_u8..=46, 48_u8..=255];
    prop_oneof![vec(any_byte.clone(), 1..12), vec(any_byte, 90..255)]
        .prop_filter("not . or ..", |name| name != b"." && name != b"..")
}

fn node() -> impl Strategy<Value = Node> {
    let len = prop_oneof![
        Just(0),
        1..600_usize,
        Just(512),
        1..100_000_usize,
        2_000_000..2_200_000_usize
    ];
    let mtime = (-1_000_000..5_000_000_000_i64, 0..1_000_000_000_u32);
    let file = (len, any::<bool>(), 0..0o7777_u32, mtime).prop_map(|(len, noise, mode, mtime)| {
        Node::File {
            len,
            noise,
            mode,
            mtime,
        }
    });
    let sparse = (vec(0..4_000_000_u64, 0..6), 0..5_000_000_u64)
        .prop_map(|(parts, len)| Node::Sparse { parts, len });
    let target = vec(1_u8..=255, 1..200);
    let leaf = prop_oneof![
        6 => file,
        1 => sparse,
        1 => target.prop_map(Node::Symlink),
        1 => (0..5_usize).prop_map(Node::Hardlink),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        vec((name(), inner), 0..6).prop_map(Node::Folder)
    })
}

fn build(at: &Path, node: &Node, files: &mut Vec<std::path::PathBuf>) {
    if fs::symlink_metadata(at).is_ok() {
        return;
    }
    match node {
        Node::File {
            len,
            noise: random,
            mode,
            mtime,
        } => {
            let content = if *random {
                noise(*len)
            } else {
                b"some text; ".repeat(len / 11 + 1)[..*len].to_vec()
            };
            fs::write(at, content).unwrap();
            let file = fs::File::options().write(true).open(at).unwrap();
            let seconds = Duration::from_secs(mtime.0.unsigned_abs());
            let whole = if mtime.0 < 0 {
                SystemTime::UNIX_EPOCH - seconds
            } else {
                SystemTime::UNIX_EPOCH + seconds
            };
            file.set_modified(whole + Duration::from_nanos(mtime.1.into()))
                .unwrap();
            fs::set_permissions(at, fs::Permissions::from_mode(*mode)).unwrap();
            files.push(at.to_owned());
        }
        Node::Sparse { parts, len } => {
            let parts: Vec<(u64, &[u8])> = parts
                .iter()
                .filter(|p| *p + 4 <= *len)
                .map(|p| (*p, &b"data"[..]))
                .collect();
            sparse(at, &parts, *len);
            files.push(at.to_owned());
        }
        Node::Symlink(target) => symlink(OsStr::from_bytes(target), at).unwrap(),
        Node::Hardlink(back) => {
            if let Some(first) = files.iter().rev().nth(*back) {
                fs::hard_link(first, at).unwrap();
            }
        }
        Node::Folder(children) => {
            fs::create_dir(at).unwrap();
            for (name, child) in children {
                build(&at.join(OsStr::from_bytes(name)), child, files);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_comes_back(children in vec((name(), node()), 0..8)) {
        let folder = tempfile::tempdir().unwrap();
        let original = folder.path().join("original");
        build(&original, &Node::Folder(children), &mut Vec::new());
        let snapshot = Snapshot::of_tree(&original);
        prop_assert_eq!(snapshot.summary.warnings.list(), []);

        let target = folder.path().join("sequential");
        fs::create_dir(&target).unwrap();
        snapshot.extract_all(&target).unwrap();
        assert_same(&original, &target.join("files"));

        let target = folder.path().join("ranged");
        fs::create_dir(&target).unwrap();
        let options = ExtractOptions { owners: true, strip: Some("files".parse().unwrap()), ..ExtractOptions::all(UNLIMITED) };
        snapshot.ranged().extract(&open(&target), &options, &mut |_| Ok(())).unwrap();
        assert_same(&original, &target);

        verify(&snapshot.archive[..], &snapshot.index[..], snapshot.keys(), None, &mut |_| Ok(())).unwrap();
    }
}

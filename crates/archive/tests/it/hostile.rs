//! An archive made to harm: nothing is written outside the target, through a link, twice, or
//! beyond the limits.

use std::{fs, io::Cursor, path::Path};

use backupd_archive::{
    ArchiveReader, ExtractOptions, ExtractSummary, Limits, SnapshotKeys, verify,
};
use backupd_base::{Code, Result};

use crate::{
    child::in_child,
    fixture::{UNLIMITED, look, open},
    forge::{Forged, Forger},
};

fn forged(fill: impl FnOnce(&mut Forger) -> &mut Forger) -> Forged {
    let mut forger = Forger::default();
    fill(&mut forger).forge()
}

fn extract_with(forged: &Forged, target: &Path, limits: Limits) -> Result<ExtractSummary> {
    let keys = SnapshotKeys::both(&forged.key);
    let options = ExtractOptions {
        owners: true,
        ..ExtractOptions::all(limits)
    };
    let archive = Cursor::new(&forged.archive);
    let ranged = ArchiveReader::ranged(archive, &forged.index[..], keys, None);
    let ranged = ranged.and_then(|mut r| {
        let target = tempfile::tempdir_in(target.parent().unwrap()).unwrap();
        r.extract(&open(target.path()), &options, &mut |_| Ok(()))
    });
    let sequential = ArchiveReader::sequential(&forged.archive[..], &forged.index[..], keys, None)
        .and_then(|mut r| r.extract(&open(target), &options, &mut |_| Ok(())));
    assert_eq!(ranged.is_ok(), sequential.is_ok());
    sequential
}

/// A target with a neighbour that must stay as it is.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("target")).unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        fs::write(folder.path().join("outside/file"), "untouched").unwrap();
        Self { folder }
    }

    fn target(&self) -> std::path::PathBuf {
        self.folder.path().join("target")
    }

    fn extract(&self, forged: &Forged) -> Result<ExtractSummary> {
        let result = extract_with(forged, &self.target(), UNLIMITED);
        let beside: Vec<_> = look(self.folder.path())
            .into_iter()
            .filter(|(path, _)| !path.starts_with(b"target"))
            .map(|(path, seen)| (String::from_utf8(path).unwrap(), seen.content))
            .collect();
        let expected = [("", ""), ("outside", ""), ("outside/file", "untouched")];
        assert_eq!(
            beside,
            expected.map(|(p, c)| (p.to_owned(), c.as_bytes().to_vec()))
        );
        result
    }
}

#[test]
fn an_honest_forgery_is_taken() {
    // So that the refusals below are for what they say.
    let place = Place::new();
    let forged = forged(|f| {
        f.folder("a")
            .file("a/b", b"content")
            .symlink("a/l", "b")
            .hardlink("a/h", "a/b")
    });
    place.extract(&forged).unwrap();
    assert_eq!(fs::read(place.target().join("a/h")).unwrap(), b"content");
    verify(
        &forged.archive[..],
        &forged.index[..],
        SnapshotKeys::both(&forged.key),
        None,
        &mut |_| Ok(()),
    )
    .unwrap();
}

#[test]
fn paths_that_lead_out_are_refused() {
    for path in [
        "../outside/new",
        "/etc/new",
        "a/../../outside/new",
        "..",
        "a//b",
        "./a",
        "a/./b",
        "/",
    ] {
        let place = Place::new();
        let forged = forged(|f| f.file(path, b"evil"));
        assert_eq!(
            place.extract(&forged).unwrap_err().code(),
            Code::Corrupt,
            "{path}"
        );
        assert_eq!(look(&place.target()).len(), 1, "{path}");
    }
    for to in ["../outside/file", "/etc/passwd", "not/there"] {
        let place = Place::new();
        let forged = forged(|f| f.hardlink("link", to));
        assert!(place.extract(&forged).is_err(), "a hard link to {to}");
    }
}

#[test]
fn no_link_is_written_through() {
    let outside = |place: &Place| {
        place
            .folder
            .path()
            .join("outside")
            .to_str()
            .unwrap()
            .to_owned()
    };
    type Fill = fn(&mut Forger, &str);
    let cases: [(&str, Fill); 8] = [
        ("a file below a link", |f, out| {
            f.symlink("l", out).file("l/file", b"evil");
        }),
        ("a relative link", |f, _| {
            f.symlink("l", "../outside").file("l/file", b"evil");
        }),
        ("two steps", |f, _| {
            f.folder("a")
                .symlink("a/up", "..")
                .symlink("a/l", "up/../outside")
                .file("a/l/file", b"evil");
        }),
        ("a link that stays inside", |f, _| {
            f.folder("a").symlink("l", "a").file("l/file", b"evil");
        }),
        ("a link in place of the file", |f, out| {
            f.symlink("l", &format!("{out}/file")).file("l", b"evil");
        }),
        ("a link in place of a folder", |f, out| {
            f.symlink("l", out).folder("l");
        }),
        ("a folder below a link", |f, out| {
            f.symlink("l", out).folder("l/new");
        }),
        ("a link below a link", |f, out| {
            f.symlink("l", out).symlink("l/new", "x");
        }),
    ];
    for (what, fill) in cases {
        let place = Place::new();
        let mut forger = Forger::default();
        fill(&mut forger, &outside(&place));
        assert!(place.extract(&forger.forge()).is_err(), "{what}");
    }
    // A hard link to a symbolic link, or through one, would make its target ours.
    let place = Place::new();
    let out = outside(&place);
    let forged = forged(|f| f.symlink("l", &out).hardlink("h", "l/file"));
    assert!(place.extract(&forged).is_err());
}

#[test]
fn nothing_comes_twice() {
    let cases: [fn(&mut Forger) -> &mut Forger; 6] = [
        |f| f.file("a", b"1").file("a", b"2"),
        |f| f.folder("a").folder("a"),
        |f| f.folder("a").file("a", b"2"),
        |f| f.file("a", b"1").symlink("a", "x"),
        |f| f.file("a", b"1").hardlink("a", "a"),
        |f| f.file("a", b"1").file("a/b", b"2"),
    ];
    for (n, fill) in cases.into_iter().enumerate() {
        let place = Place::new();
        assert!(place.extract(&forged(fill)).is_err(), "case {n}");
    }
    let place = Place::new();
    let _ = place.extract(&forged(|f| f.file("a", b"first").file("a", b"second")));
    assert_eq!(fs::read(place.target().join("a")).unwrap(), b"first");
}

#[test]
fn index_and_tar_must_agree() {
    let lies = [
        ("path", serde_json::json!("b")),
        ("size", serde_json::json!(6)),
        ("mode", serde_json::json!(0o4755)),
        ("uid", serde_json::json!(1)),
        ("mtime", serde_json::json!(1)),
        ("type", serde_json::json!("directory")),
        ("sha256", serde_json::json!("00".repeat(32))),
        ("offset", serde_json::json!(512)),
        ("offset", serde_json::json!(1_u64 << 60)),
        ("xattrs_sha256", serde_json::json!("00".repeat(32))),
    ];
    for (field, value) in lies {
        let mut forger = Forger::default();
        forger.file("a", b"content");
        forger.entries[0][field] = value.clone();
        let place = Place::new();
        let error = place.extract(&forger.forge()).unwrap_err();
        assert_eq!(error.code(), Code::Corrupt, "{field} {value}: {error}");
        assert!(!place.target().join("a").exists(), "{field}");
    }
}

#[test]
fn unlisted_entries_are_noticed() {
    let mut forger = Forger::default();
    forger
        .file("a", b"content")
        .file("hidden", b"evil")
        .file("z", b"content");
    forger.entries.remove(1);
    let forged = forger.forge();
    let keys = SnapshotKeys::both(&forged.key);
    let check = |forged: &Forged| {
        verify(
            &forged.archive[..],
            &forged.index[..],
            keys,
            None,
            &mut |_| Ok(()),
        )
    };
    assert_eq!(check(&forged).unwrap_err().code(), Code::Corrupt);

    let mut forger = Forger::default();
    forger
        .file("a", b"content")
        .file("hidden at the end", b"evil");
    forger.entries.pop();
    let forged = forger.forge();
    let keys = SnapshotKeys::both(&forged.key);
    assert!(
        verify(
            &forged.archive[..],
            &forged.index[..],
            keys,
            None,
            &mut |_| Ok(())
        )
        .is_err()
    );
    assert!(Place::new().extract(&forged).is_err());
}

/// Each of these is well sealed and well compressed; only what it says does not add up.
#[test]
fn frames_and_index_must_add_up() {
    type Tamper = fn(&mut Vec<u8>, &mut Vec<serde_json::Value>);
    let cases: [(&str, Tamper); 9] =
        [
            ("a frame nobody lists", |zstd, _| {
                zstd.extend(zstd::bulk::compress(b"hidden", 3).unwrap());
            }),
            ("a frame after the end of the tar", |zstd, lines| {
                let more = zstd::bulk::compress(b"hidden", 3).unwrap();
                let last = lines[1]["frame"].clone();
                let raw_offset = last["raw_len"].as_u64().unwrap();
                lines.insert(2, serde_json::json!({"frame": {
                "raw_offset": raw_offset, "raw_len": 6, "offset": zstd.len(), "len": more.len(),
            }}));
                zstd.extend(more);
                let end = lines.last_mut().unwrap();
                end["end"]["frames"] = 2.into();
                end["end"]["zstd_bytes"] = zstd.len().into();
            }),
            ("a line after the end", |_, lines| {
                lines.push(lines[0].clone())
            }),
            ("no end", |_, lines| drop(lines.pop())),
            ("another number of entries", |_, lines| {
                lines.last_mut().unwrap()["end"]["entries"] = 7.into();
            }),
            ("another size of the archive", |_, lines| {
                lines.last_mut().unwrap()["end"]["archive_bytes"] = 7.into();
            }),
            ("a frame longer than listed", |_, lines| {
                lines[1]["frame"]["raw_len"] = 512.into()
            }),
            ("a frame larger than may be", |_, lines| {
                lines[1]["frame"]["raw_len"] = (u32::MAX / 2).into();
            }),
            ("a gap between frames", |_, lines| {
                lines[1]["frame"]["raw_offset"] = 1.into()
            }),
        ];
    for (what, tamper) in cases {
        let mut forger = Forger::default();
        forger.file("a", b"content");
        let forged = forger.forge_with(tamper);
        let keys = SnapshotKeys::both(&forged.key);
        let (archive, index) = (&forged.archive[..], &forged.index[..]);
        let error = verify(archive, index, keys, None, &mut |_| Ok(())).unwrap_err();
        assert_eq!(error.code(), Code::Corrupt, "{what}: {error}");
    }
}

#[test]
fn kinds_that_are_not_written_are_refused() {
    for kind in [b'3', b'4', b'6', b'7', b'S', b'L', b'K', b'g', b'A'] {
        let place = Place::new();
        let forged = forged(|f| f.entry(kind, b"device", None, b""));
        let error = place.extract(&forged).unwrap_err();
        assert_eq!(error.code(), Code::Corrupt, "{}", char::from(kind));
        assert_eq!(look(&place.target()).len(), 1);
    }
}

#[test]
fn limits_hold_before_the_disk_is_full() {
    let place = Place::new();
    let forged = forged(|f| {
        for n in 0..20 {
            f.file(&format!("{n:02}"), &vec![0; 1 << 20]);
        }
        f
    });
    let extract = |limits| {
        let target = tempfile::tempdir_in(place.folder.path()).unwrap();
        let result = extract_with(&forged, target.path(), limits);
        let bytes: u64 = look(target.path()).values().map(|seen| seen.size).sum();
        (result.map_err(|e| e.code()).map(drop), bytes >> 20)
    };
    assert_eq!(
        extract(Limits {
            bytes: 20 << 20,
            ..UNLIMITED
        }),
        (Ok(()), 20)
    );
    assert_eq!(
        extract(Limits {
            bytes: (20 << 20) - 1,
            ..UNLIMITED
        }),
        (Err(Code::Corrupt), 19)
    );
    assert_eq!(
        extract(Limits {
            entries: 5,
            ..UNLIMITED
        }),
        (Err(Code::Corrupt), 5)
    );
}

/// 10 GB of zeros in a few hundred kilobytes, or in a few bytes as a hole.
#[test]
fn a_bomb_does_not_go_off() {
    let bomb = |size: u64| {
        let mut forger = Forger::default();
        let map = format!("1\n{size}\n0\n");
        let pax = format!(
            "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n{}",
            [
                "GNU.sparse.name=bomb".to_owned(),
                format!("GNU.sparse.realsize={size}")
            ]
            .map(|record| {
                let len = record.len() + 2;
                let digits = (len + (len + 2).to_string().len()).to_string();
                format!("{digits} {record}\n")
            })
            .concat()
        );
        forger.raw_header(b'x', b"PaxHeader", None, pax.len() as u64);
        forger.raw(pax.as_bytes());
        forger.raw_header(b'0', b"GNUSparseFile.0/sparse", None, 512);
        forger.raw(map.as_bytes());
        forger.entries.push(serde_json::json!({
            "path": "bomb", "type": "file", "size": size, "mode": 0o644, "mtime": 0, "uid": 0,
            "gid": 0, "sha256": "00".repeat(32), "offset": 0,
        }));
        forger.forge()
    };
    for (size, limits) in [
        (
            10 << 30,
            Limits {
                bytes: 1 << 30,
                ..UNLIMITED
            },
        ),
        (
            1 << 62,
            Limits {
                bytes: 1 << 40,
                ..UNLIMITED
            },
        ),
        (
            10 << 30,
            Limits {
                ratio: Some(1000),
                ..UNLIMITED
            },
        ),
    ] {
        let place = Place::new();
        let error = extract_with(&bomb(size), &place.target(), limits).unwrap_err();
        assert_eq!(error.code(), Code::Corrupt);
        assert!(error.to_string().contains("unfolds"), "{error}");
        assert_eq!(look(&place.target()).len(), 1);
    }
}

/// What a header claims costs no memory: it is bounded before it is taken.
#[test]
fn sizes_are_checked_before_memory_is_taken() {
    let name = "hostile::sizes_are_checked_before_memory_is_taken";
    in_child(name, None, claim_sizes);
}

fn claim_sizes() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = Rlimit {
        current: Some(2 << 30),
        maximum: Some(2 << 30),
    };
    setrlimit(Resource::As, limit).unwrap();
    let refused = |forger: &Forger| {
        let error = Place::new().extract(&forger.forge()).unwrap_err();
        assert_eq!(error.code(), Code::Corrupt);
        error.to_string()
    };

    let mut forger = Forger::default();
    forger.folder("a");
    let entry = forger.entries.remove(0);
    let mut forger = Forger::default();
    forger.raw_header(b'x', b"PaxHeader", None, 1 << 33);
    forger.entries.push(entry);
    refused(&forger);

    let mut forger = Forger::default();
    forger.file("a", b"");
    forger.entries[0]["path"] = "x".repeat(2_000_000).into();
    let error = refused(&forger);
    assert!(error.contains("too long"), "before it is parsed: {error}");
}

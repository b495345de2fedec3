//! Whatever happens to an object in the store is noticed, and nothing half is put in place.

use std::{fs, path::Path};

use backupd_archive::{Digest, Manifest, ManifestObject, verify};
use backupd_base::{Code, JobId, Result, SnapshotId, SourceId, TenantId};

use crate::fixture::{Snapshot, noise};

const CHUNK: usize = 64 * 1024;

pub fn manifest_of(snapshot: &Snapshot) -> Manifest {
    let object = |name: &str, bytes, sha256| ManifestObject {
        name: name.into(),
        bytes,
        sha256,
    };
    let made = &snapshot.summary;
    Manifest {
        format: 1,
        tenant_id: TenantId::new(),
        source_id: SourceId::new(),
        snapshot_id: SnapshotId::new(),
        job_id: JobId::new(),
        node_id: None,
        module: "files".into(),
        sequence: 1,
        previous: None,
        created_at: chrono::Utc::now(),
        archive: object(
            "backup.tar.zst.age",
            made.archive_bytes,
            made.archive_sha256,
        ),
        index: object("index.jsonl.zst.age", made.index_bytes, made.index_sha256),
        content_bytes: made.content_bytes,
        entries: made.entries,
        consistent: true,
        warnings_count: 0,
        recipients: vec![snapshot.tenant.recipient().to_string()],
        program: "backupd test".into(),
    }
}

fn check(
    snapshot: &Snapshot,
    archive: &[u8],
    index: &[u8],
    manifest: Option<&Manifest>,
) -> Result<()> {
    verify(archive, index, snapshot.keys(), manifest, &mut |_| Ok(())).map(drop)
}

fn tree(root: &Path) {
    for n in 0..40 {
        let folder = root.join(format!("folder {}", n % 4));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("file {n}")), noise(20_000 + n * 3_000)).unwrap();
    }
    // Compressible, too: a change in it may survive until the hash.
    fs::write(root.join("text"), "the same line\n".repeat(100_000)).unwrap();
}

/// Each changed or cut copy of an object: at every 64 KiB, around it, and at the very ends.
fn damaged(object: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut copies = Vec::new();
    let boundaries = (0..=object.len() / CHUNK).map(|n| n * CHUNK);
    let positions = boundaries.flat_map(|at| [at.saturating_sub(1), at, at + 1, at + 20_000]);
    for at in positions.chain([object.len() - 17, object.len() - 1]) {
        if at >= object.len() {
            continue;
        }
        let mut flipped = object.to_vec();
        flipped[at] ^= 0x10;
        copies.push((format!("bit flipped at {at}"), flipped));
        copies.push((format!("cut to {at}"), object[..at].to_vec()));
    }
    copies.push(("one byte more".into(), [object, b"x"].concat()));
    copies.push(("twice".into(), object.repeat(2)));
    copies
}

#[test]
fn every_flip_and_cut_is_noticed() {
    let original = tempfile::tempdir().unwrap();
    tree(original.path());
    let snapshot = Snapshot::of_tree(original.path());
    let manifest = manifest_of(&snapshot);
    check(
        &snapshot,
        &snapshot.archive,
        &snapshot.index,
        Some(&manifest),
    )
    .unwrap();
    assert!(snapshot.archive.len() > 20 * CHUNK);

    for (what, archive) in damaged(&snapshot.archive) {
        let error = check(&snapshot, &archive, &snapshot.index, None).unwrap_err();
        // A header that is no longer one to us may also just not be for our key.
        assert!(
            matches!(error.code(), Code::Corrupt | Code::KeyMissing),
            "{what}: {error:?}"
        );
    }
    for (what, index) in damaged(&snapshot.index) {
        let error = check(&snapshot, &snapshot.archive, &index, None).unwrap_err();
        assert!(
            matches!(error.code(), Code::Corrupt | Code::KeyMissing),
            "{what}: {error:?}"
        );
    }
}

#[test]
fn nothing_half_is_put_in_place() {
    let original = tempfile::tempdir().unwrap();
    tree(original.path());
    let mut snapshot = Snapshot::of_tree(original.path());
    let whole = snapshot.archive.clone();
    for (what, archive) in damaged(&whole).into_iter().step_by(5) {
        snapshot.archive = archive;
        let target = tempfile::tempdir().unwrap();
        let extracted = backupd_archive::ArchiveReader::sequential(
            &snapshot.archive[..],
            &snapshot.index[..],
            snapshot.keys(),
            None,
        )
        .and_then(|mut reader| {
            let options = backupd_archive::ExtractOptions::all(crate::fixture::UNLIMITED);
            reader.extract(&crate::fixture::open(target.path()), &options, &mut |_| {
                Ok(())
            })
        });
        assert!(extracted.is_err(), "{what}");
        for (path, seen) in crate::fixture::look(target.path()) {
            if seen.kind == "file" {
                let path = String::from_utf8(path).unwrap();
                let below = path.strip_prefix("files/").unwrap();
                let expected = fs::read(original.path().join(below)).unwrap();
                assert!(seen.content == expected, "{what}: {path}");
            }
        }
    }
}

#[test]
fn another_snapshot_is_not_taken_for_this_one() {
    let original = tempfile::tempdir().unwrap();
    tree(original.path());
    let snapshot = Snapshot::of_tree(original.path());
    let manifest = manifest_of(&snapshot);
    fs::write(original.path().join("text"), "another text").unwrap();
    // Well made, for the same keys, by whoever knows the public ones.
    let forged = forged_for(&snapshot, original.path());
    check(&forged, &forged.archive, &forged.index, None).unwrap();

    let refused = |archive, index, manifest| {
        let error = check(&snapshot, archive, index, Some(manifest)).unwrap_err();
        assert_eq!(error.code(), Code::Corrupt, "{error}");
    };
    refused(&forged.archive, &forged.index, &manifest);
    refused(&forged.archive, &snapshot.index, &manifest);
    refused(&snapshot.archive, &forged.index, &manifest);
    assert!(check(&snapshot, &snapshot.archive, &forged.index, None).is_err());

    let (archive, index) = (&snapshot.archive, &snapshot.index);
    let mut wrong = manifest.clone();
    wrong.archive.sha256 = Digest([0; 32]);
    refused(archive, index, &wrong);
    let mut wrong = manifest.clone();
    wrong.index.bytes += 1;
    refused(archive, index, &wrong);
    let mut wrong = manifest.clone();
    wrong.entries -= 1;
    refused(archive, index, &wrong);
    let mut wrong = manifest.clone();
    wrong.content_bytes += 1;
    refused(archive, index, &wrong);
}

#[test]
fn a_forged_index_is_noticed_by_ranged_reading_too() {
    let original = tempfile::tempdir().unwrap();
    tree(original.path());
    let snapshot = Snapshot::of_tree(original.path());
    let manifest = manifest_of(&snapshot);
    let forged = forged_for(&snapshot, original.path());
    let mut reader = backupd_archive::ArchiveReader::ranged(
        std::io::Cursor::new(&forged.archive[..]),
        &forged.index[..],
        snapshot.keys(),
        Some(manifest),
    )
    .unwrap();
    let path = "files/text".parse().unwrap();
    let error = reader
        .copy_file(&path, &mut Vec::new(), &mut |_| Ok(()))
        .unwrap_err();
    assert_eq!(error.code(), Code::Corrupt);
}

fn forged_for(snapshot: &Snapshot, root: &Path) -> Snapshot {
    Snapshot::for_keys(
        snapshot.tenant.clone(),
        snapshot.recovery.clone(),
        |writer| {
            let prefix = "files".parse().unwrap();
            writer
                .append_tree(root, &prefix, &Default::default(), &mut |_| Ok(()))
                .unwrap();
        },
    )
}

//! Who can open what.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use backupd_archive::{
    ArchiveOptions, ArchiveWriter, FileKey, IndexLine, Keypair, LentIdentity, SnapshotKeys,
    file_key, open_index, parse_recipient, verify,
};
use backupd_base::{Code, ExposeSecret};

use crate::fixture::Snapshot;

fn snapshot() -> Snapshot {
    Snapshot::of(|writer| {
        let now = std::time::SystemTime::now();
        writer
            .append_bytes(&"note".parse().unwrap(), b"content", now)
            .unwrap();
    })
}

fn opens(snapshot: &Snapshot, keys: SnapshotKeys<'_>) -> Result<(), Code> {
    verify(
        &snapshot.archive[..],
        &snapshot.index[..],
        keys,
        None,
        &mut |_| Ok(()),
    )
    .map(drop)
    .map_err(|e| e.code())
}

#[test]
fn either_recipient_opens_it_and_nobody_else() {
    let snapshot = snapshot();
    assert_eq!(
        opens(&snapshot, SnapshotKeys::both(&snapshot.tenant)),
        Ok(())
    );
    assert_eq!(
        opens(&snapshot, SnapshotKeys::both(&snapshot.recovery)),
        Ok(())
    );
    let other = Keypair::generate();
    assert_eq!(
        opens(&snapshot, SnapshotKeys::both(&other)),
        Err(Code::KeyMissing)
    );

    // The printed key is the key.
    let printed = Keypair::from_secret(&snapshot.recovery.to_secret()).unwrap();
    assert_eq!(opens(&snapshot, SnapshotKeys::both(&printed)), Ok(()));
}

#[test]
fn a_lent_key_opens_its_object_and_no_other() {
    let (snapshot, other) = (snapshot(), snapshot());
    // What travels is text; 4 KiB of the object are enough to get it.
    let lend = |object: &[u8]| {
        let key = file_key(&object[..object.len().min(4096)], &snapshot.tenant).unwrap();
        LentIdentity::new(FileKey::from_base64(&key.to_base64()).unwrap())
    };
    let (archive, index) = (lend(&snapshot.archive), lend(&snapshot.index));
    let keys = |archive, index| SnapshotKeys { archive, index };
    assert_eq!(opens(&snapshot, keys(&archive, &index)), Ok(()));
    assert!(
        opens(&snapshot, keys(&index, &archive)).is_err(),
        "not the other way round"
    );
    assert!(opens(&snapshot, keys(&archive, &archive)).is_err());
    assert!(
        opens(&other, keys(&archive, &index)).is_err(),
        "no other snapshot"
    );

    let stranger = Keypair::generate();
    assert_eq!(
        file_key(&snapshot.archive[..], &stranger)
            .unwrap_err()
            .code(),
        Code::KeyMissing
    );
    assert_eq!(
        file_key(&b"no age file"[..], &stranger).unwrap_err().code(),
        Code::Corrupt
    );
}

#[test]
fn one_recipient_is_refused() {
    let pair = Keypair::generate();
    for recipients in [
        vec![],
        vec![pair.recipient()],
        vec![pair.recipient(), pair.recipient()],
    ] {
        let made = ArchiveWriter::new(Vec::new(), Vec::new(), ArchiveOptions::new(recipients));
        assert_eq!(made.err().map(|e| e.code()), Some(Code::Invalid));
    }
}

#[test]
fn secrets_do_not_print_themselves() {
    let pair = Keypair::generate();
    let secret = pair.to_secret();
    assert!(secret.expose_secret().starts_with("AGE-SECRET-KEY-1"));
    let snapshot = snapshot();
    let key = file_key(&snapshot.archive[..], &snapshot.tenant).unwrap();
    let text = key.to_base64().expose_secret().to_owned();
    let shown = format!("{pair:?} {key:?}") + &format!("{:?}", LentIdentity::new(key));
    assert!(!shown.contains(secret.expose_secret()) && !shown.contains(&text));
    let bad = Keypair::from_secret(&"AGE-SECRET-KEY-1CANARY".into()).unwrap_err();
    assert!(!format!("{bad} {bad:?}").contains("CANARY"));
    assert!(FileKey::from_base64(&"AAAA".into()).is_err());
    assert!(parse_recipient(&pair.recipient().to_string()).is_ok());
    assert!(parse_recipient("age1nonsense").is_err());
}

/// `zstd | age -r` writes what this reads.
#[test]
fn what_age_and_zstd_write_is_read() {
    let pair = Keypair::generate();
    let entry = r#"{"entry":{"path":"a","type":"directory","size":0,"mode":493,"mtime":0,"uid":0,"gid":0,"offset":0}}"#;
    let mut text =
        r#"{"header":{"format":1,"created_at":"2026-01-01T00:00:00Z"}}"#.to_owned() + "\n";
    let entries = 2000;
    for _ in 0..entries {
        text.push_str(entry);
        text.push('\n');
    }
    text.push_str(&format!(
        "{{\"end\":{{\"entries\":{entries},\"frames\":0,\"tar_bytes\":0,\"zstd_bytes\":0,\"archive_bytes\":0}}}}\n"
    ));
    let run = |command: &mut Command, input: &[u8]| {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(input).unwrap());
            let out = child.wait_with_output().unwrap();
            assert!(out.status.success());
            out.stdout
        })
    };
    // Stored, so that the age file has several chunks.
    let packed = run(
        Command::new("zstd").args(["-q", "-c", "--fast=100"]),
        text.as_bytes(),
    );
    let recipient = pair.recipient().to_string();
    let object = run(Command::new("age").args(["-r", &recipient]), &packed);
    let lines: Vec<_> = open_index(&object[..], &pair)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(lines.len(), entries + 1);
    assert!(matches!(&lines[0], IndexLine::Entry(entry) if entry.path.as_bytes() == b"a"));

    let newer = text.replace(r#""format":1"#, r#""format":2,"surprise":true"#);
    let object = run(
        Command::new("age").args(["-r", &recipient]),
        &run(Command::new("zstd").args(["-q", "-c"]), newer.as_bytes()),
    );
    let refused = open_index(&object[..], &pair).err().map(|e| e.code());
    assert_eq!(refused, Some(Code::Incompatible));
}

//! The promise: anyone with the key can restore with `age`, `zstd` and `tar` alone.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use backupd_base::ExposeSecret;

use crate::fixture::{Snapshot, assert_same, odd_tree};

/// `age -d -i key < object | zstd -d`, and `| tar …` when `into` is given.
fn pipeline(key: &Path, object: &[u8], into: Option<&Path>) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("object");
    fs::write(&path, object).unwrap();
    let mut age = Command::new("age")
        .args(["-d", "-i"])
        .arg(key)
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut zstd = Command::new("zstd");
    zstd.args(["-d", "-c", "-q"])
        .stdin(age.stdout.take().unwrap())
        .stdout(Stdio::piped());
    let Some(into) = into else {
        let out = zstd.output().unwrap();
        assert!(age.wait().unwrap().success() && out.status.success());
        return out.stdout;
    };
    let mut zstd = zstd.spawn().unwrap();
    let tar = Command::new("tar")
        .args([
            "-x",
            "--xattrs",
            "--xattrs-include=*",
            "--same-owner",
            "-p",
            "-C",
        ])
        .arg(into)
        .stdin(zstd.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(age.wait().unwrap().success() && zstd.wait().unwrap().success());
    // It remarks on times before 1970 and in the future, and keeps them.
    let stderr = String::from_utf8_lossy(&tar.stderr);
    let complaints: Vec<_> = stderr
        .lines()
        .filter(|line| !line.contains("time stamp"))
        .collect();
    assert_eq!(complaints, Vec::<&str>::new());
    assert!(tar.status.success());
    Vec::new()
}

#[test]
fn three_commands_restore_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (original, restored) = (
        folder.path().join("original"),
        folder.path().join("restored"),
    );
    fs::create_dir(&original).unwrap();
    odd_tree(&original);
    let snapshot = Snapshot::of_tree(&original);
    for pair in [&snapshot.tenant, &snapshot.recovery] {
        let key = folder.path().join("key");
        fs::write(&key, pair.to_secret().expose_secret()).unwrap();
        fs::create_dir(&restored).unwrap();
        pipeline(&key, &snapshot.archive, Some(&restored));
        assert_same(&original, &restored.join("files"));
        fs::remove_dir_all(&restored).unwrap();

        let index = String::from_utf8(pipeline(&key, &snapshot.index, None)).unwrap();
        let lines: Vec<serde_json::Value> = index
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["header"]["format"], 1);
        let end = &lines.last().unwrap()["end"];
        assert_eq!(end["entries"], snapshot.summary.entries);
        assert_eq!(end["archive_bytes"], snapshot.archive.len());
    }
}

//! The folder when its disk misbehaves.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use backupd_base::Code;
use backupd_storage::{Local, OpenUpload, Storage};
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use crate::stores::key;

/// The folder that the second run of a test works in.
const FOLDER: &str = "STORAGE_TEST_FOLDER";

/// Runs one test of this binary once more, under `wrapper`, with a folder to work in.
fn again(test: &str, folder: &Path, wrapper: &[&str]) -> Output {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("local::{test}"), "--nocapture"]);
    command.env(FOLDER, folder);
    let output = command.output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    output
}

fn inner_folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

fn files(root: &Path) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(root).min_depth(1).into_iter();
    walk.map(|entry| entry.unwrap().into_path()).collect()
}

#[tokio::test]
async fn nobody_else_may_look() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("new/store");
    let store = Local::new(&root).unwrap();
    store
        .put(&key("a/b"), Bytes::from_static(b"x"))
        .await
        .unwrap();
    let upload = store.start_upload(&key("c/d")).await.unwrap();
    upload.part(1, 0, Bytes::from_static(b"y")).await.unwrap();
    let mut seen = files(&root);
    seen.push(root.clone());
    for path in seen {
        let found = fs::metadata(&path).unwrap();
        let expected = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(found.permissions().mode() & 0o777, expected, "{path:?}");
        assert_eq!(found.uid(), fs::metadata(folder.path()).unwrap().uid());
    }
}

#[tokio::test]
async fn what_a_killed_process_left_is_found_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let before = Local::new(folder.path()).unwrap();
    let upload = before.start_upload(&key("t/backup.age")).await.unwrap();
    upload
        .part(1, 0, Bytes::from_static(b"half"))
        .await
        .unwrap();
    std::mem::forget(upload);
    let after = Local::new(folder.path()).unwrap();
    let open = after.open_uploads("t/").await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(after.list("").await.unwrap(), []);
    after.abort_upload(&open[0]).await.unwrap();
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn an_id_from_a_journal_cannot_lead_out_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = Local::new(folder.path().join("store")).unwrap();
    let precious = folder.path().join("precious");
    fs::write(&precious, "x").unwrap();
    for id in ["../../../precious", "..", "", "a/b", "/etc/passwd"] {
        let upload = OpenUpload {
            key: key("a"),
            id: id.into(),
        };
        let refused = store.abort_upload(&upload).await.unwrap_err();
        assert_eq!(refused.code(), Code::Invalid, "{id:?}");
    }
    assert!(store.list("../").await.unwrap().is_empty());
    assert!(store.open_uploads("../").await.unwrap().is_empty());
    assert!(precious.exists());
    assert_eq!(
        Local::new("relative/path").unwrap_err().code(),
        Code::Invalid
    );
}

#[tokio::test]
async fn parts_that_overlap_and_leave_a_gap_are_no_object() {
    let folder = tempfile::tempdir().unwrap();
    let store = Local::new(folder.path()).unwrap();
    let upload = store.start_upload(&key("a")).await.unwrap();
    for (number, offset) in [(1, 0), (2, 50), (3, 200)] {
        let body = Bytes::from(vec![number as u8; 100]);
        upload.part(number, offset, body).await.unwrap();
    }
    // The lengths add up, and the file is as long.
    let completed = upload.complete(300).await.unwrap_err();
    assert_eq!(completed.code(), Code::Corrupt);
    assert_eq!(store.list("").await.unwrap(), []);
}

#[test]
fn a_full_disk_fails_cleanly() {
    if let Some(folder) = inner_folder() {
        mount_small_disk(&folder);
        return Runtime::new().unwrap().block_on(fill(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    // A mount namespace of its own: nothing is mounted for anybody else, nor after it ends.
    let alone = ["unshare", "--user", "--map-root-user", "--mount", "--"];
    again("a_full_disk_fails_cleanly", folder.path(), &alone);
}

fn mount_small_disk(folder: &Path) {
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
        .arg(folder);
    assert!(mount.status().unwrap().success());
}

async fn fill(folder: &Path) {
    let store = Local::new(folder).unwrap();
    let kept = Bytes::from(vec![1; 1 << 20]);
    store.put(&key("a/kept"), kept.clone()).await.unwrap();
    let full = store
        .put(&key("a/too-large"), Bytes::from(vec![2; 5 << 20]))
        .await;
    assert_eq!(full.unwrap_err().code(), Code::DiskFull);
    // What could not be kept is gone at once.
    assert_eq!(store.open_uploads("").await.unwrap(), []);
    let upload = store.start_upload(&key("a/parts")).await.unwrap();
    upload
        .part(1, 0, Bytes::from(vec![3; 1 << 20]))
        .await
        .unwrap();
    let full = upload.part(2, 1 << 20, Bytes::from(vec![3; 5 << 20])).await;
    assert_eq!(full.unwrap_err().code(), Code::DiskFull);
    upload.abort().await.unwrap();
    let left = store.list("").await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(store.get(&key("a/kept")).await.unwrap(), kept);
    assert!(!folder.join(".uploads").exists());
    // There is room again.
    store
        .put(&key("a/fits"), Bytes::from(vec![4; 2 << 20]))
        .await
        .unwrap();
}

#[test]
fn a_failed_sync_is_final() {
    if let Some(folder) = inner_folder() {
        // strace counts the calls of each thread by themselves, so one has to make them all.
        let one = Builder::new_current_thread()
            .max_blocking_threads(1)
            .build();
        return one.unwrap().block_on(sync_fails(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    // The fourth sync is the file's own: before it come those of the folders
    // `.uploads`, `a` and `b` in it. Every other one succeeds, as it does on a real disk.
    let inject = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fsync",
    ];
    let broken = [&inject[..], &["-e", "inject=fsync:error=EIO:when=4", "--"]].concat();
    again("a_failed_sync_is_final", folder.path(), &broken);
}

async fn sync_fails(folder: &Path) {
    let store = Local::new(folder).unwrap();
    let upload = store.start_upload(&key("a/b")).await.unwrap();
    upload
        .part(1, 0, Bytes::from_static(b"bytes"))
        .await
        .unwrap();
    for attempt in ["the disk says no", "the disk has forgotten"] {
        let failed = upload.complete(5).await.unwrap_err();
        assert_eq!(failed.code(), Code::Internal, "{attempt}: {failed}");
        assert_eq!(store.head(&key("a/b")).await.unwrap(), None, "{attempt}");
    }
    upload.abort().await.unwrap();
    assert_eq!(files(folder), Vec::<PathBuf>::new());
}

//! Runs a part of a test in a process of its own, for what is counted or owned by process:
//! memory, threads, the user.

use std::{os::unix::process::CommandExt as _, process::Command};

const PART: &str = "BACKUPD_ARCHIVE_TEST_PART";

/// Runs `part` in a fresh process that runs only the test `name` (its full path in this binary),
/// as the user `uid` if given. In that process it does run it, and `true` says that the rest of
/// the test is the parent's.
pub fn in_child(name: &str, uid: Option<u32>, part: impl FnOnce()) -> bool {
    if std::env::var(PART).is_ok_and(|value| value == name) {
        part();
        return false;
    }
    // Not its path: the folders above it may be closed to that user.
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(PART, name);
    if let Some(uid) = uid {
        command.uid(uid).gid(uid);
    }
    let out = command.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.status.success() && text.contains("1 passed"),
        "{text}\n{}",
        String::from_utf8_lossy(&out.stderr)
    );
    true
}

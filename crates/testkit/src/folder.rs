//! Temporary folders, and the end of those that a process left when it ended: what tests share is
//! never dropped.

use std::{env, fs, os::unix::net::UnixStream, path::Path, process, sync::Once};

use tempfile::TempDir;

const PREFIX: &str = "backupd-";

/// A folder for one `kind` of part, named after this process.
///
/// # Panics
/// When it cannot be made.
pub fn temporary(kind: &str) -> TempDir {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(|| {
        sweep_folders(&env::temp_dir());
        sweep_sockets();
    });
    let prefix = format!("{PREFIX}{kind}-{}-", process::id());
    TempDir::with_prefix(prefix).expect("make a temporary folder")
}

/// Removes folders in `parent` whose process is gone.
fn sweep_folders(parent: &Path) {
    for folder in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = folder.file_name().to_string_lossy().into_owned();
        let process = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').nth(1))
            .and_then(|process| process.parse::<u32>().ok());
        let is_gone = |id| !Path::new(&format!("/proc/{id}")).exists();
        if process.is_some_and(is_gone) {
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}

/// Removes SeaweedFS' sockets that nobody listens on. It makes them in `/tmp`, always, and leaves
/// them there when it is killed.
pub fn sweep_sockets() {
    for file in fs::read_dir("/tmp").into_iter().flatten().flatten() {
        let name = file.file_name();
        let is_its = name.to_string_lossy().starts_with("seaweedfs-");
        if is_its && UnixStream::connect(file.path()).is_err() {
            let _ = fs::remove_file(file.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_process_left_goes() {
        let parent = tempfile::tempdir().unwrap();
        let mut ended = process::Command::new("true").spawn().unwrap();
        let dead = ended.id();
        ended.wait().unwrap();
        let own = process::id();
        let names = [
            format!("backupd-weed-{own}-abc"),
            format!("backupd-weed-{dead}-abc"),
            format!("backupd-{dead}"),
            format!("other-weed-{dead}-abc"),
        ];
        for name in &names {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        sweep_folders(parent.path());
        let left = names
            .iter()
            .filter(|name| parent.path().join(name).exists());
        assert_eq!(left.collect::<Vec<_>>(), [&names[0], &names[2], &names[3]]);
    }
}

//! Folders the agent writes to: whose they are, who may look, and how much room is left.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use rustix::fs::{Access, access, statvfs};

use super::{Finding, user};

/// Below this many megabytes no dump and no journal fits.
const NO_ROOM: u64 = 64;
/// Below this many megabytes the next dump of a site may not.
const LITTLE_ROOM: u64 = 1000;

const CHECK: &str = "data";

/// The data folder: database, keys, spool, and the store of this server.
#[must_use]
pub fn examine(dir: &Path) -> Vec<Finding> {
    let shown = dir.display();
    let meta = match fs::metadata(dir) {
        Ok(meta) => meta,
        Err(e) => {
            return vec![Finding::bad(
                CHECK,
                format!("The data folder {shown} cannot be opened: {e}."),
                "Mount its disk, or set data_dir (BACKUPD_DATA_DIR) to where it is; run this as root.",
            )];
        }
    };
    let mut findings = Vec::new();
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me {
        findings.push(Finding::bad(
            CHECK,
            format!(
                "The data folder {shown} belongs to user id {}, and the agent runs as {}.",
                meta.uid(),
                user()
            ),
            format!("Run backupd as its owner, or give it to the agent: chown -R {me} {shown}"),
        ));
    }
    if meta.permissions().mode() & 0o077 != 0 {
        findings.push(Finding::warning(
            CHECK,
            format!("Others than the agent may look into the data folder {shown}."),
            format!("chmod 700 {shown}"),
        ));
    }
    findings.push(room(CHECK, dir));
    findings
}

/// Whether a folder that is there can be written to, and how much fits.
pub(super) fn room(check: &str, folder: &Path) -> Finding {
    let shown = folder.display();
    if let Err(e) = access(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        return Finding::bad(
            check,
            format!("{} cannot write to {shown}: {e}.", user()),
            format!(
                "Give the folder to the agent (chown, chmod 700), or mount it writable: {shown}"
            ),
        );
    }
    let space = match statvfs(folder) {
        Ok(space) => space,
        Err(e) => {
            return Finding::bad(
                check,
                format!("{shown} does not say how much room it has: {e}."),
                "Look after its disk: dmesg, mount.",
            );
        }
    };
    let megabytes = space.f_bavail.saturating_mul(space.f_frsize) / 1_000_000;
    let message = format!("{shown} has {megabytes} MB free.");
    let mend = format!("Make room on the disk of {shown}, or move it to a larger one.");
    if space.f_files > 0 && space.f_favail == 0 {
        Finding::bad(
            check,
            format!("{shown} has room for no further file (no inodes)."),
            mend,
        )
    } else if megabytes < NO_ROOM {
        Finding::bad(check, message, mend)
    } else if megabytes < LITTLE_ROOM {
        Finding::warning(check, message, mend)
    } else {
        Finding::good(check, message)
    }
}

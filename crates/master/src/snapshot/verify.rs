//! Reading a whole snapshot back from every store that holds it, and checking every hash; nothing is
//! written.

use backupd_archive::{SnapshotKeys, VerifyProgress, verify};
use backupd_base::{Context as _, Result};
use backupd_protocol::Progress;
use tokio::runtime::Handle;

use super::Opened;
use crate::{
    Master,
    master::blocking,
    tasks::{self, Outcome},
    view::TaskView,
};

/// Begins the task over the `copies` of one snapshot, of which there is at least one.
///
/// # Errors
/// `NotFound` when there is none.
pub fn begin(master: &Master, copies: Vec<Opened>) -> Result<TaskView> {
    let first = copies.first().context("no store holds the snapshot")?;
    let title = format!("Verify {}", first.source_name);
    let task = master.core().tasks.begin("verify", title, first.id.clone());
    let view = task.view();
    tokio::spawn(async move {
        let all = progress(&copies, copies.len(), VerifyProgress::default());
        let (runtime, handle) = (Handle::current(), task.clone());
        let outcome = blocking(move || check(&copies, &runtime, &handle)).await;
        let last = outcome.is_ok().then_some(all);
        task.end(outcome, last);
    });
    view.context("the task that was just begun")
}

fn check(copies: &[Opened], runtime: &Handle, task: &tasks::Handle) -> Result<Outcome> {
    let mut entries = 0;
    for (done, copy) in copies.iter().enumerate() {
        let summary = verify(
            copy.archive(runtime),
            copy.index(runtime),
            SnapshotKeys::both(&copy.identity),
            Some(&copy.manifest),
            &mut |now| task.progress(progress(copies, done, now)),
        )
        .with_context(|| format!("verify {} at {}", copy.source_name, copy.provider_name))?;
        entries = summary.entries;
    }
    let stores: Vec<_> = copies.iter().map(|c| c.provider_name.as_str()).collect();
    Ok(Outcome {
        message: format!(
            "All {entries} files and folders were read back from {}, and every checksum holds.",
            stores.join(" and ")
        ),
        landed_in: None,
    })
}

/// `done` copies, and so much of the next.
fn progress(copies: &[Opened], done: usize, now: VerifyProgress) -> Progress {
    let bytes = |copies: &[Opened]| copies.iter().map(|c| c.manifest.content_bytes).sum::<u64>();
    let entries = |copies: &[Opened]| copies.iter().map(|c| c.manifest.entries).sum::<u64>();
    Progress {
        done_bytes: bytes(&copies[..done]) + now.bytes,
        total_bytes: Some(bytes(copies)),
        done_files: entries(&copies[..done]) + now.entries,
        total_files: Some(entries(copies)),
    }
}

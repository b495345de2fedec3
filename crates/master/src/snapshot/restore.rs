//! Taking a snapshot, or some of it, out onto this computer: into a fresh folder, which is removed
//! again when not all of it came through.

use std::path::{Path, PathBuf};

use backupd_archive::{
    ArchiveReader, EntryPath, ExtractOptions, ExtractProgress, ExtractSummary, Limits, SnapshotKeys,
};
use backupd_base::{Code, Context as _, Error, Result};
use backupd_protocol::Progress;
use cap_std::{ambient_authority, fs::Dir};
use tokio::runtime::Handle;

use super::{Opened, listing::path_from_text};
use crate::{
    Master,
    master::blocking,
    tasks::{self, Outcome},
    view::TaskView,
};

/// What is known before it begins.
struct Plan {
    opened: Opened,
    select: Vec<EntryPath>,
    folder: PathBuf,
    total_bytes: u64,
    total_files: u64,
}

/// Begins the task. `paths` as the interface has them; empty for all.
///
/// # Errors
/// `Invalid` when a path or the folder cannot be one, `NotFound` when there is no such path.
pub async fn begin(
    master: &Master,
    opened: Opened,
    paths: &[String],
    folder: PathBuf,
) -> Result<TaskView> {
    if !folder.is_absolute() {
        return Err(Error::new(
            Code::Invalid,
            format!("{} is not a whole path", folder.display()),
        ));
    }
    let select: Vec<_> = paths
        .iter()
        .map(|p| path_from_text(p))
        .collect::<Result<_>>()?;
    let manifest = &opened.manifest;
    let (mut bytes, mut files) = (manifest.content_bytes, manifest.entries);
    let mut title = format!("Restore {}", opened.source_name);
    if !paths.is_empty() {
        let listing = master.index_of(&opened.id).await?;
        (bytes, files) = (0, 0);
        for path in paths {
            let entry = listing.get(path)?;
            bytes += entry.size;
            files += entry.files;
        }
        title = match files {
            1 => format!("Restore 1 file of {}", opened.source_name),
            n => format!("Restore {n} files of {}", opened.source_name),
        };
    }
    let task = master
        .core()
        .tasks
        .begin("restore", title, opened.id.clone());
    let view = task.view();
    let plan = Plan {
        opened,
        select,
        folder,
        total_bytes: bytes,
        total_files: files,
    };
    tokio::spawn(run(plan, task));
    view.context("the task that was just begun")
}

async fn run(plan: Plan, task: tasks::Handle) {
    let progress = Progress {
        done_bytes: plan.total_bytes,
        total_bytes: Some(plan.total_bytes),
        done_files: plan.total_files,
        total_files: Some(plan.total_files),
    };
    let (runtime, handle) = (Handle::current(), task.clone());
    let outcome = blocking(move || restore(&plan, &runtime, &handle)).await;
    let last = outcome.is_ok().then_some(progress);
    task.end(outcome, last);
}

fn restore(plan: &Plan, runtime: &Handle, task: &tasks::Handle) -> Result<Outcome> {
    let landed = fresh_folder(plan)?;
    let outcome = extract(plan, &landed, runtime, task);
    match outcome {
        Ok(summary) => {
            let mut message = format!("Restored {} files and folders.", summary.entries);
            let warnings = summary.warnings.total();
            if warnings > 0 {
                message.push_str(&format!(
                    " {warnings} could not be made exactly as they were (owners and special \
                     attributes need administrator rights)."
                ));
            }
            Ok(Outcome {
                message,
                landed_in: Some(landed.to_string_lossy().into_owned()),
            })
        }
        Err(error) => {
            if let Err(left) = std::fs::remove_dir_all(&landed) {
                let what = format!("remove what was restored so far from {}", landed.display());
                tracing::warn!("{what}: {left}");
            }
            Err(error).with_context(|| format!("restore {}", plan.opened.source_name))
        }
    }
}

fn extract(
    plan: &Plan,
    landed: &Path,
    runtime: &Handle,
    task: &tasks::Handle,
) -> Result<ExtractSummary> {
    let opened = &plan.opened;
    let keys = SnapshotKeys::both(&opened.identity);
    let (archive, index) = (opened.archive(runtime), opened.index(runtime));
    let manifest = Some(opened.manifest.clone());
    // All of it in one go, or a few ranges of it.
    let mut reader = if plan.select.is_empty() {
        ArchiveReader::sequential(archive, index, keys, manifest)
    } else {
        ArchiveReader::ranged(archive, index, keys, manifest)
    }?;
    let options = ExtractOptions {
        select: plan.select.clone(),
        ..ExtractOptions::all(Limits::of(&opened.manifest))
    };
    let target = Dir::open_ambient_dir(landed, ambient_authority())
        .with_context(|| format!("open {}", landed.display()))?;
    reader.extract(&target, &options, &mut |done: ExtractProgress| {
        task.progress(Progress {
            done_bytes: done.bytes,
            total_bytes: Some(plan.total_bytes),
            done_files: done.entries,
            total_files: Some(plan.total_files),
        })
    })
}

/// A folder of its own inside of the one chosen, named after the snapshot by ids only. The chosen
/// one is made if it is not there yet.
fn fresh_folder(plan: &Plan) -> Result<PathBuf> {
    std::fs::create_dir_all(&plan.folder)
        .with_context(|| format!("make {}", plan.folder.display()))?;
    let id = plan.opened.id.as_str();
    // The end of an id is its random part.
    let short = &id[id.len().saturating_sub(8)..];
    let time = plan.opened.manifest.created_at.format("%Y%m%d-%H%M%S");
    for n in 1..1000 {
        let name = match n {
            1 => format!("backupd-{time}-{short}"),
            n => format!("backupd-{time}-{short}-{n}"),
        };
        let path = plan.folder.join(name);
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e).with_context(|| format!("make {}", path.display())),
        }
    }
    Err(Error::new(
        Code::AlreadyExists,
        format!("{} is full of earlier restores", plan.folder.display()),
    ))
}

#[cfg(test)]
mod tests {
    use backupd_base::SnapshotId;
    use tokio::sync::broadcast;

    use super::*;
    use crate::{snapshot::fixture::snapshot, tasks::Tasks};

    async fn run(
        opened: Opened,
        select: &[&str],
        folder: &Path,
        cancelled: bool,
    ) -> (Result<Outcome>, Plan) {
        let tasks = Tasks::new(broadcast::Sender::new(64));
        let task = tasks.begin("restore", "Restore".into(), SnapshotId::new());
        if cancelled {
            tasks.cancel_all();
        }
        let plan = Plan {
            opened,
            select: select.iter().map(|p| p.parse().unwrap()).collect(),
            folder: folder.to_owned(),
            total_bytes: 0,
            total_files: 0,
        };
        let runtime = Handle::current();
        blocking(move || Ok((restore(&plan, &runtime, &task), plan)))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn each_restore_lands_in_a_folder_of_its_own() {
        let (store, opened) = snapshot(&[("files/a", "one"), ("files/b", "two")]).await;
        // Somebody typed it: it is made.
        let target = store.path().join("not/there/yet");
        let (whole, plan) = run(opened, &[], &target, false).await;
        let whole = PathBuf::from(whole.unwrap().landed_in.unwrap());
        let (some, plan) = run(plan.opened, &["files/b"], &target, false).await;
        let some = PathBuf::from(some.unwrap().landed_in.unwrap());
        assert_ne!(whole, some);
        assert_eq!(
            std::fs::read_to_string(whole.join("files/a")).unwrap(),
            "one"
        );
        assert_eq!(
            std::fs::read_to_string(some.join("files/b")).unwrap(),
            "two"
        );
        assert!(!some.join("files/a").exists());
        let (missing, _) = run(plan.opened, &["files/c"], &target, false).await;
        assert_eq!(missing.err().unwrap().code(), Code::NotFound);
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 2);
    }

    #[tokio::test]
    async fn a_cancelled_restore_leaves_nothing() {
        let (store, opened) = snapshot(&[("files/a", "one")]).await;
        let target = store.path().join("target");
        std::fs::create_dir(&target).unwrap();
        let (stopped, _) = run(opened, &[], &target, true).await;
        assert_eq!(stopped.err().unwrap().code(), Code::Cancelled);
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 0);
    }
}

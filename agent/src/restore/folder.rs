//! A restore into a fresh folder: written beside it under another name, and given its own when
//! everything was read and every hash held. Nothing that exists is touched.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use backupd_archive::ExtractOptions;
use backupd_base::{Code, Context as _, Error, Result};
use backupd_protocol::Job;
use cap_std::fs::Dir;
use rustix::process::geteuid;

use super::{
    RESTORE_FILES, RestoreRequest,
    snapshot::{Stored, selection},
};
use crate::{
    jobs::{Failure, InStage as _, Track},
    pipeline::CLEANUP,
};

/// Checks that `path` can be restored to: absolute, and not there or an empty folder.
pub(super) fn check(path: &Path) -> Result<()> {
    let shown = path.display();
    if !path.is_absolute() || path.file_name().is_none() || path.components().any(is_dots) {
        let why = format!("restore to an absolute path without .., not to {shown}");
        return Err(Error::new(Code::Invalid, why));
    }
    match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => taken(path),
        Err(e) => Err(e).with_context(|| format!("look at {shown}")),
        Ok(mut inside) => match inside.next() {
            Some(_) => taken(path),
            None => Ok(()),
        },
    }
}

fn is_dots(part: std::path::Component<'_>) -> bool {
    matches!(part, std::path::Component::ParentDir)
}

fn taken(path: &Path) -> Result<()> {
    let why = format!("{} exists and is not an empty folder", path.display());
    Err(Error::new(Code::AlreadyExists, why))
}

/// Restores into `path`.
pub(super) fn restore(
    track: &Track,
    source: &Stored,
    request: &RestoreRequest,
    path: &Path,
) -> Result<(), Failure> {
    let staging = staging_of(track, path).in_stage(RESTORE_FILES)?;
    let outcome = fill(track, source, request, &staging)
        .and_then(|message| publish(&staging, path).map(|()| message));
    let _ = track.begin(CLEANUP);
    let cleaned = match &outcome {
        Ok(_) => Ok(()),
        Err(_) => fs::remove_dir_all(&staging),
    };
    let told = match cleaned {
        Ok(()) => "Removed the restore's temporary files.".to_owned(),
        Err(e) => format!("{} could not be removed: {e}.", staging.display()),
    };
    let _ = track.complete(CLEANUP, told);
    let landed = outcome.is_ok().then(|| path.display().to_string());
    track.amend(|job| job.landed_in = landed);
    let message = outcome.in_stage(RESTORE_FILES)?;
    track
        .complete(RESTORE_FILES, message)
        .in_stage(RESTORE_FILES)
}

/// After a crash: what was put together so far goes.
pub(super) fn recover(job: &mut Job, target: &str) -> &'static str {
    if let Some(staging) = job.landed_in.take() {
        let name = format!(".backupd-{}", job.id);
        let is_ours = Path::new(&staging).file_name().is_some_and(|n| *n == *name);
        if is_ours && !Path::new(&staging).exists() && Path::new(target).is_dir() {
            job.landed_in = Some(target.to_owned());
            return "interrupted: backupd was ended just after everything was restored; \
                    the folder is whole";
        }
        // Only ever the folder this job made.
        if is_ours {
            let _ = fs::remove_dir_all(&staging);
        }
    }
    "interrupted: backupd was ended while the restore ran; nothing of it is left"
}

/// Where it is put together: beside the target, so that it can be renamed to it.
fn staging_of(track: &Track, path: &Path) -> Result<PathBuf> {
    check(path)?;
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
    let staging = parent.join(format!(".backupd-{}", track.job().id));
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&staging)
        .with_context(|| format!("make {}", staging.display()))?;
    // A crash finds the folder by this.
    track.amend(|job| job.landed_in = Some(staging.display().to_string()));
    track.write_down()?;
    Ok(staging)
}

fn fill(
    track: &Track,
    source: &Stored,
    request: &RestoreRequest,
    staging: &Path,
) -> Result<String> {
    let select = selection(&request.paths)?;
    let options = ExtractOptions {
        select,
        strip: None,
        owners: geteuid().is_root(),
        limits: source.limits(),
    };
    let whole = options.select.is_empty();
    if whole {
        track.progress(RESTORE_FILES, |p| {
            p.total_bytes = Some(source.manifest.content_bytes);
            p.total_files = Some(source.manifest.entries);
        });
    }
    track.lead(RESTORE_FILES);
    let target = Dir::open_ambient_dir(staging, cap_std::ambient_authority())
        .with_context(|| format!("open {}", staging.display()))?;
    let mut reader = if whole {
        source.sequential()?
    } else {
        source.ranged()?
    };
    let summary = reader.extract(&target, &options, &mut |done| {
        track.check()?;
        track.progress(RESTORE_FILES, |p| {
            p.done_bytes = done.bytes;
            p.done_files = done.entries;
        });
        Ok(())
    })?;
    super::warn(track, &summary.warnings);
    Ok(format!(
        "Restored {} entries, every hash checked.",
        summary.entries
    ))
}

/// Gives the folder its name; an empty one of that name is replaced, anything else is not.
fn publish(staging: &Path, path: &Path) -> Result<()> {
    let what = || format!("rename {} to {}", staging.display(), path.display());
    fs::rename(staging, path).with_context(what)?;
    let parent = path.parent().unwrap_or(Path::new("/"));
    File::open(parent)
        .and_then(|folder| folder.sync_all())
        .with_context(what)
}

//! Puts a snapshot back on this node: into a fresh folder, or in place of what is there now.
//!
//! The keys are lent for the one job and open the one snapshot. Deliberately not here: reading the
//! format (`backupd-archive`), and restores on the master's computer.

mod database;
mod folder;
mod former;
mod in_place;
mod snapshot;
mod swap;
pub mod verify;

use std::{path::Path, sync::Arc};

use backupd_archive::Warnings;
use backupd_base::{Context as _, JobId, ProviderId, Result, SnapshotId};
use backupd_protocol::{Job, LentKeys, LiveMessage, RestoreCreate, RestoreTarget, Snapshot};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::{
    jobs::{Failure, InStage as _, Parts, Track},
    pipeline::CLEANUP,
    store::jobs,
};

/// Reading the snapshot, checking every hash, writing files: into the folder, or beside the site.
pub const RESTORE_FILES: &str = "restore_files";
/// In place: the dump of the database as it is.
pub const KEEP_FORMER: &str = "keep_former";
/// In place: files change places with what is there; for an undo, back.
pub const SWAP_FILES: &str = "swap_files";
/// In place: the dump is loaded; for an undo, the kept one.
pub const RESTORE_DB: &str = "restore_db";
/// The stages of a restore in place, in order; every other restore has some of them.
pub const STAGES: &[&str] = &[RESTORE_FILES, KEEP_FORMER, SWAP_FILES, RESTORE_DB, CLEANUP];

/// What a restore job does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Puts a snapshot back.
    Restore(RestoreRequest),
    /// Brings back the state from before a restore in place.
    Undo(JobId),
}

/// What a restore job was asked for, without the keys: as it is kept with the job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestoreRequest {
    /// Which snapshot.
    pub snapshot_id: SnapshotId,
    /// Read it from here.
    pub provider_id: ProviderId,
    /// Paths inside of it; empty for all.
    pub paths: Vec<String>,
    /// Where it goes.
    pub target: RestoreTarget,
}

impl From<&RestoreCreate> for RestoreRequest {
    fn from(create: &RestoreCreate) -> Self {
        Self {
            snapshot_id: create.snapshot_id.clone(),
            provider_id: create.provider_id.clone(),
            paths: create.paths.clone(),
            target: create.target.clone(),
        }
    }
}

/// The stages of a request, in order.
#[must_use]
pub fn stages(request: &Request) -> &'static [&'static str] {
    match request {
        Request::Undo(_) => &[SWAP_FILES, RESTORE_DB, CLEANUP],
        Request::Restore(restore) => match restore.target {
            RestoreTarget::Folder { .. } => &[RESTORE_FILES, CLEANUP],
            RestoreTarget::InPlace => STAGES,
        },
    }
}

/// Checks that a restore can be tried.
///
/// # Errors
/// `Invalid` or `AlreadyExists` for a target that cannot be, `Invalid` for a wrong path,
/// `Conflict` while the source keeps the state from before another restore.
pub fn check(parts: &Parts, snapshot: &Snapshot, request: &RestoreRequest) -> Result<()> {
    snapshot::selection(&request.paths)?;
    match &request.target {
        RestoreTarget::Folder { path } => folder::check(Path::new(path)),
        RestoreTarget::InPlace => in_place::check(parts, snapshot),
    }
}

/// Runs a restore on this thread, to its end.
///
/// # Errors
/// What failed, with its stage.
pub fn run(
    parts: &Parts,
    track: &Arc<Track>,
    runtime: &Handle,
    keys: Option<LentKeys>,
) -> Result<(), Failure> {
    let job = track.job();
    let read = || -> Result<Request> {
        let text = parts.store.read(|db| jobs::request(db, &job.id))?;
        serde_json::from_str(&text).context("read the request of a restore")
    };
    let request = match read().in_stage(CLEANUP)? {
        Request::Undo(undone) => {
            in_place::undo(parts, track, &undone)?;
            return cannot_undo(parts, &undone).in_stage(CLEANUP);
        }
        Request::Restore(request) => request,
    };
    let source = snapshot::Stored::open(parts, track, runtime, &request, keys);
    let source = source.in_stage(RESTORE_FILES)?;
    match &request.target {
        RestoreTarget::Folder { path } => {
            folder::restore(track, &source, &request, Path::new(path))
        }
        RestoreTarget::InPlace => in_place::restore(parts, track, &source, &request),
    }
}

/// Drops the former state that a restore in place keeps, for good.
///
/// # Errors
/// `NotFound` when the job keeps none; what the disk says, and then it may be tried again.
pub fn confirm(parts: &Parts, job: &JobId) -> Result<()> {
    in_place::confirm(parts, job)?;
    cannot_undo(parts, job)
}

/// A job whose former state is gone, or back.
fn cannot_undo(parts: &Parts, job: &JobId) -> Result<()> {
    let changed = parts.store.write(|tx| {
        let mut job = jobs::get(tx, job)?;
        job.can_undo = false;
        jobs::update(tx, &job)?;
        Ok(job)
    })?;
    parts.live.tell(LiveMessage::Job(changed));
    Ok(())
}

/// Deals with a restore that a former process was in the middle of; says what came of it.
///
/// # Errors
/// When the store cannot be read.
pub fn recover(parts: &Parts, job: &mut Job) -> Result<&'static str> {
    let text = parts.store.read(|db| jobs::request(db, &job.id))?;
    match serde_json::from_str(&text).context("read the request of a restore")? {
        Request::Undo(_) => Ok(
            "interrupted: backupd was ended while a restore was undone; \
                                the former state is still kept, undo it again",
        ),
        Request::Restore(restore) => match restore.target {
            RestoreTarget::Folder { path } => Ok(folder::recover(job, &path)),
            RestoreTarget::InPlace => in_place::recover(parts, job),
        },
    }
}

/// Finishes what needs no job: former states that were confirmed and are not gone yet.
///
/// # Errors
/// When the store cannot be read; what the disk says.
pub fn finish_dropping(parts: &Parts) -> Result<()> {
    in_place::finish_dropping(parts)
}

/// Tells what could not be restored as it was.
fn warn(track: &Track, warnings: &Warnings) {
    let list = warnings.list();
    for warning in list.iter().take(100) {
        track.warn(warning.to_string());
    }
    if warnings.total() > 100 {
        track.warn(format!(
            "and {} more entries with warnings",
            warnings.total() - 100
        ));
    }
}

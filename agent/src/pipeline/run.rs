//! One backup under way: what it works with, and its private folder.

use std::{
    fs::DirBuilder,
    future::Future,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use backupd_archive::Turns;
use backupd_base::{Code, Context as _, Error, JobId, Result, SnapshotId};
use backupd_protocol::{Snapshot, Source};
use backupd_storage::SnapshotPrefix;
use tokio::runtime::Handle;

use super::{BACKUP_DB, CLEANUP, UPLOAD_REMOTE, settle};
use crate::{
    jobs::{For, Parts, Track},
    modules::{self, Plan, tool::Limits},
    resources::{Holder, Place, Places},
    store::Store,
};

/// The agent's places at the processor, for one job.
struct Pool {
    places: Places,
    holder: Holder,
}

impl Turns for Pool {
    fn take(&self) -> Box<dyn Send> {
        Box::new(self.places.take_blocking(Some(self.holder.clone())))
    }
}

/// One backup under way.
pub(super) struct Run<'a> {
    pub parts: &'a Parts,
    pub track: &'a Arc<Track>,
    pub runtime: &'a Handle,
    pub job_id: JobId,
    pub source: Source,
    pub snapshot_id: SnapshotId,
    pub prefix: SnapshotPrefix,
    /// Private to this job: 0700, removed at its end.
    pub folder: PathBuf,
}

/// The folder of a job. Whatever is in it is of no use once the job has ended.
#[must_use]
pub fn folder_of(store: &Store, job: &JobId) -> PathBuf {
    folders(store).join(job.as_str())
}

/// Where the folders of jobs are.
#[must_use]
pub fn folders(store: &Store) -> PathBuf {
    store.dir().join("jobs")
}

/// Makes a folder nobody else may enter.
///
/// # Errors
/// What the disk says.
pub fn make_private(folder: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("make folder {}", folder.display()))
}

impl<'a> Run<'a> {
    pub fn new(parts: &'a Parts, track: &'a Arc<Track>, runtime: &'a Handle) -> Result<Self> {
        let job = track.job();
        track.begin(BACKUP_DB)?;
        // As it is configured now, not as it was when the job was asked for.
        let source = parts.host.source(&job.source_id)?;
        super::check(&source)?;
        let folder = folder_of(&parts.store, &job.id);
        make_private(&folder)?;
        let snapshot_id = SnapshotId::new();
        Ok(Self {
            prefix: SnapshotPrefix::new(&source.tenant_id, &source.id, &snapshot_id),
            job_id: job.id,
            parts,
            track,
            runtime,
            source,
            snapshot_id,
            folder,
        })
    }

    /// From now on this run is about a snapshot that is there already.
    pub fn take_over(&mut self, snapshot: &Snapshot) {
        self.prefix = SnapshotPrefix::new(&snapshot.tenant_id, &snapshot.source_id, &snapshot.id);
        self.snapshot_id = snapshot.id.clone();
    }

    pub fn plan(&self) -> Result<Plan> {
        modules::find(&self.source.module)?.plan(&self.source.settings, &self.folder)
    }

    /// Limits for a child: it ends when the job is to stop.
    pub fn limits(&self) -> Limits {
        Limits::until(self.track.cancel())
    }

    /// Where the threads that compress for this run wait for their turns.
    pub fn turns(&self) -> Arc<dyn Turns> {
        Arc::new(Pool {
            places: self.parts.resources.cpu().clone(),
            holder: self.track.holder(),
        })
    }

    /// Waits for a place at the network.
    pub fn network(&self) -> Result<Place> {
        let (resources, holder) = (self.parts.resources.clone(), self.track.holder());
        let _waits = self
            .track
            .waits(UPLOAD_REMOTE, For::Place, "a place at the network");
        self.wait(async move { Ok(resources.network(holder).await) })
    }

    /// Waits for something, unless the job is to stop.
    pub fn wait<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let cancelled = self.track.cancel().cancelled();
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = cancelled => Err(Error::new(Code::Cancelled, "the job was stopped")),
                done = future => done,
            }
        })
    }

    /// The stage `cleanup`: removes the folder and what lies half-done in stores. It fails nothing
    /// any more; what it cannot do now is tried again later.
    pub fn clean(&self, is_done: bool) {
        let _ = self.track.begin(CLEANUP);
        let mut message = "Removed the job's temporary files.";
        if let Err(e) = std::fs::remove_dir_all(&self.folder) {
            let folder = self.folder.display();
            self.track.warn(format!(
                "Temporary folder {folder} could not be removed: {e}."
            ));
            message = "Temporary files could not be removed.";
        }
        let open = self.runtime.block_on(settle::job(self.parts, &self.job_id));
        if open > 0 {
            message = "A store could not be reached to remove what is half-done there; \
                       it is tried again until it can.";
        } else if !is_done {
            message = "Removed the job's temporary files and what was half-done in stores.";
        }
        let _ = self.track.complete(CLEANUP, message);
    }
}

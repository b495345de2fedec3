//! What a former process left behind: jobs that ran end with one event each, their folders go,
//! what lies half-done in stores is removed, and a restore that was cut short is turned back.

use std::{fs, sync::Arc, time::Duration};

use backupd_base::{Code, Context as _, Result};
use backupd_protocol::{Job, JobError, JobKind, JobState, LiveMessage, StageState};
use chrono::{SubsecRound as _, Utc};
use rusqlite::Connection;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{Queue, queue::Inner, state, track::close_stages};
use crate::{
    pipeline::{self, settle},
    restore,
    store::{
        jobs,
        transfers::{self, Transfer},
    },
};

/// How long until a store that did not answer is asked again.
const AGAIN: Duration = Duration::from_secs(60);

impl Inner {
    /// Settles everything that can be settled on this disk. Blocks; before any job runs.
    pub(super) fn recover(&self) -> Result<()> {
        let folders = pipeline::folders(&self.parts.store);
        match fs::remove_dir_all(&folders) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(e).with_context(|| format!("remove {}", folders.display()));
            }
            _ => {}
        }
        for job in self
            .parts
            .store
            .read(|db| jobs::in_state(db, JobState::Running))?
        {
            self.abandoned(
                job,
                "interrupted: backupd was ended while the job ran",
                true,
            )?;
        }
        restore::finish_dropping(&self.parts)?;
        // The keys of a restore that had not begun were in the former process' memory only.
        for job in self
            .parts
            .store
            .read(|db| jobs::in_state(db, JobState::Pending))?
        {
            let is_restore = job.kind == JobKind::Restore
                && job.stages.iter().any(|s| s.name == restore::RESTORE_FILES);
            if is_restore && !self.keys().contains_key(&job.id) {
                let why = "interrupted: backupd was restarted before the restore began, and the \
                           keys it was lent are gone; start it again";
                self.fail(job, why, false)?;
            }
        }
        Ok(())
    }

    /// Ends a job that is `RUNNING` while nobody runs it, for `cause`. Blocks.
    pub(super) fn abandoned(&self, mut job: Job, cause: &str, retries: bool) -> Result<()> {
        let open = self
            .parts
            .store
            .read(|db| transfers::open(db, Some(&job.id)))?;
        let may_be_stored = open.iter().any(|t| t.commit.is_some());
        if may_be_stored || job.snapshot_id.is_some() && job.kind == JobKind::Backup {
            // It ended between the manifest and the last line: see whether it was done.
            let left = Handle::current().block_on(settle::job(&self.parts, &job.id));
            let source = self.parts.host.source(&job.source_id);
            let asked = source.map_or(usize::MAX, |s| s.providers.len());
            let stored = self.parts.store.read(|db| {
                let list = crate::store::snapshots::list(db, Some(&job.source_id))?;
                let own = |id| {
                    list.into_iter()
                        .find(|s| Some(&s.id) == id || s.job_id == job.id)
                };
                Ok(own(job.snapshot_id.as_ref()))
            })?;
            if let Some(snapshot) = stored {
                job.snapshot_id = Some(snapshot.id);
                if left == 0 && snapshot.providers.len() >= asked {
                    return self.completed_late(job);
                }
            }
        }
        let what = match job.kind {
            JobKind::Backup => format!("{cause}; nothing of it is kept"),
            JobKind::Restore => restore::recover(&self.parts, &mut job)?.to_owned(),
        };
        self.fail(job, &what, retries)
    }

    fn fail(&self, mut job: Job, why: &str, retries: bool) -> Result<()> {
        let running = |s: &&backupd_protocol::Stage| s.state == StageState::Running;
        let stage = job.stages.iter().find(running).map(|s| s.name.clone());
        let error = JobError {
            code: Code::Unavailable,
            message: why.to_owned(),
            stage,
        };
        close_stages(&mut job, Some(&error));
        job.error = Some(error);
        self.finish(job, JobState::Failed, retries)
    }

    fn completed_late(&self, mut job: Job) -> Result<()> {
        job.warnings.push(
            "backupd was ended after the snapshot was committed and before the job was; the \
             snapshot was found whole."
                .to_owned(),
        );
        for stage in &mut job.stages {
            if stage.state == StageState::Running {
                stage.state = StageState::Completed;
            }
        }
        self.finish(job, JobState::Completed, false)
    }

    /// Ends an interrupted job: its folder is gone, its last state and the one event are one change.
    fn finish(&self, mut job: Job, to: JobState, retries: bool) -> Result<()> {
        state::job(job.state, to)?;
        let now = Utc::now().trunc_subsecs(3);
        for stage in job
            .stages
            .iter_mut()
            .filter(|s| s.name == pipeline::CLEANUP)
        {
            stage.state = StageState::Completed;
            stage.message = Some("Removed what the interrupted run left behind.".to_owned());
            stage.finished_at = Some(now);
        }
        job.state = to;
        job.finished_at = Some(now);
        self.write_end(&job, retries)?;
        self.parts.live.tell(LiveMessage::Job(job));
        Ok(())
    }
}

impl Inner {
    /// Whether nobody works on a transfer, and it was not settled since it was read: a retry may
    /// write to its place by then.
    fn may_settle(&self, transfer: &Transfer) -> bool {
        let (job, provider) = (&transfer.job_id, &transfer.provider_id);
        let is_open = |db: &Connection| transfers::is_open(db, job, provider);
        let is_in_hands = self.given_up().contains(job) && transfer.commit.is_some();
        !is_in_hands
            && !self.running().contains_key(job)
            && self.parts.store.read(is_open).unwrap_or(false)
    }
}

impl Queue {
    /// Removes what ended jobs left half-done in stores, until nothing is left; a store that does
    /// not answer is asked again every minute.
    pub(super) async fn settle_rest(inner: Arc<Inner>, shutdown: CancellationToken) {
        loop {
            let open = inner.parts.store.read(|db| transfers::open(db, None));
            let mut waiting = 0;
            for transfer in open.unwrap_or_default() {
                if inner.may_settle(&transfer) {
                    let settled = settle::one(&inner.parts, &transfer).await;
                    waiting += usize::from(settled.is_err());
                }
            }
            tracing::debug!(waiting, "settled what was half-done in stores");
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }
}

//! Ends what does not end by itself: a job that hangs, one that an admin resets, one that is
//! `RUNNING` in the database while nobody runs it.
//!
//! A job is told to end first, which kills its children and stops its uploads; it cleans up after
//! itself then. A thread that does not come back (a disk that hangs holds it in the kernel) is given
//! up after a grace: its places go to others, its job is `FAILED`, what it left is removed. Should it
//! come back after all, it finds itself cancelled and changes nothing.

use std::{fs, sync::Arc, time::Duration};

use backupd_base::{Code, Error, JobId, Result};
use backupd_protocol::{Job, JobError, JobKind, JobState};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Failure, Queue, Track, queue::Inner};
use crate::{
    pipeline::{self, settle},
    store::{jobs, transfers},
};

/// By then the end of a job is written down, or the disk hangs.
const WRITTEN: Duration = Duration::from_secs(30);

impl Queue {
    /// Looks at every running job until `shutdown`.
    pub(super) async fn watch(inner: Arc<Inner>, shutdown: CancellationToken) {
        let mut looks = tokio::time::interval(inner.patience.look);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = looks.tick() => {}
            }
            let looking = Arc::clone(&inner);
            if let Err(error) = blocking(move || looking.look()).await {
                tracing::warn!(%error, "the jobs could not be looked after");
            }
        }
    }

    /// Ends a job that does not end by itself, as `FAILED`; it is not tried again by itself. Waits
    /// until it has cleaned up, for a bounded time.
    ///
    /// # Errors
    /// `NotFound` when there is none of that id; `Conflict` when it does not run; `Timeout` for a
    /// restore whose thread does not come back: only a restart of the program can turn it back.
    pub async fn reset(&self, id: &JobId) -> Result<Job> {
        let track = self.0.running().get(id).cloned();
        let (inner, id) = (Arc::clone(&self.0), id.clone());
        let Some(track) = track else {
            return blocking(move || inner.reset_dead(&id)).await;
        };
        let hang = track.stands();
        tracing::info!(job = %id, %hang, "reset on request");
        let error = JobError {
            code: Code::Timeout,
            message: format!("reset on request: {hang}"),
            stage: Some(hang.stage),
        };
        track.condemn(error, false);
        let ended = || track.ended().cancelled();
        if timeout(self.0.patience.grace, ended()).await.is_err() {
            let given_up = Arc::clone(&track);
            blocking(move || inner.give_up(&given_up)).await?;
            // Its thread or the watch may have been first and be writing down the end.
            let _ = timeout(WRITTEN, ended()).await;
        }
        let queue = self.clone();
        blocking(move || queue.get(&id)).await
    }
}

impl Inner {
    fn look(&self) -> Result<()> {
        let running: Vec<_> = self.running().values().cloned().collect();
        for track in running {
            match track.verdict() {
                None => {
                    if let Some(hang) = track.hang(&self.patience) {
                        tracing::warn!(job = %track.id(), %hang, "the job hangs and is ended");
                        track.condemn(
                            JobError {
                                code: Code::Timeout,
                                message: hang.to_string(),
                                stage: Some(hang.stage),
                            },
                            true,
                        );
                    }
                }
                Some(verdict) if verdict.since.elapsed() > self.patience.grace => {
                    // A restore is told so once a look, and nothing else can be done.
                    if let Err(error) = self.give_up(&track) {
                        tracing::error!(job = %track.id(), %error, "the job does not end");
                    }
                }
                Some(_) => {}
            }
        }
        for job in self
            .parts
            .store
            .read(|db| jobs::in_state(db, JobState::Running))?
        {
            if !self.is_alive(&job.id) {
                tracing::warn!(job = %job.id, "the job is not running any more and is ended");
                self.abandoned(job, "the end of the job could not be written down", true)?;
            }
        }
        Ok(())
    }

    /// Whether a thread works on a job. Under the lock of the running ones a job that is `RUNNING`
    /// is among them.
    fn is_alive(&self, id: &JobId) -> bool {
        let running = self.running();
        running.contains_key(id)
            || !self
                .parts
                .store
                .read(|db| jobs::get(db, id))
                .is_ok_and(|job| job.state == JobState::Running)
    }

    fn reset_dead(&self, id: &JobId) -> Result<Job> {
        let job = self.parts.store.read(|db| jobs::get(db, id))?;
        let why = match job.state {
            JobState::Running if !self.is_alive(&job.id) => {
                self.abandoned(
                    job.clone(),
                    "reset on request: it was not running any more",
                    false,
                )?;
                return self.parts.store.read(|db| jobs::get(db, &job.id));
            }
            JobState::Running => "it has just begun",
            JobState::Pending => "it has not begun; stop it instead",
            _ => "it has ended",
        };
        let why = format!("job {} cannot be reset: {why}", job.id);
        Err(Error::new(Code::Conflict, why))
    }

    /// Ends a job without its thread.
    fn give_up(&self, track: &Arc<Track>) -> Result<()> {
        let job = track.job();
        if job.kind == JobKind::Restore {
            // It may be anywhere between the former state and the new one.
            let why = format!(
                "the restore of {} does not end; restart backupd, which turns it back",
                job.source_name
            );
            return Err(Error::new(Code::Timeout, why));
        }
        if !track.take_end() {
            return Ok(());
        }
        self.given_up().insert(job.id.clone());
        self.parts.resources.evict(&job.id);
        let failure = Failure {
            stage: track.running_stage(),
            error: Error::new(Code::Timeout, "the job does not end"),
        };
        track.amend(|job| {
            job.warnings.push(
                "The job's thread did not come back and was given up; restart backupd to be rid \
                 of it."
                    .to_owned(),
            );
        });
        let written = self.write_outcome(track, Err(failure), false);
        self.running().remove(&job.id);
        track.ended().cancel();
        self.wake.notify_one();
        self.remove_traces(&job.id)?;
        written
    }

    /// What a thread that may come back cannot harm any more: it sends nothing (its uploads are
    /// stopped) and commits nothing whose transfer is gone. What it may be committing is left to be
    /// settled when it is back, or by the next start.
    fn remove_traces(&self, id: &JobId) -> Result<()> {
        let folder = pipeline::folder_of(&self.parts.store, id);
        if let Err(error) = fs::remove_dir_all(&folder) {
            tracing::warn!(folder = %folder.display(), %error, "not removed");
        }
        let open = self.parts.store.read(|db| transfers::open(db, Some(id)))?;
        let (parts, runtime) = (self.parts.clone(), tokio::runtime::Handle::current());
        runtime.spawn(async move {
            for transfer in open.iter().filter(|t| t.commit.is_none()) {
                if let Err(error) = settle::one(&parts, transfer).await {
                    tracing::warn!(%error, "what is half-done in a store is not removed yet");
                }
            }
        });
        Ok(())
    }
}

/// The store blocks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let worked = tokio::task::spawn_blocking(work).await;
    worked.map_err(|e| Error::caused("look after the jobs", e))?
}

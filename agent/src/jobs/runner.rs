//! Takes jobs from the queue in order, as many at a time as there are places at the disk, and
//! runs each on a thread of its own at low priority.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use backupd_base::{Code, Error, Result};
use backupd_protocol::{Job, JobError, JobKind, JobState, Severity};
use chrono::{SubsecRound as _, Utc};
use tokio::{runtime::Handle, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Failure, Queue, Track, queue::Inner, state};
use crate::{
    journal::Entry, modules::tool::NICE, pipeline, resources::Place, restore, retention,
    store::jobs,
};

/// A clock that jumps, or a due time that was changed beside the program, is seen within this.
const LOOK: Duration = Duration::from_secs(60);
/// A retry whose time has come is looked for again no sooner than this.
const SOON: Duration = Duration::from_millis(10);

impl Queue {
    /// Settles what a former process left behind, then runs jobs until `shutdown`; what runs then
    /// is stopped, cleaned up and reported as interrupted before this returns.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<()> {
        let inner = Arc::clone(&self.0);
        let settling = tokio::task::spawn_blocking(move || inner.recover());
        settling
            .await
            .map_err(|e| Error::caused("settle what was interrupted", e))??;
        self.0.settled.cancel();
        tokio::spawn(Self::settle_rest(Arc::clone(&self.0), shutdown.clone()));
        tokio::spawn(Self::watch(Arc::clone(&self.0), shutdown.clone()));
        let mut threads = JoinSet::new();
        while !shutdown.is_cancelled() {
            let place = tokio::select! {
                () = shutdown.cancelled() => break,
                place = self.0.parts.resources.disk() => place,
            };
            let Some(track) = self.0.take(&place, &shutdown)? else {
                drop(place);
                let due = self.0.until_due()?;
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = self.0.wake.notified() => continue,
                    () = tokio::time::sleep(due) => continue,
                }
            };
            let (inner, down) = (Arc::clone(&self.0), shutdown.clone());
            threads.spawn(run_on_thread(inner, track, place, down));
            // Finished ones are let go of.
            while threads.try_join_next().is_some() {}
        }
        while threads.join_next().await.is_some() {}
        Ok(())
    }
}

impl Inner {
    /// The next job, as one that runs.
    fn take(&self, place: &Place, shutdown: &CancellationToken) -> Result<Option<Arc<Track>>> {
        // Held until it is listed, so that a job is always found either pending or running.
        let mut running = self.running();
        let job = self.parts.store.write(|tx| {
            // A process that plans no retries leaves another's alone.
            let retries_until = self.backoff.get().map(|_| Utc::now());
            let Some(mut job) = jobs::next(tx, retries_until)? else {
                return Ok(None);
            };
            state::job(job.state, JobState::Running)?;
            job.state = JobState::Running;
            job.started_at = Some(Utc::now().trunc_subsecs(3));
            jobs::update(tx, &job)?;
            Ok(Some(job))
        })?;
        let Some(job) = job else { return Ok(None) };
        let track = Arc::new(Track::new(
            job.clone(),
            self.parts.live.clone(),
            Arc::clone(&self.parts.store),
            shutdown.child_token(),
        ));
        place.occupy(track.holder());
        running.insert(job.id, Arc::clone(&track));
        drop(running);
        track.tell();
        Ok(Some(track))
    }

    /// How long until the next retry is due; not long at a time, since clocks jump.
    fn until_due(&self) -> Result<Duration> {
        let due = match self.backoff.get() {
            Some(_) => self.parts.store.read(jobs::next_due)?,
            None => None,
        };
        let until = due.map(|due| (due - Utc::now()).to_std().unwrap_or_default());
        Ok(until.map_or(LOOK, |until| until.clamp(SOON, LOOK)))
    }

    fn work(&self, track: &Arc<Track>, runtime: &Handle) -> Result<(), Failure> {
        let job = track.job();
        match job.kind {
            JobKind::Backup => pipeline::run(&self.parts, track, runtime),
            JobKind::Restore => {
                let keys = self.keys().remove(&job.id);
                restore::run(&self.parts, track, runtime, keys)
            }
        }
    }

    /// After a backup that completed: what its source's retention no longer keeps in folders of
    /// this server goes.
    fn keep(&self, track: &Track, runtime: &Handle) {
        let job = track.job();
        if job.kind != JobKind::Backup || job.state != JobState::Completed {
            return;
        }
        let kept = retention::apply(&self.parts, &job.source_id, Utc::now());
        if let Err(error) = runtime.block_on(kept) {
            tracing::warn!(%error, "the retention could not be applied; it is tried again");
        }
    }

    /// Ends a job: its last state and the one event that reports it are one change.
    fn end(&self, track: &Track, outcome: Result<(), Failure>, is_shutdown: bool) -> Result<()> {
        if !track.take_end() {
            return Ok(());
        }
        self.write_outcome(track, outcome, is_shutdown)
    }

    /// For whoever has taken on to write down the end.
    pub(super) fn write_outcome(
        &self,
        track: &Track,
        outcome: Result<(), Failure>,
        is_shutdown: bool,
    ) -> Result<()> {
        let verdict = track.verdict();
        let retries = verdict.as_ref().is_none_or(|verdict| verdict.retries);
        let error = outcome.err().map(|failure| match verdict {
            Some(verdict) => verdict.error,
            None => told(failure, is_shutdown),
        });
        track.close(error.as_ref());
        let state = match &error {
            None => JobState::Completed,
            Some(e) if e.code == Code::Cancelled => JobState::Cancelled,
            Some(_) => JobState::Failed,
        };
        let mut job = track.job();
        state::job(job.state, state)?;
        job.state = state;
        job.error = error.filter(|_| state == JobState::Failed);
        job.finished_at = Some(Utc::now().trunc_subsecs(3));
        self.write_end(&job, retries)?;
        track.amend(|j| *j = job);
        track.tell();
        Ok(())
    }
}

/// The event that reports the end of a job.
pub(super) fn report(job: &Job) -> Entry {
    let (name, done) = match job.kind {
        JobKind::Backup => (&job.source_name, "backed up"),
        JobKind::Restore => (&job.source_name, "restored"),
    };
    let entry = match (job.state, &job.error) {
        (JobState::Completed, _) if job.warnings.is_empty() => Entry::new(
            "job.completed",
            Severity::Info,
            format!("{name} was {done}."),
        ),
        (JobState::Completed, _) => Entry::new(
            "job.completed",
            Severity::Warning,
            format!("{name} was {done}, with {} warnings.", job.warnings.len()),
        ),
        (JobState::Cancelled, _) => Entry::new(
            "job.cancelled",
            Severity::Info,
            format!("The job of {name} was stopped on request."),
        ),
        (_, error) => {
            let why = error.as_ref().map_or("", |e| e.message.as_str());
            let message = format!("{name} was not {done}: {why}.");
            Entry::new("job.failed", Severity::Error, message)
        }
    };
    let entry = entry.about(&job.source_id, &job.id);
    match &job.snapshot_id {
        Some(id) => entry.with("snapshot_id", id),
        None => entry,
    }
}

fn told(failure: Failure, is_shutdown: bool) -> JobError {
    let stage = Some(failure.stage.to_owned());
    if failure.error.code() == Code::Cancelled && is_shutdown {
        return JobError {
            code: Code::Unavailable,
            message: "interrupted: backupd was shut down".to_owned(),
            stage,
        };
    }
    JobError {
        code: failure.error.code(),
        message: failure.error.to_string(),
        stage,
    }
}

async fn run_on_thread(
    inner: Arc<Inner>,
    track: Arc<Track>,
    place: Place,
    shutdown: CancellationToken,
) {
    let runtime = Handle::current();
    let (ended, end) = tokio::sync::oneshot::channel();
    let id = track.job().id;
    let (worker, tracked) = (Arc::clone(&inner), Arc::clone(&track));
    // A thread of its own: the low priority stays with it and goes to the threads it starts.
    let spawned = std::thread::Builder::new()
        .name("job".to_owned())
        .spawn(move || {
            let _ = rustix::process::nice(NICE);
            let work = || worker.work(&tracked, &runtime);
            let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                let stage = tracked.running_stage();
                let error = Error::new(Code::Internal, "the job met a fault of this program");
                Err(Failure { stage, error })
            });
            let is_shutdown = shutdown.is_cancelled();
            if let Err(error) = worker.end(&tracked, outcome, is_shutdown) {
                tracing::error!(%error, "the end of a job could not be written down");
            }
            worker.keep(&tracked, &runtime);
            drop(place);
            worker.given_up().remove(&tracked.id());
            let _ = ended.send(());
        });
    match spawned {
        Ok(_) => tokio::select! {
            _ = end => {}
            // Given up: nobody waits for its thread.
            () = track.ended().cancelled() => {}
        },
        Err(e) => {
            let error = Error::caused("start a thread", e);
            let stage = track.running_stage();
            if let Err(error) = inner.end(&track, Err(Failure { stage, error }), false) {
                tracing::error!(%error, "the end of a job could not be written down");
            }
        }
    }
    inner.running().remove(&id);
    track.ended().cancel();
    inner.wake.notify_one();
}

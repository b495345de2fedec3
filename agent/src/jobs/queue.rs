//! The door to the jobs: submit, look, stop.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use backupd_base::{Code, Error, JobId, Result, SourceId};
use backupd_protocol::{
    Job, JobCreate, JobKind, JobOrigin, JobState, LentKeys, LiveMessage, Occupant, Resources,
    RestoreCreate, Severity, Source, StageState,
};
use chrono::{SubsecRound as _, Utc};
use rusqlite::{Connection, Transaction};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Parts, Track,
    pulse::Patience,
    retry::{self, Backoff},
    state,
};
use crate::{
    journal::Entry,
    modules, pipeline,
    restore::{self, Request, RestoreRequest},
    store::{events, jobs, removals, snapshots},
};

/// Somebody waits for a restore.
const RESTORE_PRIORITY: u8 = 10;
/// A job that nobody gave a priority.
const PRIORITY: u8 = 5;

/// The queue of jobs. Clones share it.
#[derive(Clone)]
pub struct Queue(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) parts: Parts,
    pub(super) running: Mutex<HashMap<JobId, Arc<Track>>>,
    /// Lent for one restore each, in memory only: a restore does not survive a restart.
    pub(super) keys: Mutex<HashMap<JobId, LentKeys>>,
    pub(super) wake: Notify,
    /// How failed backups are tried again; not at all while it is not set.
    pub(super) backoff: OnceLock<Backoff>,
    pub(super) patience: Patience,
    /// Ended while their threads were not back.
    pub(super) given_up: Mutex<HashSet<JobId>>,
    /// Cancelled once what a former process left behind is settled.
    pub(super) settled: CancellationToken,
}

impl Queue {
    /// The queue in the agent's database. Nothing runs before [`Queue::run`].
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self::with_patience(parts, Patience::default())
    }

    /// [`Queue::new`], for jobs that may stand still for as long as `patience` says.
    #[must_use]
    pub fn with_patience(parts: Parts, patience: Patience) -> Self {
        Self(Arc::new(Inner {
            parts,
            running: Mutex::default(),
            keys: Mutex::default(),
            wake: Notify::new(),
            backoff: OnceLock::new(),
            patience,
            given_up: Mutex::default(),
            settled: CancellationToken::new(),
        }))
    }

    /// Asks for a backup of a source.
    ///
    /// # Errors
    /// `NotFound` for a source there is not; `Conflict` while one of its jobs is pending or
    /// running, but for a retry that waits, which gives way; `Invalid` for a priority above 10, or a source that cannot be backed up as it is
    /// configured.
    pub fn submit_backup(&self, create: &JobCreate) -> Result<Job> {
        let source = self.0.parts.host.source(&create.source_id)?;
        modules::find(&source.module)?;
        pipeline::check(&source)?;
        let job = new_job(
            JobKind::Backup,
            (&source.id, &source.name, &source.module),
            create.priority.unwrap_or(PRIORITY),
            pipeline::STAGES,
        );
        self.submit(job, "{}", None)
    }

    /// Asks for the backup of a source that is due. What comes of it, the job or why there is none,
    /// goes to `note`, whose changes and entries are one transaction with the job: after a crash
    /// all of it happened or nothing did.
    ///
    /// # Errors
    /// What `note` fails with, or the store; nothing happened then.
    pub fn submit_scheduled(
        &self,
        source: &Source,
        note: impl FnOnce(&Transaction<'_>, &Result<Job>) -> Result<Vec<Entry>>,
    ) -> Result<()> {
        let asked = pipeline::check(source).map(|()| Job {
            origin: JobOrigin::Schedule,
            ..new_job(
                JobKind::Backup,
                (&source.id, &source.name, &source.module),
                PRIORITY,
                pipeline::STAGES,
            )
        });
        let ((gone, written), _) = self.0.parts.journal.record_all(|tx| {
            let (mut gone, mut entries) = (None, Vec::new());
            let written = match asked {
                Ok(job) => {
                    if let Some((retry, entry)) = retry::give_way(tx, &job)? {
                        gone = Some(retry);
                        entries.push(entry);
                    }
                    match jobs::insert(tx, &job, "{}") {
                        Ok(()) => Ok(job),
                        Err(e) if e.code() == Code::Conflict => Err(e),
                        Err(e) => return Err(e),
                    }
                }
                Err(e) => Err(e),
            };
            entries.extend(note(tx, &written)?);
            Ok(((gone, written), entries))
        })?;
        for job in gone.into_iter().chain(written.ok()) {
            self.0.parts.live.tell(LiveMessage::Job(job));
        }
        self.0.wake.notify_one();
        Ok(())
    }

    /// Returns once what a former process left behind is settled: until then its jobs seem to run.
    pub async fn settled(&self) {
        self.0.settled.cancelled().await;
    }

    /// Asks for a restore of a snapshot on this node.
    ///
    /// # Errors
    /// `NotFound` for a snapshot that is not in the catalogue, or not at that provider; `Conflict`
    /// as for a backup; `Invalid` for a target that cannot be.
    pub fn submit_restore(&self, create: RestoreCreate) -> Result<Job> {
        let parts = &self.0.parts;
        let snapshot = parts
            .store
            .read(|db| snapshots::get(db, &create.snapshot_id))?;
        if !snapshot.providers.contains(&create.provider_id) {
            let why = format!(
                "{} does not hold snapshot {}",
                create.provider_id, snapshot.id
            );
            return Err(Error::new(Code::NotFound, why));
        }
        let request = RestoreRequest::from(&create);
        restore::check(parts, &snapshot, &request)?;
        // The source may be gone from the configuration; its snapshots are still there.
        let source = parts.host.source(&snapshot.source_id);
        let (name, module) = source.map_or_else(
            |_| (snapshot.source_id.to_string(), String::new()),
            |source| (source.name, source.module),
        );
        let request = Request::Restore(request);
        let mut job = new_job(
            JobKind::Restore,
            (&snapshot.source_id, &name, &module),
            RESTORE_PRIORITY,
            restore::stages(&request),
        );
        job.snapshot_id = Some(snapshot.id);
        self.submit(job, &to_json(&request), Some(create.keys))
    }

    /// Asks for the state from before a restore in place to be brought back: a job of its own.
    ///
    /// # Errors
    /// `NotFound` for a job there is not; `Conflict` when it keeps no former state, or while
    /// another job of its source is pending or running.
    pub fn submit_undo(&self, id: &JobId) -> Result<Job> {
        let undone = self.get(id)?;
        can_undo(&undone)?;
        let request = Request::Undo(undone.id);
        let mut job = new_job(
            JobKind::Restore,
            (&undone.source_id, &undone.source_name, &undone.module),
            RESTORE_PRIORITY,
            restore::stages(&request),
        );
        job.snapshot_id = undone.snapshot_id;
        self.submit(job, &to_json(&request), None)
    }

    /// Drops the state from before a restore in place, for good. Blocks while it is removed.
    ///
    /// # Errors
    /// `NotFound` for a job there is not; `Conflict` when it keeps no former state, or while it is
    /// being brought back.
    pub fn confirm(&self, id: &JobId) -> Result<Job> {
        let job = self.get(id)?;
        can_undo(&job)?;
        let running = self.list(Some(&job.source_id), 1)?;
        let stands_in_the_way = |job: &Job| !job.state.is_final() && !job.is_waiting();
        if running.iter().any(stands_in_the_way) {
            let why = format!("a job of {} is pending or running", job.source_name);
            return Err(Error::new(Code::Conflict, why));
        }
        restore::confirm(&self.0.parts, id)?;
        self.get(id)
    }

    /// A job as it is now.
    ///
    /// # Errors
    /// `NotFound` when there is none of that id.
    pub fn get(&self, id: &JobId) -> Result<Job> {
        match self.running().get(id) {
            Some(track) => Ok(track.job()),
            None => self.0.parts.store.read(|db| jobs::get(db, id)),
        }
    }

    /// Jobs as they are now, newest first; of one source, if one is named.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(&self, source: Option<&SourceId>, limit: u32) -> Result<Vec<Job>> {
        let mut list = self
            .0
            .parts
            .store
            .read(|db| jobs::list(db, source, limit))?;
        let running = self.running();
        for job in &mut list {
            if let Some(track) = running.get(&job.id) {
                *job = track.job();
            }
        }
        Ok(list)
    }

    /// Stops a job, and with it the chain of its retries. A pending one is `CANCELLED` at once, a running one as soon as it has cleaned
    /// up after itself. One whose snapshot is being committed completes.
    ///
    /// # Errors
    /// `NotFound` when there is none of that id; `Conflict` when it has ended.
    pub fn stop(&self, id: &JobId) -> Result<Job> {
        if let Some(track) = self.running().get(id) {
            track.cancel().cancel();
            return Ok(track.job());
        }
        let ((), job) = self.0.parts.store.write(|tx| {
            let mut job = jobs::get(tx, id)?;
            if job.state == JobState::Running {
                // It was taken by the runner a moment ago and is not listed as running yet.
                return Ok(((), job));
            }
            cancel_pending(tx, &mut job)?;
            Ok(((), job))
        })?;
        if job.state == JobState::Running {
            // `take` lists it before it lets go of the list of running jobs.
            return self.stop(id);
        }
        self.0.keys().remove(id);
        self.0.parts.journal.record(
            Entry::new(
                "job.cancelled",
                Severity::Info,
                format!(
                    "The job of {} was stopped before it began.",
                    job.source_name
                ),
            )
            .about(&job.source_id, &job.id),
        )?;
        self.0.parts.live.tell(LiveMessage::Job(job.clone()));
        Ok(job)
    }

    /// Who has which place, and who waits. Jobs that are due wait for the disk.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn resources(&self) -> Result<Resources> {
        let parts = &self.0.parts;
        let mut view = parts.resources.view(&parts.store)?;
        let waiting = parts.store.read(|db| jobs::waiting(db, Utc::now()))?;
        view.io.waiters = waiting
            .into_iter()
            .map(|job| Occupant {
                since: job.not_before.unwrap_or(job.created_at),
                job_id: job.id,
                source_name: job.source_name,
            })
            .collect();
        Ok(view)
    }

    /// How many jobs run.
    #[must_use]
    pub fn running_count(&self) -> usize {
        self.running().len()
    }

    /// Writes a job that was asked for and wakes the runner.
    pub(super) fn submit(&self, job: Job, request: &str, keys: Option<LentKeys>) -> Result<Job> {
        if job.priority > 10 {
            let why = format!("priority {} is not between 0 and 10", job.priority);
            return Err(Error::new(Code::Invalid, why));
        }
        // Before the runner can see the job.
        if let Some(keys) = keys {
            self.0.keys().insert(job.id.clone(), keys);
        }
        let written = self.0.parts.store.write(|tx| {
            if let Some(snapshot) = &job.snapshot_id {
                removals::check_stays(tx, snapshot)?;
            }
            let gone = match retry::give_way(tx, &job)? {
                Some((gone, entry)) => Some((gone, events::append(tx, &entry)?)),
                None => None,
            };
            jobs::insert(tx, &job, request)?;
            Ok(gone)
        });
        match written {
            Ok(None) => {}
            Ok(Some((gone, event))) => {
                self.0.parts.live.tell(LiveMessage::Event(event));
                self.0.parts.live.tell(LiveMessage::Job(gone));
            }
            Err(e) => {
                self.0.keys().remove(&job.id);
                return Err(e);
            }
        }
        self.0.parts.live.tell(LiveMessage::Job(job.clone()));
        self.0.wake.notify_one();
        Ok(job)
    }

    fn running(&self) -> MutexGuard<'_, HashMap<JobId, Arc<Track>>> {
        self.0.running()
    }
}

impl Inner {
    pub(super) fn running(&self) -> MutexGuard<'_, HashMap<JobId, Arc<Track>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn given_up(&self) -> MutexGuard<'_, HashSet<JobId>> {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keys(&self) -> MutexGuard<'_, HashMap<JobId, LentKeys>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_json(request: &Request) -> String {
    serde_json::to_string(request).expect("a request is plain JSON")
}

fn can_undo(job: &Job) -> Result<()> {
    if job.can_undo {
        return Ok(());
    }
    let why = format!("job {} keeps no former state", job.id);
    Err(Error::new(Code::Conflict, why))
}

/// Cancels a job that has not begun.
pub(super) fn cancel_pending(tx: &Connection, job: &mut Job) -> Result<()> {
    state::job(job.state, JobState::Cancelled)?;
    job.state = JobState::Cancelled;
    job.finished_at = Some(Utc::now().trunc_subsecs(3));
    for stage in &mut job.stages {
        stage.state = StageState::Skipped;
    }
    jobs::update(tx, job)
}

/// A job that is asked for now.
pub(super) fn new_job(
    kind: JobKind,
    source: (&SourceId, &str, &str),
    priority: u8,
    stages: &[&str],
) -> Job {
    Job::new(kind, source, priority, stages, Utc::now().trunc_subsecs(3))
}

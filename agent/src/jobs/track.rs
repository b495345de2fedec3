//! A running job as it is at this moment: stages move, bytes count, whoever looks is told, and
//! every step of a stage is written down.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use backupd_base::{Code, Error, JobId, Result};
use backupd_protocol::{Job, JobError, LiveMessage, Progress, Stage, StageState};
use chrono::{SubsecRound as _, Utc};
use tokio_util::sync::CancellationToken;

use super::{
    pulse::{For, Hang, Patience, Pulse},
    state,
};
use crate::{
    live::Live,
    pipeline,
    resources::Holder,
    restore,
    store::{Store, jobs},
};

/// A job that moves is told four times a second at most.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// What failed a job, and the stage it failed in.
#[derive(Debug)]
pub struct Failure {
    /// The stage.
    pub stage: &'static str,
    /// Why.
    pub error: Error,
}

/// Says which stage failed, on the way up.
pub trait InStage<T> {
    /// The same failure, as one of `stage`.
    ///
    /// # Errors
    /// What it was called on.
    fn in_stage(self, stage: &'static str) -> Result<T, Failure>;
}

impl<T> InStage<T> for Result<T> {
    fn in_stage(self, stage: &'static str) -> Result<T, Failure> {
        self.map_err(|error| Failure { stage, error })
    }
}

/// The live state of one job. Shared by the thread that works and by whoever asks.
#[derive(Debug)]
pub struct Track {
    job: Mutex<Moving>,
    live: Live,
    store: Arc<Store>,
    cancel: CancellationToken,
    pulse: Mutex<Pulse>,
    verdict: Mutex<Option<Verdict>>,
    /// Whoever sets it writes down the end.
    end: AtomicBool,
    ended: CancellationToken,
}

/// Why a job is ended from outside.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    /// What it fails with.
    pub error: JobError,
    /// Whether it may be tried again by itself.
    pub retries: bool,
    /// When it was told to end.
    pub since: Instant,
}

/// A wait that is entered, until this is dropped.
#[derive(Debug)]
pub struct Waits<'a> {
    track: &'a Track,
    id: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.track.pulse().leave(Instant::now(), self.id);
    }
}

#[derive(Debug)]
struct Moving {
    job: Job,
    told: Instant,
    /// The stage whose progress is the job's.
    leading: Option<usize>,
}

impl Track {
    /// The live state of `job`, which stops when `cancel` says so.
    #[must_use]
    pub fn new(job: Job, live: Live, store: Arc<Store>, cancel: CancellationToken) -> Self {
        Self {
            job: Mutex::new(Moving {
                job,
                told: Instant::now(),
                leading: None,
            }),
            live,
            store,
            cancel,
            pulse: Mutex::new(Pulse::new(Instant::now())),
            verdict: Mutex::default(),
            end: AtomicBool::new(false),
            ended: CancellationToken::new(),
        }
    }

    /// The job's id.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.lock().job.id.clone()
    }

    /// Whose places it takes.
    #[must_use]
    pub fn holder(&self) -> Holder {
        let inner = self.lock();
        Holder {
            job_id: inner.job.id.clone(),
            source_name: inner.job.source_name.clone(),
        }
    }

    /// The job waits for something, in words that follow "waiting for", until the answer is dropped.
    /// A job that waits for too long is ended and says so.
    #[must_use]
    pub fn waits(&self, stage: &'static str, of: For, what: impl Into<String>) -> Waits<'_> {
        let id = self.pulse().enter(Instant::now(), stage, of, what.into());
        Waits { track: self, id }
    }

    /// The job moves, where no bytes or files show it.
    pub fn beat(&self) {
        self.pulse().beat(Instant::now());
    }

    /// Whether it has stood still for too long.
    pub(super) fn hang(&self, patience: &Patience) -> Option<Hang> {
        let stage = self.last_stage();
        self.pulse().hang(Instant::now(), patience, &stage)
    }

    /// What it waits for now, and since when.
    pub(super) fn stands(&self) -> Hang {
        let stage = self.last_stage();
        self.pulse().now(Instant::now(), &stage)
    }

    /// Has it end with a verdict; the first holds.
    pub(super) fn condemn(&self, error: JobError, retries: bool) {
        self.verdict_lock().get_or_insert(Verdict {
            error,
            retries,
            since: Instant::now(),
        });
        self.cancel.cancel();
    }

    /// Why it is to end, if it was told to from outside.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.verdict_lock().clone()
    }

    /// Takes it on to write down the end: true for one caller only.
    pub(super) fn take_end(&self) -> bool {
        !self.end.swap(true, Ordering::SeqCst)
    }

    /// Cancelled once its end is written down and it does not count as running any more.
    pub(super) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// The job as it is now.
    #[must_use]
    pub fn job(&self) -> Job {
        self.lock().job.clone()
    }

    /// What stops the job.
    #[must_use]
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Fails once the job is to stop.
    ///
    /// # Errors
    /// `Cancelled`.
    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            Err(Error::new(Code::Cancelled, "the job was stopped"))
        } else {
            Ok(())
        }
    }

    /// Begins a stage.
    ///
    /// # Errors
    /// `Conflict` when it cannot begin now; when the store cannot be written.
    pub fn begin(&self, stage: &str) -> Result<()> {
        self.step(stage, StageState::Running, None)
    }

    /// Ends a stage well, with its outcome in a sentence.
    ///
    /// # Errors
    /// `Conflict` when it does not run; when the store cannot be written.
    pub fn complete(&self, stage: &str, message: impl Into<String>) -> Result<()> {
        self.step(stage, StageState::Completed, Some(message.into()))
    }

    /// Leaves a stage out, and says why.
    ///
    /// # Errors
    /// `Conflict` when it has ended; when the store cannot be written.
    pub fn skip(&self, stage: &str, message: impl Into<String>) -> Result<()> {
        self.step(stage, StageState::Skipped, Some(message.into()))
    }

    /// From now on this stage's progress is the job's.
    pub fn lead(&self, stage: &str) {
        let mut inner = self.lock();
        inner.leading = inner.job.stages.iter().position(|s| s.name == stage);
    }

    /// Says something of a stage that runs; its outcome comes after it.
    pub fn note(&self, stage: &str, note: impl Into<String>) {
        self.change(stage, |stage| stage.message = Some(note.into()));
    }

    /// Notes a fact about a stage.
    pub fn detail(&self, stage: &str, name: &str, value: impl ToString) {
        self.change(stage, |stage| {
            stage.details.insert(name.to_owned(), value.to_string());
        });
    }

    /// Moves the progress of a stage.
    pub fn progress(&self, stage: &str, change: impl FnOnce(&mut Progress)) {
        let mut moved = false;
        self.change(stage, |stage| {
            let before = stage.progress;
            change(&mut stage.progress);
            moved = stage.progress != before;
        });
        if moved {
            self.beat();
        }
    }

    /// Changes something of the job itself.
    pub fn amend(&self, change: impl FnOnce(&mut Job)) {
        change(&mut self.lock().job);
    }

    /// Writes the job down as it is now.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn write_down(&self) -> Result<()> {
        let job = self.job();
        self.store.write(|tx| jobs::update(tx, &job))
    }

    /// Notes what does not fail the job but must be said.
    pub fn warn(&self, warning: impl Into<String>) {
        self.lock().job.warnings.push(warning.into());
    }

    /// Ends every stage that has not ended.
    pub(super) fn close(&self, failure: Option<&JobError>) {
        close_stages(&mut self.lock().job, failure);
    }

    /// The stage that runs, for a failure nobody could place.
    pub(super) fn running_stage(&self) -> &'static str {
        let job = self.job();
        let running = job.stages.iter().find(|s| s.state == StageState::Running);
        let name = running.or(job.stages.first()).map_or("", |s| &s.name);
        let known = pipeline::STAGES.iter().chain(restore::STAGES);
        known.copied().find(|s| *s == name).unwrap_or("cleanup")
    }

    /// Tells whoever looks, at once.
    pub(super) fn tell(&self) {
        let mut inner = self.lock();
        self.tell_now(&mut inner);
    }

    /// The last stage at work.
    fn last_stage(&self) -> String {
        let job = &self.lock().job;
        let mut stages = job.stages.iter().rev();
        let running = stages.find(|s| s.state == StageState::Running);
        running.map_or_else(|| "the job".to_owned(), |s| s.name.clone())
    }

    fn step(&self, name: &str, to: StageState, message: Option<String>) -> Result<()> {
        let mut inner = self.lock();
        let stage = find(&mut inner.job, name)?;
        state::stage(stage.state, to)?;
        let now = Utc::now().trunc_subsecs(3);
        stage.state = to;
        match to {
            StageState::Running => stage.started_at = Some(now),
            _ => stage.finished_at = stage.started_at.map(|_| now),
        }
        stage.message = match (stage.message.take(), message) {
            (Some(note), Some(message)) => Some(format!("{note} {message}")),
            (note, message) => message.or(note),
        };
        self.tell_now(&mut inner);
        self.beat();
        let job = inner.job.clone();
        // Not held while the disk is waited for.
        drop(inner);
        self.store.write(|tx| jobs::update(tx, &job))
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Stage)) {
        let mut inner = self.lock();
        if let Ok(stage) = find(&mut inner.job, name) {
            change(stage);
        }
        if let Some(leading) = inner.leading {
            inner.job.progress = inner.job.stages[leading].progress;
        }
        if inner.told.elapsed() >= TELL_EVERY {
            self.tell_now(&mut inner);
        }
    }

    fn tell_now(&self, inner: &mut Moving) {
        inner.told = Instant::now();
        self.live.tell(LiveMessage::Job(inner.job.clone()));
    }

    fn pulse(&self) -> MutexGuard<'_, Pulse> {
        self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn verdict_lock(&self) -> MutexGuard<'_, Option<Verdict>> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Moving> {
        // Plain values: whoever panicked left each of them whole.
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find<'a>(job: &'a mut Job, name: &str) -> Result<&'a mut Stage> {
    let stage = job.stages.iter_mut().find(|stage| stage.name == name);
    stage.ok_or_else(|| Error::new(Code::Internal, format!("the job has no stage {name}")))
}

/// Ends every stage that has not ended: the failed one with its error, the others as left out.
pub(super) fn close_stages(job: &mut Job, failure: Option<&JobError>) {
    let now = Utc::now().trunc_subsecs(3);
    for stage in &mut job.stages {
        let is_open = matches!(stage.state, StageState::Pending | StageState::Running);
        if !is_open {
            continue;
        }
        let note = stage
            .message
            .take()
            .map_or_else(String::new, |note| note + " ");
        let own = failure.filter(|f| f.stage.as_ref() == Some(&stage.name));
        (stage.state, stage.message) = match (own, failure) {
            (Some(own), _) if own.code != Code::Cancelled => {
                (StageState::Failed, Some(note + &own.message))
            }
            (_, Some(f)) if f.code == Code::Cancelled => {
                (StageState::Skipped, Some("Stopped on request.".to_owned()))
            }
            _ => (
                StageState::Skipped,
                Some("Not finished, since another stage failed.".to_owned()),
            ),
        };
        // A stage that never began may be the one that failed.
        stage.finished_at = Some(now).filter(|_| stage.started_at.is_some());
    }
}

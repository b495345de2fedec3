//! A running job as it is at this moment: stages move, bytes count, whoever looks is told, and
//! every step of a stage is written down.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use backupd_base::{Code, Error, Result};
use backupd_protocol::{Job, JobError, LiveMessage, Progress, Stage, StageState};
use chrono::{SubsecRound as _, Utc};
use tokio_util::sync::CancellationToken;

use super::state;
use crate::{
    live::Live,
    pipeline, restore,
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
        }
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

    /// Notes a fact about a stage.
    pub fn detail(&self, stage: &str, name: &str, value: impl ToString) {
        self.change(stage, |stage| {
            stage.details.insert(name.to_owned(), value.to_string());
        });
    }

    /// Moves the progress of a stage.
    pub fn progress(&self, stage: &str, change: impl FnOnce(&mut Progress)) {
        self.change(stage, |stage| change(&mut stage.progress));
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
        if message.is_some() {
            stage.message = message;
        }
        self.tell_now(&mut inner);
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
        let own = failure.filter(|f| f.stage.as_ref() == Some(&stage.name));
        (stage.state, stage.message) = match (own, failure) {
            (Some(own), _) if own.code != Code::Cancelled => {
                (StageState::Failed, Some(own.message.clone()))
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

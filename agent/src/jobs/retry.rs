//! Trying again what failed: which failures pass by themselves, when the next attempt is due, and
//! how an admin asks for one at once.
//!
//! A retry is a job of its own, linked to the first of its chain and written in the same change as
//! the failure it follows: a crash loses neither. Deliberately not here: what of the failed attempt
//! is still good (`pipeline::resume`), and retries of single calls to a store (`backupd-storage`).

use std::time::Duration;

use backupd_base::{Code, Error, JobId, Result};
use backupd_protocol::{Job, JobKind, JobOrigin, JobState, LiveMessage};
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use rand::Rng as _;
use rusqlite::Connection;

use super::{
    Queue,
    queue::{Inner, new_job},
    runner::report,
};
use crate::{journal::Entry, modules, pipeline, store::jobs};

/// How long a failed backup waits before it is tried again.
#[derive(Debug, Clone)]
pub struct Backoff {
    /// The longest wait before the second attempt.
    pub first: Duration,
    /// Each further wait is so many times longer.
    pub factor: u32,
    /// No wait is longer.
    pub longest: Duration,
    /// Attempts in all, the first included.
    pub attempts: u32,
}

impl Default for Backoff {
    /// Single calls to a store were tried for minutes already: what is left are outages. A minute
    /// outlasts a restart, the second wait a reboot, the third a short maintenance; the cap keeps a
    /// chain inside its morning whatever the factor becomes. After four attempts a person is needed
    /// more than a fifth, and the next run of the schedule is a fresh start anyway.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(60),
            factor: 4,
            longest: Duration::from_secs(3600),
            attempts: Job::MOST_ATTEMPTS,
        }
    }
}

impl Backoff {
    /// The longest wait after attempt number `attempt`.
    fn most(&self, attempt: u32) -> Duration {
        let grown = self.factor.saturating_pow(attempt.saturating_sub(1));
        self.first.saturating_mul(grown).min(self.longest)
    }

    /// The wait after attempt number `attempt`: at least half of the longest, so that it does
    /// outlast something, the rest at random, so that many servers that lost one store do not come
    /// back in step.
    fn wait(&self, attempt: u32) -> Duration {
        let most = self.most(attempt);
        rand::thread_rng().gen_range(most / 2..=most)
    }
}

/// Whether what a code stands for passes by itself.
///
/// A full disk does not empty itself, and trying would fill it again. A missing or failing tool,
/// a wrong password, damaged data, a fault of this program: the same again. What an admin stopped
/// stays stopped.
fn passes(code: Code) -> bool {
    match code {
        // Not reached, or shut down in between; hung; changed under the dump; asked too often.
        Code::Unavailable | Code::Timeout | Code::Conflict | Code::TooMany => true,
        Code::Invalid
        | Code::NotFound
        | Code::AlreadyExists
        | Code::Unauthorized
        | Code::Denied
        | Code::Cancelled
        | Code::Corrupt
        | Code::DiskFull
        | Code::CodeRejected
        | Code::WindowClosed
        | Code::WrongPeer
        | Code::Incompatible
        | Code::KeyringLocked
        | Code::KeyMissing
        | Code::ClockSkew
        | Code::Tool
        | Code::Internal => false,
    }
}

/// Whether a failed job may succeed when it is tried again: it failed, or one of its providers did,
/// for a reason that passes.
fn may_pass(job: &Job) -> bool {
    let lost = job.providers.iter().filter_map(|p| p.error.as_ref());
    job.error.iter().chain(lost).any(|error| passes(error.code))
}

/// The attempt after `job`, not before its time.
fn after(job: &Job, attempt: u32, not_before: Option<DateTime<Utc>>) -> Job {
    let mut next = new_job(
        JobKind::Backup,
        (&job.source_id, &job.source_name, &job.module),
        job.priority,
        pipeline::STAGES,
    );
    next.retry_of = Some(job.retry_of.clone().unwrap_or_else(|| job.id.clone()));
    next.attempt = attempt;
    next.origin = JobOrigin::Retry;
    next.not_before = not_before;
    next
}

impl Inner {
    /// Ends a job: its last state, the one event that reports it, and the next attempt where one
    /// is due are one change. `retries`: whether this end may have a next attempt.
    pub(super) fn write_end(&self, job: &Job, retries: bool) -> Result<()> {
        let backoff = self.backoff.get().filter(|b| {
            retries
                && job.state == JobState::Failed
                && job.kind == JobKind::Backup
                && job.attempt < b.attempts
                && may_pass(job)
        });
        let next = backoff.map(|backoff| {
            let wait = TimeDelta::from_std(backoff.wait(job.attempt)).unwrap_or_default();
            let due = (Utc::now() + wait).trunc_subsecs(3);
            (
                after(job, job.attempt + 1, Some(due)),
                due,
                backoff.attempts,
            )
        });
        self.parts.journal.record_with(|tx| {
            jobs::update(tx, job)?;
            let mut entry = report(job);
            if let Some((next, due, attempts)) = &next {
                jobs::insert(tx, next, "{}")?;
                let (at, attempt) = (due.format("%H:%M UTC"), next.attempt);
                entry.message +=
                    &format!(" It is tried again at {at}, attempt {attempt} of {attempts}.");
                entry = entry
                    .with("retry_job_id", &next.id)
                    .with("retry_at", due.to_rfc3339());
            }
            Ok(((), entry))
        })?;
        if let Some((next, ..)) = next {
            self.parts.live.tell(LiveMessage::Job(next));
            self.wake.notify_one();
        }
        Ok(())
    }
}

impl Queue {
    /// From now on backups that failed for a passing reason are tried again by themselves. Only for
    /// a process that stays: a command would plan what nobody carries out.
    pub fn retry_failures(&self, backoff: Backoff) {
        // The first say holds.
        let _ = self.0.backoff.set(backoff);
    }

    /// Tries a failed or stopped backup again, at once: a new job, linked to the first of its
    /// chain. Where the chain's next attempt waits for its time, that one is brought forward.
    ///
    /// # Errors
    /// `NotFound` for a job there is not, or whose source is gone; `Conflict` for a job that has not
    /// ended or has completed, for a restore, and while another job of the source is pending or
    /// running.
    pub fn retry(&self, id: &JobId) -> Result<Job> {
        let job = self.get(id)?;
        can_retry(&job)?;
        let first = job.retry_of.clone().unwrap_or_else(|| job.id.clone());
        if let Some(forward) = self.bring_forward(&job, &first)? {
            return Ok(forward);
        }
        let source = self.0.parts.host.source(&job.source_id)?;
        modules::find(&source.module)?;
        pipeline::check(&source)?;
        let chain = self.0.parts.store.read(|db| jobs::chain(db, &first))?;
        let attempts = chain.iter().map(|job| job.attempt).max().unwrap_or(1);
        let mut next = after(&job, attempts + 1, None);
        next.source_name = source.name;
        self.submit(next, "{}", None)
    }

    /// The waiting retry of this chain, due from now on.
    fn bring_forward(&self, job: &Job, first: &JobId) -> Result<Option<Job>> {
        let forward = self.0.parts.store.write(|tx| {
            let waiting = jobs::pending(tx, &job.source_id)?
                .filter(|waiting| waiting.is_waiting() && waiting.retry_of.as_ref() == Some(first));
            let Some(mut waiting) = waiting else {
                return Ok(None);
            };
            waiting.not_before = None;
            jobs::update(tx, &waiting)?;
            Ok(Some(waiting))
        })?;
        if let Some(job) = &forward {
            self.0.parts.live.tell(LiveMessage::Job(job.clone()));
            self.0.wake.notify_one();
        }
        Ok(forward)
    }
}

fn can_retry(job: &Job) -> Result<()> {
    let why = match (job.kind, job.state) {
        (JobKind::Restore, _) => {
            "the keys a restore is lent are for one run; start it again from its snapshot"
        }
        (_, JobState::Failed | JobState::Cancelled) => return Ok(()),
        (_, JobState::Pending) if job.is_waiting() => return Ok(()),
        (_, JobState::Pending) => "it waits for its turn already",
        (_, JobState::Running) => "it runs",
        (_, JobState::Completed) => "it has completed; back the source up again instead",
    };
    let why = format!("job {} cannot be retried: {why}", job.id);
    Err(Error::new(Code::Conflict, why))
}

/// Takes a waiting retry of the job's source out of the way of `job`: what somebody asks for comes
/// first, and does what the retry would have done, on newer data.
///
/// # Errors
/// When the store cannot be written.
pub(super) fn give_way(tx: &Connection, job: &Job) -> Result<Option<(Job, Entry)>> {
    let Some(mut waiting) = jobs::pending(tx, &job.source_id)?.filter(Job::is_waiting) else {
        return Ok(None);
    };
    super::queue::cancel_pending(tx, &mut waiting)?;
    let name = &waiting.source_name;
    let message = format!("The retry of {name} gave way to a job that was asked for.");
    let entry = Entry::new("job.cancelled", backupd_protocol::Severity::Info, message)
        .about(&waiting.source_id, &waiting.id)
        .with("replaced_by", &job.id);
    Ok(Some((waiting, entry)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_are_never_short_and_differ() {
        let backoff = Backoff::default();
        let minutes = |attempt| backoff.most(attempt).as_secs() / 60;
        assert_eq!([1, 2, 3, 4, 40].map(minutes), [1, 4, 16, 60, 60]);
        for attempt in 1..6 {
            let most = backoff.most(attempt);
            let waits: Vec<_> = (0..50).map(|_| backoff.wait(attempt)).collect();
            assert!(waits.iter().all(|wait| (most / 2..=most).contains(wait)));
            assert!(waits.iter().any(|wait| *wait != waits[0]));
        }
    }

    #[test]
    fn only_what_passes_by_itself_is_tried_again() {
        for code in [Code::Unavailable, Code::Timeout, Code::Conflict] {
            assert!(passes(code), "{code:?}");
        }
        for code in [
            Code::Denied,
            Code::Invalid,
            Code::Corrupt,
            Code::DiskFull,
            Code::Tool,
            Code::Cancelled,
        ] {
            assert!(!passes(code), "{code:?}");
        }
    }
}

//! How runs are told: in the store and in the journal.

use backupd_base::{Code, Result};
use backupd_policy::schedule::Plan;
use backupd_protocol::{Job, RunOutcome, ScheduledRun, Severity, Source};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::{ON_TIME, due::Due};
use crate::journal::Entry;

/// What is told of the runs of one source at one time.
pub struct Told<'a> {
    pub source: &'a Source,
    pub plan: &'a Plan,
    pub now: DateTime<Utc>,
    /// They were due before this process began.
    pub is_off: bool,
}

impl Told<'_> {
    /// The run a job was asked for, from what came of that.
    pub fn latest(&self, due: DateTime<Utc>, submitted: &Result<Job>) -> (ScheduledRun, Entry) {
        let is_late = self.now - due > ON_TIME;
        let late = is_late.then(|| {
            format!(
                "{}, made up at {}",
                self.missed_because(),
                self.time(self.now)
            )
        });
        let mut run = self.run(due, RunOutcome::Submitted, late);
        match submitted {
            Ok(job) => {
                run.job_id = Some(job.id.clone());
                let entry = self.due_entry(&run).about(&self.source.id, &job.id);
                return (run, entry);
            }
            Err(e) if e.code() == Code::Conflict => {
                run.outcome = RunOutcome::Skipped;
                run.reason = Some(e.to_string());
            }
            Err(e) => {
                run.outcome = RunOutcome::Failed;
                run.reason = Some(e.to_string());
            }
        }
        let entry = match run.outcome {
            RunOutcome::Failed => {
                self.entry("schedule.failed", Severity::Error, "could not begin", &run)
            }
            _ => self.skipped(&run),
        };
        (run, entry)
    }

    /// The runs before it, which it makes up for if there is a job.
    pub fn missed(&self, due: &Due, outcome: RunOutcome) -> Vec<ScheduledRun> {
        let mut reason = self.missed_because().to_owned();
        if outcome == RunOutcome::Submitted {
            reason = format!("{reason}, made up at {}", self.time(self.now));
        }
        let runs = due.missed.iter();
        runs.map(|due| self.run(*due, RunOutcome::Skipped, Some(reason.clone())))
            .collect()
    }

    /// A run that was skipped.
    pub fn skipped(&self, run: &ScheduledRun) -> Entry {
        self.entry("schedule.skipped", Severity::Info, "was skipped", run)
    }

    /// Runs that are too many to be told one by one.
    pub fn summary(&self, due: &Due) -> Option<Entry> {
        let (count, first, last) = due.summed?;
        let message = format!(
            "{count} backups of {} that were due from {} to {} were skipped: {}.",
            self.source.name,
            self.time(first),
            self.time(last),
            self.missed_because(),
        );
        let entry = Entry::new("schedule.skipped", Severity::Info, message).of(&self.source.id);
        let entry = entry.with("count", count).with("due", stamp(first));
        Some(entry.with("last_due", stamp(last)))
    }

    fn due_entry(&self, run: &ScheduledRun) -> Entry {
        let name = &self.source.name;
        let message = match &run.reason {
            None => format!("{name} is due: its backup was put into the queue."),
            Some(why) => format!("{name} was due at {}: {why}.", self.time(run.due)),
        };
        Entry::new("schedule.due", Severity::Info, message).with("due", stamp(run.due))
    }

    fn entry(
        &self,
        kind: &'static str,
        severity: Severity,
        what: &str,
        run: &ScheduledRun,
    ) -> Entry {
        let why = run.reason.as_deref().unwrap_or_default();
        let message = format!(
            "The backup of {} that was due at {} {what}: {why}.",
            self.source.name,
            self.time(run.due),
        );
        let entry = Entry::new(kind, severity, message).of(&self.source.id);
        entry.with("due", stamp(run.due)).with("reason", why)
    }

    fn run(&self, due: DateTime<Utc>, outcome: RunOutcome, reason: Option<String>) -> ScheduledRun {
        ScheduledRun {
            due,
            handled_at: self.now,
            outcome,
            reason,
            job_id: None,
        }
    }

    fn missed_because(&self) -> &'static str {
        if self.is_off {
            "missed while the agent was off"
        } else {
            "missed while the server slept or its clock was put forward"
        }
    }

    fn time(&self, at: DateTime<Utc>) -> String {
        self.plan.local(at).format("%Y-%m-%d %H:%M %Z").to_string()
    }
}

/// The clock was put back by this much.
pub fn clock_set_back(by: TimeDelta) -> Entry {
    let message = format!(
        "The clock of this server was put back by {} min; no backup that ran already runs again.",
        by.num_minutes()
    );
    Entry::new("schedule.clock_set_back", Severity::Warning, message)
        .with("seconds", by.num_seconds())
}

fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

//! Backs sources up when they are due: looks at the clock on the wall, at least every half minute,
//! and sees to every run whose time has come, once.
//!
//! - A run is submitted as a job, or skipped while the source has a job that is pending or running.
//! - Runs that were missed (the agent was off, the server slept, the clock was put forward) are made
//!   up for by one job; each is recorded.
//! - A clock that is put back brings no run twice; what was only skipped may run when its time
//!   comes again.
//! - A schedule that is new or was changed counts from then on: to edit is not to run.
//!
//! What comes of a run and how far the schedule was seen to are one transaction with the job.
//! Deliberately not here: when a source is due (`backupd_policy`), and running jobs.

mod clock;
mod due;
mod report;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use backupd_base::{Error, Result};
use backupd_policy::schedule::Plan;
use backupd_protocol::{RunOutcome, Source, SourceSchedule};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use clock::{Clock, SystemClock};

use crate::{
    inventory::Inventory,
    jobs::{Parts, Queue},
    store::schedules::{self, State},
};
use due::Due;

/// The clock on the wall is looked at this often: it may be changed, or the server may sleep.
const AGAIN: Duration = Duration::from_secs(30);
/// A run that is seen to within this is on time.
const ON_TIME: TimeDelta = TimeDelta::seconds(60);
/// Runs that are told of per source.
const TOLD: u32 = 10;

/// What sees to schedules. Clones share it.
#[derive(Clone)]
pub struct Scheduler(Arc<Inner>);

struct Inner {
    parts: Parts,
    inventory: Inventory,
    queue: Queue,
    clock: Arc<dyn Clock>,
    /// Since when this process could have seen to a run.
    since: DateTime<Utc>,
    /// What the clock showed when it was last looked at.
    looked: Mutex<Option<DateTime<Utc>>>,
    wake: Notify,
}

impl Scheduler {
    /// The scheduler of an agent. Nothing is done before [`Scheduler::run`].
    #[must_use]
    pub fn new(parts: Parts, inventory: Inventory, queue: Queue, clock: Arc<dyn Clock>) -> Self {
        let since = clock.now();
        Self(Arc::new(Inner {
            parts,
            inventory,
            queue,
            clock,
            since,
            looked: Mutex::default(),
            wake: Notify::new(),
        }))
    }

    /// Sees to what is due until `shutdown`.
    ///
    /// # Errors
    /// When a look was cut off by a fault of this program.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<()> {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = self.0.queue.settled() => {}
        }
        loop {
            let this = self.clone();
            let looked = tokio::task::spawn_blocking(move || this.look()).await;
            let next = looked.map_err(|e| Error::caused("see to the schedules", e))?;
            let ahead = next.map(|next| next - self.0.clock.now());
            let ahead = ahead.and_then(|ahead| ahead.to_std().ok()).unwrap_or(AGAIN);
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(ahead.min(AGAIN)) => {}
                () = self.0.wake.notified() => {}
            }
        }
    }

    /// Has a look soon: a source was changed.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Sees to everything that is due now. Answers when the next run is. What cannot be seen to (a
    /// full disk) is tried again at the next look. Blocks.
    pub fn look(&self) -> Option<DateTime<Utc>> {
        let now = self.0.clock.now();
        let seen = self.0.inventory.sources().and_then(|sources| {
            self.0.note_clock(now)?;
            Ok(sources)
        });
        let sources = seen.unwrap_or_else(|error| {
            tracing::error!(%error, "the schedules could not be read");
            Vec::new()
        });
        let mut next = None;
        for source in sources {
            match self.0.see_to(&source, now) {
                Ok(at) => next = [next, at].into_iter().flatten().min(),
                Err(error) => {
                    tracing::error!(%error, source = %source.id, "a schedule could not be seen to");
                }
            }
        }
        next
    }

    /// The sources that have a schedule, with their next and last runs.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(&self) -> Result<Vec<SourceSchedule>> {
        let now = self.0.clock.now();
        let mut list = Vec::new();
        for source in self.0.inventory.sources()? {
            let Some(schedule) = source.schedule else {
                continue;
            };
            let plan = Plan::new(&schedule, source.id.as_str())?;
            let last = self
                .0
                .parts
                .store
                .read(|db| schedules::runs(db, &source.id, TOLD))?;
            list.push(SourceSchedule {
                source_id: source.id,
                source_name: source.name,
                schedule,
                next: plan.next_three(now),
                last,
            });
        }
        Ok(list)
    }
}

impl Inner {
    /// Tells of a clock that was put back.
    fn note_clock(&self, now: DateTime<Utc>) -> Result<()> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(back) = looked
            .map(|looked| looked - now)
            .filter(|back| *back > ON_TIME)
        {
            self.parts.journal.record(report::clock_set_back(back))?;
        }
        *looked = Some(now);
        Ok(())
    }

    /// Sees to one source. Answers when it is due next.
    fn see_to(&self, source: &Source, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
        let state = self.parts.store.read(|db| schedules::get(db, &source.id))?;
        let Some(schedule) = &source.schedule else {
            if state.is_some() {
                self.parts
                    .store
                    .write(|tx| schedules::delete(tx, &source.id))?;
            }
            return Ok(None);
        };
        let plan = Plan::new(schedule, source.id.as_str())?;
        let is_same = state
            .as_ref()
            .is_some_and(|state| state.schedule == *schedule);
        if let Some(state) = state {
            // What was due before it was changed is seen to as it was, if that is still understood.
            match Plan::new(&state.schedule, source.id.as_str()) {
                Ok(former) => self.catch_up(source, &former, state, now)?,
                Err(error) => tracing::warn!(%error, source = %source.id, "a former schedule"),
            }
        }
        if !is_same {
            // To edit is not to run.
            let handled = now;
            let schedule = schedule.clone();
            let state = State { schedule, handled };
            self.parts
                .store
                .write(|tx| schedules::put(tx, &source.id, &state))?;
        }
        Ok(plan.next(now))
    }

    /// Sees to every run that was due.
    fn catch_up(
        &self,
        source: &Source,
        plan: &Plan,
        mut state: State,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let Some(due) = self.due(source, plan, &state, now)? else {
            return Ok(());
        };
        state.handled = state.handled.max(due.latest);
        let told = report::Told {
            source,
            plan,
            now,
            is_off: due.latest <= self.since,
        };
        self.queue.submit_scheduled(source, |tx, submitted| {
            let (latest, entry) = told.latest(due.latest, submitted);
            let mut entries: Vec<_> = told.summary(&due).into_iter().collect();
            for run in told.missed(&due, latest.outcome) {
                schedules::put_run(tx, &source.id, &run)?;
                entries.push(told.skipped(&run));
            }
            schedules::put_run(tx, &source.id, &latest)?;
            entries.push(entry);
            schedules::put(tx, &source.id, &state)?;
            Ok(entries)
        })
    }

    /// The runs to see to now.
    fn due(
        &self,
        source: &Source,
        plan: &Plan,
        state: &State,
        now: DateTime<Utc>,
    ) -> Result<Option<Due>> {
        // Behind what is accounted for the clock was put back: only what comes in time counts.
        let is_behind = now < state.handled;
        let after = if is_behind {
            now - ON_TIME
        } else {
            state.handled
        };
        let kept = self
            .parts
            .store
            .read(|db| schedules::runs(db, &source.id, schedules::KEPT))?;
        let is_done = |due: &DateTime<Utc>| {
            kept.iter().any(|run| {
                run.due == *due
                    && (run.outcome == RunOutcome::Submitted || is_behind && run.handled_at <= now)
            })
        };
        // Those kept are the latest: nearly all that may be due are later.
        let newest = kept.first().map(|run| run.due);
        let open = |due: &DateTime<Utc>| newest.is_none_or(|newest| *due > newest) || !is_done(due);
        Ok(Due::of(plan.runs_between(after, now).filter(open)))
    }
}

#[cfg(test)]
mod tests;

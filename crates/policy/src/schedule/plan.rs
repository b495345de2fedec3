//! A schedule that was checked, and the instants of its runs.

use backupd_base::{Code, Error, Result};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::{Schedule, instant, jitter, local::Local};

/// The widest spread, in seconds: a day.
pub const MOST_JITTER: u32 = 86_400;

/// When a source is due. Every run is later than the one before.
#[derive(Debug, Clone)]
pub struct Plan {
    local: Local,
    zone: Tz,
    jitter: TimeDelta,
    seed: String,
}

impl Plan {
    /// The plan that `schedule` describes. `seed` spreads the runs of different sources: its id.
    ///
    /// # Errors
    /// `Invalid`, with the value and what is allowed, for anything that is not.
    pub fn new(schedule: &Schedule, seed: &str) -> Result<Self> {
        let name = &schedule.time_zone;
        let zone = name.parse().map_err(|_| {
            let why =
                format!("time zone is {name:?}; allowed is an IANA name, such as Europe/Berlin");
            Error::new(Code::Invalid, why)
        })?;
        let seconds = schedule.jitter_seconds;
        if seconds > MOST_JITTER {
            let why = format!("jitter_seconds is {seconds}; allowed is 0 to {MOST_JITTER}");
            return Err(Error::new(Code::Invalid, why));
        }
        Ok(Self {
            local: Local::new(&schedule.rule)?,
            zone,
            jitter: TimeDelta::seconds(seconds.into()),
            seed: seed.to_owned(),
        })
    }

    /// An instant as its zone shows it.
    #[must_use]
    pub fn local(&self, at: DateTime<Utc>) -> DateTime<Tz> {
        at.with_timezone(&self.zone)
    }

    /// The first run after an instant.
    #[must_use]
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.runs_after(after).next()
    }

    /// The runs after an instant, each later than the one before.
    pub fn runs_after(&self, after: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        // A spread run may be after `after` though its rule's time is not.
        let mut rule = self.unspread_after(after - self.jitter);
        let mut ahead = rule.next();
        std::iter::from_fn(move || {
            let base = ahead?;
            ahead = rule.next();
            // It never reaches the next one.
            let most = ahead.map_or(self.jitter, |next| self.jitter.min(next - base));
            Some(base + jitter::of(&self.seed, base, most))
        })
        .skip_while(move |run| *run <= after)
    }

    /// The runs after `after` up to and at `until`.
    pub fn runs_between(
        &self,
        after: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> impl Iterator<Item = DateTime<Utc>> {
        self.runs_after(after).take_while(move |run| *run <= until)
    }

    /// The next three runs: what is shown wherever a schedule is edited.
    #[must_use]
    pub fn next_three(&self, after: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        self.runs_after(after).take(3).collect()
    }

    /// The instants of the rule's local times, without the spread.
    fn unspread_after(&self, after: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        // Earlier local times than this one are not later instants.
        let mut local: NaiveDateTime = self.local(after).naive_local();
        let mut last = after;
        std::iter::from_fn(move || {
            loop {
                local = self.local.after(local)?;
                // Several local times in one gap are one instant: one run.
                if let Some(at) = instant::of(local, self.zone).filter(|at| *at > last) {
                    last = at;
                    return Some(at);
                }
            }
        })
    }
}

//! When a source is due: a rule in local time, the zone it is meant in, and a spread.
//!
//! A rule names local times; [`Plan`] says at which instants they are. Every local time is one run
//! at most: the first one where clocks go back and it comes twice. Where clocks go forward over it,
//! the run is at the first instant after the gap, unless that is another date: then at the last
//! second before. So a daily rule has one run on every date a zone ever had, and none on a date it
//! skipped (Samoa had no 30 December 2011).
//!
//! Deliberately not here: the clock, and what becomes of a run that was missed.

mod cron;
mod instant;
mod jitter;
mod local;
mod plan;

use serde::{Deserialize, Serialize};

pub use plan::{MOST_JITTER, Plan};

/// When a source is backed up. What it says is checked by [`Plan::new`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Schedule {
    /// The local times.
    pub rule: Rule,
    /// IANA name of the zone they are local in: `Europe/Berlin`. UTC when absent.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// Each run comes up to this many seconds later, so that many servers do not begin at once.
    #[serde(default)]
    pub jitter_seconds: u32,
}

/// Which local times. `at` is `HH:MM`, from `00:00` to `23:59`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum Rule {
    /// On every date.
    Daily {
        /// The time of day.
        at: String,
    },
    /// On some days of the week.
    Weekly {
        /// Which, at least one.
        days: Vec<Weekday>,
        /// The time of day.
        at: String,
    },
    /// On one day of the month.
    Monthly {
        /// 1 to 31. A month that is shorter has its run on its last day: 31 is every last day.
        day: u8,
        /// The time of day.
        at: String,
    },
    /// Whenever a cron expression matches: minute, hour, day of month, month, day of week.
    Cron {
        /// `30 2 * * mon-fri`, `@hourly`, …
        expression: String,
    },
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[allow(missing_docs)]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// Days since Monday.
    #[must_use]
    pub fn from_monday(self) -> u32 {
        self as u32
    }
}

fn utc() -> String {
    "UTC".into()
}

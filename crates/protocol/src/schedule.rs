//! What became of scheduled runs, and which come next.

use backupd_base::{JobId, SourceId};
use backupd_policy::schedule::Schedule;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// `GET /schedule`: a source that has a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct SourceSchedule {
    /// Which.
    pub source_id: SourceId,
    /// Its name.
    pub source_name: String,
    /// When it is due.
    pub schedule: Schedule,
    /// The next three runs.
    pub next: Vec<DateTime<Utc>>,
    /// The last runs, newest first; at most ten.
    pub last: Vec<ScheduledRun>,
}

/// A run whose time came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct ScheduledRun {
    /// When it was due.
    pub due: DateTime<Utc>,
    /// When it was seen to.
    pub handled_at: DateTime<Utc>,
    /// What came of it.
    pub outcome: RunOutcome,
    /// Why nothing was submitted, or why it is late.
    pub reason: Option<String>,
    /// The job that was submitted.
    pub job_id: Option<JobId>,
}

/// What came of a scheduled run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum RunOutcome {
    /// A job was.
    Submitted,
    /// Nothing was, as it should be.
    Skipped,
    /// Nothing could be.
    Failed,
}

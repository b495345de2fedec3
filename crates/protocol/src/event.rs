//! The journal's entries.

use std::collections::BTreeMap;

use backupd_base::{JobId, SourceId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum Severity {
    /// As expected.
    Info,
    /// To be looked at.
    Warning,
    /// Somebody must act.
    Error,
}

/// `GET /events?after={seq}&limit={n}`: one thing that happened on the node. Sequence numbers
/// have no gaps; the master reads on from its last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Event {
    /// Its number, from 1.
    pub seq: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// `job.completed`, `job.failed`, `pairing.enrolled`, `security.rejected`, `agent.started`, …
    pub kind: String,
    /// How much it matters.
    pub severity: Severity,
    /// In a sentence.
    pub message: String,
    /// The source it is about.
    pub source_id: Option<SourceId>,
    /// The job it is about.
    pub job_id: Option<JobId>,
    /// Further facts.
    #[cfg_attr(feature = "specta", specta(type = std::collections::HashMap<String, String>))]
    pub data: BTreeMap<String, String>,
}

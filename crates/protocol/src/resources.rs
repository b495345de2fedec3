//! What the jobs of a node share: who has a place, who waits for one, and how many there are.

use backupd_base::{Code, Error, JobId, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// `GET /resources`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Resources {
    /// Jobs at work on the disk; those that wait are pending.
    pub io: Resource,
    /// Jobs that upload.
    pub network: Resource,
    /// Threads that compress, each for one frame at a time.
    pub cpu: Resource,
    /// All uploads together, megabits per second; 0 is unlimited.
    pub bandwidth_mbps: Limit,
}

/// Places of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Resource {
    /// How many there are.
    pub limit: Limit,
    /// Who has one.
    pub holders: Vec<Occupant>,
    /// Who waits, in the order they will be served.
    pub waiters: Vec<Occupant>,
}

/// A job that has a place, or waits for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Occupant {
    /// The job.
    pub job_id: JobId,
    /// Its source's name.
    pub source_name: String,
    /// Since when it has it, or waits.
    pub since: DateTime<Utc>,
}

/// A limit as it is, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Limit {
    /// What holds.
    pub value: u64,
    /// What the node's environment or configuration file says.
    pub configured: u64,
    /// It was changed over the API, which wins until it is cleared.
    pub is_changed: bool,
}

impl Limit {
    /// A limit that was changed, or not.
    #[must_use]
    pub fn new(changed: Option<u32>, configured: u64) -> Self {
        Self {
            value: changed.map_or(configured, u64::from),
            configured,
            is_changed: changed.is_some(),
        }
    }
}

/// `PUT /resources`: limits that win over the node's configuration. What is absent is as configured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Limits {
    /// Jobs at work on the disk, 1 to 64.
    #[serde(default)]
    pub max_io: Option<u32>,
    /// Jobs that upload, 1 to 64.
    #[serde(default)]
    pub max_network: Option<u32>,
    /// Threads that compress, 1 to 64.
    #[serde(default)]
    pub max_cpu: Option<u32>,
    /// All uploads together, megabits per second, up to 1,000,000; 0 is unlimited.
    #[serde(default)]
    pub max_bandwidth_mbps: Option<u32>,
}

impl Limits {
    /// Checks the ranges.
    ///
    /// # Errors
    /// `Invalid`, naming the limit, its value and what is allowed.
    pub fn check(&self) -> Result<()> {
        for (name, value, range) in [
            ("max_io", self.max_io, 1..=64),
            ("max_network", self.max_network, 1..=64),
            ("max_cpu", self.max_cpu, 1..=64),
            ("max_bandwidth_mbps", self.max_bandwidth_mbps, 0..=1_000_000),
        ] {
            if let Some(value) = value.filter(|value| !range.contains(value)) {
                let (low, high) = (range.start(), range.end());
                let why = format!("{name} is {value}, which is not between {low} and {high}");
                return Err(Error::new(Code::Invalid, why));
            }
        }
        Ok(())
    }
}

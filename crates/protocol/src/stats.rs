//! How the server is, second by second.

use serde::{Deserialize, Serialize};

use crate::{Event, Job};

/// One mounted disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct DiskUse {
    /// Mount point.
    pub mount: String,
    /// Bytes used.
    pub used: u64,
    /// Bytes in all.
    pub total: u64,
}

/// One second (or one minute, averaged) of a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Sample {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// CPU in use over all cores, 0 to 100.
    pub cpu_percent: f32,
    /// CPU in use per core, 0 to 100.
    pub cores: Vec<f32>,
    /// Memory in use, bytes.
    pub memory_used: u64,
    /// Memory, bytes.
    pub memory_total: u64,
    /// Swap in use, bytes.
    pub swap_used: u64,
    /// Swap, bytes.
    pub swap_total: u64,
    /// Load over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Disks.
    pub disks: Vec<DiskUse>,
    /// Read from disks, bytes per second.
    pub disk_read: u64,
    /// Written to disks, bytes per second.
    pub disk_write: u64,
    /// Received, bytes per second, loopback not counted.
    pub net_rx: u64,
    /// Sent, bytes per second, loopback not counted.
    pub net_tx: u64,
    /// Jobs running.
    pub jobs_running: u32,
}

/// Which history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum StatsRange {
    /// Up to an hour of seconds.
    Hour,
    /// Up to a day of minutes.
    Day,
}

/// `GET /stats?range=hour|day`, oldest first; a gap in time is a gap in the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct StatsHistory {
    /// Which.
    pub range: StatsRange,
    /// Oldest first.
    pub samples: Vec<Sample>,
}

/// What `WS /stats/live` sends, one JSON text message each: a sample a second, every change of a
/// job (at most four a second each), every event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[allow(clippy::large_enum_variant)]
pub enum LiveMessage {
    /// A second of the server.
    Sample(Sample),
    /// A job as it is now.
    Job(Job),
    /// An event as it entered the journal.
    Event(Event),
}

//! What master and agent say to each other: wire types (JSON over HTTPS and WebSocket, all
//! routes under [`API`]), the pairing exchange, and the TLS pins.
//!
//! Times are UTC (RFC 3339), sizes bytes, rates bytes per second, durations milliseconds.
//! Deliberately not here: sockets, storage, anything that runs.

pub mod event;
pub mod health;
pub mod job;
pub mod pairing;
pub mod provider;
pub mod resources;
pub mod restore;
pub mod scan;
pub mod schedule;
pub mod snapshot;
pub mod source;
pub mod stats;
pub mod tls;
pub mod verify;

pub use backupd_policy::retention::{self, Retention};
pub use event::{Event, Severity};
pub use health::{ErrorBody, Health};
pub use job::{
    Job, JobCreate, JobError, JobKind, JobOrigin, JobState, Progress, ProviderOutcome, Stage,
    StageState,
};
pub use provider::{Finding, FindingLevel, Provider, ProviderKind, S3Credentials};
pub use resources::{Limit, Limits, Occupant, Resource, Resources};
pub use restore::{LentKeys, RestoreCreate, RestoreTarget};
pub use scan::{FoundSite, SiteDatabase, VerifySite};
pub use schedule::{RunOutcome, ScheduledRun, SourceSchedule};
pub use snapshot::{RemovedSnapshot, Snapshot};
pub use source::Source;
pub use stats::{DiskUse, LiveMessage, Sample, StatsHistory, StatsRange};
pub use verify::{VerifyCreate, VerifyLine};

/// The prefix of every route.
pub const API: &str = "/api/v1";

/// Version of the protocol both sides state in every handshake. Different: `Incompatible`.
pub const PROTOCOL_VERSION: u32 = 1;

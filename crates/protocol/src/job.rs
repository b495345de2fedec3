//! Jobs and their stages, as the agent tells them.

use backupd_base::{Code, JobId, ProviderId, SnapshotId, SourceId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where a job is. `PENDING → RUNNING → COMPLETED | FAILED | CANCELLED`, and `PENDING → CANCELLED`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[allow(missing_docs)]
pub enum JobState {
    Pending,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl JobState {
    /// Whether it will not change any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// Where a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[allow(missing_docs)]
pub enum StageState {
    Pending,
    Running,
    Completed,
    Failed,
    Skipped,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum JobKind {
    /// Makes a snapshot of a source.
    Backup,
    /// Puts a snapshot back, whole or in part, on this node.
    Restore,
}

/// Why there is a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum JobOrigin {
    /// Somebody asked for it.
    #[default]
    Admin,
    /// It was due.
    Schedule,
    /// It tries again what failed.
    Retry,
}

/// How far something is. Real numbers: done of known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Progress {
    /// Bytes done.
    pub done_bytes: u64,
    /// Bytes in all, once known.
    pub total_bytes: Option<u64>,
    /// Files done.
    pub done_files: u64,
    /// Files in all, once known.
    pub total_files: Option<u64>,
}

/// One stage of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Stage {
    /// `backup_db`, `backup_files`, `create_bundle`, `upload_remote`, `cleanup`, …
    pub name: String,
    /// Where it is. The streaming stages of one job run at the same time.
    pub state: StageState,
    /// The outcome in a sentence, once there is one.
    pub message: Option<String>,
    /// Facts for people and tests: table count, bytes in and out, parts, …
    #[cfg_attr(feature = "specta", specta(type = std::collections::HashMap<String, String>))]
    pub details: std::collections::BTreeMap<String, String>,
    /// How far it is.
    pub progress: Progress,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct JobError {
    /// What to branch on.
    pub code: Code,
    /// What failed, on what, and why.
    pub message: String,
    /// The stage it failed in.
    pub stage: Option<String>,
}

/// How one provider came out of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct ProviderOutcome {
    /// Which.
    pub provider_id: ProviderId,
    /// Whether the snapshot is there, whole, with its manifest.
    pub stored: bool,
    /// Why not.
    pub error: Option<JobError>,
}

/// One run of a module for one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// For which source.
    pub source_id: SourceId,
    /// The source's name when the job was made.
    pub source_name: String,
    /// The module that knows the source.
    pub module: String,
    /// 10 (first) to 0 (last).
    pub priority: u8,
    /// Why there is one.
    #[serde(default)]
    pub origin: JobOrigin,
    /// Where it is.
    pub state: JobState,
    /// Its stages in order.
    pub stages: Vec<Stage>,
    /// How far the whole is.
    pub progress: Progress,
    /// Why it failed.
    pub error: Option<JobError>,
    /// What did not fail it but must be said: files that changed, vanished, could not be read.
    pub warnings: Vec<String>,
    /// The snapshot it made, or restores.
    pub snapshot_id: Option<SnapshotId>,
    /// State per provider.
    pub providers: Vec<ProviderOutcome>,
    /// For a restore: the folder it landed in.
    pub landed_in: Option<String>,
    /// For a restore in place: the former state is still kept and can be brought back.
    pub can_undo: bool,
    /// The first job of the chain, when this one tries again what failed.
    #[serde(default)]
    pub retry_of: Option<JobId>,
    /// Which attempt of its chain it is, from 1.
    #[serde(default = "first")]
    pub attempt: u32,
    /// A retry that waits does not begin before this.
    #[serde(default)]
    pub not_before: Option<DateTime<Utc>>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

impl Job {
    /// A job that is asked for at `now`: pending, with all of its `stages` before it.
    #[must_use]
    pub fn new(
        kind: JobKind,
        (source_id, source_name, module): (&SourceId, &str, &str),
        priority: u8,
        stages: &[&str],
        now: DateTime<Utc>,
    ) -> Self {
        let stage = |name: &&str| Stage {
            name: (*name).to_owned(),
            state: StageState::Pending,
            message: None,
            details: Default::default(),
            progress: Progress::default(),
            started_at: None,
            finished_at: None,
        };
        Self {
            id: JobId::new(),
            kind,
            source_id: source_id.clone(),
            source_name: source_name.to_owned(),
            module: module.to_owned(),
            priority,
            origin: JobOrigin::Admin,
            state: JobState::Pending,
            stages: stages.iter().map(stage).collect(),
            progress: Progress::default(),
            error: None,
            warnings: Vec::new(),
            snapshot_id: None,
            providers: Vec::new(),
            landed_in: None,
            can_undo: false,
            retry_of: None,
            attempt: 1,
            not_before: None,
            created_at: now,
            started_at: None,
            finished_at: None,
        }
    }

    /// Attempts that a backup gets by itself, the first included.
    pub const MOST_ATTEMPTS: u32 = 4;

    /// Whether it is a retry that waits for its time: it gives way to whatever is asked for.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.state == JobState::Pending && self.not_before.is_some()
    }
}

fn first() -> u32 {
    1
}

/// `POST /jobs`: back a source up. `409 conflict` while one of its jobs is pending or running; a
/// retry that waits for its time gives way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct JobCreate {
    /// Which source.
    pub source_id: SourceId,
    /// 10 (first) to 0 (last); 5 when absent.
    #[serde(default)]
    pub priority: Option<u8>,
}

//! What the interface sees: answers and events of the commands. Never a secret.

use backupd_base::{Code, JobId, NodeId, ProviderId, SnapshotId, SourceId, TenantId};
pub use backupd_policy::retention::{Decision, Retention};
pub use backupd_policy::schedule::Schedule;
use backupd_protocol::{Finding, LiveMessage, Progress, Snapshot};
pub use backupd_protocol::{FoundSite, Job, ProviderKind, Resources, StatsHistory, StatsRange};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How far the first run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct SetupStatus {
    /// The tenant, once its keys are made.
    pub tenant: Option<TenantView>,
    /// The recovery kit was saved: only then can a node be enrolled.
    pub kit_saved: bool,
    /// Why the keyring cannot be used, when it cannot. Nothing is done without it.
    pub keyring_problem: Option<ErrorView>,
    /// Where the kit is offered to be saved.
    pub kit_path: String,
}

/// A client or company whose data it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct TenantView {
    /// Its id.
    pub id: TenantId,
    /// For people.
    pub name: String,
    /// The age recipient its snapshots are encrypted to.
    pub recipient: String,
    /// The age recipient of its recovery kit.
    pub recovery_recipient: String,
}

/// Whether a node answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum NodeState {
    /// The connection is up.
    Online,
    /// It is being tried.
    Connecting,
    /// It does not answer.
    Offline,
    /// It answers with another key, or refuses ours: enrol it again.
    Refused,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct NodeView {
    /// Its id.
    pub id: NodeId,
    /// Its host name, or what the admin called it.
    pub name: String,
    /// `host:port` it was enrolled at.
    pub address: String,
    /// For people: "Debian GNU/Linux 12".
    pub os: String,
    /// Version of its agent.
    pub agent_version: String,
    /// SHA-256 of its public key, for people: eight groups of four hex digits.
    pub fingerprint: String,
    /// Whether it answers.
    pub state: NodeState,
    /// Why it does not.
    pub problem: Option<ErrorView>,
    /// When it was last heard.
    pub last_seen: Option<DateTime<Utc>>,
    /// When it was enrolled.
    pub enrolled_at: DateTime<Utc>,
}

/// What the verdict on a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum Protection {
    /// It has a snapshot, and its last job completed.
    Protected,
    /// It has never been backed up.
    Waiting,
    /// Its last job has warnings, was cancelled, or its node is away.
    Attention,
    /// Its last job failed.
    Failed,
}

/// A source with its verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct SourceView {
    /// Its id.
    pub id: SourceId,
    /// Where it lives.
    pub node_id: NodeId,
    /// Whose data it is.
    pub tenant_id: TenantId,
    /// For people.
    pub name: String,
    /// `wordpress`.
    pub module: String,
    /// The web root on the node.
    pub path: String,
    /// Where its snapshots go.
    pub providers: Vec<ProviderId>,
    /// Which of them stay; none keeps all.
    pub retention: Option<Retention>,
    /// When its node backs it up by itself; none for only when asked for.
    pub schedule: Option<Schedule>,
    /// When it is due next.
    pub next_run: Option<DateTime<Utc>>,
    /// The verdict.
    pub protection: Protection,
    /// Its newest job, whatever came of it.
    pub last_job: Option<Job>,
    /// Its newest snapshot.
    pub last_snapshot: Option<Snapshot>,
    /// Snapshots it has.
    pub snapshots: u32,
    /// Why its newest snapshot was not believed: the chain of manifests does not hold.
    pub problem: Option<ErrorView>,
}

/// What a schedule comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct SchedulePreview {
    /// The next three runs, without the spread.
    pub next: Vec<DateTime<Utc>>,
}

/// A snapshot with the names it is shown under, which outlive its source and its node.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct SnapshotView {
    /// The snapshot.
    #[serde(flatten)]
    pub snapshot: Snapshot,
    /// The name of its source.
    pub source_name: String,
    /// The node it was made on.
    pub node_id: NodeId,
    /// The name of that node.
    pub node_name: String,
}

/// What a retention would keep, and what it would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct RetentionPreview {
    /// Every snapshot in every store of the source, newest first in each.
    pub snapshots: Vec<RetentionLine>,
    /// Bytes that stay.
    pub kept_bytes: u64,
    /// Bytes that go.
    pub freed_bytes: u64,
    /// How far what must stay is beyond the quota.
    pub over_quota_bytes: u64,
}

/// What would become of one snapshot in one store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct RetentionLine {
    /// Which.
    pub snapshot_id: SnapshotId,
    /// In which store.
    pub provider_id: ProviderId,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Its size.
    pub stored_bytes: u64,
    /// What becomes of it, and why.
    pub decision: Decision,
}

/// The catalogue against a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Reconciliation {
    /// The catalogue has them there, and they are not, or not whole.
    pub missing: Vec<Mismatch>,
    /// They are there with other sizes, or another manifest.
    pub changed: Vec<Mismatch>,
    /// They are there, and the catalogue does not know.
    pub orphaned: Vec<Orphan>,
    /// Folders of snapshots that never got their manifest: backups under way, or cut short.
    pub unfinished: u32,
}

/// A snapshot that is not in the bucket as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Mismatch {
    /// Which.
    pub snapshot_id: SnapshotId,
    /// The name of its source.
    pub source_name: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// What was found.
    pub message: String,
}

/// A snapshot in the bucket that the catalogue does not know there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Orphan {
    /// Which.
    pub snapshot_id: SnapshotId,
    /// Of which source.
    pub source_id: SourceId,
    /// The name of its source, if that is known.
    pub source_name: Option<String>,
    /// When it was made, if its manifest can be read.
    pub created_at: Option<DateTime<Utc>>,
    /// What it takes up.
    pub stored_bytes: u64,
    /// Why it cannot be adopted; none when it can.
    pub problem: Option<ErrorView>,
}

/// What came of a rebuilt catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Rebuilt {
    /// Sources found.
    pub sources: u32,
    /// Snapshots taken in.
    pub snapshots: u32,
    /// Snapshots that are not whole, not to be believed, or for another key.
    pub left_out: u32,
}

/// The overview: am I safe?
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct OverviewView {
    /// Every source.
    pub sources: Vec<SourceView>,
    /// Every node.
    pub nodes: Vec<NodeView>,
    /// Jobs pending and running.
    pub running: Vec<NodeJob>,
}

/// A job and where it runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct NodeJob {
    /// Where.
    pub node_id: NodeId,
    /// The job.
    pub job: Job,
}

/// A store as the interface sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct ProviderView {
    /// Its id.
    pub id: ProviderId,
    /// The node whose own store it is; none for one that any node can be given.
    pub node_id: Option<NodeId>,
    /// For people.
    pub name: String,
    /// Where it keeps objects.
    pub kind: ProviderKind,
    /// Sources that go there.
    pub sources: u32,
    /// Bytes its snapshots take, as catalogued.
    pub stored_bytes: u64,
}

/// What a new or tested provider needs beside its kind. Goes in, never comes out.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct CredentialsInput {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub secret_access_key: backupd_base::SecretString,
}

/// The key on a recovery kit. Goes in, never comes out.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct RecoveryKeyInput {
    /// `AGE-SECRET-KEY-1…`
    #[cfg_attr(feature = "specta", specta(type = String))]
    pub key: backupd_base::SecretString,
}

/// "Test connection".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct ProviderTest {
    /// Nothing bad was found.
    pub usable: bool,
    /// Line by line.
    pub findings: Vec<Finding>,
}

/// A file or folder inside a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct FileEntry {
    /// Its name in its folder.
    pub name: String,
    /// Its path in the snapshot, as `restore` takes it.
    pub path: String,
    /// `file`, `folder`, `symlink`, `other`.
    pub kind: FileKind,
    /// Bytes; for a folder the sum of all below.
    pub size: u64,
    /// Files below, for a folder.
    pub files: u64,
    /// When it was last changed.
    pub modified: Option<DateTime<Utc>>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[allow(missing_docs)]
pub enum FileKind {
    File,
    Folder,
    Symlink,
    Other,
}

/// Where a task of the master itself is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[allow(missing_docs)]
pub enum TaskState {
    Running,
    Completed,
    Failed,
    Cancelled,
}

/// Something long the master does itself: a restore to this computer, a verification.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct TaskView {
    /// Its id.
    pub id: String,
    /// `restore` or `verify`.
    pub kind: String,
    /// What it does, in a sentence: "Restore 14 files of shop.example".
    pub title: String,
    /// The snapshot it is about.
    pub snapshot_id: SnapshotId,
    /// Where it is.
    pub state: TaskState,
    /// How far it is.
    pub progress: Progress,
    /// What came of it, in a sentence.
    pub message: Option<String>,
    /// The folder it landed in.
    pub landed_in: Option<String>,
    /// Why it failed.
    pub error: Option<ErrorView>,
}

/// How far an enrolment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum EnrolStep {
    /// Reaching the node.
    Connecting,
    /// Proving the code.
    Proving,
    /// Both sides proved it; keys are being exchanged.
    Proven,
    /// The node is enrolled and answers with its pinned key.
    Enrolled,
}

/// An error as the page gets it: the words come from the page's own table by `code`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct ErrorView {
    /// What to branch on.
    pub code: Code,
    /// What failed, on what, and why, for the curious and for copying.
    pub message: String,
}

impl From<&backupd_base::Error> for ErrorView {
    fn from(error: &backupd_base::Error) -> Self {
        Self {
            code: error.code(),
            message: error.to_string(),
        }
    }
}

impl From<backupd_base::Error> for ErrorView {
    fn from(error: backupd_base::Error) -> Self {
        Self::from(&error)
    }
}

/// What the master tells the interface without being asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
#[allow(clippy::large_enum_variant)]
pub enum MasterEvent {
    /// A node was added, changed its state, or went.
    NodesChanged,
    /// A source was added, got another verdict, or went.
    SourcesChanged,
    /// A snapshot came or went.
    SnapshotsChanged,
    /// A node's job as it is now.
    JobChanged(NodeJob),
    /// A task of the master as it is now.
    TaskChanged(TaskView),
    /// An enrolment under way.
    EnrolStepped {
        /// `host:port` being enrolled.
        address: String,
        /// How far.
        step: EnrolStep,
        /// The node's fingerprint, once seen: eight groups of four hex digits.
        fingerprint: Option<String>,
    },
    /// What a watched node sends live.
    Live {
        /// Which node.
        node_id: NodeId,
        /// What it sent.
        message: LiveMessage,
    },
}

/// A restore on the node: the job it became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct RestoreStarted {
    /// Where.
    pub node_id: NodeId,
    /// The job.
    pub job_id: JobId,
}

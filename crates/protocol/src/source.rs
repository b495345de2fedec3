//! A source as the agent keeps it.

use backupd_base::{ProviderId, SourceId, TenantId};
use backupd_policy::retention::Retention;
use backupd_policy::schedule::Schedule;
use serde::{Deserialize, Serialize};

/// `PUT /sources/{source_id}`, `GET /sources`: one thing to back up. The same source put again is
/// idempotent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Source {
    /// Its id.
    pub id: SourceId,
    /// Whose data it is.
    pub tenant_id: TenantId,
    /// For people; never in a path.
    pub name: String,
    /// `wordpress`, …
    pub module: String,
    /// What the module's settings schema asks for; for `wordpress` `{"path": "/var/www/shop"}`.
    #[cfg_attr(feature = "specta", specta(type = std::collections::HashMap<String, String>))]
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// Where its snapshots go.
    pub providers: Vec<ProviderId>,
    /// age recipients (`age1…`) every snapshot is encrypted to: the tenant's and the recovery
    /// kit's, at least two.
    pub recipients: Vec<String>,
    /// Which of its snapshots stay in each of its stores; without one all do. The agent keeps to it
    /// in its own folders, the master in buckets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// When it is backed up by itself; only when asked for, if absent.
    #[serde(default)]
    pub schedule: Option<Schedule>,
}

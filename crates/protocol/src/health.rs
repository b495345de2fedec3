//! Who answers, and how an error looks on the wire.

use backupd_base::{Code, Error, NodeId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// `GET /health`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Health {
    /// The node's id, once enrolled.
    pub node_id: Option<NodeId>,
    /// The machine's host name.
    pub hostname: String,
    /// Operating system and release, for people: "Debian GNU/Linux 12".
    pub os: String,
    /// Version of the agent.
    pub version: String,
    /// [`crate::PROTOCOL_VERSION`] of the agent.
    pub protocol: u32,
    /// The agent's clock, for the skew.
    pub now: DateTime<Utc>,
    /// IANA name of the machine's time zone, where it has one.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Seconds since the agent started.
    pub uptime_seconds: u64,
    /// Sequence number of the newest event in the journal; 0 when there is none.
    pub last_event: u64,
}

/// The body of every answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct ErrorBody {
    /// What to branch on.
    pub code: Code,
    /// What failed, on what, and why; never a secret.
    pub message: String,
}

impl From<&Error> for ErrorBody {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code(),
            message: error.to_string(),
        }
    }
}

impl From<ErrorBody> for Error {
    fn from(body: ErrorBody) -> Self {
        Error::new(body.code, body.message)
    }
}

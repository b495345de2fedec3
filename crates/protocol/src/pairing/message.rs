//! What travels in a pairing: two requests and their answers, and the two sealed messages inside.

use backupd_base::{NodeId, TenantId};
use serde::{Deserialize, Serialize};

use super::ApiKey;

/// `POST /pairing/start`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    /// [`crate::PROTOCOL_VERSION`] of the master.
    pub protocol: u32,
    /// OPAQUE KE1, base64.
    #[serde(with = "bytes")]
    pub ke1: Vec<u8>,
}

/// The answer to it. It has cost one attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StartAnswer {
    /// The window the exchange belongs to.
    pub window_id: String,
    /// OPAQUE KE2, base64.
    #[serde(with = "bytes")]
    pub ke2: Vec<u8>,
}

/// `POST /pairing/finish`, on the connection the exchange began on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishRequest {
    /// OPAQUE KE3, base64.
    #[serde(with = "bytes")]
    pub ke3: Vec<u8>,
    /// The sealed [`Enrolment`], base64.
    #[serde(with = "bytes")]
    pub enrolment: Vec<u8>,
}

/// The answer to it, given after the enrolment was made durable.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FinishAnswer {
    /// The sealed [`NodeHello`], base64.
    #[serde(with = "bytes")]
    pub hello: Vec<u8>,
}

/// What the master tells the node it enrols. Holds the API key: only ever sealed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The id the node has from now on.
    pub node_id: NodeId,
    /// Whose data it holds, unless a source says otherwise.
    pub tenant_id: TenantId,
    /// age recipients (`age1…`) of the tenant and of the recovery kit.
    pub recipients: Vec<String>,
    /// To be shown with every request; the node keeps its SHA-256.
    pub api_key: ApiKey,
}

impl Enrolment {
    /// The JSON to be sealed. It holds the API key in the clear.
    pub(super) fn to_secret_json(&self) -> zeroize::Zeroizing<Vec<u8>> {
        let json = serde_json::json!({
            "node_id": self.node_id,
            "tenant_id": self.tenant_id,
            "recipients": self.recipients,
            "api_key": self.api_key.reveal(),
        });
        zeroize::Zeroizing::new(json.to_string().into_bytes())
    }
}

/// What the node tells the master that enrolled it; `GET /enrolment` says it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeHello {
    /// The id the master gave it.
    pub node_id: NodeId,
    /// The machine's host name.
    pub hostname: String,
    /// Operating system and release, for people.
    pub os: String,
    /// Version of the agent.
    pub version: String,
    /// What its manifests are signed with: `ed25519:<base64>`.
    pub signing_key: String,
    /// What credentials for it are sealed to: `age1…`.
    pub seal_recipient: String,
}

/// Bytes as base64 text.
mod bytes {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD
            .decode(String::deserialize(deserializer)?)
            .map_err(D::Error::custom)
    }
}

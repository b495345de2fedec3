//! Stores, and what a test of one finds.

use backupd_base::{ProviderId, SecretString};
use serde::{Deserialize, Serialize};

/// Where a provider keeps objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum ProviderKind {
    /// A folder on the node.
    Local {
        /// Absolute path.
        path: String,
    },
    /// A bucket at anything that speaks S3.
    S3 {
        /// `https://s3.eu-central-1.amazonaws.com`, `http://127.0.0.1:8333`.
        endpoint: String,
        /// Region to sign for.
        region: String,
        /// Bucket name.
        bucket: String,
        /// Everything lies below it; empty for the bucket's root. No leading or closing slash.
        prefix: String,
        /// Bucket in the path instead of the host name.
        path_style: bool,
    },
}

/// `PUT /providers/{provider_id}`: a store and the credential for it, sealed to this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Provider {
    /// Its id.
    pub id: ProviderId,
    /// For people.
    pub name: String,
    /// Where it keeps objects.
    pub kind: ProviderKind,
    /// [`S3Credentials`] as JSON, age-encrypted to the node's own recipient and armored; kept at
    /// rest as it came, decrypted in memory for a transfer only. Never returned by `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_credentials: Option<String>,
}

/// Access to a bucket. Prints nothing of itself; serialized only to be sealed.
#[derive(Debug, Clone, Deserialize)]
pub struct S3Credentials {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: SecretString,
}

impl S3Credentials {
    /// The JSON to be sealed. It holds the secret in the clear.
    #[must_use]
    pub fn to_secret_json(&self) -> SecretString {
        use backupd_base::ExposeSecret as _;
        serde_json::json!({
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key.expose_secret(),
        })
        .to_string()
        .into()
    }
}

/// How a finding of "test connection" is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub enum FindingLevel {
    /// As it should be.
    Good,
    /// Works, but something is to be known.
    Warning,
    /// Backups would fail.
    Bad,
}

/// One line of "test connection".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "specta", derive(specta::Type))]
pub struct Finding {
    /// `write`, `read`, `list`, `multipart`, `no_overwrite`, `delete`, `checksum`, `clock`.
    pub check: String,
    /// How it is to be taken.
    pub level: FindingLevel,
    /// What was found, in a sentence.
    pub message: String,
}

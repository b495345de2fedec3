//! The signed manifest: what a snapshot consists of and which one came before it. Written last:
//! with it the snapshot exists.
//!
//! The signature covers the bytes of the value of `manifest` as they stand in the file, after a
//! fixed prefix, so there is nothing to canonicalise.

use std::{fmt, str::FromStr};

use backupd_base::{Code, Context, Error, JobId, NodeId, Result, SnapshotId, SourceId, TenantId};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Digest, FORMAT, damage::corrupt, hash::Hash};

/// Before the signed bytes, so that no signature made for anything else passes here.
const DOMAIN: &[u8] = b"backupd snapshot manifest v1\n";
const PREFIX: &str = "ed25519:";

/// What a snapshot consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format, [`FORMAT`].
    pub format: u32,
    /// Whose data it is.
    pub tenant_id: TenantId,
    /// Of which source.
    pub source_id: SourceId,
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// The job that made it.
    pub job_id: JobId,
    /// The node that made it; none without a master.
    pub node_id: Option<NodeId>,
    /// The module that made it.
    pub module: String,
    /// Position in the source's chain, from 1.
    pub sequence: u64,
    /// SHA-256 of the `manifest.json` before it in the chain; none for the first.
    pub previous: Option<Digest>,
    /// When it was made, by the node's clock.
    pub created_at: DateTime<Utc>,
    /// The encrypted archive.
    pub archive: ManifestObject,
    /// The encrypted index.
    pub index: ManifestObject,
    /// Bytes of the files in it.
    pub content_bytes: u64,
    /// Entries in it.
    pub entries: u64,
    /// Whether database and files are one consistent point.
    pub consistent: bool,
    /// How many warnings the job gave.
    pub warnings_count: u64,
    /// Public keys it is encrypted to.
    pub recipients: Vec<String>,
    /// The program that made it, with its version.
    pub program: String,
}

/// One object of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestObject {
    /// Its name in the snapshot's folder.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: Digest,
}

/// `meta.json`: which snapshot lies in a folder, in the clear, for recovery without a catalogue.
/// A hint only: the manifest is what is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Version of the format, [`FORMAT`].
    pub format: u32,
    /// Whose data it is.
    pub tenant_id: TenantId,
    /// Of which source.
    pub source_id: SourceId,
    /// The snapshot.
    pub snapshot_id: SnapshotId,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
}

/// The public key a manifest is signed with, as text `ed25519:` and 32 bytes in base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignerKey(VerifyingKey);

impl From<&SigningKey> for SignerKey {
    fn from(key: &SigningKey) -> Self {
        Self(key.verifying_key())
    }
}

impl fmt::Display for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", BASE64_STANDARD.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for SignerKey {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::new(Code::Invalid, "a signer is ed25519: and 32 bytes in base64");
        let bytes = text.strip_prefix(PREFIX).ok_or_else(bad)?;
        let bytes = BASE64_STANDARD.decode(bytes).map_err(|_| bad())?;
        let bytes = bytes.try_into().map_err(|_| bad())?;
        VerifyingKey::from_bytes(&bytes)
            .map(Self)
            .map_err(|_| bad())
    }
}

/// A manifest with its signature, as `manifest.json` holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedManifest {
    manifest: Manifest,
    signer: SignerKey,
    bytes: Vec<u8>,
}

/// The file: the manifest unparsed, so that the signature is checked before it is.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    manifest: &'a RawValue,
    signer: String,
    signature: String,
}

impl SignedManifest {
    /// Signs a manifest.
    ///
    /// # Errors
    /// None in practice; JSON could refuse.
    pub fn sign(manifest: Manifest, key: &SigningKey) -> Result<Self> {
        let text = serde_json::to_string(&manifest).context("encode the manifest")?;
        let raw = RawValue::from_string(text).context("encode the manifest")?;
        let signer = SignerKey::from(key);
        let signature = key.sign(&signed_bytes(&raw));
        let bytes = serde_json::to_vec(&Envelope {
            manifest: &raw,
            signer: signer.to_string(),
            signature: BASE64_STANDARD.encode(signature.to_bytes()),
        })
        .context("encode the manifest")?;
        Ok(Self {
            manifest,
            signer,
            bytes,
        })
    }

    /// Reads `manifest.json` and checks its signature by `expected`, the key the master pinned
    /// for the node. A manifest that names another signer is refused even if it is signed well.
    ///
    /// # Errors
    /// `Corrupt` when it is no manifest or the signature does not hold, `WrongPeer` when another
    /// key signed, `Incompatible` when its format is another version's.
    pub fn parse_and_verify(bytes: &[u8], expected: &SignerKey) -> Result<Self> {
        let found = Self::parse(bytes)?;
        if found.signer == *expected {
            Ok(found)
        } else {
            Err(Error::new(
                Code::WrongPeer,
                format!(
                    "the manifest is signed by {}, not by {expected}",
                    found.signer
                ),
            ))
        }
    }

    /// Reads `manifest.json` and checks its signature by the key it names itself. That shows it
    /// whole, not genuine: for a recovery where the node's key is not known any more.
    ///
    /// # Errors
    /// As [`SignedManifest::parse_and_verify`], but never `WrongPeer`.
    pub fn parse_self_signed(bytes: &[u8]) -> Result<Self> {
        Self::parse(bytes)
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let malformed = |e: serde_json::Error| corrupt(format!("the manifest is malformed: {e}"));
        let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(malformed)?;
        let signer: SignerKey = envelope
            .signer
            .parse()
            .map_err(|_| corrupt("the manifest names no valid signer"))?;
        let signature = BASE64_STANDARD
            .decode(&envelope.signature)
            .ok()
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .ok_or_else(|| corrupt("the signature of the manifest is malformed"))?;
        signer
            .0
            .verify_strict(&signed_bytes(envelope.manifest), &signature)
            .map_err(|_| corrupt("the signature of the manifest does not hold"))?;

        let version: AnyVersion =
            serde_json::from_str(envelope.manifest.get()).map_err(malformed)?;
        if version.format != FORMAT {
            return Err(Error::new(
                Code::Incompatible,
                format!(
                    "the snapshot has format {}, this program reads format {FORMAT}",
                    version.format
                ),
            ));
        }
        Ok(Self {
            manifest: serde_json::from_str(envelope.manifest.get()).map_err(malformed)?,
            signer,
            bytes: bytes.to_vec(),
        })
    }

    /// What is signed.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Who signed.
    #[must_use]
    pub fn signer(&self) -> SignerKey {
        self.signer
    }

    /// `manifest.json`, byte for byte.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of `manifest.json`: what the next manifest names as its `previous`.
    #[must_use]
    pub fn sha256(&self) -> Digest {
        Hash::of(&self.bytes)
    }

    /// Checks that it is the next in the chain after `previous`, or the first.
    ///
    /// # Errors
    /// `Corrupt` when it is not.
    pub fn check_follows(&self, previous: Option<&SignedManifest>) -> Result<()> {
        let (ours, before) = (&self.manifest, previous.map(|p| &p.manifest));
        let same_source = before.is_none_or(|before| {
            (&before.tenant_id, &before.source_id) == (&ours.tenant_id, &ours.source_id)
        });
        let follows = same_source
            && ours.sequence == before.map_or(0, |before| before.sequence) + 1
            && ours.previous == previous.map(SignedManifest::sha256);
        if follows {
            Ok(())
        } else {
            Err(corrupt(format!(
                "the manifest of snapshot {} does not follow the one before it",
                ours.snapshot_id
            )))
        }
    }
}

#[derive(Deserialize)]
struct AnyVersion {
    format: u32,
}

fn signed_bytes(manifest: &RawValue) -> Vec<u8> {
    [DOMAIN, manifest.get().as_bytes()].concat()
}

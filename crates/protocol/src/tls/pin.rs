//! The fingerprint of a peer's public key.

use std::{fmt, str::FromStr};

use backupd_base::{Code, Context, Error, Result};
use rustls::{pki_types::CertificateDer, server::ParsedCertificate};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 7469, section 2.4). 64 hex digits on the
/// wire; for people the first 32 of them in eight groups of four. Compared in constant time.
#[derive(Clone, Copy, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pin([u8; 32]);

impl Pin {
    /// The pin of the key in `certificate`.
    ///
    /// # Errors
    /// `Invalid` when it is no X.509 certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self> {
        let parsed = ParsedCertificate::try_from(certificate)
            .context("read a certificate")
            .map_err(|e| e.with_code(Code::Invalid))?;
        Ok(Self(
            Sha256::digest(parsed.subject_public_key_info()).into(),
        ))
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// For two people to compare by eye: the first half, eight groups of four hex digits. 128 bits
    /// are what forging a second key to the same text would have to beat.
    #[must_use]
    pub fn for_people(&self) -> String {
        let hex = hex::encode_upper(&self.0[..16]);
        let groups: Vec<&str> = (0..8).map(|n| &hex[n * 4..n * 4 + 4]).collect();
        groups.join(" ")
    }
}

impl From<[u8; 32]> for Pin {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl PartialEq for Pin {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for Pin {
    /// All 64 hex digits, lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({self})")
    }
}

impl FromStr for Pin {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)
            .context("read a pin: 64 hex digits are allowed")
            .map_err(|e| e.with_code(Code::Invalid))?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Pin {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Pin> for String {
    fn from(pin: Pin) -> String {
        pin.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_eight_groups_of_four() {
        let pin = Pin::from(std::array::from_fn(|n| n as u8));
        assert_eq!(pin.for_people(), "0001 0203 0405 0607 0809 0A0B 0C0D 0E0F");
    }

    #[test]
    fn text_and_json_round_trip() {
        let pin = Pin::from([0xab; 32]);
        assert_eq!(pin.to_string().parse::<Pin>().unwrap(), pin);
        let json = serde_json::to_string(&pin).unwrap();
        assert_eq!(json, format!("\"{}\"", "ab".repeat(32)));
        assert_eq!(serde_json::from_str::<Pin>(&json).unwrap(), pin);
        assert!("ab".parse::<Pin>().is_err());
        assert_ne!(pin, Pin::from([0xac; 32]));
    }
}

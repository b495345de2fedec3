//! The key a master shows with every request, beside its TLS key.

use std::fmt;

use backupd_base::{ExposeSecret as _, SecretString};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{RngCore as _, rngs::OsRng};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// 256 random bits as text, for `Authorization: Bearer …`. Prints nothing of itself.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// A new key from the system's random generator.
    #[must_use]
    pub fn generate() -> Self {
        let mut random = Zeroizing::new([0u8; 32]);
        OsRng.fill_bytes(random.as_mut());
        Self(URL_SAFE_NO_PAD.encode(random.as_ref()).into())
    }

    /// The key in the clear, for the header and the keyring.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }

    /// What the node keeps of it.
    #[must_use]
    pub fn digest(&self) -> ApiKeyDigest {
        ApiKeyDigest::of(self.reveal())
    }
}

impl From<SecretString> for ApiKey {
    fn from(text: SecretString) -> Self {
        Self(text)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// SHA-256 of a key. It needs no salt or stretching: the key has 256 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyDigest([u8; 32]);

impl ApiKeyDigest {
    /// The digest of what somebody showed.
    #[must_use]
    pub fn of(shown: &str) -> Self {
        Self(Sha256::digest(shown).into())
    }

    /// Whether `shown` is the key, in constant time.
    #[must_use]
    pub fn matches(&self, shown: &str) -> bool {
        self.0.ct_eq(&Self::of(shown).0).into()
    }

    /// The 32 bytes to keep.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for ApiKeyDigest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for ApiKeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_knows_its_key_and_no_other() {
        let key = ApiKey::generate();
        assert_eq!(key.reveal().len(), 43);
        let digest = key.digest();
        assert!(digest.matches(key.reveal()));
        assert!(!digest.matches(ApiKey::generate().reveal()));
        assert!(!digest.matches(""));
        assert_eq!(format!("{key:?} {digest:?}"), "ApiKey(…) ApiKeyDigest(…)");
    }
}

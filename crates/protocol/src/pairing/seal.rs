//! Messages under the session key of a finished exchange.

use backupd_base::{Code, Error, Result};
use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _,
    aead::{Aead as _, Payload},
};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Which way a message goes. Each has a key of its own, used for one message only.
#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    /// The enrolment.
    MasterToNode,
    /// The node's hello.
    NodeToMaster,
}

impl Direction {
    fn label(self) -> &'static [u8] {
        match self {
            Self::MasterToNode => b"backupd pairing v1 master to node",
            Self::NodeToMaster => b"backupd pairing v1 node to master",
        }
    }
}

/// The session key both sides came to.
pub(super) struct SessionKey(Zeroizing<Vec<u8>>);

impl SessionKey {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    fn cipher(&self, direction: Direction) -> ChaCha20Poly1305 {
        let mut key = Zeroizing::new([0u8; 32]);
        Hkdf::<Sha256>::new(None, &self.0)
            .expand(direction.label(), key.as_mut())
            .expect("32 bytes are within what HKDF-SHA256 expands to");
        ChaCha20Poly1305::new(key.as_ref().into())
    }

    /// Encrypts the one message of its direction.
    pub(super) fn seal(&self, direction: Direction, message: &[u8]) -> Vec<u8> {
        let payload = Payload {
            msg: message,
            aad: direction.label(),
        };
        // The key is used once: the nonce may be all zeros.
        self.cipher(direction)
            .encrypt(&[0; 12].into(), payload)
            .expect("a short message in memory always encrypts")
    }

    /// Decrypts it.
    pub(super) fn open(&self, direction: Direction, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let payload = Payload {
            msg: sealed,
            aad: direction.label(),
        };
        self.cipher(direction)
            .decrypt(&[0; 12].into(), payload)
            .map(Zeroizing::new)
            .map_err(|_| Error::new(Code::CodeRejected, "open the sealed message"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_opens_whole_and_in_its_own_direction_only() {
        let key = SessionKey::new(&[7; 64]);
        let mut sealed = key.seal(Direction::MasterToNode, b"hello");
        let opened = key.open(Direction::MasterToNode, &sealed).unwrap();
        assert_eq!(opened.as_slice(), b"hello");
        assert!(key.open(Direction::NodeToMaster, &sealed).is_err());
        assert!(
            SessionKey::new(&[8; 64])
                .open(Direction::MasterToNode, &sealed)
                .is_err()
        );
        sealed[0] ^= 1;
        assert!(key.open(Direction::MasterToNode, &sealed).is_err());
    }
}

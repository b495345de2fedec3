//! The OPAQUE configuration (RFC 9807, section 7): ristretto255, 3DH, SHA-512, Argon2id.

use opaque_ke::{CipherSuite, Ristretto255, TripleDh, argon2::Argon2};
use sha2::Sha512;

/// The one suite both sides speak. Another one is another [`crate::PROTOCOL_VERSION`].
pub(super) struct Suite;

impl CipherSuite for Suite {
    type OprfCs = Ristretto255;
    type KeyExchange = TripleDh<Ristretto255, Sha512>;
    /// Argon2id with the RFC 9106 parameters the crate defaults to (19 MiB, two passes). Nothing
    /// rests on its cost: a code cannot be tried without the node's answer.
    type Ksf = Argon2<'static>;
}

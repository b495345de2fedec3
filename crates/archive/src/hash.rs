//! SHA-256 (FIPS 180-4) with the processor's own instructions, on x86 and ARM.

use aws_lc_rs::digest::{Context, SHA256, digest};

use crate::Digest;

#[derive(Clone)]
pub(crate) struct Hash(Context);

impl Hash {
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn digest(self) -> Digest {
        from(&self.0.finish())
    }

    /// The hash of bytes that are all at hand.
    pub fn of(bytes: &[u8]) -> Digest {
        from(&digest(&SHA256, bytes))
    }
}

fn from(digest: &aws_lc_rs::digest::Digest) -> Digest {
    Digest(digest.as_ref().try_into().expect("SHA-256 is 32 bytes"))
}

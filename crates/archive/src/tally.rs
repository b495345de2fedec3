//! Counts and hashes what is read of an object, for the comparison with the manifest.

use std::{
    cell::RefCell,
    io::{self, Read},
    rc::Rc,
};

use backupd_base::Result;

use crate::{ManifestObject, damage::corrupt, hash::Hash};

/// What went through a [`Tallied`].
#[derive(Clone)]
pub(crate) struct Tally(Rc<RefCell<(Hash, u64)>>);

impl Tally {
    /// Compares what was read, to its end, with what the manifest says.
    pub fn check(&self, what: &str, expected: &ManifestObject) -> Result<()> {
        let (hash, bytes) = &*self.0.borrow();
        let digest = hash.clone().digest();
        if (*bytes, digest) == (expected.bytes, expected.sha256) {
            Ok(())
        } else {
            Err(corrupt(format!(
                "the {what} is not the one of the manifest"
            )))
        }
    }

    pub fn bytes(&self) -> u64 {
        self.0.borrow().1
    }
}

/// A reader that keeps a [`Tally`].
pub(crate) struct Tallied<R> {
    inner: R,
    tally: Tally,
}

impl<R> Tallied<R> {
    pub fn new(inner: R) -> (Self, Tally) {
        let tally = Tally(Rc::new(RefCell::new((Hash::new(), 0))));
        let reader = Self {
            inner,
            tally: tally.clone(),
        };
        (reader, tally)
    }
}

impl<R: Read> Read for Tallied<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        let (hash, bytes) = &mut *self.tally.0.borrow_mut();
        hash.update(&buf[..n]);
        *bytes += n as u64;
        Ok(n)
    }
}

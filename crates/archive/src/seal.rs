//! The age layer of what is written, and the size and hash of what left through it.

use std::{
    cell::RefCell,
    collections::HashSet,
    io::{self, Write},
};

use age::{EncryptError, Encryptor};
use age_core::format::{FileKey as AgeFileKey, Stanza};
use backupd_base::{Code, Context, Error, Result};

use crate::{
    Digest, FileKey, Recipient,
    hash::Hash,
    stream::{NONCE, PayloadWriter},
};

/// Encrypts to several recipients what is written.
pub(crate) struct Seal<W: Write> {
    payload: PayloadWriter<Tally<W>>,
}

/// What a [`Seal`] let through.
pub(crate) struct Sealed<W> {
    pub out: W,
    pub bytes: u64,
    pub sha256: Digest,
}

impl<W: Write> Seal<W> {
    /// Writes the header to `out`.
    pub fn new(out: W, recipients: &[Recipient]) -> Result<Self> {
        let distinct = recipients
            .iter()
            .enumerate()
            .all(|(i, recipient)| !recipients[..i].contains(recipient));
        if recipients.len() < 2 || !distinct {
            return Err(Error::new(
                Code::Invalid,
                "a snapshot is encrypted to at least two different recipients, \
                 so that no single lost key loses it",
            ));
        }
        let (header, nonce, file_key) = header(recipients).context("encrypt to the recipients")?;
        let mut out = Tally {
            out,
            bytes: 0,
            hash: Hash::new(),
        };
        out.write_all(&header).context("write an age header")?;
        Ok(Self {
            payload: PayloadWriter::new(out, &file_key, &nonce),
        })
    }

    /// Writes the last chunk; without it the object cannot be read to its end.
    pub fn finish(self) -> Result<Sealed<W>> {
        let mut tally = self.payload.finish().context("write the last age chunk")?;
        tally.out.flush().context("flush an encrypted object")?;
        Ok(Sealed {
            out: tally.out,
            bytes: tally.bytes,
            sha256: tally.hash.digest(),
        })
    }
}

impl<W: Write> Write for Seal<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.payload.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.payload.flush()
    }
}

/// A new age header with its nonce at the end, and the file key it wraps.
fn header(recipients: &[Recipient]) -> Result<(Vec<u8>, [u8; NONCE], FileKey)> {
    let file_key = RefCell::new(None);
    let taps: Vec<_> = recipients
        .iter()
        .map(|recipient| Tap {
            recipient,
            file_key: &file_key,
        })
        .collect();
    let mut header = Vec::new();
    // The age crate writes header and nonce at once, and a payload only if asked to.
    Encryptor::with_recipients(taps.iter().map(|tap| tap as &dyn age::Recipient))
        .context("wrap a file key")?
        .wrap_output(&mut header)
        .context("make an age header")?;
    let nonce = *header.last_chunk().expect("a header ends in a nonce");
    let file_key = file_key
        .into_inner()
        .expect("age wraps a file key for each recipient");
    Ok((header, nonce, file_key))
}

/// Wraps a file key as its recipient does, and keeps it.
struct Tap<'a> {
    recipient: &'a Recipient,
    file_key: &'a RefCell<Option<FileKey>>,
}

impl age::Recipient for Tap<'_> {
    fn wrap_file_key(
        &self,
        file_key: &AgeFileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        *self.file_key.borrow_mut() = Some(FileKey::of_age(file_key));
        self.recipient.wrap_file_key(file_key)
    }
}

struct Tally<W> {
    out: W,
    bytes: u64,
    hash: Hash,
}

impl<W: Write> Write for Tally<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_all(buf)?;
        Ok(buf.len())
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        self.out.write_all(buf)?;
        self.hash.update(buf);
        self.bytes += buf.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, iter};

    use super::*;
    use crate::{Keypair, keys::decrypt};

    /// What is sealed here is opened by the age crate, and the other way round, whatever the
    /// length is to a chunk.
    #[test]
    fn the_age_crate_agrees() {
        let pairs = [Keypair::generate(), Keypair::generate()];
        let recipients: Vec<_> = pairs.iter().map(Keypair::recipient).collect();
        let chunk = 64 * 1024;
        for len in [0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, 3 * chunk + 5] {
            let content: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let mut seal = Seal::new(Vec::new(), &recipients).unwrap();
            seal.write_all(&content).unwrap();
            let sealed = seal.finish().unwrap();
            assert_eq!(sealed.bytes, sealed.out.len() as u64);
            assert_eq!(sealed.sha256, Hash::of(&sealed.out));
            for pair in &pairs {
                let mut opened = Vec::new();
                age::Decryptor::new(&sealed.out[..])
                    .unwrap()
                    .decrypt(iter::once(pair as _))
                    .unwrap()
                    .read_to_end(&mut opened)
                    .unwrap();
                assert!(opened == content, "{len} sealed here");
            }

            let theirs = Encryptor::with_recipients(recipients.iter().map(|r| r as _)).unwrap();
            let mut writer = theirs.wrap_output(Vec::new()).unwrap();
            writer.write_all(&content).unwrap();
            let object = writer.finish().unwrap();
            let mut opened = Vec::new();
            let mut reader = decrypt(&object[..], &pairs[1]).unwrap();
            reader.read_to_end(&mut opened).unwrap();
            assert!(opened == content, "{len} sealed by the age crate");
        }
    }
}

//! Who can open a snapshot: age X25519 key pairs, and the file key of one object that can be lent
//! without the private key.

use std::{cell::RefCell, io::Read, iter, str::FromStr};

use age::{Decryptor, Identity, x25519};
use age_core::format::{FILE_KEY_BYTES, FileKey as AgeFileKey, Stanza};
use backupd_base::{Code, Context, Error, ExposeSecret, Result, SecretBox, SecretString};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::stream::{NONCE, PayloadReader};

/// A public key to encrypt to, `age1…` as text.
pub use age::x25519::Recipient;

/// A private key and its public half: a tenant's, or the recovery key on paper.
#[derive(Clone)]
pub struct Keypair(x25519::Identity);

impl Keypair {
    /// A new one, from the system's random generator.
    #[must_use]
    pub fn generate() -> Self {
        Self(x25519::Identity::generate())
    }

    /// Reads the `AGE-SECRET-KEY-1…` line that [`Keypair::to_secret`] gave.
    ///
    /// # Errors
    /// `Invalid` when it is not one; the text is not in the error.
    pub fn from_secret(secret: &SecretString) -> Result<Self> {
        x25519::Identity::from_str(secret.expose_secret().trim())
            .map(Self)
            .map_err(|e| Error::new(Code::Invalid, format!("read an age secret key: {e}")))
    }

    /// The private key as `AGE-SECRET-KEY-1…`, the line `age -d -i` takes.
    #[must_use]
    pub fn to_secret(&self) -> SecretString {
        self.0.to_string()
    }

    /// The public half.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        self.0.to_public()
    }
}

impl std::fmt::Debug for Keypair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keypair({})", self.recipient())
    }
}

impl Identity for Keypair {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<AgeFileKey, age::DecryptError>> {
        self.0.unwrap_stanza(stanza)
    }
}

/// Reads a recipient.
///
/// # Errors
/// `Invalid` when it is not an `age1…` X25519 public key.
pub fn parse_recipient(text: &str) -> Result<Recipient> {
    text.trim()
        .parse()
        .map_err(|e| Error::new(Code::Invalid, format!("read age recipient {text:?}: {e}")))
}

/// What opens the two encrypted objects of one snapshot. With a private key both are the same.
#[derive(Clone, Copy)]
pub struct SnapshotKeys<'a> {
    /// Opens the archive.
    pub archive: &'a dyn Identity,
    /// Opens the index.
    pub index: &'a dyn Identity,
}

impl<'a> SnapshotKeys<'a> {
    /// One identity for both objects.
    #[must_use]
    pub fn both(identity: &'a dyn Identity) -> Self {
        Self {
            archive: identity,
            index: identity,
        }
    }
}

/// The symmetric key of one age object (128 bits). It opens that object and no other.
pub struct FileKey(SecretBox<[u8; FILE_KEY_BYTES]>);

impl FileKey {
    /// As base64, for the pinned connection.
    #[must_use]
    pub fn to_base64(&self) -> SecretString {
        BASE64_STANDARD.encode(self.0.expose_secret()).into()
    }

    /// Reads what [`FileKey::to_base64`] gave.
    ///
    /// # Errors
    /// `Invalid` when it is not 16 bytes in base64; the text is not in the error.
    pub fn from_base64(text: &SecretString) -> Result<Self> {
        let mut key = Box::new([0; FILE_KEY_BYTES]);
        match BASE64_STANDARD.decode_slice_unchecked(text.expose_secret(), key.as_mut_slice()) {
            Ok(FILE_KEY_BYTES) => Ok(Self(SecretBox::new(key))),
            _ => Err(Error::new(
                Code::Invalid,
                "a file key is 16 bytes in base64",
            )),
        }
    }

    pub(crate) fn expose(&self) -> &[u8; FILE_KEY_BYTES] {
        self.0.expose_secret()
    }

    pub(crate) fn of_age(key: &AgeFileKey) -> Self {
        Self(SecretBox::new(Box::new(*key.expose_secret())))
    }

    fn to_age(&self) -> AgeFileKey {
        AgeFileKey::init_with_mut(|key| key.copy_from_slice(self.0.expose_secret()))
    }
}

impl std::fmt::Debug for FileKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FileKey([redacted])")
    }
}

/// Unwraps the file key of one object. `header` is the beginning of the object: a few hundred
/// bytes are read, 4 KiB are always enough for a snapshot written here.
///
/// # Errors
/// `KeyMissing` when `identity` is none of its recipients, `Corrupt` when it is not an age file
/// or its header was changed.
pub fn file_key(header: impl Read, identity: &dyn Identity) -> Result<FileKey> {
    let (key, _) = open_header(header, identity).context("unwrap the file key")?;
    Ok(key)
}

/// Opens the one object a [`FileKey`] was lent for, without the private key.
#[derive(Debug)]
pub struct LentIdentity(FileKey);

impl LentIdentity {
    /// Stands in for the identity the key was unwrapped with.
    #[must_use]
    pub fn new(key: FileKey) -> Self {
        Self(key)
    }
}

impl Identity for LentIdentity {
    /// The key is offered for any header; age then checks the header's MAC with it, and the MAC
    /// holds for the object of this key only.
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<AgeFileKey, age::DecryptError>> {
        Some(Ok(self.0.to_age()))
    }
}

/// Keeps the file key another identity unwraps.
struct Capture<'a> {
    identity: &'a dyn Identity,
    key: RefCell<Option<FileKey>>,
}

impl Identity for Capture<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<AgeFileKey, age::DecryptError>> {
        self.identity.unwrap_stanza(stanza)
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<AgeFileKey, age::DecryptError>> {
        let unwrapped = self.identity.unwrap_stanzas(stanzas)?;
        if let Ok(key) = &unwrapped {
            *self.key.borrow_mut() = Some(FileKey::of_age(key));
        }
        Some(unwrapped)
    }
}

/// Opens an age object for reading.
pub(crate) fn decrypt<R: Read>(mut object: R, identity: &dyn Identity) -> Result<PayloadReader<R>> {
    let (key, nonce) = open_header(&mut object, identity)?;
    Ok(PayloadReader::new(object, &key, &nonce))
}

/// Reads header and nonce, and nothing after them; the header's MAC is checked.
fn open_header(object: impl Read, identity: &dyn Identity) -> Result<(FileKey, [u8; NONCE])> {
    let capture = Capture {
        identity,
        key: RefCell::new(None),
    };
    let mut tail = Tail {
        inner: object,
        last: [0; NONCE],
    };
    let mut open = || {
        Decryptor::new(&mut tail)?
            .decrypt(iter::once(&capture as _))
            .map(drop)
    };
    open().map_err(|error| match error {
        age::DecryptError::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::caused("read an age header", e).with_code(Code::Corrupt)
        }
        age::DecryptError::Io(e) => Error::caused("read an age header", e),
        age::DecryptError::NoMatchingKeys => {
            Error::caused("open an age object", error).with_code(Code::KeyMissing)
        }
        _ => Error::caused("open an age object", error).with_code(Code::Corrupt),
    })?;
    let key = capture.key.into_inner();
    let key =
        key.ok_or_else(|| Error::new(Code::Internal, "age opened an object without a key"))?;
    Ok((key, tail.last))
}

/// Remembers the last bytes that were read: after age read a header, its nonce.
struct Tail<R> {
    inner: R,
    last: [u8; NONCE],
}

impl<R: Read> Read for Tail<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buf)?;
        let new = &buf[n.saturating_sub(NONCE)..n];
        self.last.rotate_left(new.len());
        self.last[NONCE - new.len()..].copy_from_slice(new);
        Ok(n)
    }
}

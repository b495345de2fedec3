//! The node's own keys, in `$BACKUPD_DATA_DIR/keys`, readable by nobody else: the TLS identity, the
//! key that signs manifests, the key that credentials are sealed to.
//!
//! A key that was made once and is gone is never replaced silently: the master pinned it.

use std::{
    fmt, fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use backupd_base::{Code, Context, Error, ExposeSecret as _, Result, SecretString};
use backupd_protocol::tls::Identity;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, spki::der::pem::LineEnding},
};
use rand::rngs::OsRng;

use crate::store::{Store, meta};

/// Set in the database once all keys are on the disk.
const MADE: &str = "keys_made";

/// The three keys. Prints public halves only.
pub struct NodeKeys {
    /// Who this node is in TLS.
    pub tls: Identity,
    /// Signs manifests.
    pub signing: SigningKey,
    /// Opens what the master sealed for this node.
    pub seal: age::x25519::Identity,
}

impl NodeKeys {
    /// The keys of the node whose database is `store`; makes them at the first start.
    ///
    /// # Errors
    /// `KeyMissing` when a key that was made is gone, `Corrupt` when one cannot be read, `Denied`
    /// when others may read one.
    pub fn open(store: &Store) -> Result<Self> {
        let dir = store.dir().join("keys");
        if store.read(|db| meta::get(db, MADE))?.is_none() {
            make(&dir)?;
            store.write(|tx| meta::set(tx, MADE, "1"))?;
        }
        let signing = read(&dir, "signing.pem")?;
        let seal = read(&dir, "seal.age")?;
        Ok(Self {
            tls: Identity::from_secret_pem(&read(&dir, "tls.pem")?)?,
            signing: SigningKey::from_pkcs8_pem(signing.expose_secret())
                .map_err(|_| corrupt("signing.pem"))?,
            seal: seal
                .expose_secret()
                .trim()
                .parse()
                .map_err(|_| corrupt("seal.age"))?,
        })
    }

    /// The public half of the signing key, as manifests name it: `ed25519:<base64>`.
    #[must_use]
    pub fn signer(&self) -> String {
        let key = self.signing.verifying_key();
        format!("ed25519:{}", STANDARD.encode(key.as_bytes()))
    }

    /// What credentials are sealed to: `age1…`.
    #[must_use]
    pub fn seal_recipient(&self) -> String {
        self.seal.to_public().to_string()
    }
}

impl fmt::Debug for NodeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeKeys")
            .field("tls", &self.tls)
            .field("signer", &self.signer())
            .finish_non_exhaustive()
    }
}

/// Makes what a start that was cut short left out; keeps what it made.
fn make(dir: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("make folder {}", dir.display()))?;
    write(dir, "tls.pem", || Ok(Identity::generate()?.to_secret_pem()))?;
    write(dir, "signing.pem", || {
        let key = SigningKey::generate(&mut OsRng);
        let pem = key
            .to_pkcs8_pem(LineEnding::LF)
            .context("encode the signing key")?;
        Ok(SecretString::from(pem.as_str()))
    })?;
    write(dir, "seal.age", || {
        let key = age::x25519::Identity::generate().to_string();
        Ok(SecretString::from(key.expose_secret()))
    })?;
    fs::File::open(dir)
        .and_then(|dir| dir.sync_all())
        .with_context(|| format!("sync folder {}", dir.display()))
}

/// Whole or not at all: a half key after a power cut would be taken for a key that was damaged.
fn write(dir: &Path, name: &str, key: impl FnOnce() -> Result<SecretString>) -> Result<()> {
    let path = dir.join(name);
    if path.exists() {
        return Ok(());
    }
    let fresh = path.with_extension("new");
    let text = key()?;
    let put = || {
        let mut file = fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(text.expose_secret().as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, &path)
    };
    put().with_context(|| format!("write key {}", path.display()))
}

fn read(dir: &Path, name: &str) -> Result<SecretString> {
    let path = dir.join(name);
    let what = || format!("read key {}", path.display());
    let mode = match fs::metadata(&path) {
        Ok(meta) => meta.permissions().mode(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::new(
                Code::KeyMissing,
                format!(
                    "the key {} is gone; restore it from a backup of this folder, or remove the whole data folder and enrol again",
                    path.display()
                ),
            ));
        }
        Err(e) => return Err(Error::caused(what(), e)),
    };
    if mode & 0o077 != 0 {
        return Err(Error::new(
            Code::Denied,
            format!(
                "others may read the key {}: set its mode to 600",
                path.display()
            ),
        ));
    }
    fs::read_to_string(&path).map(Into::into).with_context(what)
}

fn corrupt(name: &str) -> Error {
    Error::new(Code::Corrupt, format!("the key {name} is damaged"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(dir: &tempfile::TempDir) -> Store {
        Store::open(dir.path()).unwrap()
    }

    #[test]
    fn a_node_keeps_its_keys() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let first = NodeKeys::open(&store).unwrap();
        let second = NodeKeys::open(&store).unwrap();
        assert_eq!(first.tls.pin(), second.tls.pin());
        assert_eq!(first.signer(), second.signer());
        assert_eq!(first.seal_recipient(), second.seal_recipient());
        for entry in fs::read_dir(dir.path().join("keys")).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let printed = format!("{first:?}");
        assert!(!printed.contains("PRIVATE") && !printed.contains("AGE-SECRET"));
    }

    #[test]
    fn a_key_that_is_gone_is_not_made_again() {
        for name in ["tls.pem", "signing.pem", "seal.age"] {
            let dir = tempfile::tempdir().unwrap();
            let store = store(&dir);
            NodeKeys::open(&store).unwrap();
            fs::remove_file(dir.path().join("keys").join(name)).unwrap();
            let error = NodeKeys::open(&store).unwrap_err();
            assert_eq!(error.code(), Code::KeyMissing, "{error}");
        }
    }

    #[test]
    fn a_key_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        NodeKeys::open(&store).unwrap();
        let path = dir.path().join("keys/tls.pem");
        fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(NodeKeys::open(&store).unwrap_err().code(), Code::Denied);
    }

    #[test]
    fn a_first_start_that_was_cut_short_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let keys = dir.path().join("keys");
        make(&keys).unwrap();
        let tls = fs::read(keys.join("tls.pem")).unwrap();
        fs::remove_file(keys.join("seal.age")).unwrap();
        NodeKeys::open(&store).unwrap();
        assert_eq!(fs::read(keys.join("tls.pem")).unwrap(), tls);
    }
}

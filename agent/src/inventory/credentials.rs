//! What opens a bucket: sealed by the master to this node's key, or in a file of the admin's.
//! Decrypted in memory for the store that is opened, and nowhere else.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use age::armor::ArmoredReader;
use backupd_base::{Code, Context, Error, Result, SecretString};
use backupd_storage::S3Credentials;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::Inventory;
use crate::store::providers::Kept;

/// More than any credentials.
const LIMIT: u64 = 64 * 1024;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    access_key_id: String,
    secret_access_key: SecretString,
}

impl Inventory {
    pub(super) fn credentials(&self, kept: &Kept) -> Result<S3Credentials> {
        let credentials: Credentials =
            match (&kept.credentials_file, &kept.provider.sealed_credentials) {
                (Some(path), _) => from_file(path)?,
                (None, Some(sealed)) => self.unseal(sealed)?,
                (None, None) => {
                    return Err(Error::new(
                        Code::KeyMissing,
                        "the master has not sent any; edit the provider there and save it again",
                    ));
                }
            };
        Ok(S3Credentials {
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret_access_key,
        })
    }

    fn unseal<T: DeserializeOwned>(&self, sealed: &str) -> Result<T> {
        let open = || -> Result<Zeroizing<Vec<u8>>> {
            let armored = ArmoredReader::new(sealed.as_bytes());
            let decryptor = age::Decryptor::new(armored).context("read their header")?;
            let identity: &dyn age::Identity = &self.keys.seal;
            let reader = decryptor
                .decrypt(std::iter::once(identity))
                .context("decrypt them with this node's key")?;
            let mut json = Zeroizing::new(Vec::with_capacity(4096));
            std::io::copy(&mut std::io::Read::take(reader, LIMIT), &mut *json)
                .context("decrypt them")?;
            Ok(json)
        };
        let json = open().map_err(|e| e.with_code(Code::Invalid))?;
        // Serde's error would quote what it read.
        serde_json::from_slice(&json)
            .map_err(|_| Error::new(Code::Invalid, "they are not what a master seals"))
    }
}

fn from_file(path: &Path) -> Result<Credentials> {
    let what = || format!("read {}", path.display());
    let mode = fs::metadata(path).with_context(what)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Error::new(
            Code::Denied,
            format!("others may read {}: set its mode to 600", path.display()),
        ));
    }
    let text = Zeroizing::new(fs::read_to_string(path).with_context(what)?);
    // TOML's error would quote the line.
    toml::from_str(&text).map_err(|_| {
        Error::new(
            Code::Invalid,
            format!(
                "{} holds something else than access_key_id = \"…\" and secret_access_key = \"…\"",
                path.display()
            ),
        )
    })
}

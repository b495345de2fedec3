//! What a person may say of a store, and the form it is kept in.

use backupd_base::{Code, Error, ExposeSecret as _, Result};
use backupd_protocol::{ProviderKind, S3Credentials};

use crate::view::CredentialsInput;

/// The kind in the form it is kept in.
pub fn checked_kind(kind: ProviderKind) -> Result<ProviderKind> {
    let refused = |what: &str| Err(Error::new(Code::Invalid, what.to_owned()));
    match kind {
        ProviderKind::Local { path } => {
            let path = path.trim().to_owned();
            let whole = path.starts_with('/') && path.split('/').all(|s| s != "..");
            if whole && !path.contains('\0') {
                return Ok(ProviderKind::Local { path });
            }
            refused("the folder of a store is a whole path on the server: /srv/backups")
        }
        ProviderKind::S3 {
            endpoint,
            region,
            bucket,
            prefix,
            path_style,
        } => {
            let endpoint = endpoint.trim().trim_end_matches('/').to_owned();
            if !endpoint.starts_with("https://") && !endpoint.starts_with("http://") {
                return refused("the endpoint of a bucket begins with https:// or http://");
            }
            let bucket = bucket.trim().to_owned();
            if bucket.is_empty() || bucket.contains('/') {
                return refused("a bucket has a name, without slashes");
            }
            let region = region.trim();
            let region = if region.is_empty() {
                "us-east-1"
            } else {
                region
            };
            Ok(ProviderKind::S3 {
                endpoint,
                region: region.to_owned(),
                bucket,
                prefix: prefix.trim().trim_matches('/').to_owned(),
                path_style,
            })
        }
    }
}

/// Credentials that could be ones.
pub fn checked_credentials(input: CredentialsInput) -> Result<S3Credentials> {
    let access_key_id = input.access_key_id.trim().to_owned();
    let secret = input.secret_access_key.expose_secret().trim();
    if access_key_id.is_empty() || secret.is_empty() {
        return Err(no_credentials());
    }
    Ok(S3Credentials {
        access_key_id,
        secret_access_key: secret.into(),
    })
}

/// What is said when they are missing.
pub fn no_credentials() -> Error {
    Error::new(Code::Invalid, "a bucket needs an access key and its secret")
}

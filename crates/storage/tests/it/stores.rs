//! The stores that the suite runs against.

use std::{ops::Deref, sync::Arc};

use backupd_storage::{
    Key, Local, Retry, RetryOptions, S3, S3Credentials, S3Options, SpeedLimit, Storage, Throttle,
};
use backupd_testkit::{Identity, SeaweedFs};
use tempfile::TempDir;

/// A store of its own for one test, with what keeps it alive.
pub struct Store {
    pub storage: Arc<dyn Storage>,
    _folder: Option<TempDir>,
    _server: Option<Arc<SeaweedFs>>,
}

impl Deref for Store {
    type Target = dyn Storage;
    fn deref(&self) -> &Self::Target {
        &*self.storage
    }
}

pub fn local() -> Store {
    let folder = tempfile::tempdir().unwrap();
    Store {
        storage: Arc::new(Local::new(folder.path().join("store")).unwrap()),
        _folder: Some(folder),
        _server: None,
    }
}

pub fn s3() -> Store {
    let server = SeaweedFs::shared();
    Store {
        storage: Arc::new(s3_at(
            &server.endpoint(),
            server.full_key(),
            &random_prefix(),
        )),
        _folder: None,
        _server: Some(server),
    }
}

pub fn retry() -> Store {
    let inner = local();
    Store {
        storage: Arc::new(Retry::new(
            Arc::clone(&inner.storage),
            RetryOptions::default(),
        )),
        ..inner
    }
}

pub fn throttle() -> Store {
    let inner = local();
    let limit = SpeedLimit::new(1 << 40);
    Store {
        storage: Arc::new(Throttle::new(Arc::clone(&inner.storage), limit)),
        ..inner
    }
}

/// As a backup uses it.
pub fn retry_throttle_s3() -> Store {
    let inner = s3();
    let throttled = Throttle::new(Arc::clone(&inner.storage), SpeedLimit::new(0));
    Store {
        storage: Arc::new(Retry::new(throttled, RetryOptions::default())),
        ..inner
    }
}

/// A prefix that nobody else uses.
pub fn random_prefix() -> String {
    format!("tests/{}", uuid::Uuid::new_v4())
}

pub fn s3_at(endpoint: &str, identity: &Identity, prefix: &str) -> S3 {
    let options = S3Options {
        endpoint: endpoint.to_owned(),
        region: "us-east-1".into(),
        bucket: SeaweedFs::BUCKET.into(),
        prefix: prefix.to_owned(),
        path_style: true,
    };
    let credentials = S3Credentials {
        access_key_id: identity.access_key.clone(),
        secret_access_key: identity.secret_key.clone().into(),
    };
    S3::new(options, credentials).unwrap()
}

pub fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

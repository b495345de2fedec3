//! A line to the S3 server on which things go wrong.

use std::{sync::Arc, time::Duration};

use backupd_storage::{Retry, RetryOptions, S3, S3Credentials, S3Options, Storage};
use backupd_testkit::{Identity, Proxy, SeaweedFs, proxy::Request};
use bytes::Bytes;
use rand::RngCore as _;

use crate::stores::{key, random_prefix, s3_at};

/// A store behind a proxy, asked without and with patience.
pub struct Line {
    pub server: Arc<SeaweedFs>,
    pub proxy: Proxy,
    pub prefix: String,
    pub once: S3,
}

impl Line {
    pub fn new() -> Self {
        let server = SeaweedFs::shared();
        let proxy = Proxy::start(server.port());
        let prefix = random_prefix();
        let once = s3_at(&proxy.endpoint(), server.full_key(), &prefix);
        Self {
            server,
            proxy,
            prefix,
            once,
        }
    }

    pub fn retry(&self) -> Retry<S3> {
        let options = RetryOptions {
            wait: Duration::from_millis(20),
            ..RetryOptions::default()
        };
        Retry::new(self.once.clone(), options)
    }

    /// The same objects without the proxy.
    pub fn direct(&self) -> S3 {
        s3_at(
            &self.server.endpoint(),
            self.server.full_key(),
            &self.prefix,
        )
    }

    pub fn count(&self, matches: impl Fn(&Request) -> bool) -> usize {
        self.proxy.seen().iter().filter(|r| matches(r)).count()
    }
}

pub fn is_part(request: &Request) -> bool {
    request.method == "PUT" && request.target.contains("partNumber=")
}

pub fn is_put(request: &Request) -> bool {
    request.method == "PUT" && !is_part(request)
}

pub fn is_complete(request: &Request) -> bool {
    request.method == "POST" && request.target.contains("uploadId=")
}

pub fn error_body(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>told so</Message></Error>")
}

pub fn random(len: usize) -> Bytes {
    let mut body = vec![0; len];
    rand::thread_rng().fill_bytes(&mut body);
    body.into()
}

/// Two parts through whatever the rule does, and the object compared.
pub async fn upload_survives(line: &Line) {
    let (key, body) = (key("up/load"), random((5 << 20) + 1000));
    let upload = line.retry().start_upload(&key).await.unwrap();
    let cut = 5 << 20;
    upload.part(1, 0, body.slice(..cut)).await.unwrap();
    upload.part(2, cut as u64, body.slice(cut..)).await.unwrap();
    upload.complete(body.len() as u64).await.unwrap();
    assert!(line.direct().get(&key).await.unwrap() == body);
    assert_eq!(line.direct().open_uploads("").await.unwrap(), []);
    line.direct().delete(&key).await.unwrap();
}

pub fn parameters(endpoint: &str, identity: &Identity) -> (S3Options, S3Credentials) {
    let options = S3Options {
        endpoint: endpoint.into(),
        region: "us-east-1".into(),
        bucket: SeaweedFs::BUCKET.into(),
        prefix: String::new(),
        path_style: true,
    };
    let credentials = S3Credentials {
        access_key_id: identity.access_key.clone(),
        secret_access_key: identity.secret_key.clone().into(),
    };
    (options, credentials)
}

//! Anything that speaks S3.
//!
//! - Bodies are sent whole, never in `aws-chunked` framing, which servers that do not know it
//!   store as part of the object. Each carries its CRC32C, and its SHA-256 in the signature.
//! - `If-None-Match: *` on every write, and a look before it for servers that ignore it.
//! - One attempt per call; trying again is [`Retry`](crate::Retry)'s work.
//! - Nothing is taken from the environment, no redirect is followed.

mod calls;
mod clock;
mod endpoint;
mod failure;
mod upload;

use std::{
    fmt,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws_sdk_s3::{
    Client,
    config::{
        BehaviorVersion, Credentials, Region, RequestChecksumCalculation,
        ResponseChecksumValidation, StalledStreamProtectionConfig, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
};
use backupd_base::{Code, Error, ExposeSecret as _, Result, SecretString};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::{
    Guarantees, Key, ObjectInfo, OpenUpload, Storage, Upload,
    s3::{clock::Clock, upload::S3Upload},
};

/// Where a bucket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Options {
    /// `https://s3.eu-central-1.amazonaws.com`, `http://127.0.0.1:8333`.
    pub endpoint: String,
    /// Region to sign for.
    pub region: String,
    /// Bucket name.
    pub bucket: String,
    /// Everything lies below it; empty for the bucket's root. No leading or closing slash.
    pub prefix: String,
    /// Bucket in the path instead of the host name.
    pub path_style: bool,
}

/// Access to a bucket.
#[derive(Clone)]
pub struct S3Credentials {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: SecretString,
}

impl fmt::Debug for S3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Credentials")
    }
}

/// A store in a bucket. Clones share connections.
#[derive(Clone)]
pub struct S3(Arc<Inner>);

struct Inner {
    client: Client,
    clock: Clock,
    bucket: String,
    /// Empty, or closed by a slash.
    prefix: String,
    patience: Duration,
    /// The server refused a conditional or checksum header as not implemented: go without.
    plain: AtomicBool,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3({}/{})", self.0.bucket, self.0.prefix)
    }
}

/// A server that is there accepts a connection within this.
const CONNECT: Duration = Duration::from_secs(10);
/// What any call may take before its body is counted.
const CALL: Duration = Duration::from_secs(60);
/// The slowest line that is still waited for, in bytes per second.
const SLOWEST: u64 = 16 << 10;
/// A connection that carries nothing for this long is given up.
const STALLED: Duration = Duration::from_secs(30);
/// The metadata entry by which an object of ours is known again.
const TAG: &str = "backupd-tag";

impl S3 {
    /// The store in a bucket. Nothing is connected yet.
    ///
    /// # Errors
    /// `Invalid` when an option is wrong, naming it.
    pub fn new(options: S3Options, credentials: S3Credentials) -> Result<Self> {
        Self::with_patience(options, credentials, CALL)
    }

    /// [`new`](Self::new) with another patience: what any call may take, besides the time for its
    /// body.
    ///
    /// # Errors
    /// `Invalid` when an option is wrong, naming it.
    pub fn with_patience(
        options: S3Options,
        credentials: S3Credentials,
        patience: Duration,
    ) -> Result<Self> {
        check_bucket(&options.bucket)?;
        let prefix = match options.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{}/", Key::new(prefix)?),
        };
        let clock = Clock::default();
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(endpoint::client())
            .endpoint_url(endpoint::check(&options.endpoint)?)
            .region(Region::new(options.region))
            .force_path_style(options.path_style)
            .credentials_provider(Credentials::new(
                credentials.access_key_id,
                credentials.secret_access_key.expose_secret(),
                None,
                None,
                "backupd",
            ))
            .disable_s3_express_session_auth(true)
            .disable_multi_region_access_points(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).build())
            .stalled_stream_protection(
                StalledStreamProtectionConfig::enabled()
                    .grace_period(STALLED)
                    .build(),
            )
            .disable_clock_skew_correction(true)
            .time_source(clock.clone())
            .interceptor(clock.clone())
            .build();
        Ok(Self(Arc::new(Inner {
            client: Client::from_conf(config),
            clock,
            bucket: options.bucket,
            prefix,
            patience,
            plain: AtomicBool::new(false),
        })))
    }
}

impl Inner {
    fn full_key(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The key below our prefix; `None` for an object that is none of ours.
    fn own_key(&self, full: &str) -> Option<Key> {
        Key::new(full.strip_prefix(&self.prefix)?).ok()
    }

    /// How long a call that carries this many bytes may take.
    fn patience(&self, bytes: u64) -> Duration {
        self.patience + Duration::from_secs(bytes / SLOWEST)
    }

    fn is_plain(&self) -> bool {
        self.plain.load(Ordering::Relaxed)
    }
}

fn check_bucket(bucket: &str) -> Result<()> {
    let safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if (3..=63).contains(&bucket.len()) && bucket.bytes().all(safe) {
        return Ok(());
    }
    let what =
        format!("{bucket:?} is not a bucket name: 3 to 63 letters, digits, dots and hyphens");
    Err(Error::new(Code::Invalid, what))
}

/// CRC32C as S3 writes it.
fn crc32c(body: &[u8]) -> String {
    BASE64_STANDARD.encode(crc32c::crc32c(body).to_be_bytes())
}

/// What lies under a key, as far as the credential may see.
enum Seen {
    Nothing,
    Object { size: u64, tag: Option<String> },
    Hidden,
}

#[async_trait]
impl Storage for S3 {
    async fn put(&self, key: &Key, body: Bytes) -> Result<()> {
        crate::check_put_size(key, &body)?;
        let tag = hex::encode(Sha256::digest(&body));
        let same = |seen: &Seen| matches!(seen, Seen::Object { tag: Some(t), .. } if *t == tag);
        let seen = self.0.look(key).await?;
        if let Seen::Object { .. } = seen {
            return if same(&seen) { Ok(()) } else { Err(taken(key)) };
        }
        match self.0.put_new(key, &body, &tag).await {
            // Another writer came first, or an earlier attempt whose answer was lost.
            Err(e) if e.code() == Code::AlreadyExists && same(&self.0.look(key).await?) => Ok(()),
            done => done,
        }
    }

    async fn start_upload(&self, key: &Key) -> Result<Box<dyn Upload>> {
        if let Seen::Object { .. } = self.0.look(key).await? {
            return Err(taken(key));
        }
        Ok(Box::new(S3Upload::start(Arc::clone(&self.0), key).await?))
    }

    async fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        self.0.open_uploads(prefix).await
    }

    async fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        self.0.abort_upload(upload).await
    }

    async fn get(&self, key: &Key) -> Result<Bytes> {
        self.0.get(key).await
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        self.0.get_range(key, range).await
    }

    async fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        self.0.head(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        self.0.list(prefix).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.0.delete(key).await
    }

    async fn guarantees(&self, scratch: &Key) -> Result<Guarantees> {
        let no_overwrite = self.0.refuses_overwrite(scratch).await?;
        let checksum = self.0.refuses_bad_checksum(scratch).await?;
        Ok(Guarantees {
            no_overwrite,
            checksum,
            clock_ahead: self.clock_ahead(),
        })
    }

    fn clock_ahead(&self) -> Option<i64> {
        self.0.clock.ahead()
    }
}

fn taken(key: &Key) -> Error {
    Error::new(
        Code::AlreadyExists,
        format!("write {key}: the object exists"),
    )
}

//! One contract for every store, a local folder and S3 behind it.
//! Retry and speed limit are wrappers; one conformance suite tests them all.
//!
//! Deliberately not here: what the objects mean, and who may read them.

mod holdings;
mod key;
mod local;
pub mod probe;
mod reader;
mod retry;
mod s3;
mod shared;
mod throttle;
mod writer;

pub use holdings::{Holding, Owner, holdings, remove_snapshot};
pub use key::{Key, SnapshotPrefix};
pub use local::Local;
pub use probe::probe;
pub use reader::Ranged;
pub use retry::{Retry, RetryOptions};
pub use s3::{S3, S3Credentials, S3Options};
pub use throttle::{SpeedLimit, Throttle};
pub use writer::{UploadOptions, UploadWriter};

use std::ops::Range;

use async_trait::async_trait;
use backupd_base::{Code, Error, Result};
use bytes::Bytes;

/// An object as a store lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Where it lies, without the provider's own prefix.
    pub key: Key,
    /// Size in bytes.
    pub size: u64,
}

/// A multipart upload that was begun and neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OpenUpload {
    /// The object it would become.
    pub key: Key,
    /// The store's own id of the upload.
    pub id: String,
}

/// The largest object that [`Storage::put`] takes, in bytes.
pub const PUT_LIMIT: usize = 8 << 20;

/// The largest object that [`Storage::get`] returns, in bytes.
pub const GET_LIMIT: u64 = 64 << 20;

/// What a store itself guarantees, found by trying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guarantees {
    /// It refuses a second write to a key, also when two writers race.
    pub no_overwrite: bool,
    /// It refuses bytes that do not match the checksum sent with them.
    pub checksum: bool,
    /// How many seconds its clock is ahead of this computer's, where it tells.
    pub clock_ahead: Option<i64>,
}

/// A store of immutable objects.
///
/// The contract, kept by every implementation and checked by one suite:
/// - **Objects are written once.** `put` and `complete` on a key that exists fail with
///   `AlreadyExists` and leave the object as it was, where the store can refuse; where it
///   cannot, the implementation looks first. Keys are unique by construction, so this is a
///   second line of defence. The one exception makes a retry after a lost answer possible:
///   writing the very bytes that are there already is `Ok`.
/// - **No half object is ever visible** under its key: an object appears whole or not at all.
/// - **Durable on return**: when `put` or `complete` answers `Ok`, the bytes survive a crash.
/// - `get` and `get_range` of a missing object fail with `NotFound`; `head` answers `None`.
/// - `delete` of a missing object is `Ok` (idempotent). A node's credential need not allow it.
/// - Every method may be retried after `Unavailable` or `Timeout`; no other code is retried.
/// - A future may be dropped at any point; what it leaves behind is found by `open_uploads`.
#[async_trait]
pub trait Storage: Send + Sync {
    /// Writes a small object (at most 8 MiB) whole.
    async fn put(&self, key: &Key, body: Bytes) -> Result<()>;

    /// Begins a multipart upload. Its [`OpenUpload`] is journalled by the caller before any part is sent.
    async fn start_upload(&self, key: &Key) -> Result<Box<dyn Upload>>;

    /// Uploads begun below `prefix` and still open.
    async fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>>;

    /// Drops an open upload and its parts. One that does not exist any more is `Ok`.
    async fn abort_upload(&self, upload: &OpenUpload) -> Result<()>;

    /// A small object (at most 64 MiB) whole.
    async fn get(&self, key: &Key) -> Result<Bytes>;

    /// Bytes `range` of an object; fewer only where the object ends.
    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes>;

    /// What is known of one object, or `None`.
    async fn head(&self, key: &Key) -> Result<Option<ObjectInfo>>;

    /// Objects whose key begins with `prefix`, in key order.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>>;

    /// Removes an object.
    async fn delete(&self, key: &Key) -> Result<()>;

    /// Tries what the store guarantees on `scratch`, an object that exists and that may be
    /// replaced in the course of it.
    async fn guarantees(&self, scratch: &Key) -> Result<Guarantees>;

    /// How many seconds the store's clock was ahead of this computer's at its last answer, where
    /// it tells. Asks nothing.
    fn clock_ahead(&self) -> Option<i64> {
        None
    }
}

/// A multipart upload under way. Dropping it leaves it open; `abort` removes it.
#[async_trait]
pub trait Upload: Send + Sync {
    /// What to journal so that a later process can abort it.
    fn open_upload(&self) -> OpenUpload;

    /// Sends part `number` (from 1, at most 10,000), whose first byte is byte `offset` of the
    /// object. Every part but the last is at least 5 MiB. Parts may be sent concurrently and in
    /// any order; the same number sent again replaces the part.
    async fn part(&self, number: u32, offset: u64, body: Bytes) -> Result<()>;

    /// Makes the object visible. `size` is the sum of the parts; the answer of the store is
    /// checked against it, and a mismatch is `Corrupt`. Like every method it may be called again
    /// after `Unavailable` or `Timeout`: whether an answer that was lost had meant success is
    /// found out by looking.
    async fn complete(&self, size: u64) -> Result<()>;

    /// Drops the upload and its parts. One that does not exist any more is `Ok`.
    async fn abort(&self) -> Result<()>;
}

fn check_put_size(key: &Key, body: &Bytes) -> Result<()> {
    if body.len() <= PUT_LIMIT {
        return Ok(());
    }
    let what = format!(
        "{key} has {} bytes; more than {PUT_LIMIT} go up in parts",
        body.len()
    );
    Err(Error::new(Code::Invalid, what))
}

fn check_get_size(size: u64) -> Result<()> {
    if size <= GET_LIMIT {
        return Ok(());
    }
    let what = format!("it has {size} bytes; more than {GET_LIMIT} are read in ranges");
    Err(Error::new(Code::Invalid, what))
}

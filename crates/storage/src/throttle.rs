//! One speed limit shared by every upload, changeable while they run.
//!
//! A part waits until the bytes before it have had their time, then goes at the speed of the
//! line: the average is the limit, measured over a few parts.

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use backupd_base::Result;
use bytes::Bytes;
use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};

use crate::{Guarantees, Key, ObjectInfo, OpenUpload, Storage, Upload};

/// A speed limit. Clones share it.
#[derive(Debug, Clone)]
pub struct SpeedLimit(Arc<Bucket>);

#[derive(Debug)]
struct Bucket {
    /// Bytes per second; 0 is unlimited.
    limit: watch::Sender<u64>,
    /// Whoever holds it is next. Tokio's mutex hands it on in order.
    debt: Mutex<Debt>,
}

/// Bytes let through that have not had their time yet.
#[derive(Debug)]
struct Debt {
    bytes: f64,
    as_of: Instant,
}

impl SpeedLimit {
    /// A limit in bytes per second; 0 is unlimited.
    #[must_use]
    pub fn new(bytes_per_second: u64) -> Self {
        Self(Arc::new(Bucket {
            limit: watch::Sender::new(bytes_per_second),
            debt: Mutex::new(Debt {
                bytes: 0.0,
                as_of: Instant::now(),
            }),
        }))
    }

    /// Changes the limit, also for those who wait.
    pub fn set(&self, bytes_per_second: u64) {
        self.0.limit.send_replace(bytes_per_second);
    }

    /// The limit in bytes per second; 0 is unlimited.
    #[must_use]
    pub fn get(&self) -> u64 {
        *self.0.limit.borrow()
    }

    /// Waits until `bytes` more may go.
    async fn admit(&self, bytes: usize) {
        let mut limit = self.0.limit.subscribe();
        let mut debt = self.0.debt.lock().await;
        loop {
            let rate = *limit.borrow_and_update();
            debt.pay(rate);
            if debt.bytes <= 0.0 {
                break;
            }
            let wait = Duration::from_secs_f64(debt.bytes / rate as f64);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = limit.changed() => {}
            }
        }
        debt.bytes = bytes as f64;
    }
}

impl Debt {
    fn pay(&mut self, rate: u64) {
        let now = Instant::now();
        let paid = now.duration_since(self.as_of).as_secs_f64() * rate as f64;
        self.bytes = if rate == 0 {
            0.0
        } else {
            (self.bytes - paid).max(0.0)
        };
        self.as_of = now;
    }
}

/// A store that is written to no faster than a limit.
#[derive(Debug, Clone)]
pub struct Throttle<S> {
    inner: S,
    limit: SpeedLimit,
}

impl<S> Throttle<S> {
    /// Writes to `inner` within `limit`.
    pub fn new(inner: S, limit: SpeedLimit) -> Self {
        Self { inner, limit }
    }
}

#[async_trait]
impl<S: Storage> Storage for Throttle<S> {
    async fn put(&self, key: &Key, body: Bytes) -> Result<()> {
        self.limit.admit(body.len()).await;
        self.inner.put(key, body).await
    }

    async fn start_upload(&self, key: &Key) -> Result<Box<dyn Upload>> {
        Ok(Box::new(ThrottledUpload {
            inner: self.inner.start_upload(key).await?,
            limit: self.limit.clone(),
        }))
    }

    async fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        self.inner.open_uploads(prefix).await
    }

    async fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        self.inner.abort_upload(upload).await
    }

    async fn get(&self, key: &Key) -> Result<Bytes> {
        self.inner.get(key).await
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        self.inner.get_range(key, range).await
    }

    async fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        self.inner.head(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        self.inner.list(prefix).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.inner.delete(key).await
    }

    async fn guarantees(&self, scratch: &Key) -> Result<Guarantees> {
        self.inner.guarantees(scratch).await
    }

    fn clock_ahead(&self) -> Option<i64> {
        self.inner.clock_ahead()
    }
}

struct ThrottledUpload {
    inner: Box<dyn Upload>,
    limit: SpeedLimit,
}

#[async_trait]
impl Upload for ThrottledUpload {
    fn open_upload(&self) -> OpenUpload {
        self.inner.open_upload()
    }

    async fn part(&self, number: u32, offset: u64, body: Bytes) -> Result<()> {
        self.limit.admit(body.len()).await;
        self.inner.part(number, offset, body).await
    }

    async fn complete(&self, size: u64) -> Result<()> {
        self.inner.complete(size).await
    }

    async fn abort(&self) -> Result<()> {
        self.inner.abort().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_uploads_together_keep_the_limit() {
        let limit = SpeedLimit::new(1 << 20);
        let begun = Instant::now();
        let one = |limit: SpeedLimit| async move {
            for _ in 0..5 {
                limit.admit(1 << 20).await;
            }
        };
        tokio::join!(one(limit.clone()), one(limit.clone()));
        // Ten MiB: the first goes at once, the last nine seconds later.
        let took = begun.elapsed().as_secs_f64();
        assert!((8.99..9.1).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_limit_reaches_who_waits_already() {
        let limit = SpeedLimit::new(1);
        limit.admit(1 << 30).await;
        let begun = Instant::now();
        let waiting = tokio::spawn({
            let limit = limit.clone();
            async move { limit.admit(1).await }
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!waiting.is_finished());
        limit.set(0);
        waiting.await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(6));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_time_is_not_saved_up() {
        let limit = SpeedLimit::new(1000);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        let begun = Instant::now();
        for _ in 0..3 {
            limit.admit(1000).await;
        }
        let took = begun.elapsed().as_secs_f64();
        assert!((1.99..2.1).contains(&took), "{took}");
    }
}

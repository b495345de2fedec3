//! Tries again what may pass: `Unavailable` and `Timeout`, nothing else. A bounded number of
//! times, within a deadline, with waits that grow and are spread at random ("full jitter",
//! Exponential Backoff And Jitter, AWS Architecture Blog), so that many servers that lost one
//! store do not come back in step.

use std::{future::Future, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use backupd_base::{Code, Result};
use bytes::Bytes;
use rand::Rng as _;
use tokio::time::Instant;

use crate::{Guarantees, Key, ObjectInfo, OpenUpload, Storage, Upload};

/// How patient.
#[derive(Debug, Clone)]
pub struct RetryOptions {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// The longest first wait; doubles with each attempt.
    pub wait: Duration,
    /// No wait is longer.
    pub longest_wait: Duration,
    /// No attempt begins later than this after the first.
    pub deadline: Duration,
}

impl Default for RetryOptions {
    /// Rides out a restart of the store or of a router, about four minutes.
    fn default() -> Self {
        Self {
            attempts: 10,
            wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(60),
            deadline: Duration::from_secs(600),
        }
    }
}

/// A store that is asked again.
#[derive(Debug, Clone)]
pub struct Retry<S> {
    inner: S,
    options: RetryOptions,
}

impl<S> Retry<S> {
    /// Asks `inner` as often as `options` say.
    pub fn new(inner: S, options: RetryOptions) -> Self {
        Self { inner, options }
    }
}

impl RetryOptions {
    async fn run<T, F>(&self, attempt: impl Fn() -> F + Send + Sync) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        let end = Instant::now() + self.deadline;
        let mut number = 1;
        loop {
            let error = match attempt().await {
                Err(e) if matches!(e.code(), Code::Unavailable | Code::Timeout) => e,
                settled => return settled,
            };
            let wait = self.wait_after(number);
            if number >= self.attempts || Instant::now() + wait > end {
                return Err(error);
            }
            tracing::warn!(%error, attempt = number, ?wait, "storage failed, trying again");
            tokio::time::sleep(wait).await;
            number += 1;
        }
    }

    fn wait_after(&self, attempt: u32) -> Duration {
        let grown = self.wait.saturating_mul(2u32.saturating_pow(attempt - 1));
        let most = grown.min(self.longest_wait);
        rand::thread_rng().gen_range(Duration::ZERO..=most)
    }
}

#[async_trait]
impl<S: Storage> Storage for Retry<S> {
    async fn put(&self, key: &Key, body: Bytes) -> Result<()> {
        self.options.run(|| self.inner.put(key, body.clone())).await
    }

    async fn start_upload(&self, key: &Key) -> Result<Box<dyn Upload>> {
        let upload = self.options.run(|| self.inner.start_upload(key)).await?;
        Ok(Box::new(RetryUpload {
            inner: upload.into(),
            options: self.options.clone(),
        }))
    }

    async fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        self.options.run(|| self.inner.open_uploads(prefix)).await
    }

    async fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        self.options.run(|| self.inner.abort_upload(upload)).await
    }

    async fn get(&self, key: &Key) -> Result<Bytes> {
        self.options.run(|| self.inner.get(key)).await
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        let attempt = || self.inner.get_range(key, range.clone());
        self.options.run(attempt).await
    }

    async fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        self.options.run(|| self.inner.head(key)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        self.options.run(|| self.inner.list(prefix)).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.options.run(|| self.inner.delete(key)).await
    }

    async fn guarantees(&self, scratch: &Key) -> Result<Guarantees> {
        self.options.run(|| self.inner.guarantees(scratch)).await
    }

    fn clock_ahead(&self) -> Option<i64> {
        self.inner.clock_ahead()
    }
}

struct RetryUpload {
    inner: Arc<dyn Upload>,
    options: RetryOptions,
}

#[async_trait]
impl Upload for RetryUpload {
    fn open_upload(&self) -> OpenUpload {
        self.inner.open_upload()
    }

    async fn part(&self, number: u32, offset: u64, body: Bytes) -> Result<()> {
        let attempt = || self.inner.part(number, offset, body.clone());
        self.options.run(attempt).await
    }

    async fn complete(&self, size: u64) -> Result<()> {
        self.options.run(|| self.inner.complete(size)).await
    }

    async fn abort(&self) -> Result<()> {
        self.options.run(|| self.inner.abort()).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use backupd_base::Error;

    use super::*;

    async fn attempts(options: &RetryOptions, code: Code, pass_at: u32) -> (u32, Result<()>) {
        let count = AtomicU32::new(0);
        let attempt = || async {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            if number >= pass_at {
                Ok(())
            } else {
                Err(Error::new(code, "no"))
            }
        };
        let result = options.run(attempt).await;
        (count.into_inner(), result)
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_may_pass_is_tried_again_and_not_for_ever() {
        let options = RetryOptions::default();
        for code in [Code::Unavailable, Code::Timeout] {
            assert_eq!(attempts(&options, code, 3).await.0, 3);
            let (count, result) = attempts(&options, code, u32::MAX).await;
            assert_eq!(count, options.attempts);
            assert_eq!(result.unwrap_err().code(), code);
        }
        for code in [
            Code::Denied,
            Code::NotFound,
            Code::AlreadyExists,
            Code::DiskFull,
        ] {
            assert_eq!(attempts(&options, code, 3).await.0, 1, "{code:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_it_before_the_attempts_do() {
        let options = RetryOptions {
            attempts: 1_000_000,
            ..RetryOptions::default()
        };
        let begun = Instant::now();
        let (count, result) = attempts(&options, Code::Unavailable, u32::MAX).await;
        assert!(result.is_err() && count > 10);
        assert!(begun.elapsed() <= options.deadline);
    }

    #[test]
    fn waits_grow_to_a_limit_and_differ() {
        let options = RetryOptions::default();
        for attempt in 1..40 {
            assert!(options.wait_after(attempt) <= options.longest_wait);
        }
        assert!(options.wait_after(1) <= options.wait);
        let waits: Vec<_> = (0..20).map(|_| options.wait_after(8)).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}

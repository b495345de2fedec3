//! A store behind a pointer is a store: callers hold `Arc<dyn Storage>` and wrap it further.

use std::{ops::Range, sync::Arc};

use async_trait::async_trait;
use backupd_base::Result;
use bytes::Bytes;

use crate::{Guarantees, Key, ObjectInfo, OpenUpload, Storage, Upload};

#[async_trait]
impl<S: Storage + ?Sized> Storage for Arc<S> {
    async fn put(&self, key: &Key, body: Bytes) -> Result<()> {
        (**self).put(key, body).await
    }

    async fn start_upload(&self, key: &Key) -> Result<Box<dyn Upload>> {
        (**self).start_upload(key).await
    }

    async fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        (**self).open_uploads(prefix).await
    }

    async fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        (**self).abort_upload(upload).await
    }

    async fn get(&self, key: &Key) -> Result<Bytes> {
        (**self).get(key).await
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        (**self).get_range(key, range).await
    }

    async fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        (**self).head(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        (**self).list(prefix).await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        (**self).delete(key).await
    }

    async fn guarantees(&self, scratch: &Key) -> Result<Guarantees> {
        (**self).guarantees(scratch).await
    }

    fn clock_ahead(&self) -> Option<i64> {
        (**self).clock_ahead()
    }
}

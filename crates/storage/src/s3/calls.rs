//! One function per request: built, bounded in time, its failure told as ours.

use std::{future::Future, ops::Range, sync::atomic::Ordering};

use aws_sdk_s3::{
    error::{ProvideErrorMetadata, SdkError},
    operation::get_object::GetObjectOutput,
    primitives::ByteStream,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use backupd_base::{Code, Error, Result};
use bytes::Bytes;

use crate::{
    GET_LIMIT, Key, ObjectInfo, OpenUpload,
    s3::{Inner, Seen, TAG, crc32c, failure::Failure},
};

impl Inner {
    /// Makes a request that carries `bytes`, once more with the server's time if it refused ours.
    pub(super) async fn call<T, E, F>(
        &self,
        bytes: u64,
        request: impl Fn() -> F + Send + Sync,
    ) -> std::result::Result<T, Failure>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        F: Future<Output = std::result::Result<T, SdkError<E, HttpResponse>>> + Send,
    {
        let patience = self.patience(bytes);
        let attempt = async || match tokio::time::timeout(patience, request()).await {
            Ok(answer) => answer.map_err(Failure::from_sdk),
            Err(_) => Err(Failure::timeout(patience)),
        };
        match attempt().await {
            Err(refused) if refused.may_be_skew() && self.clock.is_off() => {
                self.clock.correct();
                attempt().await
            }
            Err(refused) if refused.code() == Code::ClockSkew => {
                Err(refused.into_skew(self.clock.ahead()))
            }
            answer => answer,
        }
    }

    /// Writes an object unless one is there.
    pub(super) async fn put_new(&self, key: &Key, body: &Bytes, tag: &str) -> Result<()> {
        let what = format!("write {key}");
        match self.put_once(key, body, tag, self.is_plain()).await {
            Err(e) if e.is_not_implemented() && !self.is_plain() => {
                tracing::info!(
                    bucket = self.bucket,
                    "the store knows no conditional writes"
                );
                self.plain.store(true, Ordering::Relaxed);
                self.put_once(key, body, tag, true).await
            }
            done => done,
        }
        .map_err(|e| e.into_error(&what))
    }

    async fn put_once(
        &self,
        key: &Key,
        body: &Bytes,
        tag: &str,
        plain: bool,
    ) -> std::result::Result<(), Failure> {
        let request = || {
            let mut request = self
                .client
                .put_object()
                .bucket(&self.bucket)
                .key(self.full_key(key))
                .metadata(TAG, tag)
                .body(ByteStream::from(body.clone()));
            if !plain {
                request = request.if_none_match("*").checksum_crc32_c(crc32c(body));
            }
            request.send()
        };
        self.call(body.len() as u64, request).await.map(|_| ())
    }

    /// What lies under `key`. A credential that may only write sees less.
    pub(super) async fn look(&self, key: &Key) -> Result<Seen> {
        let what = format!("look at {key}");
        let request = || {
            let head = self.client.head_object().bucket(&self.bucket);
            head.key(self.full_key(key)).send()
        };
        match self.call(0, request).await {
            Ok(found) => Ok(Seen::Object {
                size: size(found.content_length(), &what)?,
                tag: found.metadata().and_then(|m| m.get(TAG)).cloned(),
            }),
            Err(e) if e.code() == Code::NotFound => Ok(Seen::Nothing),
            Err(e) if e.code() == Code::Denied => self.look_in_listing(key).await,
            Err(e) => Err(e.into_error(&what)),
        }
    }

    async fn look_in_listing(&self, key: &Key) -> Result<Seen> {
        let full = self.full_key(key);
        let request = || {
            let list = self.client.list_objects_v2().bucket(&self.bucket);
            list.prefix(&full).max_keys(1).send()
        };
        match self.call(0, request).await {
            Ok(page) => {
                let found = page.contents().first().filter(|o| o.key() == Some(&full));
                Ok(match found.and_then(|o| o.size()) {
                    Some(size) => Seen::Object {
                        size: size.unsigned_abs(),
                        tag: None,
                    },
                    None => Seen::Nothing,
                })
            }
            Err(e) if e.code() == Code::Denied => Ok(Seen::Hidden),
            Err(e) => Err(e.into_error(&format!("look for {key}"))),
        }
    }

    pub(super) async fn head(&self, key: &Key) -> Result<Option<ObjectInfo>> {
        match self.look(key).await? {
            Seen::Nothing => Ok(None),
            Seen::Object { size, .. } => Ok(Some(ObjectInfo {
                key: key.clone(),
                size,
            })),
            Seen::Hidden => Err(Error::new(
                Code::Denied,
                format!("look at {key}: the credential may not"),
            )),
        }
    }

    pub(super) async fn get(&self, key: &Key) -> Result<Bytes> {
        let what = format!("read {key}");
        let request = || {
            let get = self.client.get_object().bucket(&self.bucket);
            get.key(self.full_key(key)).send()
        };
        let answer = self.call(0, request).await;
        let answer = answer.map_err(|e| e.into_error(&what))?;
        let size = size(answer.content_length(), &what)?;
        crate::check_get_size(size).map_err(|e| Error::caused(what.clone(), e))?;
        self.body(answer, size, &what).await
    }

    pub(super) async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        let what = format!("read bytes {} to {} of {key}", range.start, range.end);
        let wanted = range.end.saturating_sub(range.start);
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        if wanted > GET_LIMIT {
            let what = format!("{what}: more than {GET_LIMIT} bytes at once");
            return Err(Error::new(Code::Invalid, what));
        }
        let request = || {
            let get = self.client.get_object().bucket(&self.bucket);
            let last = range.end - 1;
            get.key(self.full_key(key))
                .range(format!("bytes={}-{last}", range.start))
                .send()
        };
        match self.call(wanted, request).await {
            Ok(answer) => {
                let size = size(answer.content_length(), &what)?;
                if size > wanted {
                    let what = format!("{what}: the store answered with {size} bytes");
                    return Err(Error::new(Code::Incompatible, what));
                }
                self.body(answer, size, &what).await
            }
            Err(e) if e.is_beyond_the_end() => Ok(Bytes::new()),
            Err(e) => Err(e.into_error(&what)),
        }
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        let what = format!("list objects below {prefix:?}");
        let full = format!("{}{prefix}", self.prefix);
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let request = || {
                let list = self.client.list_objects_v2().bucket(&self.bucket);
                list.prefix(&full)
                    .set_continuation_token(next.clone())
                    .send()
            };
            let page = self.call(0, request).await;
            let page = page.map_err(|e| e.into_error(&what))?;
            found.extend(page.contents().iter().filter_map(|object| {
                Some(ObjectInfo {
                    key: self.own_key(object.key()?)?,
                    size: object.size()?.unsigned_abs(),
                })
            }));
            next = page.next_continuation_token;
            if next.is_none() || page.is_truncated != Some(true) {
                break;
            }
        }
        // Most servers list in this order, the contract says it.
        found.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(found)
    }

    pub(super) async fn delete(&self, key: &Key) -> Result<()> {
        let request = || {
            let delete = self.client.delete_object().bucket(&self.bucket);
            delete.key(self.full_key(key)).send()
        };
        match self.call(0, request).await {
            Ok(_) => Ok(()),
            Err(e) if e.code() == Code::NotFound && !e.is_no_bucket() => Ok(()),
            Err(e) => Err(e.into_error(&format!("delete {key}"))),
        }
    }

    pub(super) async fn open_uploads(&self, prefix: &str) -> Result<Vec<OpenUpload>> {
        let what = format!("list open uploads below {prefix:?}");
        let full = format!("{}{prefix}", self.prefix);
        let mut found = Vec::new();
        let (mut next_key, mut next_id) = (None, None);
        loop {
            let request = || {
                let list = self.client.list_multipart_uploads().bucket(&self.bucket);
                list.prefix(&full)
                    .set_key_marker(next_key.clone())
                    .set_upload_id_marker(next_id.clone())
                    .send()
            };
            let page = self.call(0, request).await;
            let page = page.map_err(|e| e.into_error(&what))?;
            found.extend(page.uploads().iter().filter_map(|upload| {
                Some(OpenUpload {
                    key: self.own_key(upload.key()?)?,
                    id: upload.upload_id()?.to_owned(),
                })
            }));
            (next_key, next_id) = (page.next_key_marker, page.next_upload_id_marker);
            if page.is_truncated != Some(true) || next_key.is_none() {
                return Ok(found);
            }
        }
    }

    pub(super) async fn abort_upload(&self, upload: &OpenUpload) -> Result<()> {
        let request = || {
            let abort = self.client.abort_multipart_upload().bucket(&self.bucket);
            abort
                .key(self.full_key(&upload.key))
                .upload_id(&upload.id)
                .send()
        };
        match self.call(0, request).await {
            Ok(_) => Ok(()),
            Err(e) if e.code() == Code::NotFound && !e.is_no_bucket() => Ok(()),
            Err(e) => Err(e.into_error(&format!("abort upload of {}", upload.key))),
        }
    }

    /// Writes over `scratch` with the condition that it does not exist, and nothing else.
    pub(super) async fn refuses_overwrite(&self, scratch: &Key) -> Result<bool> {
        if self.is_plain() {
            return Ok(false);
        }
        let body = Bytes::from_static(b"a second write");
        match self.put_once(scratch, &body, "second", false).await {
            Ok(()) => Ok(false),
            Err(e) if e.code() == Code::AlreadyExists => Ok(true),
            Err(e) => Err(e.into_error(&format!("write over {scratch}"))),
        }
    }

    /// Sends bytes with the checksum of others.
    pub(super) async fn refuses_bad_checksum(&self, scratch: &Key) -> Result<bool> {
        if self.is_plain() {
            return Ok(false);
        }
        let request = || {
            let put = self.client.put_object().bucket(&self.bucket);
            put.key(self.full_key(scratch))
                .checksum_crc32_c(crc32c(b"these"))
                .body(ByteStream::from_static(b"those"))
                .send()
        };
        match self.call(0, request).await {
            Ok(_) => Ok(false),
            Err(e) if e.is_refusal() => Ok(true),
            Err(e) => Err(e.into_error(&format!("write {scratch} with a wrong checksum"))),
        }
    }

    /// The body of an answer, whole or not at all.
    async fn body(&self, answer: GetObjectOutput, size: u64, what: &str) -> Result<Bytes> {
        let patience = self.patience(size);
        let read = match tokio::time::timeout(patience, answer.body.collect()).await {
            Ok(read) => read.map_err(|e| Failure::line(&e)),
            Err(_) => Err(Failure::timeout(patience)),
        };
        let body = read.map_err(|e| e.into_error(what))?.into_bytes();
        if body.len() as u64 == size {
            return Ok(body);
        }
        let what = format!("{what}: {} bytes came instead of {size}", body.len());
        Err(Error::new(Code::Unavailable, what))
    }
}

fn size(told: Option<i64>, what: &str) -> Result<u64> {
    let missing = || Error::new(Code::Incompatible, format!("{what}: no size in the answer"));
    told.and_then(|size| u64::try_from(size).ok())
        .ok_or_else(missing)
}
